"""One PostgreSQL for the whole run, one database for each test process, one organisation for each test.

Row-level security keeps tests apart, so nothing is ever truncated: a test gets an organisation of its own with the
standing cast in it.
"""

import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fasteners
import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask_migrate import upgrade

from webapp import create_app
from webapp.platform import organizations, users
from webapp.platform.config import Settings
from webapp.platform.db import db, run, transaction
from webapp.platform.embedded import Embedded, create_database
from webapp.platform.users import User

logging.getLogger("werkzeug").setLevel("WARNING")
# Hashes as cheap as the library allows: the tests sign in hundreds of times.
users.hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
users._NOBODY = users.hasher.hash("nobody's password")
PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Embedded]:
    """The run's PostgreSQL, shared by all test processes."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "home"
    embedded = Embedded(home)
    embedded.start()
    yield embedded
    embedded.stop()


def make_database(embedded: Embedded, name: str) -> str:
    """Returns the owner's address of a fresh migrated database, copied from one that is migrated once a run."""
    template = embedded.url.replace("/canvass?", "/canvass_template?")
    with (
        fasteners.InterProcessLock(embedded.pgdata.parent / "template.lock"),
        psycopg.connect(embedded.server.get_uri(), autocommit=True) as connection,
    ):
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'canvass_template'").fetchone():
            create_database(connection, "canvass_template")
            app = create_app(settings(embedded.pgdata.parent), template)
            with app.app_context():
                upgrade()
                db.engine.dispose()
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE canvass_template')
    return embedded.url.replace("/canvass?", f"/{name}?")


def settings(home: Path, **env: str) -> Settings:
    """Returns settings as the environment would give them."""
    return Settings.from_env(
        {"CANVASS_HOME": str(home), "SECRET_KEY": "test secret " * 4, "LOG_LEVEL": "WARNING"} | env
    )


@pytest.fixture(scope="session")
def database_url(server) -> str:
    """The owner's address of this test process's database."""
    return make_database(server, f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")


@pytest.fixture(scope="session")
def app(database_url, tmp_path_factory) -> Iterator[Flask]:
    """The application over this process's database."""
    made = create_app(settings(tmp_path_factory.mktemp("home")), database_url)
    made.config["TESTING"] = True
    yield made
    with made.app_context():
        db.engine.dispose()


@dataclass
class Cast:
    """The standing cast: ids of the users of one organisation and of a stranger in another."""

    org: int
    other_org: int
    admin: int
    marketer: int
    agent: int
    viewer: int
    stranger: int
    emails: dict[str, str]


@pytest.fixture
def cast(app) -> Iterator[Cast]:
    """A fresh organisation with its people, in scope for the test; a second organisation with a stranger."""
    number = f"{os.getpid()}-{next(_numbers)}"
    with app.app_context():
        with transaction():
            made = organizations.create(f"Test {number}", timezone="America/Chicago")
            # No test depends on the time of day but those of quiet hours, which set their own.
            made.quiet_hours = {}
            own = made.id
            other = organizations.create(f"Other {number}").id
        ids, emails = {}, {}
        for role, org in (("admin", own), ("marketer", own), ("agent", own), ("viewer", own), ("stranger", other)):
            with transaction(org):
                emails[role] = f"{role}-{number}@example.com"
                user = users.add(
                    emails[role], f"{role.title()} Person", "admin" if role == "stranger" else role, password=PASSWORD
                )
                ids[role] = user.id
        yield Cast(own, other, **ids, emails=emails)
        db.session.rollback()
        with transaction():
            # What goes through every organisation is not to go through those of a thousand tests before.
            run("UPDATE organizations SET is_active = false WHERE id IN (:own, :other)", own=own, other=other)


@pytest.fixture
def tx(cast):
    """Returns a function that opens a transaction of the cast's organisation: `with tx(): ...`."""
    return lambda org=None: transaction(org or cast.org)


@pytest.fixture
def user_of(app):
    """Returns a function from a user's id to the user (inside a transaction)."""
    return lambda user_id: db.session.query(User).filter_by(id=user_id).one()
