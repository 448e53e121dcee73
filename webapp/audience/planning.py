"""The planning side of a stakeholder segment: who they are to the business and how many of them it could reach."""

import re
from decimal import Decimal
from typing import Any

from webapp.audience.consents import CHANNELS
from webapp.audience.rules.values import BadValue, number, whole

TYPES = ("primary", "secondary", "niche")
LISTS = ("pain_points", "goals")
NUMBERS = ("estimated_market_size", "current_reach", "target_reach")
FIELDS = ("segment_type", *LISTS, "preferred_channels", *NUMBERS, "priority_score", "icon", "color")
COLOR = re.compile(r"#[0-9a-f]{6}")
ICON = re.compile(r"[a-z0-9-]{1,40}")
MOST = 10**10 - 1


def clean(values: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    """Returns the planning fields among some values as they are stored; what cannot be goes into errors by field."""
    cleaned = {}
    for field in FIELDS:
        if field in values:
            try:
                cleaned[field] = _clean(field, values[field])
            except BadValue as problem:
                errors[field] = str(problem)
    return cleaned


def _clean(field: str, value: Any) -> Any:
    if field in (*LISTS, "preferred_channels"):
        return _list(field, value)
    if value in (None, ""):
        return None
    if field == "priority_score":
        return whole(value, 1, 10)
    if field == "estimated_market_size":
        amount = number(value)
        if not 0 <= amount <= MOST:
            raise BadValue(f"Give a number from 0 to {MOST:,}.")
        return amount.quantize(Decimal("0.01"))
    if field in NUMBERS:
        return whole(value, 0, MOST)
    if field == "segment_type" and value not in TYPES:
        raise BadValue(f"Choose one of {', '.join(TYPES)}.")
    if (field == "color" and not COLOR.fullmatch(str(value))) or (field == "icon" and not ICON.fullmatch(str(value))):
        raise BadValue("Choose one of the list.")
    return str(value)


def _list(field: str, value: Any) -> list[str] | None:
    parts = value.splitlines() if isinstance(value, str) else value or []
    if not isinstance(parts, list) or len(parts) > 20 or any(not isinstance(part, str) for part in parts):
        raise BadValue("Give at most 20 texts, one a line.")
    cleaned = list(dict.fromkeys(part.replace("\0", "").strip()[:200] for part in parts if part.strip()))
    if field == "preferred_channels" and set(cleaned) - {*CHANNELS, "call"}:
        raise BadValue(f"Choose among {', '.join((*CHANNELS, 'call'))}.")
    return cleaned or None
