"""Why a lead is in a segment or not: each rule as it is for this lead, with what decided it."""

from datetime import timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audience import rules_oracle
from tests.audience.members import inside, rule, segment, settled, statements, tree
from tests.audience.rules_crowd import NOWS
from tests.audience.rules_trees import trees
from webapp.audience import consents, explaining, leads, membership, segments, timeline
from webapp.audience.explaining import Line
from webapp.audience.segments import Segment
from webapp.platform.clock import now
from webapp.platform.db import run, transaction


def judged(part: dict, line: Line, lead: dict) -> None:
    """Holds each line of an explanation against the oracle."""
    if "rules" not in part:
        assert (line.holds, line.match, line.parts) == (rules_oracle.judge(part, lead, NOWS[0]), "", ())
        assert line.words
        return
    assert (line.holds, line.match) == (rules_oracle.holds(part, lead, NOWS[0]), part["match"])
    for inner, said in zip(part["rules"], line.parts, strict=True):
        judged(inner, said, lead)


@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(asked=trees(), lead_id=st.integers(1, 320))
def test_each_rule_is_explained_as_it_is_for_the_lead(crowd, asked, lead_id):
    with time_machine.travel(NOWS[0], tick=False), transaction(crowd.org):
        lead, made = leads.get(lead_id), Segment(id=10**9, criteria=asked, is_dynamic=True)
        why = explaining.explain(made, lead)
        assert why.since is None
        assert why.holds == why.tree.holds == segments.holds(made, lead_id)
        judged(asked, why.tree, crowd.leads[lead_id])


def test_what_of_the_lead_decided_is_said(cast, tx):
    moment = now()
    with tx():
        lead = leads.create({
            "first_name": "Ada", "city": "Reno", "value_estimate": 1500, "tags": ["vip", "old"], "owner_id": cast.agent,
            "date_of_birth": moment.date() - timedelta(days=9_000), "attributes": {"plan": "gold", "on": False},
        })  # fmt: skip
        consents.set_consent(lead.id, "email", "pending", source="test")
        run("INSERT INTO policies (lead_id, number, status) VALUES (:id, 'P-7', 'lapsed')", id=lead.id)
        timeline.record_many([(lead.id, {})] * 3, "page_visited")
        other = segment("Other", rule("city", "equals", "Reno")).id
        lead_id, came = lead.id, f"{lead.created_at:%Y-%m-%d %H:%M} UTC"
    settled(cast.org)
    day = f"{moment:%Y-%m-%d}"
    said = {
        "city": ("equals", "Austin", False, "city is Austin", "Reno"),
        "state": ("is_set", None, False, "state is known", ""),
        "value_estimate": ("greater_than", 1000, True, "estimated value is over 1,000", "1,500.00"),
        "tags": ("has_any", ["vip"], True, "tags include any of vip", "vip, old"),
        "owner_id": ("equals", cast.agent, True, "owner is Agent Person", str(cast.agent)),
        "created_at": ("in_last", "1 day", True, "created is in the last 1 day", came),
        "inactive": ("for", "2 days", False, "inactive for 2 days", f"last active on {day}"),
        "birthday": ("is_today", None, None, "birthday is today", f"born on {moment - timedelta(days=9_000):%-d %B}"),
        "attributes.plan": ("equals", "Gold", True, "plan is Gold", "gold"),
        "attributes.on": ("equals", "false", True, "on is false", "False"),
        "attributes.none": ("is_set", None, False, "none is known", ""),
        "consent.email": ("equals", "subscribed", False, "E-mail consent is subscribed", f"pending since {day}"),
        "consent.sms": ("equals", "never asked", True, "SMS consent is never asked", "never asked"),
        "policies": ("has", {"status": "lapsed"}, True, "holds a lapsed policy", "P-7"),
        "policy_count": ("equals", 2, False, "number of policies is 2", "1"),
        "segment": ("in", [other], True, "in Other", f"a member since {day}"),
        "event.page_visited": (
            "did", {"times": 2}, True, "visited the website at least 2 times", f"3 times, last on {day}",
        ),
        "event.custom": ("did_not", {}, True, "did not: event", "never"),
    }  # fmt: skip
    with tx():
        asked = [rule(field, operator, value) for field, (operator, value, *_) in said.items()]
        why = explaining.explain(segment("All of it", *asked), leads.get(lead_id))
        assert why.holds is False
        for line, (field, (_, _, holds, words, value)) in zip(why.tree.parts, said.items(), strict=True):
            assert (line.words, line.value) == (words, value), field
            assert line.holds is (holds if holds is not None else line.holds), field


def test_a_member_is_one_since_then_whatever_the_rules_say_now(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada", "city": "Reno"}).id
        made = segment("Reno", rule("city", "equals", "Reno")).id
    settled(cast.org)
    with tx():
        run("UPDATE segment_members SET entered_at = '2026-01-10 12:00Z'")
        leads.update(leads.get(lead), {"city": "Austin"})
        why = explaining.explain(segments.get(made), leads.get(lead))
        assert (why.holds, f"{why.since:%Y-%m-%d}") == (False, "2026-01-10")
    settled(cast.org)
    with tx():
        why = explaining.explain(segments.get(made), leads.get(lead))
        assert (why.holds, why.since) == (False, None)


def test_a_static_segment_says_who_was_picked(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        made = segments.save(None, {"name": "Picked", "is_dynamic": False})
        assert explaining.explain(made, lead).tree == Line(False, "picked by hand", "never picked, or taken out")
        membership.add(made, [lead.id])
        why = explaining.explain(made, lead)
        assert why.holds and why.tree.value == f"since {now():%Y-%m-%d}"


def test_a_segment_without_rules_has_everybody(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        assert explaining.explain(segment("All"), lead).holds
        assert explaining.explain(segment("Nested", tree(match="none")), lead).holds


def test_all_the_rules_are_asked_in_one_question(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        made = segment("Many", *(rule("city", "equals", f"City {n}") for n in range(50)), inside(segment("Other")))
        with statements() as seen:
            explaining.explain(made, lead)
    assert len(seen) <= 5, "since when, the names, all the rules at once, and the evidence of the one about segments"


@pytest.mark.parametrize("gone", ["segments", "owners"])
def test_what_a_rule_names_may_be_gone(cast, tx, gone):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        asked = rule("segment", "in", [10**9]) if gone == "segments" else rule("owner_id", "equals", 10**9)
        why = explaining.explain(Segment(id=1, criteria=tree(asked), is_dynamic=True), lead)
        assert "number 1000000000 (gone)" in why.tree.parts[0].words
