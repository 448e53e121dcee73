"""What a rule tree means, said a second time in plain Python from the words of the rule engine's documentation, to hold
the SQL against it. A lead is a mapping as `rules_crowd.make` gives them; nothing of the rule engine is asked here."""

import json
import re
from calendar import isleap, monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.audience.rules_crowd import ZONE

KINDS = {
    **dict.fromkeys(("status", "priority", "insurance_type", "customer_tier"), "choice"),
    **dict.fromkeys((
        "source", "state", "city", "country", "region", "district", "timezone", "language", "persona_type",
        "first_name", "last_name", "email", "phone", "external_id",
    ), "text"),
    **dict.fromkeys(("value_estimate", "score", "engagement_score"), "number"),
    **dict.fromkeys(("created_at", "updated_at", "last_activity_at"), "date"),
    "date_of_birth": "day", "owner_id": "ref", "tags": "tags",
}  # fmt: skip
NEVER_ASKED = "never asked"
PLAIN_NUMBER = re.compile(r"[ \t\n]*-?[0-9]{1,15}(\.[0-9]{1,10})?[ \t\n]*")


def holds(tree: dict[str, Any], lead: dict[str, Any], now: datetime) -> bool:
    """True if the tree is true for the lead at a moment (UTC). A group without rules matches every lead."""
    verdicts = [holds(part, lead, now) if "rules" in part else judge(part, lead, now) for part in tree["rules"]]
    if not verdicts:
        return True
    return {"all": all, "any": any, "none": lambda given: not any(given)}[tree["match"]](verdicts)


def judge(rule: dict[str, Any], lead: dict[str, Any], now: datetime) -> bool:
    """True if one rule is true for the lead."""
    field, operator, value = rule["field"], rule["operator"], rule.get("value")
    sort, _, rest = field.partition(".")
    if operator in OPPOSITES or operator.startswith("not_"):
        positive = OPPOSITES.get(operator) or operator.removeprefix("not_")
        return not judge(rule | {"operator": positive}, lead, now)
    if sort == "consent":
        stands = lead["consents"].get(rest, NEVER_ASKED)
        return stands in [word.strip().lower() for word in (value if isinstance(value, list) else [value])]
    if sort == "event":
        return _did(rest, value or {}, lead, now)
    if sort == "attributes":
        return _attribute(operator, lead["attributes"].get(rest), value)
    if field in SPECIAL:
        return SPECIAL[field](operator, value, lead, now)
    return _column(KINDS[field], operator, lead[field], value, now)


OPPOSITES = {"is_not_set": "is_set", "has_none": "has", "did_not": "did"}


def _column(kind: str, operator: str, held: Any, value: Any, now: datetime) -> bool:
    if kind == "tags":
        return _tags(operator, held, value)
    if operator == "is_set":
        return held not in (None, "") if kind == "text" else held is not None
    if held is None:
        return False
    if operator == "in":
        return any(_column(kind, "equals", held, each, now) for each in value)
    if operator in ("in_last", "older_than"):
        return _aged(kind, operator, held, value, now)
    return (_wordy if kind in ("text", "choice") else _measured)(kind, operator, held, value)


def _wordy(_kind: str, operator: str, held: str, value: Any) -> bool:
    held, value = held.lower(), str(value).strip().lower()
    return {
        "equals": held == value,
        "contains": value in held,
        "starts_with": held.startswith(value),
        "ends_with": held.endswith(value),
    }[operator]


def _tags(operator: str, held: list[str], value: Any) -> bool:
    if operator == "is_set":
        return held != []
    if operator in ("in", "has_any", "has", "has_all"):
        found = [each.strip().lower() in held for each in value]
        return all(found) if operator == "has_all" else any(found)
    value = value.strip().lower()
    if operator == "equals":
        return held == [value]
    return value in held if operator == "contains" else any(_wordy("", operator, tag, value) for tag in held)


def _measured(kind: str, operator: str, held: Any, value: Any) -> bool:
    as_kind = {"date": _day, "day": _day, "number": amount, "ref": int}[kind]
    held = held.date() if kind == "date" else held
    if operator == "between":
        low, high = sorted(as_kind(end) for end in value)
        return low <= held <= high
    value = as_kind(value)
    return {
        "equals": held == value,
        "greater_than": held > value, "after": held > value,
        "less_than": held < value, "before": held < value,
    }[operator]  # fmt: skip


