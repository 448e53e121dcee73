"""Random rule trees over everything that can be asked, with values near what the crowd holds."""

from typing import Any

from hypothesis import strategies as st

from tests.audience.rules_crowd import ATTRIBUTES, CAMPAIGNS, DEEDS, OWNERS, SEGMENTS, SPANS, TAGS, TEXTS
from tests.audience.rules_oracle import KINDS, NEVER_ASKED
from webapp.audience.consents import CHANNELS
from webapp.audience.consents import STATUSES as CONSENTS
from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS
from webapp.audience.policies import PAYMENT_STATUSES
from webapp.audience.policies import STATUSES as HOLDINGS

CHOICES = {"status": STATUSES, "priority": PRIORITIES, "insurance_type": INSURANCE_TYPES, "customer_tier": TIERS}
ALL = ("equals", "not_equals", "in", "not_in", "is_set", "is_not_set")
WORDY = ("contains", "not_contains", "starts_with", "ends_with")
ORDERED = ("greater_than", "less_than", "between")
DATED = (*ORDERED, "after", "before", "in_last", "older_than")
OPERATORS = {
    "text": (*ALL, *WORDY), "choice": (*ALL, *WORDY), "tags": (*ALL, *WORDY, "has_any", "has_all", "has_none"),
    "number": (*ALL, *ORDERED), "date": (*ALL, *DATED), "day": (*ALL, *DATED), "ref": ALL,
    "attribute": (*ALL, *WORDY, *ORDERED),
}  # fmt: skip
LISTS = ("in", "not_in", "has_any", "has_all", "has_none")
NUMBER_VALUES = (
    0, 1, 49, 49.5, 50, "50.4", 99.5, 1000, 1000.0, 999.99, "1000", "1,000", " 99.50 ", "-1", "1e3", "1000.005",
    "999.995", "9999999999.99", "99999999999999", 0.01,
)  # fmt: skip
DATE_VALUES = (
    "2026-02-01", "2026-01-31", "2024-02-29", "2025-12-31", "2026-01-31T23:30:00-05:00", "2026-02-01T00:30:00+05:30",
    "2025-12-31T23:59:59Z", "20260201", "1999-12-31", "9999-12-31", "0001-01-01", "1980-02-29", "1985-07-15",
    "2026-02-28", "2026-03-01",
)  # fmt: skip
COUNTS = (0, 1, 2, 3, "1.5", -1, "0", "99999999999")
FLOWN = ("renews_within", "lapsed_within")


