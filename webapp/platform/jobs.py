"""The job runner: PostgreSQL decides who acts and remembers that it was done.

Every process starts the same timers. One of them holds the lease and lets its timers act; even if two believed they
held it, each tick is one row under a unique key, so the job runs once.
"""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from sqlalchemy import BigInteger, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform.clock import now
from webapp.platform.db import Base, one, rows, run, transaction, value
from webapp.platform.logs import log

LEASE_SECONDS = 10
HEARTBEAT_SECONDS = 2
LOOK_SECONDS = 5
KEEP_DAYS = 14
logger = log(__name__)


@dataclass(frozen=True)
class Job:
    """One line of the schedule. every: seconds. everywhere: True runs it in every process, without a job_runs row
    (it claims its work from rows by itself); False runs each tick once in the house."""

    name: str
    every: int
    function: Callable[[], object]
    summary: str
    everywhere: bool = False


class JobRun(Base):
    """One tick of one job. Of the house and not of an organisation, therefore without org_id."""

    __tablename__ = "job_runs"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    job: Mapped[str]
    node: Mapped[str]
    tick_at: Mapped[datetime]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error: Mapped[str | None]
    __table_args__ = (Index(None, "job", "tick_at", unique=True),)


class SchedulerNode(Base):
    """A process whose timers are alive."""

    __tablename__ = "scheduler_nodes"
    node: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class SchedulerLease(Base):
    __tablename__ = "scheduler_lease"
    name: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]
    until: Mapped[datetime]


class Runner:
    """The timers of one process."""

    def __init__(self, app: Flask, jobs: list[Job]):
        self.app, self.jobs = app, jobs
        self.node = f"{socket.gethostname()}:{os.getpid()}"
        self.leads = False
        self.ticked: dict[str, datetime] = {}
        self.stopping = threading.Event()
        self.scheduler = BackgroundScheduler(timezone=UTC, daemon=True)

    def start(self) -> None:
        """Starts the timers."""
        self._add("heartbeat", HEARTBEAT_SECONDS, self._heartbeat)
        for job in self.jobs:
            if job.everywhere:
                self._add(job.name, job.every, self._everywhere, job)
            else:
                # Looked at more often than it is due, so that a new leader takes up the tick its predecessor missed.
                self._add(job.name, min(job.every, LOOK_SECONDS), self._tick, job)
        self.scheduler.start()

    def stop(self) -> None:
        """Lets running jobs finish, gives the lease back and leaves."""
        self.stopping.set()
        if self.scheduler.running:
            self.scheduler.shutdown(wait=True)
        with self.app.app_context(), transaction() as _:
            run("DELETE FROM scheduler_lease WHERE node = :node", node=self.node)
            run("DELETE FROM scheduler_nodes WHERE node = :node", node=self.node)

    def _add(self, name: str, every: int, function: Callable, *args: object) -> None:
        first = datetime.now(UTC) + timedelta(seconds=0.2)
        self.scheduler.add_job(
            function,
            "interval",
            args,
            id=name,
            name=name,
            seconds=every,
            next_run_time=first,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=max(30, every),
            replace_existing=True,
        )

    def _heartbeat(self) -> None:
        with self.app.app_context():
            try:
                with transaction():
                    self.leads = beat(self.node)
            except Exception:
                self.leads = False
                logger.warning("heartbeat failed", node=self.node, exc_info=True)

    def _everywhere(self, job: Job) -> None:
        with self.app.app_context():
            try:
                job.function()
            except Exception:
                logger.exception("job failed", job=job.name)

    def _tick(self, job: Job) -> None:
        tick_at = tick_of(job)
        if not self.leads or self.ticked.get(job.name) == tick_at:
            return
        with self.app.app_context():
            try:
                run_once(job, self.node, tick_at)
                self.ticked[job.name] = tick_at
            except Exception:
                logger.exception("job could not be recorded", job=job.name)


def beat(node: str) -> bool:
    """Notes that a node lives and takes or keeps the lease if it can, by the database's clock. Returns True if so."""
    run(
        "INSERT INTO scheduler_nodes (node, host, pid) VALUES (:node, :host, :pid)"
        " ON CONFLICT (node) DO UPDATE SET seen_at = now()",
        node=node,
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    run("DELETE FROM scheduler_nodes WHERE seen_at < now() - interval '1 minute'")
    holder = value(
        "INSERT INTO scheduler_lease (name, node, until) VALUES ('timers', :node, now() + :lease * interval '1 second')"
        " ON CONFLICT (name) DO UPDATE SET node = EXCLUDED.node, until = EXCLUDED.until"
        " WHERE scheduler_lease.node = EXCLUDED.node OR scheduler_lease.until < now() RETURNING node",
        node=node,
        lease=LEASE_SECONDS,
    )
    return holder == node


def tick_of(job: Job) -> datetime:
    """Returns the start of the job's present period, the same in every process."""
    seconds = int(now().timestamp())
    return datetime.fromtimestamp(seconds - seconds % job.every, UTC)


def run_once(job: Job, node: str, tick_at: datetime) -> bool:
    """Runs one tick unless somebody has. Returns True if this call ran it; its failure is kept in the row."""
    with transaction():
        run_id = value(
            "INSERT INTO job_runs (job, node, tick_at) VALUES (:job, :node, :tick)"
            " ON CONFLICT (job, tick_at) DO NOTHING RETURNING id",
            job=job.name,
            node=node,
            tick=tick_at,
        )
    if run_id is None:
        return False
    outcome, error = "done", None
    try:
        job.function()
    except Exception as problem:
        logger.exception("job failed", job=job.name)
        outcome, error = "failed", f"{type(problem).__name__}: {problem}"[:2000]
    with transaction():
        run(
            "UPDATE job_runs SET finished_at = now(), outcome = :outcome, error = :error WHERE id = :id",
            outcome=outcome,
            error=error,
            id=run_id,
        )
    return True


def prune() -> None:
    """Forgets old ticks."""
    with transaction():
        run("DELETE FROM job_runs WHERE tick_at < now() - :days * interval '1 day'", days=KEEP_DAYS)


def last_runs() -> dict[str, object]:
    """Returns each job's latest row of job_runs, by job name."""
    found = rows("SELECT DISTINCT ON (job) * FROM job_runs ORDER BY job, tick_at DESC")
    return {row.job: row for row in found}


def nodes() -> list[object]:
    """Returns the living processes: node, host, pid, started_at, seen_at, leads."""
    return rows(
        "SELECT n.*, COALESCE(l.node = n.node AND l.until > now(), false) AS leads FROM scheduler_nodes n"
        " LEFT JOIN scheduler_lease l ON l.name = 'timers'"
        " WHERE n.seen_at > now() - interval '30 seconds' ORDER BY n.node"
    )


def leader() -> object | None:
    """Returns the node that holds the lease now, or None."""
    return one("SELECT node, until FROM scheduler_lease WHERE name = 'timers' AND until > now()")
