"""Segments follow what happens: every kind of change is heard at the next turn, what nobody reads is not asked about, and
the clock moves what nothing else does."""

from datetime import timedelta
from threading import Event

import pytest
import time_machine

from tests.audience.imports_data import Desk, csv_of
from tests.audience.members import (
    change,
    check,
    in_thread,
    inside,
    readable,
    rule,
    segment,
    settled,
    statements,
    stored,
    tree,
)
from webapp.audience import consents, following, leads, membership, segments, syncing, timeline
from webapp.audience.segments import SWEEP
from webapp.audience.timeline import FOLLOWED
from webapp.platform import work
from webapp.platform.clock import now
from webapp.platform.db import run, value
from webapp.platform.errors import Invalid


def lapse(lead_id: int) -> None:
    run("INSERT INTO policies (lead_id, number, status) VALUES (:lead, 'P1', 'lapsed')", lead=lead_id)
    timeline.record(lead_id, "policy_lapsed", {"number": "P1"})


def pick(lead_id: int) -> None:
    membership.add(segments.get(value("SELECT id FROM segments WHERE name = 'Picked'")), [lead_id])


# What happens to a lead -> the rule it makes true.
CHANGES = {
    "edit": (rule("city", "equals", "Reno"), lambda id: leads.update(leads.get(id), {"city": "Reno"})),
    "attribute": (rule("attributes.plan", "equals", "gold"),
                  lambda id: leads.update(leads.get(id), {"attributes": {"plan": "Gold"}})),
    "tag": (rule("tags", "has_any", ["vip"]), lambda id: leads.update(leads.get(id), {"tags": ["vip"]})),
    "status": (rule("status", "equals", "lost"), lambda id: leads.update(leads.get(id), {"status": "lost"})),
    "birth date": (rule("date_of_birth", "is_set"),
                   lambda id: leads.update(leads.get(id), {"date_of_birth": now().date()})),
    "consent": (rule("consent.sms", "equals", "pending"),
                lambda id: consents.set_consent(id, "sms", "pending", source="test")),
    "policy": (rule("policies", "has", {"status": "lapsed"}), lapse),
    "number of policies": (rule("policy_count", "greater_than", 0), lapse),
    "event": (rule("event.page_visited", "did"), lambda id: timeline.record(id, "page_visited")),
    "second event": (rule("event.custom", "did", {"times": 2}),
                     lambda id: timeline.record_many([(id, {}), (id, {})], "custom")),
    "activity": (rule("event.page_visited", "did", {"within": "30 days"}),
                 lambda id: timeline.record(id, "page_visited", at=now() - timedelta(days=3))),
    "any change": (rule("updated_at", "after", "2020-01-01"),
                   lambda id: leads.update(leads.get(id), {"region": "South"})),
    "picked into another": (rule("segment", "in", ["Picked"]), pick),
}  # fmt: skip


@pytest.fixture
def house(cast, tx):
    """Two leads of an organisation whose timeline has been followed so far: (changing, untouched)."""
    with tx():
        ids = [leads.create({"first_name": name}).id for name in ("Ada", "Bo")]
        run("UPDATE leads SET updated_at = '2019-01-01'")
        segments.save(None, {"name": "Picked", "is_dynamic": False})
    settled(cast.org)
    return ids


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_heard_at_the_next_turn(cast, tx, house, kind):
    asked, happen = CHANGES[kind]
    changing, untouched = house
    with tx():
        if asked["field"] == "segment":
            asked = inside(segments.get(value("SELECT id FROM segments WHERE name = 'Picked'")))
        made = segment("Heard", asked)
    settled(cast.org)
    with tx():
        assert stored(made.id) == set()
        happen(changing)
    settled(cast.org)
    with tx():
        assert stored(made.id) == {changing}
    assert check(cast.org)["segment_entered"] == (2 if kind == "picked into another" else 1)


def test_leads_that_come_go_and_come_back_are_heard(app, cast, tx, house):
    desk = Desk(app, cast.org, cast.marketer)
    with tx():
        made = segment("Texas", rule("state", "equals", "TX"))
    settled(cast.org)
    desk.bring(
        csv_of(
            ["First name", "E-mail", "State"],
            *([f"P{n}", f"p{n}@x.example", s] for n, s in enumerate(["TX", "CA", "TX"])),
        )
    )
    desk.work()
    settled(cast.org)
    with tx():
        came = stored(made.id)
        assert len(came) == 2
        leads.remove([min(came)])
    settled(cast.org)
    with tx():
        assert stored(made.id) == came - {min(came)}
        leads.restore([min(came)])
    settled(cast.org)
    with tx():
        assert stored(made.id) == came
    assert check(cast.org) == {"segment_entered": 3, "segment_exited": 1}


