"""A clock that can be moved: the database's for everything the application asks, and Python's in the processes that ask.

now() and clock_timestamp() are found in a schema of ours before PostgreSQL's own. Defaults of columns keep to the true time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import time_machine

from tests.proof.house import House
from webapp.platform.db import APP_ROLE, db

MADE = f"""
CREATE SCHEMA IF NOT EXISTS proof;
CREATE TABLE IF NOT EXISTS proof.clock (ahead interval NOT NULL);
DELETE FROM proof.clock;
INSERT INTO proof.clock VALUES ('0');
CREATE OR REPLACE FUNCTION proof.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT pg_catalog.now() + (SELECT ahead FROM proof.clock)';
CREATE OR REPLACE FUNCTION proof.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + (SELECT ahead FROM proof.clock)';
GRANT USAGE ON SCHEMA proof TO {APP_ROLE};
GRANT SELECT ON proof.clock TO {APP_ROLE};
ALTER ROLE {APP_ROLE} IN DATABASE canvass SET search_path = proof, public, pg_catalog;
"""


def install(house: House) -> None:
    """Gives a house's database a clock that can be moved."""
    with house.owner() as owner:
        owner.execute(MADE)
    db.engine.dispose()


def move(house: House, to: datetime) -> timedelta:
    """Moves the database's clock to a moment. Returns how far ahead it is now."""
    ahead = to - datetime.now(UTC)
    with house.owner() as owner:
        owner.execute("UPDATE proof.clock SET ahead = %s", (ahead,))
    return ahead


@contextmanager
def ahead_by(ahead: timedelta) -> Iterator[None]:
    """Moves this process's own clock as far."""
    with time_machine.travel(datetime.now(UTC) + ahead, tick=True):
        yield
