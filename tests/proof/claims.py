"""Eight claimers at once, each over a connection of its own, some of whom die before they commit: each row is claimed by
exactly one of them."""

import multiprocessing
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.proof import crowd
from tests.proof.house import House, using
from webapp import create_app
from webapp.messaging import outbox
from webapp.platform import tenancy
from webapp.platform.config import Settings
from webapp.platform.db import db, refresh_statistics, transaction, value
from webapp.platform.db import run as execute

DIE = 0.03  # of the claims, before they are committed


@dataclass(frozen=True)
class Scale:
    """processes x threads are the claimers. More processes need longer to begin than a short form may take."""

    people: int
    seeds: int
    processes: int
    threads: int


SCALES = {"full": Scale(100_000, 20, 8, 1), "quick": Scale(3_000, 2, 1, 8)}


@dataclass(frozen=True)
class Task:
    """What one claimer is told to do."""

    org: int
    campaign_id: int
    seed: int
    name: str


def run(seed: int, scale: str, made: House | None = None) -> None:
    """See the module. Raises AssertionError."""
    size, began = SCALES[scale], time.monotonic()
    with using(made) as made:
        org, campaign_id = _rows(made, size.people)
        spawn = multiprocessing.get_context("spawn")
        asked = [spawn.Queue() for _ in range(size.processes)]
        told, ready = spawn.Queue(), spawn.Semaphore(0)
        settings, url = made.app.config["SETTINGS"], made.app.config["OWNER_URL"]
        workers = [spawn.Process(target=work, args=(settings, url, q, told, ready)) for q in asked]
        if scale == "quick":
            workers = [threading.Thread(target=work, args=(settings, url, q, told, ready)) for q in asked]
        for worker in workers:
            worker.start()
        for _ in workers:
            ready.acquire()
        try:
            for turn in range(size.seeds):
                _turn(org, campaign_id, seed + turn, size, asked, told)
        finally:
            for queue in asked:
                queue.put(None)
            for worker in workers:
                worker.join()
    print(f"claims: seeds {seed} to {seed + size.seeds - 1}, 8 claimers x {size.people:,} rows: {size.seeds * size.people:,}"
          f" claimed, each once; {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def _rows(made: House, people: int) -> tuple[int, int]:
    """Returns an organisation with leads, and a campaign of its own that no process sends."""
    org = crowd.organization("Claims")
    crowd.add_people(org, {("all", "email"): people})
    with transaction(org):
        campaign_id = crowd.campaign("all", "email", crowd.add_sender(made, "email"), crowd.add_template("email"))
        # Nobody but the claimers of this proof may touch it.
        execute("UPDATE campaigns SET status = 'active', started_at = now() WHERE id = :id", id=campaign_id)
        execute("DELETE FROM work_due")
    return org, campaign_id


def _turn(org: int, campaign_id: int, seed: int, size: Scale, asked: list, told: Any) -> None:
    """Lets all claimers claim fresh rows until none is left, and counts."""
    with transaction(org):
        execute("DELETE FROM sends")
        execute(
            "INSERT INTO sends (campaign_id, kind, lead_id, channel, sender_id, recipient_address, template_version_id,"
            " dedup_key, priority) SELECT c.id, 'campaign', l.id, 'email', c.sender_id, l.email_key, c.template_version_id,"
            " 'proof:' || l.id, 5 FROM campaigns c JOIN leads l ON l.org_id = c.org_id WHERE c.id = :id",
            id=campaign_id,
        )
    refresh_statistics("sends")
    for n, queue in enumerate(asked):
        queue.put([Task(org, campaign_id, seed, f"{n}-{k}") for k in range(size.threads)])
    claimed: Counter[int] = Counter()
    hands = []
    for _ in range(size.processes * size.threads):
        ids = told.get(timeout=600)
        assert not isinstance(ids, str), f"seed {seed}: a claimer failed: {ids}"
        claimed.update(ids)
        hands.append(len(ids))
    with transaction(org):
        n = value("SELECT count(*) FROM sends WHERE status = 'sending' AND attempts = 1 AND claim_token IS NOT NULL")
    assert (len(claimed), sum(claimed.values()), n) == (size.people,) * 3, (
        f"seed {seed}: {sum(claimed.values())} claims of {len(claimed)} rows, {n} stand as claimed once"
    )
    assert sum(hand > 0 for hand in hands) > 1, f"seed {seed}: one claimer took all: {hands}"


def work(settings: Settings, url: str, asked: Any, told: Any, ready: Any) -> None:
    """One process of claimers: for each list of tasks a thread for each, until it is given None."""
    app = create_app(settings, url)
    ready.release()
    while (tasks := asked.get()) is not None:
        threads = [threading.Thread(target=_claimer, args=(app, task, told)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with app.app_context():
        db.engine.dispose()


def _claimer(app: Any, task: Task, told: Any) -> None:
    try:
        with app.app_context(), tenancy.scope(task.org):
            told.put(_claim_all(task))
    except Exception as problem:  # noqa: BLE001 - the one who counts is waiting for an answer
        told.put(f"{type(problem).__name__}: {problem}")


def _claim_all(task: Task) -> list[int]:
    chance, mine = random.Random(f"{task.seed} {task.name}"), []
    while True:
        try:
            with transaction():
                claimed = claim(task.campaign_id, f"proof:{task.name}", chance.randrange(1, 400))
                if claimed and chance.random() < DIE:
                    raise Died
            mine += claimed
        except Died:
            continue
        if not claimed:
            with transaction():
                if not value("SELECT EXISTS (SELECT FROM sends WHERE status = 'pending')"):
                    return mine


def claim(campaign_id: int, node: str, limit: int) -> list[int]:
    """Claims as the engine does, without a provider. Returns the ids."""
    return [row.id for row in outbox.claim(campaign_id, "email", node, limit).rows]


class Died(Exception):
    """A claimer that did not come to commit."""