def test_a_change_runs_through_segments_that_ask_about_each_other_in_one_turn(cast, tx, house):
    changing, untouched = house
    with tx():
        last, middle, first = segment("Last"), segment("Middle"), segment("First", rule("city", "equals", "Reno"))
        segments.save(middle, {"criteria": tree(inside(first))})
        segments.save(last, {"criteria": tree(tree(inside(middle), match="none"), inside(first), match="any")})
        ids = (first.id, middle.id, last.id)
    settled(cast.org)
    with tx():
        assert [stored(id) for id in ids] == [set(), set(), {changing, untouched}]
    change(cast.org, changing, city="Reno")
    settled(cast.org)
    with tx():
        assert [stored(id) for id in ids] == [{changing}, {changing}, {changing, untouched}]
    change(cast.org, changing, city="Austin")
    settled(cast.org)
    check(cast.org)
    with tx():
        assert [stored(id) for id in ids] == [set(), set(), {changing, untouched}]


def test_what_nobody_reads_is_not_asked_about(cast, tx, house):
    changing, _ = house
    with tx():
        for n in range(10):
            segment(f"City {n}", rule("city", "equals", f"City {n}"))
    settled(cast.org)

    def turn(**values) -> tuple[int, list[str]]:
        change(cast.org, changing, **values)
        readable(cast.org)
        with tx(), statements() as seen:
            assert following.follow() == 1
        return len(seen), [statement for statement in seen if "leads" in statement.replace("lead_events", "")]

    unread, asking = turn(priority="urgent")
    assert asking == [], "no segment reads the priority"
    # The scope, the cursor (twice), the backlog, the facts, the segments, and the cursor's new place.
    assert unread == 7
    read, asking = turn(city="City 3")
    assert len(asking) == 10, "one question a segment that reads the city, for one lead"
    assert read <= unread + 3 * 10 + 4, "a lock, the rules, a question each, and what one move writes"


def test_a_second_follower_leaves_it_to_the_first(app, cast, tx, house):
    changing, _ = house
    with tx():
        made = segment("Reno", rule("city", "equals", "Reno"))
    settled(cast.org)
    change(cast.org, changing, city="Reno")
    with tx():
        assert timeline.cursor_of("segments") is not None
        assert in_thread(app, cast.org, following.follow).result(10) == 0
    settled(cast.org)
    with tx():
        assert stored(made.id) == {changing}


def test_a_fact_of_a_transaction_still_open_is_not_stepped_over(app, cast, tx, house):
    first, second = house
    with tx():
        made = segment("Reno", rule("city", "equals", "Reno"))
    settled(cast.org)
    written, go_on = Event(), Event()

    def slowly() -> None:
        leads.update(leads.get(first), {"city": "Reno"})
        written.set()
        assert go_on.wait(10)

    slow = in_thread(app, cast.org, slowly)
    assert written.wait(10)
    change(cast.org, second, city="Reno")
    following.run_due(cast.org)
    with tx():
        assert stored(made.id) == set(), "the later fact waits for the earlier one"
    assert cast.org in work.due(FOLLOWED), "and somebody looks again"
    go_on.set()
    slow.result(10)
    settled(cast.org)
    with tx():
        assert stored(made.id) == {first, second}
    assert cast.org not in work.due(FOLLOWED)


def test_the_clock_moves_who_is_asked_about_by_time(cast, tx, house):
    active, idle = house
    moment = now()
    with tx():
        run("UPDATE leads SET date_of_birth = :day WHERE id = :id", day=moment.date() + timedelta(days=40), id=idle)
        timeline.record(active, "page_visited", at=moment)
        run("UPDATE leads SET last_activity_at = :at WHERE id = :id", at=moment, id=active)
        visited = segment("Visited", rule("event.page_visited", "did", {"within": "2 days"}))
        sleepy = segment("Sleepy", rule("inactive", "for", "3 days"), rule("event.page_visited", "did"))
        birthday = segment("Birthday", rule("birthday", "within", "10 days"))
        still = segment("Still", rule("first_name", "is_set"))
        both = segment("Both", inside(visited), inside(still))
        ids = [one.id for one in (visited, sleepy, birthday, both)]
    settled(cast.org)
    for days, expected in (
        (0, [{active}, set(), set(), {active}]),
        (1, [{active}, set(), set(), {active}]),
        (2.5, [set(), set(), set(), set()]),
        (3.5, [set(), {active}, set(), set()]),
        (35, [set(), {active}, {idle}, set()]),
        (60, [set(), {active}, set(), set()]),
    ):
        with time_machine.travel(moment + timedelta(days=days)):
            settled(cast.org)
            with tx():
                assert [stored(id) for id in ids] == expected, days
    with tx():
        assert following.next_sweep() is not None


