"""Segment rules: the SQL they become means what their documentation says, and nothing but a rule is taken for one."""

from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from tests.audience import rules_crowd, rules_oracle, rules_trees
from tests.audience.rules_crowd import NOWS
from tests.audience.rules_oracle import KINDS
from tests.audience.rules_trees import CHOICES, LISTS, OPERATORS
from webapp.audience import estimating, leads, segments
from webapp.audience.leads import Lead
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.tree import RULE_LIMIT, parse, parse_flat
from webapp.platform.db import db, transaction
from webapp.platform.errors import Invalid

# As scripts send it: the value of a number comes as a string.
EXAMPLE = [
    {"field": "insurance_type", "operator": "equals", "value": "auto"},
    {"field": "value_estimate", "operator": "greater_than", "value": "1000"},
    {"field": "state", "operator": "equals", "value": "CA"},
]


def matching(crowd, tree: dict) -> set[int]:
    with transaction(crowd.org):
        return set(db.session.scalars(segments.people(parse(tree), Lead.id, asking=Asking(now=NOWS[0]))))


def judged(crowd, tree: dict) -> set[int]:
    return {id for id, lead in crowd.leads.items() if rules_oracle.holds(tree, lead, NOWS[0])}


def rule(field: str, operator: str, value) -> dict:
    return {"field": field, "operator": operator, "value": value}


def one_holds(group, lead_id: int) -> bool:
    asked = segments.people(group, Lead.id, asking=Asking(ids=(lead_id,)))
    return db.session.scalar(asked) == lead_id


def refused(rules: list) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse({"match": "all", "rules": rules})
    return caught.value.errors


POOLS = {
    "text": rules_crowd.TEXTS[::3], "tags": rules_crowd.TAGS, "number": rules_trees.NUMBER_VALUES,
    "date": rules_trees.DATE_VALUES, "day": rules_trees.DATE_VALUES, "ref": (1, "2", 999_999),
}  # fmt: skip


@pytest.mark.parametrize("field", sorted(KINDS))
def test_every_operator_of_every_field_finds_whom_the_documentation_says(crowd, field):
    values = [value for value in CHOICES.get(field) or POOLS[KINDS[field]] if str(value).strip()]
    for operator in OPERATORS[KINDS[field]]:
        asked = [values] if operator in LISTS else [values[:2]] if operator == "between" else values
        asked = rules_crowd.SPANS if operator in ("in_last", "older_than") else asked
        for value in [None] if operator in ("is_set", "is_not_set") else asked:
            tree = {"match": "all", "rules": [rule(field, operator, value)]}
            assert matching(crowd, tree) == judged(crowd, tree), tree


def test_letters_that_python_and_the_database_lower_differently_find_themselves(cast, tx):
    with tx():
        for n, city in enumerate(("İSTANBUL", "ΟΔΟΣ", "ẞtraße")):
            lead = leads.create({"first_name": f"Lead {n}", "city": city})
            for operator in ("equals", "contains", "starts_with", "ends_with", "in"):
                group = parse({"match": "all", "rules": [rule("city", operator, [city] if operator == "in" else city)]})
                assert one_holds(group, lead.id), (city, operator)


def test_counting_sampling_and_asking_about_one_agree(crowd):
    tree = {"match": "any", "rules": [rule("tags", "contains", "vip"), rule("city", "starts_with", "s")]}
    expected, some = judged(crowd, tree), list(crowd.leads)[:40]
    with transaction(crowd.org):
        group = parse(tree)
        assert segments.count(group) == len(expected) > 10
        assert {lead.id for lead in estimating.sample(group, 5)} <= expected
        assert {id for id in some if one_holds(group, id)} == expected & set(some)


def test_deleted_leads_belong_to_no_segment(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        leads.remove([lead.id])
        assert segments.count(parse(segments.EVERYONE)) == 0
        assert not one_holds(parse({"match": "none", "rules": [rule("city", "equals", "x")]}), lead.id)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("field", ["city", "value_estimate", "created_at", "tags", "status"])
def test_ten_thousand_values_are_taken_quickly(crowd, field):
    values = {
        "city": ["tx", *(f"City {n}" for n in range(9_999))],
        "value_estimate": [1000, *range(2_000_000, 2_009_999)],
        "created_at": ["2026-02-01", *(str(date(1950, 1, 1) + timedelta(n)) for n in range(9_999))],
        "tags": ["vip", *(f"tag{n}" for n in range(9_999))],
        "status": ["new"] * 10_000,
    }[field]
    for operator in ("in", "not_in"):
        found = matching(crowd, {"match": "all", "rules": [rule(field, operator, values)]})
        # Of all these values only the first one is anybody's.
        alone = {"match": "all", "rules": [rule(field, operator, values[:1])]}
        assert found == judged(crowd, alone)
    assert refused([rule(field, "in", [*values, "x"])]) == {"rules.0": "Give at most 10,000 values."}


def test_a_list_may_come_as_one_string(crowd):
    as_list, as_text = ({"match": "all", "rules": [rule("state", "in", v)]} for v in (["TX", "100%"], " tx,, 100% "))
    assert matching(crowd, as_list) == matching(crowd, as_text) != set()


def test_the_example_finds_whom_it_should(cast, tx):
    def values(**changed):
        return {"first_name": "A", "insurance_type": "auto", "value_estimate": 1500, "state": "ca"} | changed

    with tx():
        found = leads.create(values())
        for other in ({"value_estimate": 1000}, {"value_estimate": None}, {"state": "NY"}, {"insurance_type": "home"}):
            leads.create(values(**other))
        group = parse_flat(EXAMPLE, True)
        assert [lead.id for lead in estimating.sample(group)] == [found.id]
        assert segments.count(parse_flat(EXAMPLE, False)) == 5
        assert group.words() == "insurance type is auto, estimated value is over 1,000, state is CA"


def test_words_say_what_a_tree_asks():
    tree = {"match": "all", "rules": [
        rule("created_at", "less_than", "2026-01-31"), rule("tags", "not_in", ["a", "b"]),
        {"match": "none", "rules": [rule("city", "contains", "x"), rule("state", "in", [str(n) for n in range(7)])]},
    ]}  # fmt: skip
    assert parse(tree).words() == (
        "created is before 2026-01-31, tags include none of a or b,"
        " (none of: city contains x or state is any of 0 or 1 or 2 or 3 or 4 or 2 more)"
    )
    assert parse(segments.EVERYONE).words() == "every lead"


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=rules_trees.trees())
def test_a_tree_survives_being_stored(tree):
    group = parse(tree)
    assert parse(group.to_json()) == group
    assert group.to_json() == parse(group.to_json()).to_json()


