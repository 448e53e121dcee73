"""Personas: the confidence of everybody is what a plain reckoning says, and what people decided stays decided."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp.audience import groups, leads, persona_scores, personas
from webapp.platform.db import db, rows, run, value
from webapp.platform.errors import Invalid, NotFound

PLACES = st.sampled_from([None, "South", "WEST", "west"])
TAGS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True)
WEIGHTS = st.sampled_from(["0", "0.1", "0.25", "0.5", "1"])


def facts(lead_id: int) -> list[tuple[str, dict]]:
    found = rows("SELECT type, payload FROM lead_events WHERE lead_id = :id ORDER BY id", id=lead_id)
    return [(row.type, row.payload) for row in found]


def scores() -> dict[tuple[int, int], tuple]:
    found = rows("SELECT * FROM persona_scores")
    return {
        (row.lead_id, row.persona_id): (
            row.confidence_score, row.confidence_level, row.matching_groups_count, row.total_groups_count
        )
        for row in found
    }  # fmt: skip


def reckoned(people: list[int], kinds: list, places: list, belonging: list) -> dict[tuple[int, int], tuple]:
    """The same by hand. belonging: (lead id, group, weight, counts, has left)."""
    made = {}
    for lead in people:
        mine = [
            (group, Decimal(weight))
            for who, group, weight, counts, left in belonging
            if who == lead and counts and not left
        ]
        whole = sum(weight for _, weight in mine)
        for kind in kinds:
            fitting = [weight for group, weight in mine if fits(group, kind)]
            if fitting and whole:
                score = round(sum(fitting) / whole * 100, 2)
                level = "very_high" if score >= 80 else "high" if score >= 60 else "medium" if score >= 40 else "low"
                made[lead, kind.id] = (score, level, len(fitting), len(mine))
    return made


def fits(group, kind) -> bool:
    agree = [
        not ours or not theirs or ours.lower() == theirs.lower()
        for ours, theirs in ((group.region, kind.region), (group.state, kind.state))
    ]
    return all(agree) and bool(set(group.segment_tags) & set(kind.segment_tags))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_confidence_is_what_a_plain_reckoning_says(cast, tx, data):
    with tx():
        people = [leads.create({"first_name": f"L{n}"}).id for n in range(3)]
        some = st.lists(st.tuples(PLACES, PLACES, TAGS), min_size=1, max_size=4)
        places = [
            groups.create({"name": "g", "region": r, "state": s, "segment_tags": t}) for r, s, t in data.draw(some)
        ]
        kinds = [
            personas.create({"name": "p", "persona_type": f"p{n}", "region": r, "state": s, "segment_tags": t})
            for n, (r, s, t) in enumerate(data.draw(some))
        ]
        belonging = []
        for lead in people:
            for place in places:
                if data.draw(st.booleans()):
                    weight, counts, left = data.draw(WEIGHTS), data.draw(st.booleans()), data.draw(st.booleans())
                    groups.add_members(place, [lead], {"persona_weight": weight, "contributes_to_persona": counts})
                    if left:
                        groups.leave(
                            db.session.query(groups.GroupMember).filter_by(lead_id=lead, group_id=place.id).one()
                        )
                    belonging.append((lead, place, weight, counts, left))
        # Kept up to date by each change, and the same again from nothing.
        expected = reckoned(people, kinds, places, belonging)
        assert scores() == expected
        assert persona_scores.recompute() == 0
        run("DELETE FROM persona_scores")
        persona_scores.recompute()
        assert scores() == expected
        db.session.rollback()


@pytest.fixture
def town(cast, tx) -> tuple[int, int, int]:
    """A lead in a group that matches one of two personas. Returns the ids of the lead and of both."""
    with tx():
        lead = leads.create({"first_name": "Ada"}).id
        family = personas.create({"name": "Young family", "persona_type": "Young Family", "segment_tags": "kids"})
        drivers = personas.create({"name": "Drivers", "persona_type": "drivers", "segment_tags": "cars"})
        for tag in ("kids", "cars"):
            groups.add_members(groups.create({"name": tag, "segment_tags": tag}), [lead])
        assert family.persona_type == "young_family"
        return lead, family.id, drivers.id


def score_of(lead: int, persona: int) -> int:
    return value(
        "SELECT id FROM persona_scores WHERE lead_id = :lead AND persona_id = :persona", lead=lead, persona=persona
    )


def test_a_decision_is_kept_and_told(town, cast, tx):
    lead, family, drivers = town
    with tx():
        assert persona_scores.decide([score_of(lead, family)], True, cast.marketer) == 1
        assert persona_scores.decide([score_of(lead, family)], True, cast.marketer) == 0
        assert leads.get(lead).persona_type == "young_family"
        assert facts(lead)[-2:] == [
            ("lead_updated", {"changes": {"persona_type": [None, "young_family"]}}),
            ("persona_approved", {"persona_id": family, "persona": "Young family", "confidence": "50 %"}),
        ]
        # One lead is one persona: the other approval is open again.
        persona_scores.decide([score_of(lead, drivers)], True, cast.marketer)
        assert leads.get(lead).persona_type == "drivers"
        assert [(row.persona, row.is_approved) for row in persona_scores.of_lead(lead)] == [
            ("Drivers", True), ("Young family", None),
        ]  # fmt: skip
        persona_scores.decide([score_of(lead, drivers)], False, cast.marketer)
        assert leads.get(lead).persona_type is None
        assert facts(lead)[-1][0] == "persona_refused"
    with tx(cast.other_org):
        assert persona_scores.decide([1, 2, 3], True, None) == 0


def test_a_recount_never_touches_what_was_decided(town, cast, tx):
    lead, family, drivers = town
    with tx():
        persona_scores.decide([score_of(lead, family)], False, cast.marketer)
        before = value("SELECT approved_at FROM persona_scores WHERE NOT is_approved")
        for member in db.session.query(groups.GroupMember).all():
            groups.leave(member)
        left = persona_scores.of_lead(lead)
        assert [(row.persona, row.is_approved, row.confidence, row.level) for row in left] == [
            ("Young family", False, 0, "low")
        ]
        assert left[0].approved_at == before
        assert persona_scores.recompute() == 0


def test_leads_follow_when_a_persona_is_called_otherwise_or_goes(town, cast, tx):
    lead, family, _ = town
    with tx():
        persona_scores.decide([score_of(lead, family)], True, cast.marketer)
        personas.update(personas.get(family), {"persona_type": "family"})
        db.session.expire_all()
        assert leads.get(lead).persona_type == "family"
        assert facts(lead)[-1] == ("lead_updated", {"changes": {"persona_type": ["young_family", "family"]}})
        personas.remove(personas.get(family))
        db.session.expire_all()
        assert leads.get(lead).persona_type is None
        assert score_of(lead, family) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": " "}, "name"), ({"persona_type": ""}, "persona_type"), ({"persona_type": "é!"}, "persona_type"),
     ({"persona_type": "drivers"}, "persona_type"), ({"primary_segment_id": 999_999}, "primary_segment_id"), ({"x": 1}, "x")],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(town, tx, values, field):
    with tx(), pytest.raises(Invalid) as caught:
        personas.create({"name": "A", "persona_type": "a"} | values)
    assert set(caught.value.errors) == {field}


def test_attributes_are_noted_and_removed(town, cast, tx):
    _, family, _ = town
    with tx():
        persona = personas.get(family)
        said = personas.add_attribute(
            persona, {"type": "family", "name": "Children", "value": "2", "confidence": "0.8"}
        )
        assert [(a.name, a.confidence, a.source) for a in personas.attributes_of(persona)] == [
            ("Children", Decimal("0.80"), None)
        ]
        with pytest.raises(Invalid) as caught:
            personas.add_attribute(persona, {"confidence": 2})
        assert set(caught.value.errors) == {"type", "name", "value", "confidence"}
        personas.remove_attribute(persona, said.id)
        with pytest.raises(NotFound):
            personas.remove_attribute(persona, said.id)
