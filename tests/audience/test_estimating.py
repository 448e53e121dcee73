"""What is told while a tree is being edited: the funnel, the sample, the reach and the overlaps are as counted one by one,
and a contradiction is only said where there is one."""

from datetime import datetime
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audience import rules_oracle
from tests.audience.members import inside, rule, segment, tree
from tests.audience.rules_crowd import NOWS, Crowd
from tests.audience.rules_trees import trees
from webapp.audience import consents, estimating, leads, segments, syncing
from webapp.audience.estimating import Funnel
from webapp.audience.rules import contradictions
from webapp.audience.rules.tree import parse
from webapp.platform.db import run, transaction

NOW = NOWS[0]
SOME = settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def who(crowd: Crowd, asked: dict[str, Any], now: datetime = NOW) -> set[int]:
    return {id for id, lead in crowd.leads.items() if rules_oracle.holds(asked, lead, now)}


def newest(crowd: Crowd, ids: set[int]) -> list[int]:
    return sorted(ids, key=lambda id: (crowd.leads[id]["created_at"], id), reverse=True)[: estimating.SAMPLE]


@SOME
@given(asked=trees())
def test_the_funnel_is_what_is_left_rule_by_rule(crowd, asked):
    steps = tuple(len(who(crowd, asked | {"rules": asked["rules"][: n + 1]})) for n in range(len(asked["rules"])))
    with time_machine.travel(NOW, tick=False), transaction(crowd.org):
        assert estimating.funnel(parse(asked)) == Funnel(320, steps, steps[-1] if steps else 320)


EMPTY = {"match": "all", "rules": []}
TEXAS, VIP = rule("state", "in", ["tx", "texas"]), rule("tags", "has_any", ["vip"])


@pytest.mark.parametrize("match", ["all", "any", "none"])
@pytest.mark.parametrize(
    "rules", [[], [EMPTY], [TEXAS, EMPTY], [EMPTY, TEXAS], [TEXAS, tree(VIP, EMPTY, match="any"), VIP], [TEXAS, TEXAS]],
    ids=["nothing", "empty group", "rule, empty", "empty, rule", "nested", "twice"],
)  # fmt: skip
def test_the_funnel_of_groups_without_rules(crowd, match, rules):
    steps = tuple(len(who(crowd, tree(*rules[: n + 1], match=match))) for n in range(len(rules)))
    with transaction(crowd.org):
        found = estimating.funnel(parse(tree(*rules, match=match)))
        assert found == Funnel(320, steps, segments.count(parse(tree(*rules, match=match))))
    if match != "any":
        assert list(found.steps) == sorted(found.steps, reverse=True)


@SOME
@given(asked=trees(depth=2))
def test_the_sample_is_the_newest_of_them_and_the_reach_those_who_may_be_written_to(crowd, asked):
    expected = who(crowd, asked)
    with time_machine.travel(NOW, tick=False), transaction(crowd.org):
        group = parse(asked)
        for told in ({}, {"expected": len(expected), "everyone": 320}, {"expected": 1, "everyone": 10**6}):
            if expected or "expected" not in told:
                assert [lead.id for lead in estimating.sample(group, **told)] == newest(crowd, expected)
        assert estimating.sample(group, 0, 320) == []
        address = {"email": "email", "sms": "phone", "whatsapp": "phone"}
        assert estimating.reach(group) == {
            channel: sum(
                crowd.leads[id]["consents"].get(channel) == "subscribed" and crowd.leads[id][column] is not None
                for id in expected
            )
            for channel, column in address.items()
        }
        found = {shared.id: n for shared, n in estimating.overlaps(group, segments.every())}
        assert found == {n: sum(n in crowd.leads[id]["member_of"] for id in expected) for n in (1, 2, 3, 4)}


def test_the_reach_leaves_out_who_is_barred_removed_or_without_address(cast, tx):
    with tx():
        for n, (status, values) in enumerate((
            ("subscribed", {}), ("subscribed", {"email": None}), ("pending", {}), ("unsubscribed", {}), (None, {}),
            ("subscribed", {"email": "Barred@x.example"}), ("subscribed", {}), ("subscribed", {}),
        )):  # fmt: skip
            lead = leads.create(
                {"first_name": "Ada", "email": f"ada{n}@x.example", "phone": f"+1415200000{n}"} | values
            )
            if status:
                consents.set_consent(lead.id, "email", status, source="test")
        consents.suppress("email", "barred@x.example", "complaint")
        leads.remove([lead.id])
        run("UPDATE leads SET anonymized_at = now() WHERE id = :id", id=lead.id - 1)
        assert estimating.reach(parse(tree())) == {"email": 1, "sms": 0, "whatsapp": 0}
        reachable = "SELECT 1 FROM leads l LEFT JOIN consents ON {} LEFT JOIN suppressions ON {} WHERE {} IS NULL"
        on = [condition for _, condition in consents.verdict_joins("email")]
        assert run(reachable.format(*on, consents.verdict("email"))) == 1


