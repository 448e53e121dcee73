"""How what people type becomes what is kept: every field by its own rule, lines of text, shares."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from webapp.audience.lead_values import CENT, storable
from webapp.platform.errors import Invalid


def clean_each(values: dict[str, Any], clean_field: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Returns the fields, each cleaned by (field, value). Raises Invalid with a message for each that cannot be."""
    cleaned, errors = {}, {}
    for field, value in values.items():
        try:
            cleaned[field] = clean_field(field, value)
        except Invalid as problem:
            errors |= problem.errors
    if errors:
        raise Invalid(errors)
    return cleaned


def clean_text(field: str, given: str | None, *, required: bool = False, longest: int = 200) -> str | None:
    """Returns a line of text without what cannot be stored, or nothing. Raises Invalid at the field."""
    line = " ".join(storable(str(given or "")).split()) or None
    if line is None and required:
        raise Invalid({field: "Give it a name." if field == "name" else "This is needed."})
    if line and len(line) > longest:
        raise Invalid({field: f"Use at most {longest:,} characters."})
    return line


def clean_share(field: str, given: Any) -> Decimal:
    """Returns a share from 0 to 1 to two places. Raises Invalid at the field."""
    try:
        share = Decimal(str(given))
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or not 0 <= share <= 1:
        raise Invalid({field: "Use a number from 0 to 1."})
    return share.quantize(CENT, ROUND_HALF_UP)
