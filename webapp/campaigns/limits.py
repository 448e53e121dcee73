"""The limits of a campaign: how much goes out in a day, when, until when, and what happens to what comes too late."""

import re
from datetime import datetime
from typing import Any

from webapp.campaigns.words import LATE_ACTIONS

MOST_A_DAY = 10_000_000
WHATSAPP_DAILY = 250  # what a new number of WhatsApp may write to in a day
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
DAYS = range(1, 8)  # Monday is 1
ADJUSTABLE = ("priority", "daily_send_limit", "send_window", "end_at", "late_action")


def problems(values: dict[str, Any], channels: list[str]) -> dict[str, str]:
    """Returns what is wrong with the limits among some values: field -> message. channels: in their order."""
    errors: dict[str, str] = {}
    if "priority" in values and (not _is_whole(values["priority"]) or values["priority"] not in range(1, 11)):
        errors["priority"] = "A priority is a number from 1 (first) to 10."
    limit = values.get("daily_send_limit")
    if limit is not None and (not _is_whole(limit) or not 1 <= limit <= MOST_A_DAY):
        errors["daily_send_limit"] = f"Give a number from 1 to {MOST_A_DAY:,}, or nothing for no limit."
    if values.get("send_window") is not None and (said := _of_window(values["send_window"])):
        errors["send_window"] = said
    if values.get("end_at") is not None and not isinstance(values["end_at"], datetime):
        errors["end_at"] = "Give a time."
    if "late_action" in values:
        if values["late_action"] not in LATE_ACTIONS:
            errors["late_action"] = f"Choose one of {', '.join(LATE_ACTIONS)}."
        elif values["late_action"] == "switch" and len(channels) < 2:
            errors["late_action"] = "There is no next channel to switch to. Add one, or choose another."
    return errors


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _of_window(window: Any) -> str | None:
    if not isinstance(window, dict) or set(window) - {"from", "to", "days"}:
        return 'Give a window like {"from": "09:00", "to": "18:00", "days": [1, 2, 3, 4, 5]}.'
    times = [window.get("from"), window.get("to")]
    if not all(isinstance(at, str) and CLOCK.fullmatch(at) for at in times):
        return "Say from when to when, like 09:00 to 18:00."
    if times[0] >= times[1]:
        return "The window must end after it begins, on the same day."
    days = window.get("days", list(DAYS))
    if not isinstance(days, list) or not days or any(not _is_whole(day) or day not in DAYS for day in days):
        return "Choose at least one day of the week."
    return None


def cleaned(window: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns a send window as it is stored, its days in order; None stays None."""
    return window and {"from": window["from"], "to": window["to"], "days": sorted(set(window.get("days", DAYS)))}
