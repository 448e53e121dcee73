"""Scores: what the database makes of rules is what adding them up by hand makes, and only what changes is written."""

import time
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from webapp.audience import leads, scores, scoring, segments, timeline
from webapp.audience.leads import Lead
from webapp.audience.scores import LeadScore, ScoreRule
from webapp.audience.timeline import LeadEvent
from webapp.platform import organizations, work
from webapp.platform.clock import now
from webapp.platform.db import db, one, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TYPES = ("email_clicked", "page_visited", "quote_requested")
STATES = ("TX", "CA", None)
CLICKS = {
    "condition": {"type": "email_clicked", "within_days": "90"},
    "points": "8",
    "half_life_days": "30",
    "limit": "40",
}
TEXAN = {"name": "Texan", "condition": {"field": "state", "operator": "equals", "value": "TX"}, "points": "10"}


def add(model: str, kind: str, values: dict) -> ScoreRule:
    return scores.save(None, values, model=model, kind=kind)


def did(lead_id: int, type: str, days_ago: float, at: datetime | None = None) -> None:
    timeline.record(lead_id, type, at=(at or now()) - timedelta(days=days_ago))


def refused(kind: str, values: dict, model: str = "score") -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        scores.draft(model, kind, values)
    return caught.value.errors


@pytest.fixture
def ada(cast, tx) -> int:
    with tx():
        return leads.create({"first_name": "Ada", "email": "ada@scores.example", "state": "TX"}).id


# The same rules once more, without a database.


def by_hand(rule: ScoreRule, lead: dict, events: list[tuple[str, datetime]]) -> Decimal:
    """Returns what one rule gives one lead."""
    if rule.kind == "attribute":
        return Decimal(rule.points) if lead["state"] == rule.condition["value"] else Decimal(0)
    total, found = 0.0, 0
    for type, at in events:
        age = (NOW - at).total_seconds() / 86400
        within = rule.condition.get("within_days")
        if type != rule.condition["type"] or age < 0 or (within and age >= within):
            continue
        found += 1
        total += 0.5 ** (age / float(rule.half_life_days)) if rule.half_life_days else 1
    worth = total * rule.points
    if found and rule.limit is not None:
        worth = min(worth, rule.limit) if rule.points > 0 else max(worth, -rule.limit)
    return Decimal(f"{worth:.15g}").quantize(Decimal("0.0001"), ROUND_HALF_UP)


def score_by_hand(rules: list[ScoreRule], lead: dict, events: list[tuple[str, datetime]]) -> int:
    total = sum((by_hand(rule, lead, events) for rule in rules), Decimal(0))
    return max(0, min(100, int(total.quantize(Decimal(1), ROUND_HALF_UP))))


