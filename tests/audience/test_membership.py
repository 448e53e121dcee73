"""Stored members: only the difference is written, rows and facts balance, and what cannot be is refused by name."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audience.members import (
    by_rules,
    change,
    check,
    imbalances,
    inside,
    rule,
    segment,
    settled,
    stored,
    tree,
)
from webapp.audience import leads, membership, segments, syncing
from webapp.audience.rules.asking import Asking
from webapp.audience.segments import Changed
from webapp.platform import clock
from webapp.platform.db import db, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound, Refused


def people(n: int, **values) -> list[int]:
    return [leads.create({"first_name": f"Lead {number}"} | values).id for number in range(n)]


def moves(segment_id: int) -> list[tuple[int, str]]:
    found = rows("SELECT lead_id, type FROM lead_events WHERE (payload->>'segment_id')::bigint = :id ORDER BY id",
                 id=segment_id)  # fmt: skip
    return [(row.lead_id, row.type) for row in found]


def test_a_sync_writes_the_difference_and_nothing_else(cast, tx):
    with tx():
        stay, go, come = people(3)
        for lead_id in (stay, go):
            leads.update(leads.get(lead_id), {"city": "Austin"})
        made = segment("Austin", rule("city", "equals", "austin"))
        assert syncing.sync(made) == {"segment_entered": 2}
        run("UPDATE segment_members SET entered_at = '2026-01-01'")
    with tx():
        run("UPDATE leads SET city = 'Reno' WHERE id = :id", id=go)
        run("UPDATE leads SET city = 'AUSTIN' WHERE id = :id", id=come)
        assert syncing.sync(segments.get(made.id)) == {"segment_entered": 1, "segment_exited": 1}
        assert syncing.sync(segments.get(made.id)) == {}
        assert moves(made.id)[2:] == [(come, "segment_entered"), (go, "segment_exited")] or moves(made.id)[2:] == [
            (go, "segment_exited"), (come, "segment_entered"),
        ]  # fmt: skip
        found = {row.lead_id: row for row in rows("SELECT * FROM segment_members")}
        assert found[stay].entered_at == datetime(2026, 1, 1, tzinfo=UTC) and found[stay].exited_at is None
        assert found[go].exited_at is not None and found[come].exited_at is None
        assert all(row.source == "rule" for row in found.values())
    assert check(cast.org) == {"segment_entered": 3, "segment_exited": 1}


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=6), st.booleans())
def test_whoever_comes_and_goes_rows_and_facts_balance(cast, tx, rounds, some):
    with tx():
        run("DELETE FROM segments")
        run("DELETE FROM leads")
        ids = people(6)
        made = segment("Here", rule("tags", "has_any", ["here"]))
    for wanted in rounds:
        with tx():
            here = [ids[n] for n in wanted]
            run("UPDATE leads SET tags = CASE WHEN id = ANY(:here) THEN ARRAY['here'] ELSE '{}' END", here=here)
            before = stored(made.id)
            asked = segments.get(made.id)
            if some:
                moved = syncing.sync_leads(asked, ids[:3] + [10**9])
                expected = (set(here) & set(ids[:3])) | (before - set(ids[:3]))
                assert {lead for lead, _ in moved} == expected ^ before
            else:
                expected = set(here)
                assert syncing.sync(asked).total() == len(expected ^ before)
            assert stored(made.id) == expected
            assert asked.estimated_size == len(expected)
            assert imbalances() == []


def test_a_static_segment_has_whom_it_was_given(cast, tx):
    with tx():
        one_, two, gone = people(3)
        leads.remove([gone])
        made = segments.save(None, {"name": "Picked", "is_dynamic": False})
        assert membership.add(made, [one_, two, two, gone, 10**9]) == 2
        assert membership.add(made, [one_]) == 0
        assert (stored(made.id), made.estimated_size) == ({one_, two}, 2)
        assert membership.remove(made, [two, gone, 10**9]) == 1
        assert membership.remove(made, [two]) == 0
        assert (stored(made.id), segments.size_now(made), made.estimated_size) == ({one_}, 1, 1)
        assert membership.add(made, [two], source="import") == 1
        assert [(row.source, row.exited_at is None) for row in membership.of_lead(two)] == [
            ("import", True), ("manual", False),
        ]  # fmt: skip
        assert segments.holds(made, one_) and not segments.holds(made, gone)
        with pytest.raises(Refused):
            syncing.sync(made)
        assert imbalances() == []


def test_only_a_static_segment_is_picked_by_hand(cast, tx):
    with tx():
        made = segment("By rules")
        with pytest.raises(Refused):
            segments.picked_by_hand(made.id)
        with pytest.raises(NotFound):
            segments.picked_by_hand(10**9)
        with pytest.raises(Invalid) as caught:
            segments.save(made, {"is_dynamic": False})
        assert set(caught.value.errors) == {"is_dynamic"}


def test_freezing_keeps_who_is_in_it_now(cast, tx):
    with tx():
        ids = people(3, city="Austin")
        made = segment("Austin", rule("city", "equals", "Austin"))
        frozen = segments.freeze(made, "Austin in spring", cast.marketer)
        assert (stored(frozen.id), frozen.estimated_size, frozen.is_dynamic) == (set(ids), 3, False)
        with pytest.raises(Invalid) as caught:
            segments.freeze(made, "austin in spring")
        assert set(caught.value.errors) == {"name"}
    change(cast.org, ids[0], city="Reno")
    settled(cast.org)
    with tx():
        assert (len(stored(made.id)), len(stored(frozen.id))) == (2, 3)
        assert imbalances() == []


@pytest.mark.parametrize("zone", ["America/Chicago", "Pacific/Kiritimati", "UTC"])
def test_sizes_are_kept_by_the_day_of_the_organisation(cast, tx, zone):
    moment = datetime(2027, 3, 1, 3, 0, tzinfo=UTC)
    with tx():
        run("UPDATE organizations SET timezone = :zone WHERE id = :id", zone=zone, id=cast.org)
        people(2, city="Austin")
        made = segment("Austin", rule("city", "equals", "Austin"))
    first = clock.local(moment, zone).date()
    for hours, come in ((0, 1), (1, 2), (24, 0), (72, 1)):
        with time_machine.travel(moment + timedelta(hours=hours)), tx():
            people(come, city="Austin")
            if hours == 1:
                run("UPDATE leads SET city = NULL WHERE id = (SELECT min(id) FROM leads)")
            syncing.sync(segments.get(made.id))
    with tx():
        kept = [(row.on_date - first, row.size, row.entered, row.exited) for row in membership.flows(made.id, first)]
        assert [(days.days, *rest) for days, *rest in kept] == [(0, 4, 5, 1), (1, 4, 0, 0), (3, 5, 1, 0)]
        # The last day before the first one asked for says how large it was until then.
        assert [row.on_date - first for row in membership.flows(made.id, first + timedelta(days=2))] == [
            timedelta(days=1), timedelta(days=3),
        ]  # fmt: skip


def test_who_was_a_member_at_a_moment(cast, tx):
    with tx():
        (lead,) = people(1, city="Austin")
        made = segment("Austin", rule("city", "equals", "Austin"))
        syncing.sync(made)
        run("UPDATE segment_members SET entered_at = '2026-01-10', exited_at = '2026-01-20'")
        for day, was in (("09", False), ("10", True), ("19", True), ("20", False), ("21", False)):
            at = datetime.fromisoformat(f"2026-01-{day}T00:00:00+00:00")
            found = db.session.scalars(db.select(leads.Lead.id).where(membership.on(made.id, at))).all()
            assert (found == [lead]) is was, day


def test_segments_stand_behind_those_they_ask_about(cast, tx):
    with tx():
        a, b, c, d = (segment(name) for name in "ABCD")
        segments.save(b, {"criteria": tree(inside(c))})
        segments.save(d, {"criteria": tree(tree(inside(a), inside(c), match="any"))})
        segments.save(a, {"criteria": tree(inside(b, c))})
        assert [one.name for one in syncing.in_order([a, b, c, d])] == ["C", "B", "A", "D"]
        assert [one.name for one in syncing.in_order([d, b])] == ["B", "D"]


def test_a_circle_is_refused_with_its_path(cast, tx):
    with tx():
        a, b, c = (segment(name) for name in ("First", "Second", "Third"))
        segments.save(b, {"criteria": tree(inside(a))})
        segments.save(c, {"criteria": tree(rule("city", "is_set"), tree(inside(b), match="none"))})
        for rules, place, path in (
            ([inside(c)], "rules.0", "First → Third → Second → First"),
            ([rule("city", "is_set"), tree(inside(c, b), match="any")], "rules.1.rules.0", "First → Second → First"),
            ([inside(a)], "rules.0", "First → First"),
        ):
            with pytest.raises(Invalid) as caught:
                segments.save(a, {"criteria": tree(*rules)})
            assert list(caught.value.errors) == [place]
            assert caught.value.errors[place].endswith(f"circle: {path}.")
        segments.save(c, {"criteria": tree()})
        segments.save(a, {"criteria": tree(inside(c))})


@pytest.mark.parametrize(("field", "operator"), [("segment", "in"), ("segment", "not_in"), ("owner_id", "equals")])
def test_a_rule_on_what_is_not_there_is_refused_at_its_place(cast, tx, field, operator):
    with transaction(cast.other_org):
        elsewhere = segment("Elsewhere").id if field == "segment" else cast.stranger
    with tx():
        for id in (elsewhere, 10**12):
            with pytest.raises(Invalid) as caught:
                segment("X", rule("city", "is_set"), rule(field, operator, id if operator == "equals" else [id]))
            assert list(caught.value.errors) == ["rules.1"]
            assert "not there any more" in caught.value.errors["rules.1"]


def test_a_rule_on_a_campaign_or_a_fact_that_was_never_there_is_refused(cast, tx):
    with tx():
        for asked in (rule("event.email_opened", "did", {"campaign_id": 10**9}), rule("event.moon_seen", "did")):
            with pytest.raises(Invalid) as caught:
                segment("X", asked)
            assert list(caught.value.errors) == ["rules.0"]


def test_a_segment_that_is_asked_about_is_not_removed(cast, tx):
    with tx():
        asked = segment("Asked")
        for name in ("One", "Two"):
            segment(name, tree(tree(inside(asked), match="none"), match="any"))
        with pytest.raises(Refused, match="The rules of One, Two ask about this segment"):
            segments.remove(asked)
        for user in segments.used_by(asked):
            segments.save(user, {"criteria": tree()})
        segments.remove(asked)
        with pytest.raises(NotFound):
            segments.get(asked.id)


def test_what_somebody_else_saved_meanwhile_is_not_written_over(cast, tx):
    with tx():
        made = segment("Mine")
        assert made.version == 1
    with tx():
        assert segments.save(segments.get(made.id), {"name": "Theirs"}, version=1).version == 2
    with tx():
        with pytest.raises(Changed) as caught:
            segments.save(segments.get(made.id), {"name": "Mine again"}, version=1)
        assert (caught.value.segment.name, caught.value.segment.version) == ("Theirs", 2)
    with tx():
        assert segments.save(segments.get(made.id), {"description": "Whatever is there"}).name == "Theirs"


def test_leads_deleted_for_good_leave_nothing_behind(cast, tx):
    with tx():
        ids = people(2, city="Austin")
        made = segment("Austin", rule("city", "equals", "Austin"))
        syncing.sync(made)
        run("DELETE FROM leads WHERE id = :id", id=ids[0])
        assert syncing.sync(made) == {}
        assert (stored(made.id), made.estimated_size) == ({ids[1]}, 1)
        segments.remove(made)
        assert value("SELECT count(*) FROM segment_members") == value("SELECT count(*) FROM segment_sizes") == 0


def test_asking_with_ids_asks_about_those_alone(cast, tx):
    with tx():
        ids = people(3, city="Austin")
        everybody = segment("All")
        made = segment("Austin", rule("city", "equals", "Austin"), inside(everybody))
        found = segments.people(made.tree, leads.Lead.id, asking=Asking(ids=tuple(ids[:1])))
        # As stored: nobody is in "All" before it was brought up to date.
        assert db.session.scalars(found).all() == []
        for asked in syncing.in_order([made, everybody]):
            syncing.sync(asked)
        assert db.session.scalars(found).all() == ids[:1]
        assert by_rules(made.id) == set(ids)