def _words(pool: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Words of a pool, pieces of them, and their letters in another case; never nothing."""
    word = st.sampled_from(pool)
    piece = st.tuples(word, st.integers(0, 4), st.integers(1, 5)).map(lambda cut: cut[0][cut[1] : cut[1] + cut[2]])
    return (word | piece).flatmap(lambda t: st.sampled_from((t, t.upper(), t.lower(), f" {t} "))).filter(str.strip)


HELD = ("Ada", "Lead 1", "O'Brien", "von Ünder", "Ada7@Example.com", "@other.example", "+1415200", "+4179", "K-1", "k%")
NOTED = tuple(str(value) for pool in ATTRIBUTES.values() for value in pool) + (
    "true",
    "false",
    '["x", "y"]',
    '{"x": 1}',
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": _words(TEXTS + HELD) | st.sampled_from((100, 5050)),
    "attribute": _words(TEXTS + NOTED) | st.sampled_from((5, 1, 7.5)),
    "tags": _words(TAGS),
    "number": st.sampled_from(NUMBER_VALUES),
    "date": st.sampled_from(DATE_VALUES),
    "day": st.sampled_from(DATE_VALUES),
    "ref": st.sampled_from((*OWNERS, "2", 999_999)),
}
spans = st.sampled_from(SPANS)


def _valued(draw: st.DrawFn, kind: str, operator: str, one: st.SearchStrategy[Any]) -> Any:
    if kind == "attribute" and operator in ORDERED:
        one = st.sampled_from((*NUMBER_VALUES, 7, 7.5, "8", 9, 3, "0.0000000001"))
    if operator in ("in_last", "older_than"):
        return draw(spans)
    if operator == "between":
        return draw(st.tuples(one, one).map(list))
    return draw(st.lists(one, min_size=1, max_size=4) if operator in LISTS else one)


def _rule(draw: st.DrawFn, field: str, kind: str, one: st.SearchStrategy[Any], operators: tuple[str, ...]) -> Any:
    operator = draw(st.sampled_from(operators))
    if operator in ("is_set", "is_not_set", "is_today", "this_month"):
        return {"field": field, "operator": operator}
    return {"field": field, "operator": operator, "value": _valued(draw, kind, operator, one)}


@st.composite
def columns(draw: st.DrawFn) -> dict[str, Any]:
    """A rule about a column."""
    field = draw(st.sampled_from(sorted(KINDS)))
    one = st.sampled_from(CHOICES[field]) if field in CHOICES else VALUES[KINDS[field]]
    return _rule(draw, field, KINDS[field], one, OPERATORS[KINDS[field]])


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    """A rule about an attribute, also about one that nobody has."""
    key = draw(st.sampled_from((*ATTRIBUTES, "amount", "unheard of", "a", "{a}")))
    return _rule(draw, f"attributes.{key}", "attribute", VALUES["attribute"], OPERATORS["attribute"])


@st.composite
def standings(draw: st.DrawFn) -> dict[str, Any]:
    """A rule about consent or membership."""
    if draw(st.booleans()):
        return _rule(draw, "segment", "ref", st.sampled_from((*SEGMENTS, 999)), ("in", "not_in"))
    one = st.sampled_from((*CONSENTS, NEVER_ASKED))
    return _rule(draw, f"consent.{draw(st.sampled_from(CHANNELS))}", "choice", one, ALL[:4])


@st.composite
def holdings(draw: st.DrawFn) -> dict[str, Any]:
    """A rule about policies."""
    if draw(st.booleans()):
        return _rule(draw, "policy_count", "number", st.sampled_from(COUNTS), (*ALL[:4], *ORDERED))
    parts = {
        "type": st.sampled_from(INSURANCE_TYPES[:3]), "status": st.sampled_from(HOLDINGS),
        "payment_status": st.sampled_from(PAYMENT_STATUSES), "premium_over": st.sampled_from(NUMBER_VALUES),
        "premium_under": st.sampled_from(NUMBER_VALUES), **dict.fromkeys(FLOWN, spans),
    }  # fmt: skip
    value = draw(st.fixed_dictionaries({}, optional=parts))
    # All seven at once are hardly ever true: two or three of them are more telling.
    kept = dict(list(value.items())[: draw(st.integers(0, 3))])
    return {"field": "policies", "operator": draw(st.sampled_from(("has", "has_none"))), "value": kept}


@st.composite
def deeds(draw: st.DrawFn) -> dict[str, Any]:
    """A rule about the timeline."""
    value: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {}, optional={"times": st.sampled_from((1, 2, "3")), "campaign_id": st.sampled_from(CAMPAIGNS)}
        )
    )
    when = draw(st.sampled_from((
        {}, {}, {"within": "30 days"}, {"within": "1 week"}, {"before": "24 hours"}, {"before": 7},
        {"within": "90 days", "before": "30 days"}, {"within": "30 hours", "before": "1 hour"}, {"within": 36500},
    )))  # fmt: skip
    operator, type = draw(st.sampled_from(("did", "did_not"))), draw(st.sampled_from((*DEEDS, "never_heard")))
    return {"field": f"event.{type}", "operator": operator, "value": value | when}


@st.composite
def times(draw: st.DrawFn) -> dict[str, Any]:
    """A rule about the calendar."""
    if draw(st.booleans()):
        return {"field": "inactive", "operator": "for", "value": draw(spans)}
    operator = draw(st.sampled_from(("is_today", "this_month", "within", "within")))
    if operator != "within":
        return {"field": "birthday", "operator": operator}
    value = draw(st.sampled_from(("1 day", 7, "30 days", "2 weeks", "365 days", "364 days", "52 weeks")))
    return {"field": "birthday", "operator": operator, "value": value}


def rules() -> st.SearchStrategy[dict[str, Any]]:
    """Rules of every kind there is; columns are half of them."""
    return st.one_of(columns(), columns(), columns(), attributes(), standings(), holdings(), deeds(), times())


def trees(depth: int = 3, most: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """Groups under all, any or none, nested up to `depth`, also without any rules."""
    members = rules() if depth == 1 else st.one_of(rules(), rules(), trees(depth - 1, most))
    return st.fixed_dictionaries(
        {"match": st.sampled_from(("all", "any", "none")), "rules": st.lists(members, max_size=most)}
    )