points = st.integers(-100, 100).filter(bool)
event_rules = st.builds(
    lambda type, within, points, half, limit: {
        "kind": "event", "points": points, "half_life_days": half, "limit": limit,
        "condition": {"type": type} | ({"within_days": within} if within else {}),
    },
    st.sampled_from(TYPES), st.none() | st.integers(1, 400), points,
    st.none() | st.integers(10, 36500).map(lambda n: Decimal(n) / 100), st.none() | st.integers(1, 100),
)  # fmt: skip
attribute_rules = st.builds(
    lambda state, points: {"kind": "attribute", "points": points,
                           "condition": {"field": "state", "operator": "equals", "value": state}},
    st.sampled_from(("TX", "CA")), points,
)  # fmt: skip
histories = st.lists(
    st.tuples(st.sampled_from(TYPES), st.integers(-86_400, 450 * 86_400).map(lambda s: NOW - timedelta(seconds=s))),
    max_size=12,
)
people = st.lists(st.tuples(st.sampled_from(STATES), histories, st.integers(0, 100)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def house(app):
    with app.app_context():
        with transaction():
            org = organizations.create(f"Scores {time.time_ns()}").id
        yield org


@settings(max_examples=120, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(crowd=people, made=st.lists(event_rules | attribute_rules, max_size=5), model=st.sampled_from(scores.MODELS))
def test_the_database_adds_up_what_a_hand_adds_up(house, crowd, made, model):
    with transaction(house) as session:
        rules = [ScoreRule(model=model, name=f"Rule {n}", **rule) for n, rule in enumerate(made)]
        wanted = [{"state": state, model: before} for state, _, before in crowd]
        ids = list(session.scalars(insert(Lead).returning(Lead.id, sort_by_parameter_order=True), wanted))
        facts = [
            {"lead_id": lead, "type": type, "payload": {}, "occurred_at": at}
            for lead, (_, events, _) in zip(ids, crowd, strict=True) for type, at in events
        ]  # fmt: skip
        if facts:
            session.execute(insert(LeadEvent), facts)
        expected = [score_by_hand(rules, {"state": state}, events) for state, events, _ in crowd]
        bands, top = scoring.preview(model, rules, NOW)
        changed = scoring.recompute(model, rules, NOW)
        found = dict(rows(f"SELECT id, {model} FROM leads WHERE id = ANY(:ids)", ids=ids))
        assert [found[lead] for lead in ids] == expected
        moved = {lead for lead, was, new in zip(ids, (p[2] for p in crowd), expected, strict=True) if was != new}
        assert changed == len(moved)
        assert {row.lead_id: row.score for row in rows("SELECT lead_id, score FROM lead_scores")} == {
            lead: found[lead] for lead in moved
        }
        assert bands == [sum(1 for score in expected if min(score // 10, 9) == n) for n in range(10)]
        ranked = sorted(((lead, score) for lead, score in found.items() if score), key=lambda p: (-p[1], p[0]))
        assert top == ranked[:10]
        assert scoring.recompute(model, rules, NOW) == 0
        session.rollback()


def test_points_fade_are_capped_and_forgotten(tx, ada):
    with tx():
        add("score", "event", CLICKS)
        did(ada, "email_clicked", 0)
        did(ada, "email_clicked", 30)
        did(ada, "email_clicked", 91)
        assert scores.recompute("score") == 1
        assert leads.get(ada).score == 12
        for _ in range(9):
            did(ada, "email_clicked", 0)
        scores.recompute("score")
        db.session.expire_all()
        assert leads.get(ada).score == 40
        scores.recompute("score", at=now() + timedelta(days=91))
        db.session.expire_all()
        assert leads.get(ada).score == 0


def test_only_what_changes_is_written_with_its_reason(tx, ada):
    with tx():
        add("score", "attribute", TEXAN)
        add("score", "event", CLICKS)
        did(ada, "email_clicked", 0)
        before = leads.get(ada).updated_at
        assert [scores.recompute("score"), scores.recompute("score")] == [1, 0]
        assert one("SELECT model, score, reason FROM lead_scores") == ("score", 18, "Texan +10, Clicked in e-mail +8")
        db.session.expire_all()
        assert leads.get(ada).updated_at == before
        scores.switch(scores.every("score")[0], False)
        scores.switch(scores.every("score")[1], False)
        assert scores.recompute("score") == 1
        assert value("SELECT reason FROM lead_scores WHERE score = 0") == "No rule gives points now"


def test_a_reason_names_the_three_that_weigh_most(tx, ada):
    with tx():
        for n in range(5):
            add("score", "attribute", TEXAN | {"name": f"Rule {n}", "points": -2 if n == 4 else n + 1})
        scores.recompute("score")
        assert value("SELECT reason FROM lead_scores") == "Rule 3 +4, Rule 2 +3, Rule 1 +2 and 2 more"


def test_each_threshold_crossed_is_a_fact(tx, ada):
    with tx():
        for at, name in ((10, "Warm"), (40, "Hot"), (41, "Over it")):
            scores.add_threshold("score", {"value": at, "name": name})
        scores.add_threshold("engagement_score", {"value": 5, "name": "Another model's"})
        rule = add("score", "attribute", TEXAN | {"points": 40})
        scores.recompute("score")
        scores.save(rule, TEXAN | {"points": 10})
        scores.recompute("score")
        facts = rows("SELECT payload FROM lead_events WHERE type = 'score_threshold_crossed' ORDER BY id")
    told = [tuple(fact.payload[k] for k in ("threshold", "name", "direction", "from", "to")) for fact in facts]
    assert sorted(told[:2]) == [(10, "Warm", "up", 0, 40), (40, "Hot", "up", 0, 40)]
    assert told[2:] == [(40, "Hot", "down", 40, 10)]
    assert {fact.payload["model"] for fact in facts} == {"score"}


def test_some_leads_can_be_asked_about_alone(tx, ada):
    with tx():
        bea = leads.create({"first_name": "Bea", "state": "TX"}).id
        add("score", "attribute", TEXAN)
        assert scores.recompute("score", [bea]) == 1
        assert dict(rows("SELECT id, score FROM leads")) == {ada: 0, bea: 10}


def test_deleted_leads_keep_what_they_had(tx, ada):
    with tx():
        leads.remove([ada])
        add("score", "attribute", TEXAN)
        assert scores.recompute("score") == 0


def test_what_one_lead_is_made_of(tx, ada):
    with tx():
        add("engagement_score", "event", CLICKS)
        add("score", "attribute", TEXAN)
        add("score", "attribute", TEXAN | {"name": "Californian", "condition": TEXAN["condition"] | {"value": "CA"}})
        did(ada, "email_clicked", 30)
        for model in scores.MODELS:
            scores.recompute(model)
        db.session.expire_all()
        made = scores.of_lead(ada)
        assert made.values == {"score": 10, "engagement_score": 4}
        assert [(rule.name, points) for rule, points in made.parts["score"]] == [("Texan", 10)]
        assert [rule.name for rule, _ in made.parts["engagement_score"]] == ["Clicked in e-mail"]
        assert [(line.model, line.score) for line in made.history] == [("score", 10), ("engagement_score", 4)]
        assert scores.of_lead(2**40).history == []


def test_a_rule_that_cannot_be_asked_any_more_gives_nothing(tx, ada):
    with tx():
        rule = add("score", "attribute", TEXAN)
        add("score", "attribute", TEXAN | {"points": 5})
        rule.condition = {"field": "shoe_size", "operator": "equals", "value": "42"}
        db.session.flush()
        scores.recompute("score")
        assert value("SELECT score FROM leads") == 5
        assert scores.words(rule).startswith("Cannot be asked any more")


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("event", {"points": "0"}, "points"), ("event", {"points": ""}, "points"), ("event", {"points": "101"}, "points"),
        ("event", {"points": "1.5"}, "points"), ("event", {"points": "²"}, "points"), ("event", {"points": "9" * 40}, "points"),
        ("event", {"limit": "0"}, "limit"), ("event", {"limit": "-5"}, "limit"), ("event", {"half_life_days": "0"}, "half_life_days"),
        ("event", {"half_life_days": "NaN"}, "half_life_days"), ("event", {"half_life_days": "1e9"}, "half_life_days"),
        ("event", {"condition": {"type": "lead_created"}}, "type"), ("event", {"condition": {"type": "No Such"}}, "type"),
        ("event", {"condition": {"type": "score_threshold_crossed"}}, "type"), ("event", {"condition": None}, "type"),
        ("event", {"condition": {"type": "email_clicked", "within_days": "many"}}, "within_days"),
        ("event", {"name": "x" * 121}, "name"), ("attribute", {"condition": {"field": "shoe_size"}}, "rule"),
        ("attribute", {"condition": {"field": "score", "operator": "greater_than", "value": "5"}}, "rule"),
        ("attribute", {"condition": None}, "rule"),
    ],
)  # fmt: skip
def test_what_a_rule_cannot_say_is_refused_at_its_field(tx, kind, change, field):
    with tx():
        assert set(refused(kind, (CLICKS if kind == "event" else TEXAN) | change)) == {field}


def test_two_scores_do_not_feed_on_each_other(tx):
    asks = {"condition": {"field": "score", "operator": "greater_than", "value": "5"}, "points": "5"}
    with tx():
        assert set(refused("attribute", asks, "engagement_score")) == {"rule"}
        asks["condition"]["field"] = "engagement_score"
        assert scores.draft("score", "attribute", asks).condition["field"] == "engagement_score"


def test_rules_are_said_in_words(tx):
    with tx():
        clicks = add("score", "event", CLICKS)
        gone = add("score", "event", {"condition": {"type": "quote_requested"}, "points": -1, "limit": 3})
        assert scores.words(clicks) == (
            "Clicked in e-mail: 8 points each, within 90 days, half worth after 30 days, at most 40"
        )
        assert (gone.name, scores.words(gone)) == (
            "Quote requested",
            "Quote requested: minus 1 point each, at most minus 3",
        )
        assert scores.words(add("score", "attribute", TEXAN)).endswith(": 10 points")


def test_rules_have_an_order(tx):
    with tx():
        a, b, c = (add("score", "attribute", TEXAN | {"name": name}) for name in "abc")
        scores.move(c, -1)
        assert [rule.name for rule in scores.every("score")] == ["a", "c", "b"]
        scores.move(a, -1)
        scores.move(b, 1)
        assert [rule.name for rule in scores.every("score")] == ["a", "c", "b"]
        scores.remove(c)
        with pytest.raises(NotFound):
            scores.get(c.id)


def test_thresholds_have_a_value_each(tx):
    with tx():
        scores.add_threshold("score", {"value": "40", "name": " Warm "})
        for bad in ({"value": "40", "name": "Again"}, {"value": "0", "name": "x"}, {"value": "101", "name": "x"}):
            with pytest.raises(Invalid) as caught:
                scores.add_threshold("score", bad)
            assert set(caught.value.errors) == {"value"}
        scores.add_threshold("engagement_score", {"value": "40", "name": "Another model"})
        assert [t.name for t in scores.thresholds("score")] == ["Warm"]
        scores.remove_threshold(scores.thresholds("score")[0].id)
        with pytest.raises(NotFound):
            scores.remove_threshold(2**40)


def test_a_new_organisation_begins_with_rules_that_work_and_gets_them_once(tx, ada):
    with tx():
        scores.ensure_defaults()
        scores.ensure_defaults()
        n = {model: len(scores.every(model)) for model in scores.MODELS}
        assert sum(n.values()) == len(scores.score_rules.DEFAULTS)
        leads.update(leads.get(ada), {"status": "qualified", "value_estimate": "5000"})
        for _ in range(9):
            did(ada, "email_clicked", 1)
        for model in scores.MODELS:
            assert scores.recompute(model) == 1
        db.session.expire_all()
        assert (leads.get(ada).engagement_score, leads.get(ada).score) == (50, 80)
        assert all(
            not scores.words(rule).startswith("Cannot") for model in scores.MODELS for rule in scores.every(model)
        )


def test_the_work_is_done_when_a_rule_changes_and_by_the_hour(cast, tx, ada):
    with tx():
        segment = segments.save(None, {"name": "Hot", "criteria": {"match": "all", "rules": [
            {"field": "score", "operator": "greater_than", "value": "5"}]}})  # fmt: skip
        run("UPDATE segments SET last_calculated_at = now()")
        run("DELETE FROM work_due")
        add("score", "attribute", TEXAN)
    assert cast.org in work.due(scores.WORK)
    scores.run_due(cast.org)
    assert cast.org not in work.due(scores.WORK)
    with tx():
        assert leads.get(ada).score == 10
        assert timedelta(minutes=59) < scores.next_at() - now() <= timedelta(hours=1)
        assert value("SELECT last_calculated_at IS NULL FROM segments WHERE id = :id", id=segment.id)
        assert value("SELECT due_at <= now() FROM work_due WHERE kind = 'segment_sweep'")
        scores.remove(scores.every("score")[0])
    scores.run_due(cast.org)
    with tx():
        assert (leads.get(ada).score, scores.next_at()) == (0, None)


def test_many_changes_are_made_in_parts(cast, tx, ada, monkeypatch):
    with tx():
        for n in range(4):
            leads.create({"first_name": f"N{n}", "state": "TX"})
        add("score", "attribute", TEXAN)
        assert scores.recompute("score", most=2) == 2
        assert value("SELECT count(*) FROM lead_scores") == 2
    monkeypatch.setattr(scores, "BATCH", 1)
    scores.run_due(cast.org)
    with tx():
        assert value("SELECT array_agg(score) FROM leads") == [10] * 5


def test_work_that_fails_is_tried_again(cast, tx, ada, monkeypatch):
    with tx():
        add("score", "attribute", TEXAN)
    monkeypatch.setattr(scores, "recompute", lambda *args, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        scores.run_due(cast.org)
    with tx():
        assert timedelta(minutes=4) < scores.next_at() - now() <= timedelta(minutes=5)


def test_another_organisation_is_not_touched(cast, tx, ada):
    with tx(cast.other_org):
        eve = leads.create({"first_name": "Eve", "state": "TX"}).id
    with tx():
        rule = add("score", "attribute", TEXAN).id
        scores.recompute("score")
    with tx(cast.other_org):
        assert (leads.get(eve).score, scores.every("score"), db.session.query(LeadScore).count()) == (0, [], 0)
        with pytest.raises(NotFound):
            scores.get(rule)


def test_a_preview_writes_nothing(tx, ada):
    with tx():
        drafts = [scores.draft("score", "attribute", TEXAN | {"points": 95}), scores.draft("score", "event", CLICKS)]
        seen = scores.preview("score", drafts)
        assert (seen.bands, [(lead.id, score) for lead, score in seen.top]) == ([0] * 9 + [1], [(ada, 95)])
        assert scores.distribution("score") == [1] + [0] * 9
        assert (scores.every("score"), value("SELECT count(*) FROM lead_scores")) == ([], 0)
