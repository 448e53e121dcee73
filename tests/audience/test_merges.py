"""Two leads made one: nothing of their history is lost, the stricter consent stands, and taking it back leaves every
table as it was."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp.audience import consents, duplicates, leads, membership, merges, segments, timeline
from webapp.audience.groups import GroupMember, WhatsAppGroup
from webapp.audience.membership import SegmentMember
from webapp.audience.personas import Persona, PersonaScore
from webapp.audience.policies import Policy
from webapp.audience.scores import LeadScore
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.recipients import CampaignRecipient
from webapp.messaging.sends import Send
from webapp.platform.clock import now
from webapp.platform.db import Base, db, rows, run, value
from webapp.platform.errors import Invalid, NotFound, Refused

# Written by the very act; everything else is to be as it was.
OF_THE_ACT = {"lead_merges", "audit_log", "work_due", "timeline_cursors"}
STATES = st.sampled_from(consents.STATUSES)
SIDE = st.fixed_dictionaries(
    {
        "values": st.fixed_dictionaries(
            {},
            optional={
                "first_name": st.sampled_from(["Ada", "Bob"]), "city": st.sampled_from(["Austin", "Reno"]),
                "phone": st.booleans(), "value_estimate": st.sampled_from([Decimal("5.00"), Decimal("10.50")]),
                "date_of_birth": st.just(date(1980, 2, 29)), "status": st.sampled_from(["new", "lost"]),
                "tags": st.lists(st.sampled_from(["a", "b", "c"]), unique=True),
                "attributes": st.dictionaries(st.sampled_from(["x", "y"]), st.integers(0, 3)),
            },
        ),
        "consents": st.dictionaries(st.sampled_from(consents.CHANNELS), STATES),
        "segments": st.dictionaries(st.integers(0, 2), st.booleans()),
        "groups": st.dictionaries(st.integers(0, 1), st.booleans()),
        "personas": st.sets(st.integers(0, 1)),
        "campaigns": st.sets(st.integers(0, 1)),
        "policies": st.integers(0, 2),
    }
)  # fmt: skip


@pytest.fixture
def world(cast, tx) -> dict[str, list[int]]:
    """Ids of what leads may be in."""
    with tx():
        made = {
            "groups": [WhatsAppGroup(name=f"G{n}") for n in range(2)],
            "personas": [Persona(name=f"P{n}", persona_type=f"p{n}") for n in range(2)],
            "campaigns": [Campaign(name=f"C{n}", slug=f"c{n}") for n in range(2)],
        }
        db.session.add_all([row for kind in made.values() for row in kind])
        db.session.flush()
        insert = "INSERT INTO segments (name, slug, criteria, is_dynamic) VALUES (:n, :n, '{}', false) RETURNING id"
        return {kind: [row.id for row in made[kind]] for kind in made} | {
            "segments": [value(insert, n=f"s{n}") for n in range(3)]
        }


def person(n: int, side: dict, world: dict) -> int:
    values = dict(side["values"])
    if values.pop("phone", None):
        values["phone"] = f"+1415200{n:04}"
    lead = leads.create({"email": f"p{n}@example.com", **values}).id
    for channel, status in side["consents"].items():
        consents.set_consent(lead, channel, status, source=f"form {n}")
    things = [SegmentMember(segment_id=world["segments"][s], lead_id=lead, exited_at=None if open_ else now())
              for s, open_ in side["segments"].items()]  # fmt: skip
    things += [GroupMember(group_id=world["groups"][g], lead_id=lead, left_at=None if in_ else now())
               for g, in_ in side["groups"].items()]  # fmt: skip
    things += [
        PersonaScore(lead_id=lead, persona_id=world["personas"][p], confidence_score=50, confidence_level="medium",
                     matching_groups_count=1, total_groups_count=2) for p in side["personas"]
    ]  # fmt: skip
    for c in side["campaigns"]:
        campaign = world["campaigns"][c]
        things.append(CampaignRecipient(campaign_id=campaign, lead_id=lead, state="planned"))
        things.append(Send(kind="campaign", campaign_id=campaign, lead_id=lead, channel="email",
                           recipient_address=f"p{n}@example.com", dedup_key=f"{campaign}:{n}", status="sent"))  # fmt: skip
    things += [Policy(lead_id=lead, number=f"N{n}-{p}") for p in range(side["policies"])]
    things.append(LeadScore(lead_id=lead, model="score", score=n % 100))
    db.session.add_all(things)
    timeline.record(lead, "call_logged", {"outcome": "reached"})
    db.session.flush()
    return lead


def snapshot(last_fact: int) -> dict[str, list]:
    """Returns every row of every table that a lead stands in or is, without what the act itself writes."""
    kept = {}
    for name, table in Base.metadata.tables.items():
        if "org_id" in table.columns and name not in OF_THE_ACT:
            only = f" WHERE id <= {last_fact}" if name == "lead_events" else ""
            kept[name] = [
                row[0] for row in rows(f"SELECT (to_jsonb(t) - 'updated_at')::text FROM {name} t{only} ORDER BY 1")
            ]
    return kept


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=SIDE, merged=SIDE, taken=st.none() | st.sets(st.sampled_from(merges.CHOSEN)))
def test_merging_and_taking_it_back_leaves_every_table_as_it_was(world, tx, kept, merged, taken):
    with tx():
        first, second = person(1, kept, world), person(2, merged, world)
        last = value("SELECT max(id) FROM lead_events")
        before = snapshot(last)
        done = merges.merge(first, second, taken)
        alive = leads.get(first)
        assert set(alive.tags) == {*kept["values"].get("tags", []), *merged["values"].get("tags", [])}
        assert alive.attributes == {**merged["values"].get("attributes", {}), **kept["values"].get("attributes", {})}
        strictness = ("subscribed", "pending", "unsubscribed")
        for channel, consent in consents.of_lead(first).items():
            either = [side["consents"][channel] for side in (kept, merged) if channel in side["consents"]]
            assert consent.status == max(either, key=strictness.index)
        assert (
            value("SELECT count(*) FROM policies WHERE lead_id = :id", id=first)
            == kept["policies"] + merged["policies"]
        )
        assert value("SELECT count(*) FROM lead_events WHERE lead_id = :id AND type <> 'lead_merged'", id=second) == 0
        with pytest.raises(NotFound):
            leads.get(second)
        db.session.expire_all()
        merges.undo(merges.get(done.id))
        db.session.flush()
        after = snapshot(last)
        assert {name for name in before if before[name] != after[name]} == set()
        db.session.rollback()


@pytest.fixture
def pair(cast, tx) -> tuple[int, int]:
    with tx():
        ada = leads.create({"first_name": "Ada", "email": "ada@example.com", "city": "Austin", "tags": ["x"]}).id
        other = leads.create({"first_name": "Adah", "phone": "+14152000001", "state": "TX", "tags": ["y"]}).id
    return ada, other


def facts(lead: int, kind: str) -> list[dict]:
    return [row.payload for row in timeline.of_lead(lead, types=[kind])]


def test_the_kept_one_is_filled_from_the_other(pair, tx):
    ada, other = pair
    with tx():
        assert merges.filled(leads.get(ada), leads.get(other)) == {"phone", "state"}
        done = merges.merge(ada, other)
        lead = leads.get(ada)
        assert (lead.name, lead.phone, lead.state, lead.city, lead.tags) == (
            "Ada", "+14152000001", "TX", "Austin", ["x", "y"],
        )  # fmt: skip
        assert facts(ada, "lead_merged") == [{"from": other}]
        assert facts(other, "lead_merged") == [{"into": ada}]
        assert facts(ada, "lead_updated")[0]["changes"]["state"] == [None, "TX"]
        assert merges.kept_for(other) == ada and merges.kept_for(ada) is None
        [(found, name, why_not)] = merges.of_lead(ada)
        assert (found.id, name, why_not) == (done.id, "Adah", None)


def test_a_value_may_be_chosen(pair, tx):
    ada, other = pair
    with tx():
        merges.merge(ada, other, ["first_name", "email"])
        assert (leads.get(ada).name, leads.get(ada).email, leads.get(ada).phone) == ("Adah", None, None)


def test_what_was_changed_since_is_left(pair, tx):
    ada, other = pair
    with tx():
        done = merges.merge(ada, other).id
    with tx():
        leads.update(leads.get(ada), {"state": "CA"})
        timeline.record(ada, "call_logged", {"outcome": "later"})
    with tx():
        merges.undo(merges.get(done))
    with tx():
        assert (leads.get(ada).state, leads.get(ada).phone, leads.get(ada).tags) == ("CA", None, ["x"])
        assert leads.get(other).phone == "+14152000001"
        assert facts(ada, "call_logged") == [{"outcome": "later"}]
        assert facts(other, "lead_unmerged") == [{"into": ada}]
        with pytest.raises(Refused, match="already"):
            merges.undo(merges.get(done))


def test_what_is_newer_forbids_it_and_says_what(pair, tx, cast):
    ada, other = pair
    with tx():
        done = merges.merge(ada, other, []).id
        third = leads.create({"first_name": "Third"}).id
        leads.create({"phone": "+14152000001"})
        with pytest.raises(Refused, match=r"uses \+14152000001 now"):
            merges.undo(merges.get(done))
        run("UPDATE leads SET phone = NULL WHERE phone = '+14152000001' AND deleted_at IS NULL")
        later = merges.merge(ada, third).id
        with pytest.raises(Refused, match="since. Take that merge back first"):
            merges.undo(merges.get(done))
        merges.undo(merges.get(later))
        leads.remove([ada])
        with pytest.raises(Refused, match="deleted or merged since"):
            merges.undo(merges.get(done))
        leads.restore([ada])
        merges.undo(merges.get(done))
        assert leads.get(other)


def test_a_merged_lead_is_not_restored_by_itself(pair, tx):
    ada, other = pair
    with tx():
        merges.merge(ada, other)
        assert leads.restore([other]) == 0


def test_who_cannot_be_merged(pair, tx, cast):
    ada, _ = pair
    with tx(cast.other_org):
        foreign = leads.create({"first_name": "Foreign"}).id
    with tx():
        with pytest.raises(Invalid):
            merges.merge(ada, ada)
        for nobody in (foreign, 2**62):
            with pytest.raises(NotFound):
                merges.merge(ada, nobody)
        run("UPDATE leads SET anonymized_at = now() WHERE id = :id", id=ada)
        with pytest.raises(Refused, match="anonymised"):
            merges.merge(*pair)


def test_chains_lead_to_the_one_that_is_left(pair, tx):
    ada, other = pair
    with tx():
        third = leads.create({"first_name": "Third"}).id
        merges.merge(ada, other)
        merges.merge(third, ada)
        assert merges.kept_for(other) == third
        assert {row.type for row in timeline.of_lead(third)} >= {"lead_created", "lead_merged"}


def test_likely_duplicates(cast, tx):
    with tx():
        ada = leads.create({"first_name": "Ada", "last_name": "Lopez", "city": "Austin", "email": "ada@example.com",
                            "date_of_birth": date(1980, 1, 1)})  # fmt: skip
        same_city = leads.create({"first_name": "ADA", "last_name": "lopez", "city": "Austin"}).id
        same_birth = leads.create({"first_name": "Ada", "last_name": "Lopez", "date_of_birth": date(1980, 1, 1)}).id
        tagged = leads.create({"first_name": "A", "email": "Ada+news@example.com"}).id
        leads.create({"first_name": "Ada", "last_name": "Lopez", "city": "Reno"})
        leads.create({"first_name": "A", "email": "ada+news@elsewhere.example"})
        db.session.refresh(ada)
        assert [lead.id for lead in duplicates.likely(ada)] == [same_city, same_birth, tagged]
        assert ada.id in [lead.id for lead in duplicates.likely(leads.get(tagged))]
        nobody = leads.create({"phone": "+14152009999"})
        assert duplicates.likely(nobody) == []


def test_every_table_that_names_a_lead_goes_along_or_is_known_not_to():
    """A new table with a lead in it says what becomes of its rows."""
    stays = {"import_changes", "lead_merges", "leads"}
    named = {name for name, table in Base.metadata.tables.items() if "lead_id" in table.columns}
    assert named - stays == set(merges._followers)


def test_in_a_segment_of_both_each_keeps_what_is_known_of_them_there(cast, tx):
    with tx():
        kept, merged = (leads.create({"first_name": name, "last_name": "Lee"}).id for name in ("Ada", "Ada B."))
        both, one_only = (segments.save(None, {"name": name, "is_dynamic": False}) for name in ("Both", "Second"))
        membership.add(both, [kept, merged])
        membership.remove(both, [merged])
        membership.add(both, [merged])
        membership.add(one_only, [merged])
    with tx():
        merges.merge(kept, merged)
    with tx():
        facts = (
            "SELECT count(*) FILTER (WHERE type = 'segment_entered') - count(*) FILTER (WHERE type = 'segment_exited')"
            " FROM lead_events WHERE lead_id = :lead AND payload ->> 'segment_id' = CAST(:segment AS text)"
        )
        open_rows = (
            "SELECT count(*) FROM segment_members WHERE lead_id = :lead AND segment_id = :segment AND exited_at IS NULL"
        )
        for lead in (kept, merged):
            for segment in (both.id, one_only.id):
                here = {"lead": lead, "segment": segment}
                assert value(facts, **here) == value(open_rows, **here), here
        assert membership.size(one_only.id) == 1
