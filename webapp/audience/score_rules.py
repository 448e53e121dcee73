"""What a rule of a score may say: how what people type becomes one, its words, and the rules most begin with."""

from decimal import Decimal, InvalidOperation
from typing import Any

from webapp.audience.rules.fields import FACT_NAME
from webapp.audience.scoring import Giving, asked
from webapp.audience.timeline import FACTS, HOUSEKEEPING
from webapp.platform.errors import Invalid

POINTS = 100  # the most a rule gives or takes: a score ends there
DAYS = 3650
CROSSED = "score_threshold_crossed"
# model -> the scores its rules may not ask about: a score must not feed on itself, nor two on each other.
OWN = {"score": {"score"}, "engagement_score": {"score", "engagement_score"}}


def _did(type: str, points: int, within: int, half_life: int | None, limit: int) -> dict[str, Any]:
    return {"condition": {"type": type, "within_days": within}, "points": points, "half_life_days": half_life,
            "limit": limit}  # fmt: skip


def _is(name: str, points: int, field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"name": name, "points": points, "condition": {"field": field, "operator": operator, "value": value}}


DEFAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("engagement_score", "event", _did("email_opened", 12, 365, 60, 36)),
    ("engagement_score", "event", _did("email_clicked", 20, 365, 60, 50)),
    ("engagement_score", "event", _did("email_replied", 30, 365, 90, 60)),
    ("engagement_score", "event", _did("page_visited", 6, 180, 45, 40)),
    ("engagement_score", "event", _did("call_logged", 10, 365, 60, 30)),
    ("engagement_score", "event", _did("email_unsubscribed", -40, 365, None, 40)),
    ("score", "attribute", _is("Engaged", 20, "engagement_score", "greater_than", "29")),
    ("score", "attribute", _is("Very engaged", 15, "engagement_score", "greater_than", "59")),
    ("score", "attribute", _is("Being talked to", 10, "status", "equals", "contacted")),
    ("score", "attribute", _is("Qualified", 25, "status", "equals", "qualified")),
    ("score", "attribute", _is("Holds a proposal", 35, "status", "equals", "proposal")),
    ("score", "attribute", _is("Bought from us", 30, "status", "equals", "converted")),
    ("score", "attribute", _is("Worth above 1,000", 10, "value_estimate", "greater_than", "1000")),
    ("score", "attribute", _is("Worth above 3,000", 10, "value_estimate", "greater_than", "3000")),
    ("score", "event", _did("page_visited", 3, 60, 21, 15)),
    ("score", "event", _did("email_clicked", 5, 90, 30, 15)),
    ("score", "attribute", _is("Lost", -40, "status", "equals", "lost")),
)
DEFAULT_THRESHOLDS = (
    ("engagement_score", 30, "Engaged"), ("engagement_score", 60, "Very engaged"),
    ("score", 40, "Warm"), ("score", 70, "Hot"),
)  # fmt: skip


def clean(model: str, kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """Returns a rule's fields as they are stored. Raises Invalid with a message for each that cannot be: name, type,
    within_days, rule, points, half_life_days, limit."""
    errors: dict[str, str] = {}
    cleaned: dict[str, Any] = {
        "points": _whole(values.get("points"), -POINTS, POINTS, "points", errors),
        "half_life_days": None,
        "limit": None,
    }
    if cleaned["points"] in (0, None):
        errors["points"] = f"Give a whole number of points, 1 to {POINTS}; with a minus for points taken away."
    condition = values.get("condition") if isinstance(values.get("condition"), dict) else {}
    if kind == "event":
        cleaned |= {"condition": _event(condition, errors)} | _fading(values, errors)
        named = FACTS.get(str(condition.get("type")), (str(condition.get("type", "")).replace("_", " ").capitalize(),))[
            0
        ]
    else:
        cleaned["condition"], named = _attribute(model, condition, errors)
    name = " ".join(str(values.get("name") or "").replace("\0", "").split()) or named[:120]
    if len(name) > 120:
        errors["name"] = "Use at most 120 characters."
    if errors:
        raise Invalid(errors)
    active = {"is_active": bool(values["is_active"])} if "is_active" in values else {}
    return cleaned | {"name": name} | active


def can_count(type: str) -> bool:
    """True if facts of a type can give points: not what every lead gets, and not what scores themselves bring about."""
    return bool(FACT_NAME.fullmatch(type)) and type not in HOUSEKEEPING and type != CROSSED


def _event(condition: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    type = str(condition.get("type") or "")
    if not can_count(type):
        errors["type"] = "Choose what they did from the list."
    within = _whole(condition.get("within_days"), 1, DAYS, "within_days", errors)
    return {"type": type} | ({"within_days": within} if within else {})


def _fading(values: dict[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    return {
        "half_life_days": _days(values.get("half_life_days"), errors),
        "limit": _whole(values.get("limit"), 1, POINTS, "limit", errors),
    }


def _attribute(model: str, condition: dict[str, Any], errors: dict[str, str]) -> tuple[dict[str, Any], str]:
    try:
        group = asked(condition)
    except Invalid as problem:
        errors["rule"] = " ".join(problem.errors.values())
        return {}, ""
    if group.reads() & OWN[model]:
        errors["rule"] = "A score cannot be made of itself. Choose another field."
    said = group.words()
    return group.to_json()["rules"][0], said[:1].upper() + said[1:]


def _whole(given: Any, least: int, most: int, field: str, errors: dict[str, str]) -> int | None:
    text = str(given if given is not None else "").strip().replace("\u2212", "-")
    if not text:
        return None
    digits = text.removeprefix("+").removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 10 and least <= int(text) <= most:
        return int(text)
    errors[field] = f"Give a whole number from {least:,} to {most:,}."
    return None


def _days(given: Any, errors: dict[str, str]) -> Decimal | None:
    text = str(given if given is not None else "").strip()
    if not text:
        return None
    try:
        days = Decimal(text)
    except InvalidOperation:
        days = Decimal("NaN")
    if days.is_finite() and Decimal("0.1") <= days <= DAYS:
        return days.quantize(Decimal("0.01"))
    errors["half_life_days"] = f"Give a number of days, up to {DAYS:,}."
    return None


def clean_threshold(values: dict[str, Any]) -> dict[str, Any]:
    """Returns a threshold's value and name as they are stored. Raises Invalid."""
    errors: dict[str, str] = {}
    value = _whole(values.get("value"), 1, 100, "value", errors)
    name = " ".join(str(values.get("name") or "").replace("\0", "").split())
    if value is None:
        errors["value"] = "Give a score from 1 to 100."
    if not name or len(name) > 60:
        errors["name"] = "Give it a name of at most 60 characters."
    if errors:
        raise Invalid(errors)
    return {"value": value, "name": name}


def counted(points: int) -> str:
    """Returns "1 point", "8 points", "minus 20 points"."""
    return f"{'minus ' if points < 0 else ''}{abs(points)} point{'' if abs(points) == 1 else 's'}"


def event_words(rule: Giving) -> str:
    """Returns what an event rule says: "Clicked in e-mail: 8 points each, within 90 days, ..."."""
    type = rule.condition["type"]
    said = [f"{FACTS.get(type, (type.replace('_', ' ').capitalize(),))[0]}: {counted(rule.points)} each"]
    if within := rule.condition.get("within_days"):
        said.append(f"within {within:,} day{'' if within == 1 else 's'}")
    if rule.half_life_days:
        said.append(f"half worth after {rule.half_life_days.normalize():f} days")
    if rule.limit:
        said.append(f"at most {'minus ' if rule.points < 0 else ''}{rule.limit}")
    return ", ".join(said)
