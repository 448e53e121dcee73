"""What a lead's fields may hold, and how what people type becomes that."""

import json
import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import phonenumbers

from webapp.platform.clock import ZONES, now
from webapp.platform.errors import Invalid
from webapp.platform.organizations import current as current_organization
from webapp.platform.users import clean_email

STATUSES = ("new", "contacted", "qualified", "proposal", "converted", "lost")
PRIORITIES = ("low", "medium", "high", "urgent")
INSURANCE_TYPES = ("auto", "home", "life", "health", "travel", "business", "other")
TIERS = ("bronze", "silver", "gold", "platinum")
CENT = Decimal("0.01")
ATTRIBUTES_LIMIT = 20_000  # characters of JSON: they are read with every message to the lead
EDITABLE = (
    "external_id", "first_name", "last_name", "email", "phone", "status", "priority", "source", "insurance_type",
    "state", "city", "country", "region", "district", "timezone", "language", "value_estimate", "customer_tier",
    "date_of_birth", "tags", "attributes", "owner_id",
)  # fmt: skip
CHOICES = {
    "status": STATUSES, "priority": PRIORITIES, "insurance_type": INSURANCE_TYPES, "customer_tier": TIERS,
}  # fmt: skip


def clean_phone(number: str, country: str) -> str:
    """Returns the number in E.164. country: ISO code assumed where the number has none. Raises Invalid at `phone`."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise Invalid(
            {"phone": "This does not look like a phone number. Try it with the country code, like +1 415 200 0000."}
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def clean_tags(tags: list[str] | str | None) -> list[str]:
    """Returns distinct lower-case tags in their order; a string is split at , ; and |."""
    parts = re.split(r"[,;|]", tags) if isinstance(tags, str) else tags or []
    cleaned = (part.replace("\0", "").strip().lower()[:60].strip() for part in parts)
    return list(dict.fromkeys(tag for tag in cleaned if tag))


def clean(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the given fields as they are stored. Raises Invalid with a message for each that cannot be."""
    cleaned, errors = {}, {}
    for field, value in values.items():
        try:
            cleaned[field] = _clean_field(field, value)
        except Invalid as problem:
            errors[field] = next(iter(problem.errors.values()))
    if errors:
        raise Invalid(errors)
    return cleaned


def _clean_field(field: str, value: Any) -> Any:
    if field not in EDITABLE:
        raise Invalid({field: "There is no such field."})
    value = storable(value)
    if isinstance(value, str):
        value = value.strip() or None
    if field == "tags":
        return clean_tags(value)
    if field == "attributes":
        if len(json.dumps(value)) > ATTRIBUTES_LIMIT:
            raise Invalid({field: f"Use at most {ATTRIBUTES_LIMIT:,} characters in all."})
        return value or {}
    if field in ("status", "priority") and value is None:
        raise Invalid({field: "Choose one."})
    if value is None:
        return None
    if field == "email":
        return clean_email(value)
    if field == "phone":
        return clean_phone(value, current_organization().country)
    if field in CHOICES and value not in CHOICES[field]:
        raise Invalid({field: f"Choose one of {', '.join(CHOICES[field])}."})
    if field == "timezone" and value not in ZONES:
        raise Invalid({field: "Choose a time zone from the list."})
    if field == "value_estimate":
        return clean_amount(field, value)
    if field == "date_of_birth" and not date(1900, 1, 1) <= value <= now().date():
        raise Invalid({field: "Use a date from 1900 until today."})
    if isinstance(value, str) and len(value) > 200:
        raise Invalid({field: "Use at most 200 characters."})
    return value


def clean_amount(field: str, value: Any) -> Decimal:
    """Returns an amount to the cent. Raises Invalid at the field."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    # To the cent before it is compared: what rounds up to ten thousand millions does not fit the column.
    if amount.is_finite() and 0 <= amount < 10**10 and (cents := amount.quantize(CENT, ROUND_HALF_UP)) < 10**10:
        return cents
    raise Invalid({field: "Use an amount from 0 to 9,999,999,999."})


def storable(value: Any) -> Any:
    """Returns texts, also inside lists and mappings, without what PostgreSQL cannot hold: NUL and half characters."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, list):
        return [storable(item) for item in value]
    return {storable(k): storable(v) for k, v in value.items()} if isinstance(value, dict) else value
