"""What a rule tree means, said a second time in plain Python from the words of the rule engine's documentation, with
awkward leads and random trees to hold the SQL against it."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES

KINDS = {
    "status": "choice", "priority": "choice", "insurance_type": "choice", "source": "text", "state": "text",
    "city": "text", "value_estimate": "number", "created_at": "date", "updated_at": "date", "tags": "tags",
}  # fmt: skip
CHOICES = {"status": STATUSES, "priority": PRIORITIES, "insurance_type": INSURANCE_TYPES}
WORDY = ("equals", "not_equals", "contains", "not_contains", "starts_with", "ends_with", "in", "not_in")
ORDERED = ("equals", "not_equals", "greater_than", "less_than", "in", "not_in")
OPERATORS = {"text": WORDY, "choice": WORDY, "tags": WORDY, "number": ORDERED, "date": ORDERED}

TEXTS = (
    "TX", "tx", "Texas", "New York", "NEW YORK CITY", "new", "São Paulo", "SÃO PAULO", "ZÜRICH", "Zürich", "Москва",
    "МОСКВА", "東京", "😀 City", "100%", "100", "50_50", "5050", "a\\b", "\\", "O'Brien", 'say "hi"', "x%y_z", "%", "_",
    "'; DROP TABLE leads; --", ".*", "^a$", "[a-z]+", "(paren", "a,b", "NULL", "e\u0301", "é", "ß", "{a,b}", "tab\tin",
    "line\nbreak", "", ":name", "%(name)s", "$1",
)  # fmt: skip
TAGS = ("vip", "vi", "ip", "a b", "100%", "x_y", "café", "東", 'q"uote', "back\\slash", "{curly}", "null", "sub-tag")
NUMBERS = tuple(
    map(Decimal, ("0", "0.01", "0.99", "1", "99.5", "999.99", "1000", "1000.01", "9999999999.99", "250000"))
)
MOMENTS = tuple(
    datetime(*day, tzinfo=UTC) + timedelta(microseconds=shift)
    for day in ((2026, 2, 1), (2024, 2, 29), (2025, 12, 31), (2000, 1, 1))
    for shift in (-1, 0, 1, 43_200_000_000, 86_399_999_999)
)
NUMBER_VALUES = (
    0, 1000, 1000.0, 999.99, "1000", "1,000", " 99.50 ", "-1", "1e3", "1000.005", "999.995", "9999999999.99",
    "99999999999999", 0.01,
)  # fmt: skip
DATE_VALUES = (
    "2026-02-01", "2026-01-31", "2024-02-29", "2025-12-31", "2026-01-31T23:30:00-05:00", "2026-02-01T00:30:00+05:30",
    "2025-12-31T23:59:59Z", "20260201", "1999-12-31", "9999-12-31", "0001-01-01",
)  # fmt: skip


def people(n: int) -> list[dict[str, Any]]:
    """Returns n leads: missing values, empty tags, quotes, wildcards, boundaries; the same ones every time."""
    dice = random.Random(5)

    def lead(number: int) -> dict[str, Any]:
        values = {field: dice.choice([None, *TEXTS]) for field in ("source", "state", "city")}
        return values | {
            "first_name": f"Lead {number}",
            "status": dice.choice(STATUSES),
            "priority": dice.choice(PRIORITIES),
            "insurance_type": dice.choice([None, *INSURANCE_TYPES]),
            "value_estimate": dice.choice([None, *NUMBERS]),
            "created_at": dice.choice(MOMENTS),
            "updated_at": dice.choice(MOMENTS),
            "tags": dice.sample(TAGS, dice.choice((0, 0, 1, 1, 2, 3))),
        }

    return [lead(number) for number in range(n)]


def holds(tree: dict[str, Any], lead: dict[str, Any]) -> bool:
    """True if the tree is true for the lead. A group without rules matches every lead."""
    verdicts = [holds(rule, lead) if "rules" in rule else _judge(rule, lead) for rule in tree["rules"]]
    if not verdicts:
        return True
    return {"all": all, "any": any, "none": lambda given: not any(given)}[tree["match"]](verdicts)


def _judge(rule: dict[str, Any], lead: dict[str, Any]) -> bool:
    field, operator, value = rule["field"], rule["operator"], rule["value"]
    if operator.startswith("not_"):
        return not _judge(rule | {"operator": operator[4:]}, lead)
    held, kind = lead[field], KINDS[field]
    if held is None:
        return False
    if operator == "in" and kind != "tags":
        return any(_judge(rule | {"operator": "equals", "value": each}, lead) for each in value)
    return {"tags": _tags, "number": _ordered, "date": _ordered}.get(kind, _wordy)(kind, operator, held, value)


def _wordy(_kind: str, operator: str, held: str, value: str) -> bool:
    held, value = held.lower(), value.strip().lower()
    return {
        "equals": held == value,
        "contains": value in held,
        "starts_with": held.startswith(value),
        "ends_with": held.endswith(value),
    }[operator]


def _tags(kind: str, operator: str, held: list[str], value: Any) -> bool:
    if operator == "in":
        return any(each.strip().lower() in held for each in value)
    value = value.strip().lower()
    if operator == "equals":
        return held == [value]
    return value in held if operator == "contains" else any(_wordy(kind, operator, tag, value) for tag in held)


def _ordered(kind: str, operator: str, held: Any, value: Any) -> bool:
    held, value = (held.date(), _day(value)) if kind == "date" else (held, _amount(value))
    return {"equals": held == value, "greater_than": held > value, "less_than": held < value}[operator]


def _amount(value: Any) -> Decimal:
    return Decimal(str(value).replace(",", ""))


def _day(value: str) -> date:
    moment = datetime.fromisoformat(value)
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date()


def _words(pool: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Words of a pool, pieces of them, and their letters in another case; never nothing."""
    word = st.sampled_from(pool)
    piece = st.tuples(word, st.integers(0, 4), st.integers(1, 5)).map(lambda cut: cut[0][cut[1] : cut[1] + cut[2]])
    return (word | piece).flatmap(lambda t: st.sampled_from((t, t.upper(), t.lower(), f" {t} "))).filter(str.strip)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": _words(TEXTS),
    "tags": _words(TAGS),
    "number": st.sampled_from(NUMBER_VALUES),
    "date": st.sampled_from(DATE_VALUES),
}


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(sorted(KINDS)))
    operator = draw(st.sampled_from(OPERATORS[KINDS[field]]))
    one = st.sampled_from(CHOICES[field]) if field in CHOICES else VALUES[KINDS[field]]
    value = draw(st.lists(one, min_size=1, max_size=4) if operator.endswith("in") and operator != "contains" else one)
    return {"field": field, "operator": operator, "value": value}


def trees(depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """Groups under all, any or none, nested up to `depth`."""
    members = rules() if depth == 1 else st.one_of(rules(), rules(), trees(depth - 1))
    return st.fixed_dictionaries(
        {"match": st.sampled_from(("all", "any", "none")), "rules": st.lists(members, max_size=4)}
    )
