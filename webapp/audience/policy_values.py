"""What a policy's fields may hold, how they hang together, and which facts a change of them makes."""

from datetime import date
from decimal import Decimal
from typing import Any

from webapp.audience.lead_values import INSURANCE_TYPES, clean_amount, storable
from webapp.audience.values import clean_each
from webapp.platform.clock import local, now
from webapp.platform.errors import Invalid
from webapp.platform.organizations import current as current_organization

STATUSES = ("active", "lapsed", "cancelled", "expired")
PAYMENT_STATUSES = ("paid", "due", "overdue")
CHOICES = {"type": INSURANCE_TYPES, "status": STATUSES, "payment_status": PAYMENT_STATUSES}
AMOUNTS = ("premium", "coverage")
DATES = ("started_on", "renews_on", "lapsed_on", "next_due_on")
EDITABLE = ("number", *CHOICES, *AMOUNTS, *DATES)
REQUIRED = {"number": "Give the policy its number.", "status": "Choose one.", "payment_status": "Choose one."}
FIRST, LAST = date(1900, 1, 1), date(2199, 12, 31)
NUMBER_LIMIT = 80
BEFORE_IT_BEGAN = {
    "renews_on": "It cannot renew before it began.",
    "lapsed_on": "It cannot lapse before it began.",
}


def today() -> date:
    """Returns what day it is where the organisation is."""
    return local(now(), current_organization().timezone).date()


def clean(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the given fields as they are stored. Raises Invalid with a message for each that cannot be."""
    return clean_each(values, _clean_field)


def _clean_field(field: str, value: Any) -> Any:
    if field not in EDITABLE:
        raise Invalid({field: "There is no such field."})
    if isinstance(value, str):
        value = " ".join(storable(value).split()) or None
    if value is None:
        if field in REQUIRED:
            raise Invalid({field: REQUIRED[field]})
        return None
    if field in CHOICES and value not in CHOICES[field]:
        raise Invalid({field: f"Choose one of {', '.join(CHOICES[field])}."})
    if field in AMOUNTS:
        return clean_amount(field, value)
    if field in DATES:
        return _clean_date(field, value)
    if len(str(value)) > NUMBER_LIMIT:
        raise Invalid({field: f"Use at most {NUMBER_LIMIT} characters."})
    return str(value)


def _clean_date(field: str, value: Any) -> date:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise Invalid({field: "Give a date as year, month and day."}) from None
    if not FIRST <= day <= LAST:
        raise Invalid({field: "Use a date from 1900 to 2199."})
    return day


def completed(values: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Returns clean values with what follows from them. before: the policy as it stands, {} for a new one. Raises
    Invalid where they do not fit together."""
    after = before | values
    if after.get("status") == "lapsed" and not after.get("lapsed_on"):
        values = values | {"lapsed_on": today()}
    elif _in_force_again(before, after) and after.get("lapsed_on") == before["lapsed_on"]:
        # The day on which it had lapsed is not true any more, unless another one was given.
        values = values | {"lapsed_on": None}
    after = before | values
    errors = {}
    if after.get("status") == "lapsed" and after["lapsed_on"] > today():
        errors["lapsed_on"] = "A policy that has lapsed did so today or earlier."
    for field, message in BEFORE_IT_BEGAN.items():
        if after.get("started_on") and after.get(field) and after[field] < after["started_on"]:
            errors[field] = message
    if errors:
        raise Invalid(errors)
    return values


def _in_force_again(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return after.get("status") == "active" and before.get("status") not in (None, "active")


def facts_of(before: dict[str, Any], changed: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the facts that a change makes: type -> the changed fields it tells of."""
    facts: dict[str, list[str]] = {}
    if changed.get("renews_on") and before["renews_on"] and changed["renews_on"] > before["renews_on"]:
        facts["policy_renewed"] = ["renews_on"]
    if changed.get("status") == "lapsed":
        facts["policy_lapsed"] = [field for field in ("status", "lapsed_on") if field in changed]
    if changed.get("payment_status") == "overdue":
        facts["payment_overdue"] = ["payment_status"]
    rest = [field for field in changed if not any(field in fields for fields in facts.values())]
    return facts | ({"policy_updated": rest} if rest else {})


def from_plain(field: str, value: Any) -> Any:
    """Returns the value of a field that stands in a fact."""
    if value is None or field not in AMOUNTS + DATES:
        return value
    return Decimal(value) if field in AMOUNTS else date.fromisoformat(value)
