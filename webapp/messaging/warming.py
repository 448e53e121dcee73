"""Warming: a new sender's daily limit rises day by day, so that mailbox providers come to know it."""

from datetime import date
from typing import Any


def daily_limit_on(sender: Any, day: date) -> int | None:
    """Returns how many messages a sender may send on a day of the organisation; None for no limit."""
    plan = sender.warming
    if not plan:
        return sender.daily_limit
    begun = date.fromisoformat(plan["started_on"])
    risen = int(plan["first"] * plan["growth"] ** min(max((day - begun).days, 0), 400))
    return risen if sender.daily_limit is None else min(risen, sender.daily_limit)
