"""One change for many leads: each is changed once, whatever is cut off, and a few can be changed back."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from webapp.audience import bulk, bulk_running, lead_filters, leads, timeline
from webapp.audience.bulk import BulkAction
from webapp.audience.leads import ALIVE, Lead
from webapp.platform import tenancy
from webapp.platform.db import db, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound, Refused


@pytest.fixture
def some(cast, tx) -> list[int]:
    with tx():
        return [leads.create({"first_name": f"L{n}", "tags": ["old"] if n % 2 else []}).id for n in range(6)]


@pytest.fixture
def many(cast, tx, monkeypatch) -> list[int]:
    """More than are done at once, in several chunks."""
    monkeypatch.setattr(bulk_running, "CHUNK", 100)
    with tx():
        run("INSERT INTO leads (last_name, source, state) SELECT 'L' || g, 'x', CASE WHEN g % 2 = 0 THEN 'TX' END"
            " FROM generate_series(1, 950) g")  # fmt: skip
        return [row.id for row in rows("SELECT id FROM leads ORDER BY id")]


@pytest.fixture
def static(cast, tx) -> int:
    with tx():
        return value(
            "INSERT INTO segments (name, slug, criteria, is_dynamic) VALUES ('Hand', 'hand', '{}', false) RETURNING id"
        )


def facts(lead: int) -> list[tuple[str, dict]]:
    return [(row.type, row.payload) for row in timeline.of_lead(lead) if row.type != "lead_created"]


def column(field: str, ids: list[int]) -> list:
    return [row[0] for row in rows(f"SELECT {field} FROM leads WHERE id = ANY(:ids) ORDER BY id", ids=ids)]


def work_off(org: int) -> None:
    with tenancy.scope(org):
        while bulk_running.run_slice("test", 60):
            pass


@pytest.mark.parametrize(
    ("action", "argument", "field", "changed", "fact"),
    [
        ("add_tag", {"tag": " Old "}, "tags", 3, ("lead_updated", {"changes": {"tags": [[], ["old"]]}})),
        ("remove_tag", {"tag": "old"}, "tags", 3, ("lead_updated", {"changes": {"tags": [["old"], []]}})),
        ("status", {"status": "lost"}, "status", 6, ("status_changed", {"from": "new", "to": "lost"})),
        ("priority", {"priority": "high"}, "priority", 6, ("lead_updated", {"changes": {"priority": ["medium", "high"]}})),
        ("delete", {}, "deleted_at", 6, ("lead_deleted", {})),
    ],
)  # fmt: skip
def test_a_few_are_changed_at_once_and_back(some, tx, action, argument, field, changed, fact):
    with tx():
        before = column(field, some)
        done = bulk.start(action, argument, {"ids": some})
        assert (done.status, done.total, done.done, done.changed) == ("done", 6, 6, changed)
        assert sum(fact in facts(lead) for lead in some) == changed
        assert column(field, some) != before
        assert bulk.undo(done) == changed
        assert column(field, some) == before
        with pytest.raises(Refused):
            bulk.undo(done)


def test_leads_are_given_to_somebody_and_back(some, tx, cast):
    with tx():
        leads.update(leads.get(some[0]), {"owner_id": cast.agent})
        done = bulk.start("assign", {"owner_id": str(cast.marketer)}, {"ids": some})
        assert set(column("owner_id", some)) == {cast.marketer} and done.argument["named"] == "Marketer Person"
        leads.update(leads.get(some[5]), {"owner_id": cast.admin})
        assert bulk.undo(done) == 5
        assert column("owner_id", some) == [cast.agent, None, None, None, None, cast.admin]
        assert bulk.start("assign", {"owner_id": ""}, {"ids": some}).changed == 2


def test_leads_go_into_a_static_segment_and_out(some, tx, static):
    with tx():
        inside = "SELECT count(*) FROM segment_members WHERE exited_at IS NULL"
        assert bulk.start("add_to_segment", {"segment_id": static}, {"ids": some[:2]}).changed == 2
        done = bulk.start("add_to_segment", {"segment_id": str(static)}, {"ids": some})
        assert (done.changed, value(inside)) == (4, 6)
        assert bulk.undo(done) == 4 and value(inside) == 2
        assert bulk.start("remove_from_segment", {"segment_id": static}, {"ids": some}).changed == 2
        assert value(inside) == 0
        assert ("segment_exited", static) in [(kind, about.get("segment_id")) for kind, about in facts(some[0])]


@pytest.mark.parametrize(
    ("action", "argument", "field"),
    [("explode", {}, "action"), ("add_tag", {"tag": " "}, "tag"), ("add_tag", {}, "tag"), ("status", {"status": "x"}, "status"),
     ("priority", {"priority": None}, "priority"), ("assign", {"owner_id": "x"}, "owner_id"), ("assign", {"owner_id": 10**30}, "owner_id"),
     ("assign", {"owner_id": "²"}, "owner_id"), ("add_to_segment", {"segment_id": "0"}, "segment_id"),
     ("add_to_segment", {}, "segment_id"), ("add_tag", {"tag": ["a"]}, "tag")],
)  # fmt: skip
def test_what_cannot_be_done_is_said(some, tx, action, argument, field):
    with tx():
        with pytest.raises(Invalid) as caught:
            bulk.start(action, argument, {"ids": some})
        assert list(caught.value.errors) == [field]
        assert value("SELECT count(*) FROM bulk_actions") == 0


def test_nobody_is_put_into_a_segment_that_has_rules(some, tx):
    with tx():
        ruled = value("INSERT INTO segments (name, slug, criteria) VALUES ('R', 'r', '{}') RETURNING id")
        with pytest.raises(Invalid, match="Rules decide"):
            bulk.start("add_to_segment", {"segment_id": ruled}, {"ids": some})


def test_what_belongs_to_another_organisation_is_left_alone(some, tx, cast, static):
    with tx(cast.other_org):
        foreign = leads.create({"first_name": "Foreign"}).id
        with pytest.raises(Invalid):
            bulk.start("delete", {}, {"ids": some})
        with pytest.raises(Invalid):
            bulk.start("add_to_segment", {"segment_id": static}, {"ids": [foreign]})
    with tx():
        with pytest.raises(Invalid, match="No lead is selected"):
            bulk.start("delete", {}, {"ids": [foreign]})
        assert bulk.start("delete", {}, {"ids": [foreign, some[0]]}).changed == 1


def test_many_are_changed_in_the_background(many, tx, cast):
    with tx():
        started = bulk.start("add_tag", {"tag": "vip"}, {"filter": {"state": "t"}}, cast.marketer).id
        assert bulk.get(started).status == "queued"
        late = leads.create({"first_name": "Late", "state": "TX"}).id
    with tx():
        run("UPDATE leads SET tags = '{vip}' WHERE id = ANY(:ids)", ids=many[1:41:2])
    work_off(cast.org)
    with tx():
        done = bulk.get(started)
        assert (done.status, done.total, done.done, done.changed) == ("done", 475, 475, 455)
        assert value("SELECT count(*) FROM leads WHERE tags = '{vip}'") == 475
        assert leads.get(late).tags == [], "came after it was asked for"
        assert value("SELECT count(*) FROM lead_events WHERE type = 'lead_updated' AND actor = :who",
                     who=f"user:{cast.marketer}") == 455  # fmt: skip
        assert not done.can_be_undone


def test_what_no_longer_matches_once_it_is_changed_is_done_all_the_same(many, tx, cast):
    with tx():
        started = bulk.start("status", {"status": "lost"}, {"filter": {"status": "new"}}).id
    work_off(cast.org)
    with tx():
        assert (bulk.get(started).changed, bulk.get(started).total) == (950, 950)


def test_one_cut_off_goes_on_where_it_was(many, tx, cast, monkeypatch):
    with tx():
        started = bulk.start("add_tag", {"tag": "vip"}, {"filter": {}}).id
    real, calls = bulk_running._chunk, []

    def killed(claim):
        calls.append(claim)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(claim)

    monkeypatch.setattr(bulk_running, "_chunk", killed)
    with pytest.raises(KeyboardInterrupt), tx():
        bulk_running.run_slice("first", 60)
    monkeypatch.setattr(bulk_running, "_chunk", real)
    with tx():
        assert (bulk.get(started).status, bulk.get(started).done) == ("running", 200)
        assert not bulk_running.run_slice("second", 60), "its lease has not run out"
    with tx():
        run("UPDATE bulk_actions SET lease_until = now() - interval '1 second'")
    with tx():
        while bulk_running.run_slice("second", 60):
            pass
    with tx():
        done = bulk.get(started)
        assert (done.status, done.done, done.changed) == ("done", 950, 950)
        assert value("SELECT count(*) FROM lead_events WHERE type = 'lead_updated'") == 950


def test_the_one_that_was_given_up_cannot_go_on(many, tx, cast, monkeypatch):
    with tx():
        bulk.start("add_tag", {"tag": "vip"}, {"filter": {}})
    with tx():
        stale = bulk_running._claim("slow")
        run("UPDATE bulk_actions SET node = 'somebody else'")
    with pytest.raises(bulk_running.Stopped), tx():
        bulk_running._chunk(stale)


def test_a_cancelled_one_stops_and_keeps_what_it_did(many, tx, cast, monkeypatch):
    with tx():
        started = bulk.start("priority", {"priority": "low"}, {"filter": {}}).id
    with tx():
        bulk_running.run_slice("test", 0)
    with tx():
        bulk_running.run_slice("test", 0)
    with tx():
        bulk.cancel(bulk.get(started))
    with tx():
        assert not bulk_running.run_slice("test", 60)
    with tx():
        done = bulk.get(started)
        assert (done.status, done.changed) == ("cancelled", 100)
        with pytest.raises(Refused):
            bulk.cancel(done)


def test_a_segment_that_is_gone_meanwhile_is_said(many, tx, cast, static):
    with tx():
        started = bulk.start("add_to_segment", {"segment_id": static}, {"filter": {}}).id
        run("DELETE FROM segments WHERE id = :id", id=static)
    with tx():
        bulk_running.run_slice("test", 60)
    with tx():
        assert (bulk.get(started).status, bulk.get(started).error) == (
            "failed",
            "That segment does not exist any more.",
        )


def test_two_workers_do_it_once(many, tx, cast, app):
    with tx():
        for tag in ("a", "b", "c"):
            bulk.start("add_tag", {"tag": tag}, {"filter": {}})
    gate = threading.Barrier(3)

    def work(n: int) -> None:
        with app.app_context(), transaction(cast.org):
            gate.wait()
            while bulk_running.run_slice(f"node {n}", 60):
                pass

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    with tx():
        assert {(row.status, row.changed) for row in db.session.query(BulkAction)} == {("done", 950)}
        assert value("SELECT count(*) FROM lead_events WHERE type = 'lead_updated'") == 2850


@pytest.mark.parametrize(
    ("narrowed", "names"),
    [({"status": "lost"}, {"b"}), ({"owner": "none"}, {"b", "c"}), ({"source": "FAIR"}, {"a", "c"}), ({"state": "t"}, {"a"}),
     ({"tag": "VIP"}, {"a"}), ({"customer_tier": "gold"}, {"c"}), ({"q": "b"}, {"b"}), ({"owner": "²"}, set()),
     ({"owner": "9" * 40}, set()), ({"nonsense": "x"}, set()), ({"source": "fair", "state": "tx"}, {"a"}), ({"state": "%"}, set())],
)  # fmt: skip
def test_filters_find_whom_they_name(cast, tx, narrowed, names):
    with tx():
        leads.create({"first_name": "a", "source": "Fair 2026", "state": "TX", "tags": ["vip"], "owner_id": cast.agent})
        leads.create({"first_name": "b", "status": "lost"})
        leads.create({"first_name": "c", "source": "fair", "customer_tier": "gold"})
        assert set(db.session.scalars(lead_filters.matching(narrowed, Lead.first_name))) == names
        mine = lead_filters.matching({"owner": str(cast.agent)}, Lead.first_name)
        assert list(db.session.scalars(mine)) == ["a"]
        assert db.session.query(Lead).filter(ALIVE).count() == 3


def test_nobody_elses_action_is_there(some, tx, cast):
    with tx():
        done = bulk.start("delete", {}, {"ids": some[:1]}).id
    with tx(cast.other_org), pytest.raises(NotFound):
        bulk.get(done)
