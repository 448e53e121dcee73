"""What senders did of late, from their minutes: sums, hours, and the problems their providers told."""

from datetime import datetime, timedelta
from typing import Any

from webapp.messaging.meters import MEASURES
from webapp.platform import clock, tenancy
from webapp.platform.db import one, rows, value

# Never below nothing: what is unknown today may be taken back next month.
SUMS = ", ".join(f"GREATEST(COALESCE(sum({name}), 0), 0)::int AS {name}" for name in MEASURES)
# What a message took out of the limit; a sender without one has nothing taken, so what went out counts.
USED = "GREATEST(COALESCE(sum(claimed), 0), COALESCE(sum(sent + unknown), 0))::int"
DAY = "FILTER (WHERE minute > now() - interval '24 hours')"
USED_TODAY = f"GREATEST(COALESCE(sum(claimed) {DAY}, 0), COALESCE(sum(sent + unknown) {DAY}, 0))::int"
PROBLEMS_SHOWN = 10


def over(sender_id: int, hours: int) -> Any:
    """Returns the sums of a sender's MEASURES over the last hours, with `used` of its limit."""
    return one(
        f"SELECT {SUMS}, {USED} AS used FROM sender_minutes WHERE org_id = :org AND sender_id = :id"
        " AND minute > now() - :hours * interval '1 hour'",
        org=tenancy.current_org(), id=sender_id, hours=hours,
    )  # fmt: skip


def weeks() -> dict[int, Any]:
    """Returns the sums of seven days of every sender that did something, by id; `used` is of the last 24 hours."""
    found = rows(
        f"SELECT sender_id AS id, {SUMS}, {USED_TODAY} AS used FROM sender_minutes"
        " WHERE org_id = :org AND minute > now() - interval '7 days' GROUP BY sender_id ORDER BY sender_id",
        org=tenancy.current_org(),
    )  # fmt: skip
    return {row.id: row for row in found}


def last_sent_at(sender_id: int) -> datetime | None:
    """Returns the minute in which a sender's provider last took a message; None where it never did."""
    return value(
        "SELECT minute FROM sender_minutes WHERE org_id = :org AND sender_id = :id AND sent > 0 ORDER BY minute DESC LIMIT 1",
        org=tenancy.current_org(), id=sender_id,
    )  # fmt: skip


def by_hour(sender_id: int) -> list[tuple[datetime, Any]]:
    """Returns (start of an hour, its sums or None where there is nothing) of the last 24 hours, oldest first."""
    found = rows(
        f"SELECT date_trunc('hour', minute) AS hour, {SUMS} FROM sender_minutes WHERE org_id = :org AND sender_id = :id"
        " AND minute >= date_trunc('hour', now()) - interval '23 hours' GROUP BY 1",
        org=tenancy.current_org(), id=sender_id,
    )  # fmt: skip
    known = {row.hour: row for row in found}
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
    hours = [this_hour - timedelta(hours=n) for n in range(23, -1, -1)]
    return [(hour, known.get(hour)) for hour in hours]


def problems(sender_id: int) -> list[Any]:
    """Returns what providers complained of in the last seven days, the most frequent first: code, n, message (the latest
    words), last_at."""
    return rows(
        "SELECT error_code AS code, count(*)::int AS n, max(updated_at) AS last_at,"
        " (array_agg(error_message ORDER BY updated_at DESC))[1] AS message FROM sends"
        " WHERE org_id = :org AND sender_id = :id AND error_code IS NOT NULL AND updated_at > now() - interval '7 days'"
        " GROUP BY error_code ORDER BY n DESC, code LIMIT :limit",
        org=tenancy.current_org(), id=sender_id, limit=PROBLEMS_SHOWN,
    )  # fmt: skip
