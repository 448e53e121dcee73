"""The jobs of the house, run as the timers run them."""

import threading
from types import SimpleNamespace

from webapp import schedule
from webapp.audience import leads
from webapp.audience.imports import imports
from webapp.audience.leads import PURGE_DAYS
from webapp.platform import idempotency
from webapp.platform.db import run, transaction, value
from webapp.platform.jobs import run_once, tick_of


def test_jobs_have_names_of_their_own():
    names = [job.name for job in schedule.JOBS]
    assert len(names) == len(set(names))
    assert all(job.every >= 1 and job.summary for job in schedule.JOBS)


def test_cleaning_up_forgets_what_is_old_and_nothing_else(app, cast):
    with transaction(cast.org):
        old, fresh = (leads.create({"email": f"{name}@example.com"}).id for name in ("old", "fresh"))
        leads.remove([old, fresh])
        run("UPDATE leads SET deleted_at = now() - :d * interval '1 day' WHERE id = :id", id=old, d=PURGE_DAYS + 1)
        idempotency.begin(cast.admin, "old", "POST")
        run("UPDATE idempotency_keys SET created_at = now() - interval '2 days'")
        idempotency.begin(cast.admin, "fresh", "POST")
        for name in ("old", "fresh"):
            imports.start(f"{name}.csv", b"email\na@example.com\n")
        run("UPDATE imports SET updated_at = now() - interval '8 days' WHERE file_name = 'old.csv'")
    with transaction():
        # The timers of a browser test may have been at it in this very hour.
        run("DELETE FROM job_runs WHERE job = 'clean-up'")
    job = next(job for job in schedule.JOBS if job.name == "clean-up")
    assert run_once(job, "here", tick_of(job))
    with transaction(cast.org):
        assert value("SELECT array_agg(id) FROM leads") == [fresh]
        assert value("SELECT array_agg(key) FROM idempotency_keys") == ["fresh"]
        assert value("SELECT count(*) FROM import_files") == 1
        assert value("SELECT count(*) FROM imports") == 2
    with transaction():
        assert value("SELECT outcome FROM job_runs WHERE job = 'clean-up'") == "done"


def test_who_waits_for_a_silent_server_leaves_the_other_threads_at_work(app, monkeypatch):
    due, served, others_served, freed = [1], [], threading.Event(), []

    def serve(_runner, org_id: int, _tend: bool) -> int:
        served.append(org_id)
        if served == [1]:
            freed.append(others_served.wait(20))
        elif org_id == 2:
            due.clear()
            others_served.set()
        return 0

    monkeypatch.setattr(schedule, "_serve", serve)
    monkeypatch.setattr(schedule.work, "due", lambda _kind: list(due))
    monkeypatch.setitem(app.extensions, "runner", SimpleNamespace(app=app, node="here", stopping=threading.Event()))
    later = threading.Timer(1.5, lambda: due.append(2))
    later.start()
    with app.app_context():
        schedule.send()
    later.join()
    assert 2 in served and freed == [True]
