"""The job runner: one leader, each tick once, failures kept."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from webapp.platform import jobs
from webapp.platform.db import one, rows, run, transaction
from webapp.platform.jobs import Job

TICK = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nobody_leads(cast):
    with transaction():
        run("DELETE FROM scheduler_lease")
        run("DELETE FROM scheduler_nodes")
        run("DELETE FROM job_runs")


def beat(node: str) -> bool:
    with transaction():
        return jobs.beat(node)


def test_one_node_leads_and_keeps_leading():
    assert [beat("a"), beat("b"), beat("a"), beat("b")] == [True, False, True, False]


def test_a_lease_that_ran_out_goes_to_another():
    beat("a")
    with transaction():
        run("UPDATE scheduler_lease SET until = now() - interval '1 second'")
    assert [beat("b"), beat("a")] == [True, False]


def test_many_nodes_at_once_make_one_leader(app):
    gate = threading.Barrier(8)

    def knock(n: int) -> bool:
        with app.app_context():
            gate.wait()
            return beat(f"node-{n}")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(knock, range(8))) == 1


def test_a_tick_runs_once_however_many_try(app):
    ran = []
    job = Job("probe", 60, lambda: ran.append(1), "")

    def attempt(n: int) -> bool:
        with app.app_context():
            return jobs.run_once(job, f"node-{n}", TICK)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1
    assert len(ran) == 1
    with transaction():
        assert one("SELECT outcome FROM job_runs WHERE job = 'probe'").outcome == "done"


def test_a_failure_is_kept_and_the_next_tick_runs(app):
    def fails() -> None:
        raise ValueError("no such luck")

    assert jobs.run_once(Job("bad", 60, fails, ""), "n", TICK)
    assert jobs.run_once(Job("bad", 60, lambda: None, ""), "n", TICK + timedelta(minutes=1))
    with transaction():
        kept = rows("SELECT outcome, error FROM job_runs WHERE job = 'bad' ORDER BY tick_at")
    assert [(r.outcome, r.error) for r in kept] == [("failed", "ValueError: no such luck"), ("done", None)]


def test_ticks_are_the_same_in_every_process():
    job = Job("probe", 60, lambda: None, "")
    assert jobs.tick_of(job).second == 0
    assert jobs.tick_of(job) == jobs.tick_of(job)


def test_old_ticks_are_forgotten(app):
    jobs.run_once(Job("old", 60, lambda: None, ""), "n", datetime.now(UTC) - timedelta(days=30))
    jobs.run_once(Job("new", 60, lambda: None, ""), "n", datetime.now(UTC))
    jobs.prune()
    with transaction():
        assert [r.job for r in rows("SELECT job FROM job_runs")] == ["new"]
