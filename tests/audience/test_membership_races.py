"""Members are kept by several hands at once: nothing that happens while they are at it is lost."""

import time
from concurrent.futures import Future
from threading import Barrier, Event, Thread

import pytest

from tests.audience.members import by_rules, change, check, in_thread, inside, rule, segment, settled, stored, tree
from tests.audience.storm import Storm
from webapp.audience import following, leads, membership, segments, syncing
from webapp.platform.db import run, transaction
from webapp.platform.errors import Invalid, NotFound


@pytest.fixture
def reno(cast, tx) -> tuple[int, int, int]:
    """(a segment, one who depends on it, a lead that is in neither)."""
    with tx():
        lead = leads.create({"first_name": "Ada"})
        made = segment("Reno", rule("city", "equals", "Reno"))
        asking = segment("Asking", inside(made))
        ids = made.id, asking.id, lead.id
    settled(cast.org)
    return ids


class Paused:
    """A sync of a segment in a thread that has read the leads and moved the members, and waits there."""

    def __init__(self, app, org: int, segment_id: int, monkeypatch):
        self.reached, self.go_on, count = Event(), Event(), membership.count_moves

        def count_and_wait(statement):
            moved = count(statement)
            if not self.reached.is_set():
                self.reached.set()
                assert self.go_on.wait(20)
            return moved

        monkeypatch.setattr(membership, "count_moves", count_and_wait)
        self.future: Future = in_thread(app, org, lambda: syncing.sync(segments.get(segment_id)))
        assert self.reached.wait(20)

    def finish(self) -> None:
        self.go_on.set()
        self.future.result(20)


def follow_once_readable() -> int:
    """Follows as soon as no older transaction of the server keeps the facts from being read."""
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if n := following.follow():
            return n
        time.sleep(0.05)
    return 0


def test_a_change_while_all_is_counted_is_not_lost(app, cast, tx, reno, monkeypatch):
    made, asking, lead = reno
    paused = Paused(app, cast.org, made, monkeypatch)
    change(cast.org, lead, city="Reno")
    follower = in_thread(app, cast.org, follow_once_readable)
    with pytest.raises(TimeoutError):
        follower.result(0.3)  # it waits for the one that counts
    paused.finish()
    assert follower.result(20) > 0
    settled(cast.org)
    with tx():
        assert stored(made) == stored(asking) == {lead}
    check(cast.org)


def test_a_backlog_jumped_over_while_all_is_counted_is_not_lost(app, cast, tx, reno, monkeypatch):
    made, asking, lead = reno
    monkeypatch.setattr(following, "BACKLOG", 1)
    paused = Paused(app, cast.org, made, monkeypatch)
    change(cast.org, lead, city="Reno")
    follower = in_thread(app, cast.org, following.follow)
    with pytest.raises(TimeoutError):
        follower.result(0.3)
    paused.finish()
    follower.result(20)
    with tx():
        assert segments.get(made).last_calculated_at is None, "counted, but before the change that was jumped over"
    following.run_due(cast.org)
    settled(cast.org)
    with tx():
        assert stored(made) == stored(asking) == {lead}


def test_new_rules_saved_while_all_is_counted_are_not_lost(app, cast, tx, reno, monkeypatch):
    made, asking, lead = reno
    change(cast.org, lead, city="Reno")
    paused = Paused(app, cast.org, made, monkeypatch)
    with tx():
        segments.save(segments.get(made), {"criteria": tree(rule("city", "equals", "Boise"))})
    paused.finish()
    with tx():
        assert stored(made) == {lead}, "by the rules as they were"
        assert segments.get(made).last_calculated_at is None, "which is not said to be how it stands"
    settled(cast.org)
    with tx():
        assert stored(made) == by_rules(made) == set()
    check(cast.org)


def test_the_rules_are_those_there_are_when_the_turn_comes(app, cast, tx, reno, monkeypatch):
    made, _, lead = reno
    change(cast.org, lead, city="Boise")
    paused = Paused(app, cast.org, made, monkeypatch)
    second = in_thread(app, cast.org, lambda: syncing.sync(segments.get(made)))
    with pytest.raises(TimeoutError):
        second.result(0.3)
    with tx():
        segments.save(segments.get(made), {"criteria": tree(rule("city", "equals", "Boise"))})
    paused.finish()
    assert second.result(20) == {"segment_entered": 1}
    with tx():
        assert stored(made) == {lead}
        assert segments.get(made).last_calculated_at is not None


def test_a_segment_deleted_meanwhile_is_said_to_be_gone(app, cast, tx, reno):
    _, made, lead = reno
    for verb in (
        syncing.sync,
        lambda one: syncing.sync_leads(one, [lead]),
        lambda one: segments.save(one, {"name": "X"}),
    ):
        with tx():
            held = segments.get(made)
            in_thread(app, cast.org, lambda id=made: segments.remove(segments.get(id))).result(10)
            with pytest.raises(NotFound):
                verb(held)
        with tx():
            made = segment("Another").id


def test_the_same_leads_picked_by_many_at_once_are_in_it_once(app, cast, tx):
    with tx():
        ids = [leads.create({"first_name": f"Lead {n}"}).id for n in range(20)]
        made = segments.save(None, {"name": "Picked", "is_dynamic": False}).id
    adding = [in_thread(app, cast.org, lambda: membership.add(segments.get(made), ids)) for _ in range(6)]
    assert sorted(future.result(30) for future in adding) == [0, 0, 0, 0, 0, 20]
    removing = [in_thread(app, cast.org, lambda: membership.remove(segments.get(made), ids[:5])) for _ in range(6)]
    assert sorted(future.result(30) for future in removing) == [0, 0, 0, 0, 0, 5]
    with tx():
        assert segments.get(made).estimated_size == 15


@pytest.mark.slow
def test_eight_syncs_and_many_edits_at_once_end_where_a_fresh_evaluation_does(app, cast):
    """Eight threads bring all segments up to date without rest while four others edit leads, one saves rules anew and the
    follower follows. Afterwards every segment holds whom its rules are true for, counted afresh, and for each lead and
    segment the facts of entering and leaving are exactly the rows. 1,200 edits here; 10,000 take about two minutes."""
    storm = Storm(app, cast.org, edits=1_200)
    storm.prepare(300)
    storm.blow()
    assert storm.done["edits"] == 1_200 and storm.done["rounds of syncs"] >= 8 and storm.done["facts followed"] > 0
    settled(cast.org)
    told = check(cast.org)
    with transaction(cast.org):
        # Nothing is left to be done: another full count moves nobody.
        for segment_id in storm.segment_ids[1:]:
            assert syncing.sync(segments.get(segment_id)).total() == 0
        assert run("SELECT 1 FROM segment_members WHERE exited_at IS NULL") == (
            told["segment_entered"] - told["segment_exited"]
        )


def test_two_saves_at_the_same_moment_make_no_circle(app, cast, tx):
    with tx():
        one, two = (segments.save(None, {"name": name}).id for name in ("One", "Two"))
    both_ready = Barrier(2)
    refused: list[str] = []

    def ask_about(own: int, other: int) -> None:
        with app.app_context():
            try:
                with transaction(cast.org):
                    segment = segments.get(own)
                    both_ready.wait(10)
                    rule = {"field": "segment", "operator": "in", "value": [other]}
                    segments.save(segment, {"criteria": {"match": "all", "rules": [rule]}})
            except Invalid as problem:
                refused.append(problem.errors["rules.0"])

    threads = [Thread(target=ask_about, args=pair) for pair in ((one, two), (two, one))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 1 and "circle" in refused[0]
