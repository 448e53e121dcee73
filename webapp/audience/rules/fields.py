"""The fields a rule may name: one line each. What is not here cannot be asked."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES
from webapp.audience.leads import Lead


# A value that cannot be what the field holds; its text is shown at the rule.
class BadValue(ValueError): ...


@dataclass(frozen=True)
class Kind:
    """What a field holds. parse: turns a value from JSON (often a string) into what the column compares with."""

    name: str
    parse: Callable[[Any], Any]
    input: str


@dataclass(frozen=True)
class Field:
    """One field of a rule. column: what it reads; choices: the words it may hold, if they are fixed."""

    name: str
    label: str
    kind: Kind
    column: Any
    choices: tuple[str, ...] = ()

    def parse(self, value: Any) -> Any:
        """Returns the value as the column compares it. Raises BadValue in words for the person who typed it."""
        parsed = self.kind.parse(value)
        if self.choices and parsed not in self.choices:
            raise BadValue(f"{self.label} is one of {', '.join(self.choices)}.")
        return parsed


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadValue("Give a text.")
    cleaned = str(value).replace("\0", "").encode("utf-8", "ignore").decode().strip()
    if not cleaned:
        raise BadValue("Give a value.")
    if len(cleaned) > 500:
        raise BadValue("Use at most 500 characters.")
    return cleaned


def _word(value: Any) -> str:
    return _text(value).lower()


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValue("Give a number.")
    try:
        number = Decimal(str(value).strip().replace(",", ""))
    except (InvalidOperation, ValueError):
        raise BadValue("Give a number, like 1000 or 99.50.") from None
    if not number.is_finite() or abs(number) >= Decimal("1e15"):
        raise BadValue("This number is too large.")
    if number.as_tuple().exponent < -10:
        raise BadValue("Use at most 10 decimals.")
    return number


def _moment(value: Any) -> date:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
        except (ValueError, OverflowError):
            pass
    raise BadValue("Give a date, like 2026-01-31.")


TEXT = Kind("text", _text, "text")
CHOICE = Kind("choice", _word, "select")
NUMBER = Kind("number", _number, "number")
DATE = Kind("date", _moment, "date")
TAGS = Kind("tags", _word, "text")

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        Field("status", "Status", CHOICE, Lead.status, STATUSES),
        Field("priority", "Priority", CHOICE, Lead.priority, PRIORITIES),
        Field("source", "Source", TEXT, Lead.source),
        Field("insurance_type", "Insurance type", CHOICE, Lead.insurance_type, INSURANCE_TYPES),
        Field("state", "State", TEXT, Lead.state),
        Field("city", "City", TEXT, Lead.city),
        Field("value_estimate", "Estimated value", NUMBER, Lead.value_estimate),
        Field("created_at", "Created", DATE, Lead.created_at),
        Field("updated_at", "Last changed", DATE, Lead.updated_at),
        Field("tags", "Tags", TAGS, Lead.tags),
    )
}