def _aged(kind: str, operator: str, held: Any, value: Any, now: datetime) -> bool:
    edge = now - span(value)
    edge, end = (edge.date(), now.date()) if kind == "day" else (edge, now)
    return edge <= held <= end if operator == "in_last" else held < edge


def _attribute(operator: str, held: Any, value: Any) -> bool:
    if held is None:
        return False
    written = held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)
    if operator == "is_set":
        return written != ""
    if operator in ("greater_than", "less_than", "between"):
        if not PLAIN_NUMBER.fullmatch(written):
            return False
        return _measured("number", operator, Decimal(written.strip(" \t\n")), value)
    if operator == "in":
        return any(_wordy("", "equals", written, each) for each in value)
    return _wordy("", operator, written, value)


def _did(type: str, value: dict[str, Any], lead: dict[str, Any], now: datetime) -> bool:
    def counts(fact: dict[str, Any]) -> bool:
        return (
            fact["type"] == type
            and ("within" not in value or fact["occurred_at"] >= now - span(value["within"]))
            and ("before" not in value or fact["occurred_at"] < now - span(value["before"]))
            and ("campaign_id" not in value or fact["payload"].get("campaign_id") == int(value["campaign_id"]))
        )

    return sum(map(counts, lead["facts"])) >= int(value.get("times", 1))


def _holds_policy(operator: str, value: Any, lead: dict[str, Any], now: datetime) -> bool:
    today = now.astimezone(ZoneInfo(ZONE)).date()

    def fits(policy: dict[str, Any]) -> bool:
        for name, part in (value or {}).items():
            if name in ("type", "status", "payment_status"):
                fine = policy[name] == part
            elif name == "renews_within":
                fine = policy["renews_on"] is not None and 0 <= (policy["renews_on"] - today).days <= span(part).days
            elif name == "lapsed_within":
                fine = policy["lapsed_on"] is not None and 0 <= (today - policy["lapsed_on"]).days <= span(part).days
            elif policy["premium"] is None:
                fine = False
            else:
                fine = policy["premium"] > amount(part) if name == "premium_over" else policy["premium"] < amount(part)
            if not fine:
                return False
        return True

    return any(map(fits, lead["policies"]))


def _policy_count(operator: str, value: Any, lead: dict[str, Any], now: datetime) -> bool:
    return _column("number", operator, len(lead["policies"]), value, now)


def _birthday(operator: str, value: Any, lead: dict[str, Any], now: datetime) -> bool:
    born, today = lead["date_of_birth"], now.astimezone(ZoneInfo(ZONE)).date()
    if born is None:
        return False
    if operator == "this_month":
        return born.month == today.month
    days = 0 if operator == "is_today" else span(value).days
    return any(0 <= (_birthday_in(year, born) - today).days <= days for year in (today.year, today.year + 1))


def _birthday_in(year: int, born: date) -> date:
    if (born.month, born.day) == (2, 29) and not isleap(year):
        return date(year, 2, monthrange(year, 2)[1])
    return born.replace(year=year)


def _inactive(operator: str, value: Any, lead: dict[str, Any], now: datetime) -> bool:
    return now - (lead["last_activity_at"] or lead["created_at"]) >= span(value)


def _segment(operator: str, value: Any, lead: dict[str, Any], now: datetime) -> bool:
    return bool(lead["member_of"] & {int(each) for each in value})


SPECIAL = {
    "policies": _holds_policy, "policy_count": _policy_count, "birthday": _birthday, "inactive": _inactive,
    "segment": _segment,
}  # fmt: skip


def span(value: Any) -> timedelta:
    """Returns the length of "30 days", "24 hours" or 30."""
    number, _, unit = str(value).partition(" ")
    return timedelta(hours=int(number) * {"h": 1, "d": 24, "w": 168}[unit[:1] or "d"])


def amount(value: Any) -> Decimal:
    """Returns the number of 1000, "1,000" or " 99.50 "."""
    return Decimal(str(value).strip().replace(",", ""))


def _day(value: str) -> date:
    moment = datetime.fromisoformat(value)
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