def test_only_what_the_clock_moves_is_swept_every_few_minutes(cast, tx, house):
    with tx():
        clocked = segment("Clocked", rule("inactive", "for", "3 days"))
        segment("Still", rule("first_name", "is_set"))
        segment("Away", rule("inactive", "for", "3 days"), is_active=False)
    settled(cast.org)

    def due_after(time: timedelta) -> set[str]:
        with time_machine.travel(now() + time), tx():
            return {one.name for one in following._due(now())}

    assert due_after(timedelta(minutes=4)) == set()
    assert due_after(timedelta(minutes=6)) == {"Clocked"}
    assert due_after(timedelta(days=1, minutes=1)) == {"Clocked", "Still"}
    with tx():
        expected = segments.get(clocked.id).last_calculated_at + following.CLOCKED
        assert value("SELECT due_at FROM work_due WHERE kind = :kind", kind=SWEEP) == expected


def test_a_long_backlog_is_counted_afresh_and_jumped_over(cast, tx, house, monkeypatch):
    monkeypatch.setattr(following, "BACKLOG", 50)
    changing, untouched = house
    with tx():
        made = segment("Reno", rule("city", "equals", "Reno"))
        asking = segment("Asking", inside(made))
    settled(cast.org)
    with tx():
        timeline.record_many([(untouched, {})] * 60, "custom")
        leads.update(leads.get(changing), {"city": "Reno"})
    readable(cast.org)
    assert following.run_due(cast.org) == 0, "nothing was followed fact by fact"
    readable(cast.org)
    with tx():
        assert stored(made.id) == stored(asking.id) == {changing}
        assert timeline.after(timeline.cursor_of("segments"))[0].type == "segment_entered"
    change(cast.org, changing, city="Austin")
    settled(cast.org)
    check(cast.org)
    with tx():
        assert stored(made.id) == set()


def test_what_moves_by_hand_by_the_clock_or_by_a_sync_is_told_to_those_who_ask_about_it(cast, tx, house):
    changing, _ = house
    with tx():
        picked = segments.save(None, {"name": "By hand", "is_dynamic": False})
        made = segment("Dynamic", rule("city", "equals", "Reno"))
        asking = segment("Asking", inside(picked, made))
    settled(cast.org)
    work.tell()
    settled(cast.org)
    for verb in (
        lambda: membership.add(segments.get(picked.id), [changing]),
        lambda: membership.remove(segments.get(picked.id), [changing]),
        lambda: (
            run("UPDATE leads SET city = 'Reno' WHERE id = :id", id=changing),
            syncing.sync(segments.get(made.id)),
        ),
    ):
        assert cast.org not in work.due(FOLLOWED)
        with tx():
            verb()
        work.tell()
        assert cast.org in work.due(FOLLOWED)
        following.run_due(cast.org)
        work.tell()
        settled(cast.org)
        with tx():
            assert stored(asking.id) == stored(picked.id) | stored(made.id)


def test_what_is_woken_is_told_once_the_whole_transaction_is_there(cast, tx):
    work.tell()
    with tx():
        leads.create({"first_name": "Ada", "email": "a@b.example"})
        with pytest.raises(Invalid):
            leads.create({"first_name": "Bo", "email": "a@b.example"})
        leads.create({"first_name": "Cy", "email": "c@b.example"})
        assert work.tell() == 0, "savepoints are no commits"
    assert work.tell() == 1, "nor is a savepoint rolled back the end of all"
    with pytest.raises(ZeroDivisionError), tx():
        leads.create({"first_name": "Di"})
        raise ZeroDivisionError
    assert work.tell() == 0


def test_a_segment_taken_up_again_knows_what_happened_meanwhile(cast, tx, house):
    changing, _ = house
    change(cast.org, changing, city="Reno")
    with tx():
        made = segment("Reno", rule("city", "equals", "Reno"))
    settled(cast.org)
    with tx():
        segments.save(segments.get(made.id), {"is_active": False})
    change(cast.org, changing, city="Austin")
    settled(cast.org)
    with tx():
        assert stored(made.id) == {changing}
        segments.save(segments.get(made.id), {"is_active": True})
    settled(cast.org)
    with tx():
        assert stored(made.id) == set()


def test_new_rules_are_asked_by_the_next_turn(cast, tx, house):
    with tx():
        made = segment("Who", rule("first_name", "equals", "Ada"))
    settled(cast.org)
    with tx():
        segments.save(segments.get(made.id), {"criteria": tree(rule("first_name", "equals", "Bo"))})
        assert segments.get(made.id).last_calculated_at is None
    settled(cast.org)
    with tx():
        assert stored(made.id) == {house[1]}
        renamed = segments.save(segments.get(made.id), {"name": "Whoever"})
        assert renamed.last_calculated_at is not None, "a name moves nobody"
    check(cast.org)
