"""Warming: the daily limit of a new sender rises day by day, until it reaches the limit it is meant to have."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from webapp.messaging.senders import Sender

BEYOND = 1_000_000_000  # messages a day: as good as no limit, and far enough
DAYS_LIMIT = 10_000
SHOWN_DAYS = 60


def daily_limit_on(sender: Sender, day: date) -> int | None:
    """Returns how many messages a sender may send on a day (the organisation's local one); None for no limit.

    Its plan gives floor(first * growth ^ days since it started), and on days before that the first; never above the
    sender's own daily limit.
    """
    if not sender.warming:
        return sender.daily_limit
    planned = _planned(sender.warming, day)
    if sender.daily_limit is not None:
        return min(planned, sender.daily_limit)
    return planned if planned < BEYOND else None


def _planned(plan: dict[str, Any], day: date) -> int:
    days = min(max((day - started_on(plan)).days, 0), DAYS_LIMIT)
    # By decimals: in binary, 100 a day that grow by 15 % would be 114 on the second.
    wanted = Decimal(plan["first"]) * Decimal(str(plan["growth"])) ** days
    return int(min(wanted, Decimal(BEYOND)))


def started_on(plan: dict[str, Any]) -> date:
    """Returns the first day of a plan."""
    return date.fromisoformat(plan["started_on"])


def course(sender: Sender, today: date) -> list[tuple[date, int]]:
    """Returns the limits of the days from the plan's start on, until it is reached or SHOWN_DAYS are full; at most the
    whole of them, beginning so that today is among them."""
    if not sender.warming:
        return []
    start = started_on(sender.warming)
    start = max(start, today - timedelta(days=SHOWN_DAYS // 2))
    days: list[tuple[date, int]] = []
    for n in range(SHOWN_DAYS):
        day = start + timedelta(days=n)
        limit = daily_limit_on(sender, day)
        if limit is None:
            break
        days.append((day, limit))
        if limit == sender.daily_limit and day > today:
            break
    return days
