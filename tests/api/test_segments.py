"""Segments by API: the example of the seed, refusals at the rule they belong to, partial changes."""

import pytest

from tests.api.client import data, problem
from webapp.audience.rules.fields import FIELDS
from webapp.audience.rules.operators import OPERATORS
from webapp.platform.db import transaction, value

SEED = {
    "name": "Valuable auto leads",
    "description": "Who is worth a call",
    "slug": "valuable-auto-leads",
    "is_active": True,
    "is_dynamic": True,
    "match_all_rules": True,
    "rules": [
        {"field": "insurance_type", "operator": "equals", "value": "auto"},
        {"field": "value_estimate", "operator": "greater_than", "value": "1000"},
        {"field": "status", "operator": "in", "value": ["new", "qualified"]},
    ],
}
GOOD = {"choice": "new", "text": "tx", "number": "1000", "date": "2026-01-31", "tags": "vip"}


def people(api, *leads: dict) -> list[int]:
    return [data(api.post("/leads", {"first_name": "Ada"} | lead), 201)["id"] for lead in leads]


def test_the_example_of_the_seed_finds_whom_it_should(api):
    rich, *_ = people(
        api,
        {"insurance_type": "auto", "value_estimate": 1001},
        {"insurance_type": "auto", "value_estimate": 1000},
        {"insurance_type": "home", "value_estimate": 9000},
        {"insurance_type": "auto", "value_estimate": 5000, "status": "lost"},
    )
    made = data(api.post("/segments", SEED), 201)
    assert {name: made[name] for name in SEED} == SEED
    assert made["estimated_size"] == 1
    assert [lead["id"] for lead in data(api.get(f"/segments/{made['id']}/leads"))] == [rich]


def test_any_instead_of_all(api):
    auto, home = people(api, {"insurance_type": "auto"}, {"insurance_type": "home", "value_estimate": 9000})
    made = data(api.post("/segments", SEED | {"match_all_rules": False, "rules": SEED["rules"][:2]}), 201)
    assert {lead["id"] for lead in data(api.get(f"/segments/{made['id']}/leads"))} == {auto, home}
    assert made["match_all_rules"] is False
    assert made["operator"] == "or"


def test_no_rules_are_everybody(api):
    people(api, {}, {})
    assert data(api.post("/segments", {"name": "All"}), 201)["estimated_size"] == 2


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_every_field_takes_every_operator_of_its_kind_and_says_so_of_the_others(api, field, operator):
    kind = FIELDS[field].kind
    single = "auto" if field == "insurance_type" else "low" if field == "priority" else GOOD[kind.name]
    rule = {"field": field, "operator": operator, "value": [single] if OPERATORS[operator].many else single}
    answer = api.post("/segments", {"name": "One rule", "rules": [rule]})
    if kind in OPERATORS[operator].kinds:
        assert data(answer, 201)["estimated_size"] == 0
    else:
        assert set(problem(answer, 422)) == {"rules.0"}


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "password_hash", "operator": "equals", "value": "x"},
        {"field": "status", "operator": "like", "value": "new"},
        {"field": "status", "operator": "equals", "value": "unheard of"},
        {"field": "value_estimate", "operator": "greater_than", "value": "a lot"},
        {"field": "value_estimate", "operator": "equals", "value": True},
        {"field": "value_estimate", "operator": "equals", "value": "1e99"},
        {"field": "created_at", "operator": "less_than", "value": "yesterday"},
        {"field": "city", "operator": "contains", "value": ""},
        {"field": "city", "operator": "contains", "value": {"a": 1}},
        {"field": "city", "operator": "in", "value": []},
        {"field": "tags", "operator": "greater_than", "value": "vip"},
    ],
    ids=lambda rule: f"{rule['field']} {rule['operator']} {rule['value']}",
)
def test_a_rule_that_cannot_be_is_refused_at_its_place(api, world, rule):
    body = {"name": "Odd", "rules": [SEED["rules"][0], rule, SEED["rules"][1]]}
    assert set(problem(api.post("/segments", body), 422)) == {"rules.1"}
    assert set(problem(api.put(f"/segments/{world.segment_id}", body), 422)) == {"rules.1"}


