"""What any sender may be told whatever its provider: its name, state, limits and how it is warmed up."""

import math
from datetime import date
from typing import Any

from webapp.platform.errors import Invalid

STATUSES = ("active", "standby", "warming", "banned", "inactive")
COUNTS = {"daily_limit": (1, 100_000_000), "rate_per_second": (1, 10_000)}
FIRST = (1, 1_000_000)
GROWTH = (1.0, 10.0)
NAMES = ("name", "status", "notes", "daily_limit", "rate_per_second", "warming")


def read(values: dict[str, Any]) -> dict[str, Any]:
    """Returns NAMES as they are kept. Raises Invalid; what is wrong with a plan is named warming.first and so on."""
    errors: dict[str, str] = {}
    name = " ".join(str(values.get("name") or "").split())
    if not name or len(name) > 120:
        errors["name"] = "Give the name recipients see, of at most 120 characters."
    status = values.get("status") or "active"
    if status not in STATUSES:
        errors["status"] = f"Choose one of {', '.join(STATUSES)}."
    notes = str(values.get("notes") or "").strip() or None
    if notes and len(notes) > 5000:
        errors["notes"] = "Notes have at most 5,000 characters."
    clean: dict[str, Any] = {"name": name, "status": status, "notes": notes}
    for field, (low, high) in COUNTS.items():
        clean[field] = values.get(field)
        if clean[field] is not None and not _is_number(clean[field], low, high, whole=True):
            errors[field] = f"Give a whole number from {low} to {high:,}, or nothing for no limit."
    try:
        clean["warming"] = warming(values.get("warming"))
    except Invalid as problem:
        errors |= problem.errors
    if errors:
        raise Invalid(errors)
    return clean


def warming(given: Any) -> dict[str, Any] | None:
    """Returns a warming plan as it is kept, None for none. Raises Invalid."""
    if given is None:
        return None
    if not isinstance(given, dict) or set(given) - {"started_on", "first", "growth"}:
        raise Invalid({"warming": "A warming plan has started_on, first and growth."})
    errors: dict[str, str] = {}
    started = given.get("started_on")
    try:
        started = started if isinstance(started, date) else date.fromisoformat(str(started))
        if not 2000 <= started.year < 2200:
            raise ValueError
    except ValueError:
        errors["warming.started_on"] = "Give the day on which it starts."
    if not _is_number(given.get("first"), *FIRST, whole=True):
        errors["warming.first"] = f"Give a whole number from {FIRST[0]} to {FIRST[1]:,}: the limit of the first day."
    if not _is_number(given.get("growth"), *GROWTH):
        errors["warming.growth"] = "Give a number from 1 to 10: 1.4 lets each day send 40 % more than the one before."
    if errors:
        raise Invalid(errors)
    return {"started_on": started.isoformat(), "first": given["first"], "growth": given["growth"]}


def _is_number(given: Any, low: float, high: float, *, whole: bool = False) -> bool:
    kinds = (int,) if whole else (int, float)
    return isinstance(given, kinds) and not isinstance(given, bool) and math.isfinite(given) and low <= given <= high