def test_overlaps_count_stored_members(cast, tx):
    with tx():
        for city in ("Austin", "Austin", "Reno"):
            leads.create({"first_name": "Ada", "city": city})
        austin, nobody = (
            segment("Austin", rule("city", "equals", "Austin")),
            segment("Nobody", rule("city", "is_not_set")),
        )
        everybody = parse(tree())
        assert estimating.overlaps(everybody, [austin, nobody]) == [(austin, 0), (nobody, 0)]
        syncing.sync(austin)
        assert estimating.overlaps(everybody, [nobody, austin]) == [(nobody, 0), (austin, 2)]
        assert estimating.overlaps(parse(tree(inside(austin))), []) == []


def test_letters_that_python_lowers_otherwise_than_the_database_contradict_nothing(cast, tx):
    with tx():
        leads.create({"first_name": "Ada", "city": "ΟΔΟΣ"})
        asked = parse(tree(rule("city", "equals", "ΟΔΟΣ"), rule("city", "equals", "οδοσ")))
        assert (segments.count(asked), contradictions.find(asked)) == (1, [])


# Rules with so few values that they get in each other's way.
NARROW = st.sampled_from([
    *(rule(field, operator, value) for field, values in
      (("city", ("tx", "TX", "new")), ("status", ("new", "lost")), ("owner_id", (1, 2)))
      for operator in ("equals", "not_equals") for value in values),
    *(rule("status", operator, ["new", "lost"]) for operator in ("in", "not_in")),
    *(rule("city", operator, ["Tx", "new"]) for operator in ("in", "not_in")),
    *(rule("score", operator, n) for operator in ("greater_than", "less_than", "equals") for n in (49, 50, "50.0")),
    *(rule("date_of_birth", operator, f"1985-07-{day}") for operator in ("after", "before", "equals", "greater_than")
      for day in (15, 16)),
    *(rule("created_at", operator, f"2026-0{day}") for operator in ("after", "before", "equals", "not_equals")
      for day in ("1-31", "2-01")),
    *(rule(field, operator) for field in ("city", "customer_tier", "tags", "date_of_birth", "owner_id")
      for operator in ("is_set", "is_not_set")),
    *(rule("city", operator, "t") for operator in ("contains", "not_contains", "starts_with")),
    *(rule("tags", operator, ["vip", "vi"]) for operator in ("has_all", "has_none", "has_any")),
    *(rule("tags", "equals", tag) for tag in ("vip", "ip")),
    *(rule("event.custom", operator, value) for operator in ("did", "did_not") for value in ({}, {"times": 2})),
    *(rule("policies", operator, value) for operator in ("has", "has_none") for value in ({}, {"status": "active"})),
    *(rule("policy_count", operator, n) for operator in ("equals", "greater_than") for n in (0, 1)),
    *(rule("consent.email", "equals", status) for status in ("subscribed", "never asked")),
    *(rule("segment", operator, [1]) for operator in ("in", "not_in")),
    *(rule("attributes.plan", operator) for operator in ("is_set", "is_not_set")), rule("attributes.plan", "equals", "tx"),
])  # fmt: skip


def narrow(depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    members = NARROW if depth == 1 else st.one_of(NARROW, NARROW, NARROW, narrow(depth - 1))
    match = st.sampled_from(("all", "all", "all", "any", "none"))
    return st.fixed_dictionaries({"match": match, "rules": st.lists(members, min_size=1, max_size=4)})


def groups(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups of a tree, itself among them, that contradict themselves with no group within them that does."""
    within = [found for part in asked["rules"] if "rules" in part for found in groups(part)]
    return within or ([asked] if contradictions.find(parse(asked)) else [])


@settings(SOME, max_examples=1_000)
@given(asked=narrow())
def test_a_contradiction_is_never_said_where_somebody_is_found(crowd, asked):
    for claimed in groups(asked):
        assert who(crowd, claimed) == set(), claimed


@pytest.mark.parametrize(
    "rules",
    [
        [rule("city", "equals", "Reno"), rule("city", "equals", "Austin")],
        [rule("city", "equals", "Reno"), rule("city", "in", ["Austin", "Boise"])],
        [rule("city", "equals", "Reno"), rule("city", "not_equals", "RENO")],
        [rule("city", "in", ["Reno", "Austin"]), rule("city", "not_in", ["austin", "reno"])],
        [rule("city", "is_not_set"), rule("city", "contains", "a")],
        [rule("city", "is_not_set"), rule("city", "is_set")],
        [rule("score", "greater_than", 50), rule("score", "less_than", 50)],
        [rule("score", "equals", 10), rule("score", "greater_than", 10)],
        [rule("created_at", "after", "2026-02-01"), rule("created_at", "before", "2026-02-01")],
        [rule("event.custom", "did", {}), rule("event.custom", "did_not", {"times": 1})],
        [rule("policies", "has", {}), rule("policies", "has_none")],
        [rule("status", "equals", "new"), tree(rule("status", "equals", "lost"), match="any")],
    ],
)
def test_a_contradiction_is_said(rules):
    assert len(contradictions.find(parse(tree(*rules)))) == 1
    assert contradictions.find(parse(tree(*rules[:1]))) == []
    assert contradictions.find(parse(tree(*rules, match="any"))) == []
    assert len(contradictions.find(parse(tree(tree(*rules), match="any")))) == 1, "a group of it is never true"
