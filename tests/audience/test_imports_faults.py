"""An import is done once, whole or not at all: killed, cancelled, doubled, overtaken."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.audience.imports_data import Desk, csv_of, many
from webapp.audience import leads
from webapp.audience.imports import imports, running, staging
from webapp.platform import tenancy, work
from webapp.platform.db import run, transaction, value
from webapp.platform.errors import Refused

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys
from pathlib import Path
from tests.conftest import settings
from webapp import create_app
from webapp.audience.imports import imports, running
from webapp.platform import tenancy
app = create_app(settings(Path(sys.argv[1])), sys.argv[2])
running.BEAT_SECONDS = 0
with app.app_context(), tenancy.scope(int(sys.argv[3])):
    imports.run_next("other process")
"""


@pytest.fixture
def desk(app, cast):
    return Desk(app, cast.org, cast.marketer)


@pytest.fixture
def often():
    """Every batch shows its progress, and not one a second."""
    seconds, running.BEAT_SECONDS = running.BEAT_SECONDS, 0
    yield
    running.BEAT_SECONDS = seconds


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def expire(desk: Desk, import_id: int) -> None:
    with transaction(desk.org):
        run("UPDATE imports SET lease_until = now() - interval '1 second' WHERE id = :id", id=import_id)


def nothing_of_it(desk: Desk) -> None:
    with transaction(desk.org):
        for table in ("leads", "lead_events", "consents", "import_changes", "import_errors"):
            assert value(f"SELECT count(*) FROM {table}") == 0, table


def in_thread(desk: Desk, results: list) -> threading.Thread:
    def work_off() -> None:
        with desk.app.app_context(), tenancy.scope(desk.org):
            results.append(imports.run_next(f"thread {threading.get_ident()}"))

    thread = threading.Thread(target=work_off)
    thread.start()
    return thread


