"""Segments by API: a worked example, refusals at the rule they belong to, partial changes."""

import pytest

from tests.api.client import data, problem
from webapp.audience.rules.fields import FIELDS, field_named
from webapp.audience.rules.operators import OPERATORS
from webapp.platform.db import transaction, value

EXAMPLE = {
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
GOOD = {
    "text": "tx", "number": "1000", "date": "2026-01-31", "day": "1980-02-29", "tags": "vip", "ref": "1", "attribute": "gold",
}  # fmt: skip


def people(api, *leads: dict) -> list[int]:
    return [data(api.post("/leads", {"first_name": "Ada"} | lead), 201)["id"] for lead in leads]


def test_the_example_finds_whom_it_should(api):
    rich, *_ = people(
        api,
        {"insurance_type": "auto", "value_estimate": 1001},
        {"insurance_type": "auto", "value_estimate": 1000},
        {"insurance_type": "home", "value_estimate": 9000},
        {"insurance_type": "auto", "value_estimate": 5000, "status": "lost"},
    )
    made = data(api.post("/segments", EXAMPLE), 201)
    assert {name: made[name] for name in EXAMPLE} == EXAMPLE
    assert made["estimated_size"] == 1
    assert [lead["id"] for lead in data(api.get(f"/segments/{made['id']}/leads"))] == [rich]


def test_any_instead_of_all(api):
    auto, home = people(api, {"insurance_type": "auto"}, {"insurance_type": "home", "value_estimate": 9000})
    made = data(api.post("/segments", EXAMPLE | {"match_all_rules": False, "rules": EXAMPLE["rules"][:2]}), 201)
    assert {lead["id"] for lead in data(api.get(f"/segments/{made['id']}/leads"))} == {auto, home}
    assert made["match_all_rules"] is False
    assert made["operator"] == "or"


def test_no_rules_are_everybody(api):
    people(api, {}, {})
    assert data(api.post("/segments", {"name": "All"}), 201)["estimated_size"] == 2


def a_value(field, operator):
    """A value the operator takes for the field."""
    single = field.choices[0] if field.choices else GOOD.get(field.kind)
    if field.kind == "attribute" and operator.name in ("greater_than", "less_than", "between"):
        single = "5"
    shapes = {"many": [single], "pair": [single, single], "span": "30 days", "none": None, "policy": {"status": "lapsed"},
              "deed": {"times": 2, "within": "7 days"}}  # fmt: skip
    return shapes.get(operator.shape, single)


@pytest.mark.parametrize("name", [*FIELDS, "attributes.plan", "event.custom"])
def test_every_field_takes_every_operator_of_its_kind_and_says_so_of_the_others(api, world, cast, name):
    field = field_named(name)
    offered = {operator.name: operator for operator in field.operators()}
    rules = [{"field": name, "operator": o.name, "value": a_value(field, o)} for o in offered.values()]
    for rule in rules:
        if field.refers:
            own = cast.agent if field.refers == "owners" else world.segment_id
            rule["value"] = [own] if isinstance(rule["value"], list) else own if rule["value"] else None
        if rule["value"] is None:
            del rule["value"]
    made = data(api.post("/segments", {"name": "One of each", "rules": rules, "match_all_rules": False}), 201)
    assert [rule["operator"] for rule in made["rules"]] == list(offered)
    others = [{"field": name, "operator": o, "value": "x"} for o in {*OPERATORS, "did", "has"} - set(offered)]
    refused = problem(api.post("/segments", {"name": "None of them", "rules": others}), 422)
    assert set(refused) == {f"rules.{n}" for n in range(len(others))}


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
    body = {"name": "Odd", "rules": [EXAMPLE["rules"][0], rule, EXAMPLE["rules"][1]]}
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
        ({"name": "A", "rules": [{"field": "status"}]}, {"rules.0.operator"}),
        ({"name": "A", "rules": [EXAMPLE["rules"][0] | {"also": 1}]}, {"rules.0.also"}),
        ({"name": "A", "rules": [EXAMPLE["rules"][0] | {"value": None}]}, {"rules.0.value"}),
        ({"name": "A", "rules": "all of them"}, {"rules"}),
        ({"name": "A", "is_active": "maybe"}, {"is_active"}),
        ({"name": "A", "is_dynamic": "by hand"}, {"is_dynamic"}),
        ({"name": "A", "priority_score": 11}, {"priority_score"}),
        ({"name": "A", "segment_type": "tertiary"}, {"segment_type"}),
        ({"name": "A", "preferred_channels": ["fax"]}, {"preferred_channels"}),
        ({"name": "A", "target_reach": -1, "estimated_market_size": "1e99"}, {"target_reach", "estimated_market_size"}),
        ({"name": "A", "pain_points": ["x"] * 21}, {"pain_points"}),
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
    made = data(api.post("/segments", EXAMPLE), 201)
    moving = {"updated_at": None, "last_calculated_at": None, "version": None}
    renamed = data(api.put(f"/segments/{made['id']}", {"name": "Renamed", "is_active": False}))
    assert renamed | moving == made | moving | {"name": "Renamed", "is_active": False}
    assert (made["version"], renamed["version"]) == (1, 2)
    loosened = data(api.put(f"/segments/{made['id']}", {"match_all_rules": False}))
    assert loosened["rules"] == EXAMPLE["rules"]
    assert loosened["criteria"]["match"] == "any"


def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused(api, world):
    path = f"/segments/{world.segment_id}"
    assert data(api.put(path, {"name": "Mine", "version": 1}))["version"] == 2
    assert problem(api.put(path, {"name": "Theirs", "version": 1}), 409) == {}
    assert data(api.get(path))["name"] == "Mine"
    assert data(api.put(path, {"name": "Whatever is there"}))["version"] == 3


PLANNING = {
    "segment_type": "niche", "pain_points": ["Price", "Trust"], "goals": ["A call back"], "priority_score": 7,
    "preferred_channels": ["email", "call"], "estimated_market_size": 1234567.89, "current_reach": 10, "target_reach": 500,
}  # fmt: skip


def test_the_planning_of_a_segment_is_kept_and_emptied(api):
    made = data(api.post("/segments", {"name": "Planned"} | PLANNING), 201)
    assert {name: made[name] for name in PLANNING} == PLANNING
    emptied = data(api.put(f"/segments/{made['id']}", dict.fromkeys(PLANNING)))
    assert {emptied[name] for name in PLANNING} == {None}


def test_members_of_a_static_segment_are_given_and_taken(api, world, other_world):
    one, two = people(api, {}, {})
    made = data(api.post("/segments", {"name": "By hand", "is_dynamic": False}), 201)
    path = f"/segments/{made['id']}/leads"
    # Another organisation's lead is nobody here.
    given = data(api.post(path, {"lead_ids": [one, two, two, other_world.lead_id]}))
    assert given == {"segment_id": made["id"], "added": 2, "size": 2}
    assert data(api.post(path, {"lead_ids": [one]})) == {"segment_id": made["id"], "added": 0, "size": 2}
    assert {lead["id"] for lead in data(api.get(path))} == {one, two}
    assert data(api.delete(path, json={"lead_ids": [one, world.lead_id]})) == {
        "segment_id": made["id"], "removed": 1, "size": 1,
    }  # fmt: skip
    assert [lead["id"] for lead in data(api.get(path))] == [two]
    assert data(api.post(f"/segments/{made['id']}/evaluate"))["matching_leads"] == 1
    for bad in ([], ["x"], [0], None, list(range(1, 10_002))):
        assert problem(api.post(path, {"lead_ids": bad}), 422)


def test_members_of_a_dynamic_segment_are_not_given_and_those_of_a_static_one_not_counted(api, world):
    path = f"/segments/{world.segment_id}/leads"
    assert problem(api.post(path, {"lead_ids": [world.lead_id]}), 409) == {}
    assert problem(api.delete(path, json={"lead_ids": [world.lead_id]}), 409) == {}
    assert problem(api.post(f"/segments/{world.static_id}/update-memberships"), 409) == {}
    assert set(problem(api.put(f"/segments/{world.static_id}", {"is_dynamic": True}), 422)) == {"is_dynamic"}


def test_memberships_are_brought_up_to_date(api, world):
    path = f"/segments/{world.segment_id}/update-memberships"
    same = {"segment_id": world.segment_id, "size": 1}
    assert data(api.post(path)) == same | {"added": 1, "removed": 0}
    assert data(api.post(path)) == same | {"added": 0, "removed": 0}
    data(api.put(f"/leads/{world.lead_id}", {"state": "CA"}))
    assert data(api.post(path)) == {"segment_id": world.segment_id, "added": 0, "removed": 1, "size": 0}


def test_a_rule_on_another_segment_and_the_circle_it_would_make(api, world):
    asking = {"field": "segment", "operator": "in", "value": [world.segment_id]}
    made = data(api.post("/segments", {"name": "Asking", "rules": [asking]}), 201)
    back = {"rules": [{"field": "segment", "operator": "in", "value": [made["id"]]}]}
    said = problem(api.put(f"/segments/{world.segment_id}", back), 422)
    assert said == {"rules.0": "This would go round in a circle: Texas → Asking → Texas."}
    assert problem(api.delete(f"/segments/{world.segment_id}"), 409) == {}
    data(api.delete(f"/segments/{made['id']}"))
    data(api.delete(f"/segments/{world.segment_id}"))


def test_why_a_lead_is_in_a_segment(api, world, other_world):
    path = f"/leads/{world.lead_id}/why"
    why = data(api.get(path, query_string={"segment_id": world.segment_id}))
    assert (why["matches"], why["member_since"]) == (True, None)
    assert why["rules"]["parts"] == [
        {"holds": True, "words": "state is TX", "value": "TX", "match": "", "parts": []},
    ]  # fmt: skip
    data(api.post(f"/segments/{world.segment_id}/update-memberships"))
    data(api.put(f"/leads/{world.lead_id}", {"state": "CA"}))
    why = data(api.get(path, query_string={"segment_id": world.segment_id}))
    assert why["matches"] is False and why["member_since"] and why["rules"]["parts"][0]["value"] == "CA"
    static = data(api.get(path, query_string={"segment_id": world.static_id}))
    assert (static["matches"], static["rules"]["words"]) == (False, "picked by hand")
    problem(api.get(path, query_string={"segment_id": other_world.segment_id}), 404)
    problem(api.get(f"/leads/{other_world.lead_id}/why", query_string={"segment_id": world.segment_id}), 404)
    assert set(problem(api.get(path), 422)) == {"segment_id"}


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
        # A question changes nothing: what is stored is brought up to date by those who keep it.
        assert value("SELECT last_calculated_at FROM segments WHERE id = :id", id=world.segment_id) is None


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
