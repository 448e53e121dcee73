"""Verdicts: what a provider's refusal means, by its code where it is a documented one, else by the status of HTTP."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from webapp.messaging.outbox import Outcome

WORDS_LIMIT = 500  # characters of a provider's own words that are kept


class Verdict(NamedTuple):
    """kind and effect: as in an Outcome. advice: what a person can do about it, in plain words."""

    kind: str
    effect: str | None
    advice: str


def number(code: Any) -> int | None:
    """Returns a code as a number, however it was written; None where it is none."""
    try:
        return None if isinstance(code, bool) else int(code)
    except (TypeError, ValueError, OverflowError):
        return None


def refused(send_id: int, status: int, code: Any, said: str, known: Mapping[int, Verdict]) -> Outcome:
    """Returns the outcome of an answer that is no acceptance. code: the provider's, if it gave one. said: in its own
    words. known: the documented codes.

    Only what surely was not accepted may be sent again: an unknown end is for a person to look at.
    """
    found = number(code)
    shown = None if found is None else str(found)
    text = (said or f"The provider answered HTTP {status}.")[:WORDS_LIMIT]
    verdict = known.get(found) if status >= 400 and found is not None else None
    kind, effect = (verdict.kind, verdict.effect) if verdict else _by_status(status, shown is not None)
    return Outcome(send_id, kind, shown or f"http_{status}", text, effect=effect)


def _by_status(status: int, coded: bool) -> tuple[str, str | None]:
    if status == 429:
        return "retry", "back_off"
    if status in (401, 403):
        return "retry", "hold_sender"
    if 300 <= status < 400:
        # Whoever answers so is not the provider, or not at this address: the credentials stay here.
        return "unknown", "hold_sender"
    if 400 <= status < 500 and status != 408:
        # Refused either way; one that does not say why may be a passing trouble on the road.
        return ("rejected", None) if coded else ("retry", "back_off")
    return "unknown", None
