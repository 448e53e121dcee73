"""Where a send stands once some receipts of it are in: plain arithmetic over what is known, without the database.

What receipts may do to a send, in any order and however often they come: they prove that it went out, they add the
earliest time of each thing, and they move it forward. A failure after it was accepted makes it bounced unless a person
has seen it. Bounced stays; a failed one of which we are told that it went out after all becomes what it then is.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from webapp.messaging.notices import Status
from webapp.messaging.sends import LADDER

NOT_OUT = ("pending", "unknown", "failed", "skipped")
BOUNCES_FROM = ("sending", "sent", "delivered")


@dataclass(frozen=True)
class Standing:
    """What receipts look at and change of one send. Times are UTC."""

    status: str
    provider_message_id: str | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    read_at: datetime | None = None
    bounced_at: datetime | None = None
    open_count: int = 0
    error_code: str | None = None
    error_message: str | None = None
    bounce_type: str | None = None
    skip_reason: str | None = None


FIELDS = tuple(Standing.__dataclass_fields__)
_read_fields = attrgetter(*FIELDS)


@dataclass
class Moved:
    """How a send moved. counted: measures of tallies. facts: kinds of facts, without the channel."""

    standing: Standing
    counted: Counter[str] = field(default_factory=Counter)
    facts: list[str] = field(default_factory=list)


def of(row: Any) -> Standing:
    """Returns the standing of a row of `sends`."""
    return Standing(*_read_fields(row))


def after(
    before: Standing, told: list[Status], *, failed_before: bool = False, advice: str = "", bounce_type: str = "soft"
) -> Moved:
    """Returns where a send stands after some receipts that were not known before.

    advice, bounce_type: what a failure among them means. failed_before: an earlier receipt has told of one.
    """
    told = sorted(told, key=lambda status: status.at)
    failures = [status for status in told if status.status == "failed"]
    if before.status == "pending" and len(failures) == len(told):
        # It is tried again anyway: what failed was an earlier attempt.
        return Moved(before)
    moved = Moved(replace(before, provider_message_id=before.provider_message_id or told[0].message_id))
    if len(failures) < len(told):
        _went_out(moved, told[0].at)
    for status in told:
        if status.status in ("delivered", "read"):
            _delivered(moved, status.at)
        if status.status == "read":
            _read(moved, status.at)
    # Last: what shows that a person has seen it counts for more.
    if before.status == "failed" and failed_before:
        _bounce(moved, told[0].at, before.error_code, before.error_message, bounce_type)
    for status in failures:
        _failed(moved, status, advice or None, bounce_type)
    return moved


def _went_out(moved: Moved, at: datetime) -> None:
    standing = moved.standing
    if standing.status not in NOT_OUT:
        return
    moved.counted["sent"] += 1
    if standing.status != "pending":
        moved.counted[standing.status] -= 1
    moved.facts.append("sent")
    moved.standing = replace(
        standing, status="sent", sent_at=at, error_code=None, error_message=None, bounce_type=None, skip_reason=None
    )


def _delivered(moved: Moved, at: datetime) -> None:
    standing = moved.standing
    moved.counted["delivered"] += int(standing.delivered_at is None)
    moved.standing = replace(
        standing, status=_forward(standing.status, "delivered"), delivered_at=_first(standing.delivered_at, at)
    )


def _read(moved: Moved, at: datetime) -> None:
    standing = moved.standing
    if standing.opened_at is None:
        moved.counted["opened"] += 1
        moved.facts.append("opened")
    moved.counted["opens"] += int(not standing.open_count)
    moved.standing = replace(
        standing,
        status=_forward(standing.status, "opened"),
        read_at=_first(standing.read_at, at),
        opened_at=_first(standing.opened_at, at),
        open_count=max(standing.open_count, 1),
    )


def _failed(moved: Moved, told: Status, message: str | None, bounce_type: str) -> None:
    standing = moved.standing
    if standing.status == "unknown":
        moved.counted.update({"failed": 1, "unknown": -1})
        moved.facts.append("failed")
        moved.standing = replace(standing, status="failed", error_code=told.code or None, error_message=message)
    else:
        _bounce(moved, told.at, told.code or None, message, bounce_type)


def _bounce(moved: Moved, at: datetime, code: str | None, message: str | None, bounce_type: str) -> None:
    """While a send is still `sending`, whoever sends it sets the status when it is done; the time tells it how."""
    standing = moved.standing
    if standing.status not in BOUNCES_FROM or standing.opened_at is not None or standing.bounced_at is not None:
        return
    moved.counted["bounced"] += 1
    moved.facts.append("bounced")
    status = "sending" if standing.status == "sending" else "bounced"
    moved.standing = replace(
        standing, status=status, bounced_at=at, error_code=code, error_message=message, bounce_type=bounce_type
    )


def _first(kept: datetime | None, at: datetime) -> datetime:
    return at if kept is None else min(kept, at)


def _forward(status: str, wanted: str) -> str:
    return wanted if status in LADDER and LADDER.index(status) < LADDER.index(wanted) else status