def test_a_killed_process_leaves_nothing_and_the_next_one_does_it(desk, database_url, tmp_path):
    import_id = desk.bring(many(60_000), consent=["email"], consent_source="all signed")
    command = [sys.executable, "-c", WORKER, str(tmp_path), database_url, str(desk.org)]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(lambda: desk.row(import_id).progress > 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (desk.row(import_id).status, desk.row(import_id).created) == ("running", 0)
    assert desk.work() == 0, "its lease still runs"
    nothing_of_it(desk)
    expire(desk, import_id)
    assert desk.work() == 1
    assert desk.counts(import_id) == (60_000, 60_000, 0, 0, 0)
    assert desk.row(import_id).attempts == 2
    with transaction(desk.org):
        for table in ("leads", "consents", "lead_events WHERE type = 'lead_created'"):
            assert value(f"SELECT count(*) FROM {table}") == 60_000
    assert desk.work() == 0


def test_the_lease_brings_the_work_back(desk):
    import_id = desk.bring(many(3))
    with transaction(desk.org):
        claim = running._claim("gone")
        work.settle("imports", running._next_due)
    assert claim.import_id == import_id
    assert desk.org not in work.due("imports")
    with transaction(desk.org):
        due = value("SELECT due_at FROM work_due WHERE kind = 'imports'")
    assert due == desk.row(import_id).lease_until


def test_who_raises_half_way_changes_nothing(desk):
    class Broken(running.Claim):
        def beat(self, read=None):
            if read is None:
                raise RuntimeError("half way through the merge")

    import_id = desk.bring(many(30))
    with transaction(desk.org):
        claim = running._claim("test")
        broken = Broken(claim.import_id, claim.token)
        with pytest.raises(RuntimeError):
            running._attempt(broken)
    nothing_of_it(desk)
    expire(desk, import_id)
    desk.work()
    assert desk.counts(import_id) == (30, 30, 0, 0, 0)


def test_who_was_given_up_cannot_finish(desk):
    import_id = desk.bring(many(30))
    with tenancy.scope(desk.org):
        with transaction():
            first = running._claim("slow")
        expire(desk, import_id)
        with transaction(desk.org):
            second = running._claim("quick")
        with pytest.raises(running.Stopped):
            running._attempt(first)
        nothing_of_it(desk)
        running._attempt(second)
        with pytest.raises(running.Stopped):
            running._attempt(first)
        running._fail(first, "never mind")
    assert desk.row(import_id).status == "done"
    assert desk.counts(import_id) == (30, 30, 0, 0, 0)


def test_a_file_that_kills_its_process_stops_doing_so(desk):
    import_id = desk.bring(many(3))
    for _ in range(running.MAX_ATTEMPTS):
        with transaction(desk.org):
            assert running._claim("killed") is not None
        expire(desk, import_id)
    other = desk.bring(many(2))
    assert desk.work() == 1
    assert desk.row(other).status == "done"
    assert desk.row(import_id).status == "failed"
    assert "cut off" in desk.row(import_id).message


def test_cancelled_half_way(desk, often):
    import_id = desk.bring(many(60_000))
    results: list = []
    thread = in_thread(desk, results)
    wait_for(lambda: 0 < desk.row(import_id).progress < 60_000)
    with transaction(desk.org):
        imports.cancel(imports.get(import_id))
    thread.join(60)
    assert results == [True]
    row = desk.row(import_id)
    assert (row.status, row.created, row.message) == ("cancelled", 0, "Cancelled. Nothing was changed.")
    nothing_of_it(desk)
    with transaction(desk.org):
        imports.queue(imports.get(import_id))
    desk.work()
    assert desk.counts(import_id) == (60_000, 60_000, 0, 0, 0)


def test_cancelled_before_and_after(desk):
    import_id = desk.bring(many(3))
    with transaction(desk.org):
        imports.cancel(imports.get(import_id))
        with pytest.raises(Refused):
            imports.cancel(imports.get(import_id))
    assert desk.work() == 0
    done = desk.take(many(3))
    with transaction(desk.org), pytest.raises(Refused):
        imports.cancel(imports.get(done.id))


def test_two_workers_do_one_import_once(desk):
    import_id = desk.bring(many(8_000))
    results: list = []
    threads = [in_thread(desk, results) for _ in range(4)]
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [False, False, False, True]
    assert desk.counts(import_id) == (8_000, 8_000, 0, 0, 0)
    assert len(desk.leads()) == 8_000


def test_two_imports_of_the_same_people_at_once(desk):
    ids = [desk.bring(many(3_000)) for _ in range(3)]
    results: list = []
    threads = [in_thread(desk, results) for _ in range(3)]
    for thread in threads:
        thread.join(60)
    desk.work()
    counts = [desk.counts(import_id) for import_id in ids]
    assert sorted(counts) == [(3_000, 0, 0, 3_000, 0), (3_000, 0, 0, 3_000, 0), (3_000, 3_000, 0, 0, 0)]
    assert len(desk.leads()) == 3_000


def test_somebody_adds_the_same_lead_meanwhile(desk):
    class Overtaken(running.Claim):
        """Lets a person type in one of the file's leads between the matching and the making."""

        done = False

        def beat(self, read=None):
            if read is None and not self.done:
                self.done = True
                thread = threading.Thread(target=type_in)
                thread.start()
                thread.join()

    def type_in() -> None:
        with desk.app.app_context(), transaction(desk.org):
            leads.create({"email": "person7@example.com", "city": "Reno"})

    import_id = desk.bring(many(30))
    with tenancy.scope(desk.org):
        with transaction():
            claim = running._claim("test")
        running._attempt(Overtaken(claim.import_id, claim.token))
    assert desk.counts(import_id) == (30, 29, 1, 0, 0)
    assert (desk.lead("person7@example.com").city, desk.lead("person7@example.com").first_name) == ("Reno", "First7")


def test_progress_is_seen_while_it_works(desk, often):
    seen: list[int] = []

    class Watched(running.Claim):
        def beat(self, read=None):
            super().beat(read)
            with desk.app.app_context(), transaction(desk.org):
                seen.append(value("SELECT progress FROM imports WHERE id = :id", id=self.import_id))

    import_id = desk.bring(many(staging.BATCH * 3 + 1))
    with tenancy.scope(desk.org):
        with transaction():
            claim = running._claim("test")
        # The look is taken in another context's session, as the page does it.
        watched = Watched(claim.import_id, claim.token)
        running._attempt(watched)
    assert seen[:4] == [staging.BATCH, staging.BATCH * 2, staging.BATCH * 3, staging.BATCH * 3 + 1]
    assert desk.row(import_id).status == "done"


def test_a_bad_row_does_not_hold_up_the_queue(desk):
    first = desk.bring(csv_of(["Mail", "City"], ["nobody", "x"], ["a@example.com", "y"]), {"0": "email", "1": "city"})
    second = desk.bring(many(2))
    assert desk.work() == 2
    assert desk.counts(first) == (2, 1, 0, 0, 1)
    assert desk.counts(second) == (2, 2, 0, 0, 0)


def test_nothing_is_taken_back_while_another_import_merges(desk):
    done = desk.take(many(3))

    class Interrupted(running.Claim):
        def beat(self, read=None):
            if read is None:
                refused.append(in_other_context())

    def in_other_context() -> str:
        said: list[str] = []

        def take_back() -> None:
            with desk.app.app_context(), transaction(desk.org):
                try:
                    imports.undo(imports.get(done.id))
                except Refused as problem:
                    said.append(problem.message)

        thread = threading.Thread(target=take_back)
        thread.start()
        thread.join()
        return said[0]

    refused: list[str] = []
    desk.bring(many(5))
    with tenancy.scope(desk.org):
        with transaction():
            claim = running._claim("test")
        running._attempt(Interrupted(claim.import_id, claim.token))
    assert "Another import" in refused[0]
    with transaction(desk.org):
        assert imports.undo(imports.get(done.id)).removed == 3