def test_every_bad_rule_is_named_at_once(api):
    bad = [{"field": "x", "operator": "equals", "value": 1}, {"field": "status", "operator": "x", "value": 1}]
    said = problem(api.post("/segments", {"name": "Odd", "rules": bad}), 422)
    assert set(said) == {"rules.0", "rules.1"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name"}),
        ({"name": ""}, {"name"}),
        ({"name": "x" * 121}, {"name"}),
        ({"name": "A", "colour": "red"}, {"colour"}),
        ({"name": "A", "id": 5, "org_id": 1}, {"id", "org_id"}),
        ({"name": "A", "rules": [{"field": "status"}]}, {"rules.0.operator", "rules.0.value"}),
        ({"name": "A", "rules": [SEED["rules"][0] | {"also": 1}]}, {"rules.0.also"}),
        ({"name": "A", "rules": [SEED["rules"][0] | {"value": None}]}, {"rules.0.value"}),
        ({"name": "A", "rules": "all of them"}, {"rules"}),
        ({"name": "A", "is_active": "maybe"}, {"is_active"}),
        ({"name": "A", "is_dynamic": False}, {"is_dynamic"}),
        ({"name": "A", "criteria": {"match": "all", "rules": []}, "rules": []}, {"criteria"}),
        ({"name": "A", "criteria": {"match": "some", "rules": []}}, {"rules"}),
    ],
)
def test_a_body_that_cannot_be_is_refused_by_field(api, body, fields):
    assert set(problem(api.post("/segments", body), 422)) == fields


def test_two_segments_do_not_share_a_name(api, world):
    assert set(problem(api.post("/segments", {"name": "Texas"}), 422)) == {"name"}
    assert set(problem(api.post("/segments", {"name": "Other", "slug": "texas"}), 422)) == {"slug"}


def test_a_change_touches_what_is_given_and_nothing_else(api):
    made = data(api.post("/segments", SEED), 201)
    still = made | {"updated_at": None, "last_calculated_at": None}
    renamed = data(api.put(f"/segments/{made['id']}", {"name": "Renamed", "is_active": False}))
    assert renamed | still | {"name": "Renamed", "is_active": False} == renamed | {
        "updated_at": None,
        "last_calculated_at": None,
    }
    loosened = data(api.put(f"/segments/{made['id']}", {"match_all_rules": False}))
    assert loosened["rules"] == SEED["rules"]
    assert loosened["criteria"]["match"] == "any"


def test_deleting_a_segment_leaves_the_campaign(api, world):
    data(api.delete(f"/segments/{world.segment_id}"))
    problem(api.get(f"/segments/{world.segment_id}"), 404)
    assert data(api.get(f"/campaigns/{world.campaign_id}"))["segment_id"] is None


def test_a_segment_is_evaluated_now(api, world, cast):
    data(api.put(f"/leads/{world.lead_id}", {"state": "CA"}))
    assert data(api.post(f"/segments/{world.segment_id}/evaluate")) == {
        "segment_id": world.segment_id, "matching_leads": 0,
    }  # fmt: skip
    with transaction(cast.org):
        assert value("SELECT estimated_size FROM segments") == 0


def test_one_lead_is_evaluated(api, world, other_world):
    path = f"/segments/{world.segment_id}/evaluate?lead_id="
    assert data(api.post(f"{path}{world.lead_id}"))["matches"] is True
    data(api.put(f"/leads/{world.lead_id}", {"state": "CA"}))
    assert data(api.post(f"{path}{world.lead_id}"))["matches"] is False
    problem(api.post(f"{path}{other_world.lead_id}"), 404)
    assert set(problem(api.post(f"{path}Ada"), 422)) == {"lead_id"}


def test_the_segments_of_a_lead(api, world):
    data(
        api.post("/segments", {"name": "Nobody", "rules": [{"field": "city", "operator": "equals", "value": "x"}]}), 201
    )
    data(api.post("/segments", {"name": "Sleeping", "is_active": False}), 201)
    found = api.get(f"/segments/leads/{world.lead_id}")
    assert [segment["name"] for segment in data(found)] == ["Texas"]
    assert found.json["total"] == 1
