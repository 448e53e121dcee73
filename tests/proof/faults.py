"""The ways a gateway goes wrong, and what each of them lets the one who sent know.

Whether and how a message goes wrong hangs on the seed, its recipient and how often it was tried: the same every time.
"""

from dataclasses import dataclass
from hashlib import blake2b

SMTP, HTTP = "smtp", "http"
NONE = "-"


@dataclass(frozen=True)
class Fault:
    """accepted: True, False, or None where a coin decides. unclear: the one who sent cannot know whether it was taken.
    final: it was refused for good. rests: it makes a whole sender wait, so that it comes a few times a run, not as a share
    of the messages. again: the one who sent may find out that it never left, and try again although it is unclear."""

    name: str
    over: tuple[str, ...]
    accepted: bool | None = False
    unclear: bool = False
    final: bool = False
    rests: bool = False
    again: bool = False


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("no_connection", (SMTP,), rests=True),  # closed at accept; both kinds also close their doors for a while
        Fault("timeout_before_reading", (SMTP,)),  # no answer to the envelope: the message itself never left
        Fault("timeout_before_reading_request", (HTTP,), unclear=True),
        Fault("timeout_after_acceptance", (SMTP, HTTP), accepted=True, unclear=True),
        Fault("mail_4xx", (SMTP,)),
        Fault("rcpt_4xx", (SMTP,)),
        Fault("rcpt_5xx", (SMTP,), final=True),
        Fault("data_4xx", (SMTP,)),
        Fault("data_5xx", (SMTP,), final=True),
        Fault("drop_in_data", (SMTP,), unclear=True, again=True),
        Fault("drop_after_dot", (SMTP,), accepted=None, unclear=True),
        Fault("closing_421", (SMTP,)),
        Fault("http_429", (HTTP,), rests=True),
        Fault("http_500_before_acceptance", (HTTP,), unclear=True),
        Fault("http_500_after_acceptance", (HTTP,), accepted=True, unclear=True),
        Fault("http_4xx_code", (HTTP,), final=True),
        Fault("truncated_json", (HTTP,), accepted=True, unclear=True),
        Fault("drop_before_reply", (HTTP,), accepted=None, unclear=True),
    )
}
BY_WIRE = {wire: [f for f in FAULTS.values() if wire in f.over] for wire in (SMTP, HTTP)}


def _unit(*parts: object) -> float:
    """Returns a number from 0 to 1 that hangs on nothing but the parts."""
    return int.from_bytes(blake2b(":".join(map(str, parts)).encode(), digest_size=7).digest(), "big") / 2**56


def draw(seed: int, wire: str, recipient: str, attempt: int, share: float, rest_share: float) -> Fault | None:
    """Returns what goes wrong with an attempt, or None. share: of all attempts that go wrong in one of the cheap ways;
    rest_share: of those that make a sender rest, for each such way."""
    point = _unit(seed, wire, recipient, attempt)
    resting = [f for f in BY_WIRE[wire] if f.rests and f.name != "no_connection"]
    for fault in resting:
        if point < rest_share:
            return fault
        point -= rest_share
    cheap = [f for f in BY_WIRE[wire] if not f.rests]
    place = int(point / share * len(cheap)) if share else len(cheap)
    return cheap[place] if place < len(cheap) else None


def taken(fault: Fault | None, seed: int, recipient: str) -> bool:
    """Returns whether the message is accepted all the same."""
    if fault is None:
        return True
    return _unit(seed, recipient, "coin") < 0.5 if fault.accepted is None else fault.accepted