REFUSED = [
    (rule("salary", "equals", "1"), "no field called 'salary'"),
    (rule("org_id", "equals", "1"), "no field called 'org_id'"),
    (rule("city", "matches", "1"), "no operator called 'matches'"),
    (rule("city", "greater_than", "1"), "cannot be compared"),
    (rule("value_estimate", "contains", "1"), "cannot be compared"),
    (rule("created_at", "starts_with", "2026"), "cannot be compared"),
    (rule("tags", "less_than", "vip"), "cannot be compared"),
    (rule("value_estimate", "equals", "a lot"), "Give a number"),
    (rule("value_estimate", "equals", ""), "Give a number"),
    (rule("value_estimate", "equals", True), "Give a number"),
    (rule("value_estimate", "equals", None), "Give a number"),
    (rule("value_estimate", "equals", "NaN"), "too large"),
    (rule("value_estimate", "equals", "Infinity"), "too large"),
    (rule("value_estimate", "equals", "1e99"), "too large"),
    (rule("value_estimate", "equals", "1e999999999"), "too large"),
    (rule("value_estimate", "equals", "-1e999999999"), "too large"),
    (rule("value_estimate", "equals", "1e-20000"), "decimals"),
    (rule("value_estimate", "equals", 10**5000), "Give a number"),
    (rule("created_at", "equals", "31/01/2026"), "Give a date"),
    (rule("created_at", "equals", "2026-02-30"), "Give a date"),
    (rule("created_at", "equals", "0001-01-01T00:00:00+05:00"), "Give a date"),
    (rule("created_at", "equals", 20260131), "Give a date"),
    (rule("status", "equals", "sleeping"), "one of new, contacted"),
    (rule("city", "equals", " \0 "), "Give a value"),
    (rule("city", "equals", "x" * 501), "at most 500"),
    (rule("city", "equals", ["x"]), "Give a text"),
    (rule("city", "equals", {"x": 1}), "Give a text"),
    (rule("city", "in", []), "at least one"),
    (rule("city", "in", " , "), "at least one"),
    (rule("city", "in", {"a": 1}), "at least one"),
    (rule("city", "in", ["ok", None]), "Give a text"),
    ({"field": "city", "operator": "equals"}, "Give a text"),
    ({"field": "city", "operator": "equals", "value": "x", "sql": "1=1"}, "a field, an operator and a value"),
    ("city = 'x'", "a field, an operator and a value"),
    (None, "a field, an operator and a value"),
    ({"match": "some", "rules": []}, "A group needs a match"),
    ({"match": "all", "rules": "x"}, "A group needs a match"),
]


@pytest.mark.parametrize(("bad", "words"), REFUSED, ids=[f"{n}-{words[:16]}" for n, (_, words) in enumerate(REFUSED)])
def test_what_is_no_rule_is_refused_at_its_place(bad, words):
    good = rule("city", "equals", "x")
    assert list(refused([good, bad])) == ["rules.1"]
    errors = refused([{"match": "any", "rules": [good, good, bad]}, bad])
    assert list(errors) == ["rules.0.rules.2", "rules.1"]
    assert words in errors["rules.1"]


def test_too_many_rules_and_too_deep_a_tree_are_refused():
    good = rule("city", "equals", "x")
    assert refused([good] * (RULE_LIMIT + 1)) == {"rules": "Use at most 100 rules."}
    half = {"match": "any", "rules": [good] * (RULE_LIMIT // 2)}
    assert len(parse({"match": "all", "rules": [half, half]}).rules) == 2
    assert "rules" in refused([half, half, good])
    deep = {"match": "any", "rules": [{"match": "any", "rules": [{"match": "any", "rules": [good]}]}]}
    assert refused([deep]) == {"rules.0.rules.0.rules.0": "Groups go at most 3 deep."}
    for no_tree in (None, [], "x", {}, {"match": "all"}, {"rules": []}):
        with pytest.raises(Invalid) as caught:
            parse(no_tree)
        assert list(caught.value.errors) == ["rules"]
