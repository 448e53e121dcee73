"""Turns: everybody is served in a little while, whatever the others have waiting."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.audience.members import statements
from tests.messaging import desk
from webapp.campaigns import dispatch
from webapp.campaigns.turns import Turns
from webapp.platform import tenancy
from webapp.platform.db import rows, value


def test_organisations_take_turns_and_leave_when_they_have_nothing():
    due = [1, 2, 3]
    turns = Turns(lambda: due)
    assert [turns.take()[0] for _ in range(5)] == [1, 2, 3, 1, 2]
    turns.give_back(3, False)
    due.remove(3)
    assert [turns.take()[0] for _ in range(3)] == [1, 2, 1]


def test_one_that_comes_later_is_served_within_a_moment():
    due = [1, 2]
    turns = Turns(lambda: due)
    turns.take()
    due.append(9)
    time.sleep(0.6)
    assert 9 in [turns.take()[0] for _ in range(2)]


def test_who_is_new_does_not_wait_for_all_the_others_nor_they_for_many_new_ones():
    due = list(range(1, 10))
    turns = Turns(lambda: due)
    assert [turns.take()[0] for _ in range(9)] == due
    due.extend(range(100, 120))
    time.sleep(0.6)
    taken = [turns.take()[0] for _ in range(12)]
    assert [org for org in taken if org >= 100] == list(range(100, 106)), "every other one is new"
    assert [org for org in taken if org < 100] == list(range(1, 7))


def test_one_alone_is_given_to_every_thread_and_tended_to_by_one():
    turns = Turns(lambda: [7])
    taken = [turns.take() for _ in range(8)]
    assert {org for org, _ in taken} == {7} and [tend for _, tend in taken].count(True) == 1


def test_who_had_work_is_looked_at_again_though_another_thread_found_nothing():
    due = [7]
    turns = Turns(lambda: due)
    turns.take()
    turns.take()
    due.clear()
    turns.give_back(7, False)
    assert turns.take() is None and turns.is_busy
    turns.give_back(7, True)
    assert turns.take()[0] == 7
    turns.give_back(7, False)
    assert turns.take() is None and not turns.is_busy


def test_threads_that_ask_at_the_same_moment_all_get_their_turn():
    def due() -> list[int]:
        time.sleep(0.2)
        return [7]

    turns = Turns(due)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: turns.take(), range(4)))
    assert [org for org, _ in filter(None, taken)] == [7] * 4


def test_nobody_due_is_nobodys_turn():
    assert Turns(list).take() is None


def test_a_small_campaign_is_not_behind_a_large_one_of_the_same_house(cast, tx):
    with tx():
        for number in range(60):
            desk.add_lead(number)
        large, small = desk.draft("Large"), desk.draft("Small")
        large.priority, small.priority = 1, 10
        ids = large.id, small.id
    for campaign_id in ids:
        desk.start(cast.org, campaign_id)
    with tenancy.scope(cast.org):
        # One batch each before either has its second.
        dispatch.send_for("test", 0, threading.Event())
        dispatch.send_for("test", 0, threading.Event())
    with tx():
        assert {row.campaign_id for row in rows("SELECT DISTINCT campaign_id FROM sends WHERE status = 'sent'")} == set(
            ids
        )


def test_a_campaign_whose_last_batch_came_in_while_we_looked_is_looked_at_again(cast, tx, monkeypatch):
    with tx():
        desk.add_lead(1)
        campaign_id = desk.draft().id
    desk.start(cast.org, campaign_id)
    desk.settle_some(cast.org, campaign_id, 1)
    with monkeypatch.context() as patched, tenancy.scope(cast.org):
        # Whoever sent it is killed now, and we had seen it on its way.
        patched.setattr(dispatch, "_tend", lambda _: None)
        dispatch.settle()
    with tx():
        assert desk.status(campaign_id) == "active"
        assert value("SELECT count(*) FROM work_due WHERE kind = 'campaigns'") == 1
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        assert desk.status(campaign_id) == "completed"
        assert value("SELECT count(*) FROM work_due WHERE kind = 'campaigns'") == 0


def test_looking_after_many_campaigns_costs_no_more_statements_than_after_one(cast, tx):
    def settling() -> int:
        with tenancy.scope(cast.org), statements() as seen:
            dispatch.settle()
        return len(seen)

    with tx():
        desk.add_lead(1)
        names = [desk.draft(f"Offer {n}").id for n in range(6)]
    desk.start(cast.org, names[0])
    settling()
    alone = settling()
    for campaign_id in names[1:]:
        desk.start(cast.org, campaign_id)
    assert settling() == alone
    with tx():
        assert [desk.status(campaign_id) for campaign_id in names] == ["active"] * 6
