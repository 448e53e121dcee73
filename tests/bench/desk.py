"""A throwaway house for measuring: embedded PostgreSQL, one organisation, many leads."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from flask import Flask
from flask_migrate import upgrade

from webapp import create_app
from webapp.platform import organizations
from webapp.platform.config import Settings
from webapp.platform.db import db, one, refresh_statistics, run, transaction
from webapp.platform.embedded import Embedded


@contextmanager
def house() -> Iterator[tuple[Flask, int]]:
    """Yields (application, organisation id) on a fresh database that is removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="canvass-bench-"))
    home.chmod(0o755)
    embedded = Embedded(home)
    try:
        env = {"CANVASS_HOME": str(home), "SECRET_KEY": "bench secret " * 4, "LOG_LEVEL": "ERROR"}
        app = create_app(Settings.from_env(env), embedded.start())
        with app.app_context():
            upgrade()
            with transaction():
                org = organizations.create("Bench").id
            yield app, org
            db.session.remove()
            db.engine.dispose()
    finally:
        embedded.stop()
        shutil.rmtree(home, ignore_errors=True)


def add_leads(org: int, n: int) -> None:
    """Adds n leads with addresses, states, types, values and e-mail consent, set-based."""
    with transaction(org):
        run(
            "INSERT INTO leads (first_name, last_name, email, phone, state, city, insurance_type, status, value_estimate,"
            " source, tags, created_at) SELECT 'First' || g, 'Last' || g, 'lead' || g || '@example.com',"
            " '+1415' || lpad(g::text, 7, '0'), (ARRAY['TX','CA','NY','FL','WA'])[1 + g % 5], 'City ' || g % 900,"
            " (ARRAY['auto','home','life','health','travel'])[1 + (g * 7) % 5],"
            " (ARRAY['new','contacted','qualified','proposal'])[1 + (g * 3) % 4], (g * 37) % 9000, 'bench',"
            " CASE WHEN g % 3 = 0 THEN ARRAY['vip'] ELSE '{}' END, now() - g % 700 * interval '1 day'"
            " FROM generate_series(1, CAST(:n AS int)) g",
            n=n,
        )
        run(
            "INSERT INTO consents (lead_id, channel, status, source) SELECT id, 'email', 'subscribed', 'bench' FROM leads"
        )
    refresh_statistics("leads", "consents")


def add_facts(org: int, n: int) -> None:
    """Adds n facts of five kinds over the last 400 days, spread over all leads, each of one of 20 campaigns."""
    with transaction(org):
        first, people = one("SELECT min(id), count(*) FROM leads WHERE org_id = :org", org=org)
        run(
            "INSERT INTO lead_events (lead_id, type, payload, occurred_at) SELECT :first + (g * 7907) % :people,"
            " (ARRAY['email_sent','email_sent','email_opened','page_visited','page_visited','call_logged','email_sent',"
            "'email_opened','page_visited','email_clicked'])[1 + g % 10],"
            " jsonb_build_object('campaign_id', 1 + g % 20), now() - (g * 7919 % 576000) * interval '1 minute'"
            " FROM generate_series(1, CAST(:n AS bigint)) g",
            n=n, first=first, people=people,
        )  # fmt: skip
    refresh_statistics("lead_events")


def settle(app: Flask) -> None:
    """Does at once what autovacuum does to a database that has been there for a while."""
    with psycopg.connect(app.config["OWNER_URL"], autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE")
