"""The timeline: facts stand in an order that a follower can trust, whatever order their transactions commit in."""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp.audience import leads, timeline
from webapp.audience.timeline import Cursor
from webapp.platform import audit
from webapp.platform.clock import now
from webapp.platform.db import db, run, transaction, value


@pytest.fixture
def lead(cast, tx) -> int:
    with tx():
        return leads.create({"first_name": "Ada"}).id


@pytest.fixture
def connect(cast, app):
    """Returns a function that opens a connection of its own in the organisation's scope, not committed by itself."""
    opened = []

    def open_one():
        connection = psycopg.connect(str(db.engine.url.set(drivername="postgresql").render_as_string(False)))
        connection.execute("SELECT set_config('app.org_id', %s, false)", (str(cast.org),))
        connection.commit()
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


def write(connection, lead_id: int, number: int) -> None:
    connection.execute(
        "INSERT INTO lead_events (lead_id, type, payload) VALUES (%s, 'custom', jsonb_build_object('n', %s::int))",
        (lead_id, number),
    )


class Follower:
    """Reads the timeline as an automation does: from its cursor on, again and again."""

    def __init__(self, org: int):
        self.org, self.cursor, self.seen = org, Cursor(), []

    def look(self, limit: int = 1000) -> list[int]:
        with transaction(self.org):
            found = timeline.after(self.cursor, limit)
        if found:
            self.cursor = Cursor(found[-1].tx, found[-1].id)
        self.seen += [row.payload["n"] for row in found if row.type == "custom"]
        return self.seen

    def look_until(self, n: int) -> list[int]:
        # Transactions of other test processes on the same server hold the horizon back for a moment.
        deadline = time.monotonic() + 60
        while len(self.look()) < n and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.seen


def test_a_fact_that_commits_late_is_not_stepped_over(cast, lead, connect):
    slow, quick = connect(), connect()
    follower = Follower(cast.org)
    write(slow, lead, 1)
    write(quick, lead, 2)
    quick.commit()
    assert follower.look() == []
    slow.commit()
    assert follower.look_until(2) == [1, 2]
    assert follower.look() == [1, 2]


def test_a_fact_that_is_taken_back_holds_nobody_up(cast, lead, connect):
    slow, quick = connect(), connect()
    write(slow, lead, 1)
    write(quick, lead, 2)
    quick.commit()
    slow.rollback()
    assert Follower(cast.org).look_until(1) == [2]


def test_a_transaction_that_began_early_and_writes_late_is_not_stepped_over(cast, lead, connect):
    early, late = connect(), connect()
    early.execute("SELECT pg_current_xact_id()")
    write(late, lead, 1)
    late.commit()
    follower = Follower(cast.org)
    assert follower.look() == []
    write(early, lead, 2)
    early.commit()
    assert sorted(follower.look_until(2)) == [1, 2]


@settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(("write", "write", "commit", "rollback", "look"))), max_size=25
    )
)
def test_in_any_order_of_commits_everything_kept_is_seen_once(cast, lead, connect, steps):
    connections, pending, kept = [connect() for _ in range(3)], [[], [], []], []
    follower = Follower(cast.org)
    for number, (who, step) in enumerate([*steps, (0, "commit"), (1, "commit"), (2, "commit")]):
        if step == "look":
            follower.look(limit=2)
        elif step == "write":
            write(connections[who], lead, number)
            pending[who].append(number)
        else:
            getattr(connections[who], step)()
            kept += pending[who] if step == "commit" else []
            pending[who] = []
    follower.look_until(len(kept))
    assert sorted(follower.seen) == sorted(kept)
    for connection in connections:
        connection.close()
    with transaction(cast.org):
        run("DELETE FROM lead_events WHERE type = 'custom'")


def test_many_writers_and_a_follower_at_work_agree(cast, lead, connect):
    def work(connection, first: int) -> None:
        for number in range(first, first + 30):
            write(connection, lead, number)
            connection.commit()

    writers = [threading.Thread(target=work, args=(connect(), first)) for first in (0, 100, 200)]
    follower = Follower(cast.org)
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        follower.look(limit=7)
    seen = follower.look_until(90)
    assert sorted(seen) == [first + n for first in (0, 100, 200) for n in range(30)]
    for first in (0, 100, 200):
        assert [n for n in seen if first <= n < first + 30] == list(range(first, first + 30))


def test_nobody_follows_another_organisations_facts(cast, lead, tx):
    Follower(cast.org).look_until(0)
    with tx(cast.other_org):
        assert timeline.after(Cursor()) == []


def test_a_leads_facts_come_newest_first_page_by_page(cast, lead, tx):
    moment = now() + timedelta(hours=1)
    with tx():
        for n in range(5):
            timeline.record(lead, "custom", {"n": n}, at=moment + timedelta(minutes=n // 2))
        first = timeline.of_lead(lead, limit=3)
        rest = timeline.of_lead(lead, before=(first[-1].occurred_at, first[-1].id), limit=30)
        assert [row.payload.get("n") for row in [*first, *rest]] == [4, 3, 2, 1, 0, None]
        assert [row.type for row in timeline.of_lead(lead, types=["lead_created"])] == ["lead_created"]


def test_facts_name_who_caused_them(cast, lead, tx):
    with tx():
        token = audit.context.set({"actor_id": cast.admin})
        timeline.record(lead, "call_logged")
        timeline.record_select(
            "custom", "SELECT id, jsonb_build_object('who', first_name) FROM leads WHERE id = :lead", lead=lead
        )
        audit.context.reset(token)
        timeline.record_many([], "custom")
        newest, before, created = timeline.of_lead(lead)
        assert (newest.type, newest.payload, newest.actor) == ("custom", {"who": "Ada"}, f"user:{cast.admin}")
        assert (before.type, before.actor, created.actor) == ("call_logged", f"user:{cast.admin}", None)


def test_every_kind_of_fact_the_house_writes_has_words(cast, tx):
    with tx():
        assert all(words and icon for words, icon in timeline.FACTS.values())
        assert {f"email_{status}" for status in ("sent", "failed", "unknown", "skipped")} <= set(timeline.FACTS)
        assert value("SELECT count(*) FROM lead_events") == 0
