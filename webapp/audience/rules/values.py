"""What a rule's values may be: how what comes as JSON (often text) becomes what SQL compares with."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from webapp.platform.errors import Refused

LIST_LIMIT = 10_000
SPAN_LIMIT = timedelta(days=36_500)


class BadValue(ValueError):
    """A value that cannot be what the field holds; its text is shown at the rule."""


class Missing(Refused):
    """A rule names something that is not there any more."""


@dataclass(frozen=True)
class Span:
    """A length of time as people say it: 24 hours, 30 days, 2 weeks."""

    amount: int
    unit: str

    @property
    def delta(self) -> timedelta:
        return timedelta(**{self.unit: self.amount})

    def __str__(self) -> str:
        return f"{self.amount} {self.unit if self.amount != 1 else self.unit.removesuffix('s')}"


UNITS = ("hours", "days", "weeks")


def text(value: Any) -> str:
    """Returns a text without what PostgreSQL cannot hold. Raises BadValue for none, and for one over 500 characters."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadValue("Give a text.")
    cleaned = str(value).replace("\0", "").encode("utf-8", "ignore").decode().strip()
    if not cleaned:
        raise BadValue("Give a value.")
    if len(cleaned) > 500:
        raise BadValue("Use at most 500 characters.")
    return cleaned


def word(value: Any) -> str:
    """Returns a text in lower case. Raises BadValue."""
    return text(value).lower()


def number(value: Any) -> Decimal:
    """Returns a number, also of "1,000". Raises BadValue."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise BadValue("Give a number.")
    try:
        parsed = Decimal(str(value).strip().replace(",", ""))
    except (InvalidOperation, ValueError):
        raise BadValue("Give a number, like 1000 or 99.50.") from None
    if not parsed.is_finite() or parsed.copy_abs() >= Decimal("1e15"):
        raise BadValue("This number is too large.")
    if parsed.as_tuple().exponent < -10:
        raise BadValue("Use at most 10 decimals.")
    return parsed


def whole(value: Any, least: int = 0, most: int = 1_000_000) -> int:
    """Returns a whole number within bounds. Raises BadValue."""
    parsed = number(value)
    if parsed != parsed.to_integral_value() or not least <= parsed <= most:
        raise BadValue(f"Give a whole number from {least:,} to {most:,}.")
    return int(parsed)


def row_id(value: Any) -> int:
    """Returns the id of a row. Raises BadValue."""
    try:
        return whole(value, 1, 2**63 - 1)
    except BadValue:
        raise BadValue("Choose one of the list.") from None


def day(value: Any) -> date:
    """Returns the (UTC) day of a date or a moment in ISO form. Raises BadValue."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
        except (ValueError, OverflowError):
            pass
    raise BadValue("Give a date, like 2026-01-31.")


def span(value: Any) -> Span:
    """Returns a span of "30 days" or 30, which are days. Raises BadValue."""
    amount, _, unit = str(value).strip().lower().partition(" ") if not isinstance(value, bool) else ("", "", "")
    unit = unit.strip() or "days"
    unit = unit if unit.endswith("s") else f"{unit}s"
    if unit not in UNITS:
        raise BadValue("Give a time like 24 hours, 30 days or 2 weeks.")
    try:
        parsed = Span(whole(amount, 1, 1_000_000), unit)
    except BadValue:
        raise BadValue("Give a time like 24 hours, 30 days or 2 weeks.") from None
    if parsed.delta > SPAN_LIMIT:
        raise BadValue("Use at most 100 years.")
    return parsed


def many(value: Any, parse: Any) -> list[Any]:
    """Returns the distinct parsed values of a list, or of a text with commas or lines. Raises BadValue."""
    if isinstance(value, str):
        value = [part for part in value.replace("\n", ",").split(",") if part.strip()]
    if not isinstance(value, list) or not value:
        raise BadValue("Give at least one value.")
    if len(value) > LIST_LIMIT:
        raise BadValue(f"Give at most {LIST_LIMIT:,} values.")
    return list(dict.fromkeys(parse(part) for part in value))


def pair(value: Any, parse: Any) -> tuple[Any, Any]:
    """Returns the two ends of "between", the lower one first. Raises BadValue."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise BadValue("Give two values: from and to.")
    low, high = (parse(end) for end in value)
    return (low, high) if low <= high else (high, low)


def plain(value: Any) -> Any:
    """Returns a parsed value as JSON holds it; parsing that gives the same again."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    return value if isinstance(value, str | int | bool | type(None)) else str(value)
