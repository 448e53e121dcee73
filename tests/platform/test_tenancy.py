"""Row-level security, proved from the catalogue for every table there is."""

import psycopg
import pytest
from sqlalchemy import text

from webapp.platform import organizations, work
from webapp.platform.db import db, one, rows, run, transaction, value
from webapp.tables import HOUSE_TABLES, metadata


@pytest.fixture(scope="module")
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def tables(owner) -> dict[str, tuple]:
    found = owner.execute(
        "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c"
        " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
    ).fetchall()
    return {name: rest for name, *rest in found}


def test_every_table_is_known_and_secured(owner):
    found = tables(owner)
    assert set(found) - {"alembic_version"} == set(metadata.tables)
    for name, (enabled, forced) in found.items():
        if name in HOUSE_TABLES:
            assert "org_id" not in {c.name for c in metadata.tables[name].c} if name in metadata.tables else True
        else:
            assert "org_id" in metadata.tables[name].c, name
            assert (enabled, forced) == (True, True), name


def test_every_key_contains_the_organisation(owner):
    found = owner.execute(
        "SELECT t.relname, i.relname, array_agg(a.attname::text) FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid"
        " JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_attribute a ON a.attrelid = i.oid"
        " WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace GROUP BY 1, 2"
    ).fetchall()
    assert len(found) > 30
    for table, index, columns in found:
        assert table in HOUSE_TABLES or "org_id" in columns, (table, index)


def test_every_foreign_key_carries_the_organisation():
    for table in metadata.tables.values():
        for key in table.foreign_key_constraints:
            if key.elements[0].column.table.name != "organizations":
                assert key.column_keys[0] == "org_id", (table.name, key.name)


def test_the_app_is_neither_owner_nor_above_the_law(app):
    with app.app_context(), transaction():
        me = one("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert (me.rolname, me.rolsuper, me.rolbypassrls) == ("canvass_app", False, False)
        assert value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user") == 0


def test_no_scope_no_rows_and_no_writing(app, cast, owner):
    with transaction(cast.org):
        work.announce("probe")
    for name in metadata.tables:
        if name in HOUSE_TABLES:
            continue
        with transaction(None):
            assert value(f"SELECT count(*) FROM {name}") == 0, name
    with pytest.raises(Exception, match="row-level security|null value"), transaction(None):
        run("INSERT INTO suppressions (channel, address, reason) VALUES ('email', 'a@b.c', 'manual')")


def test_a_row_cannot_be_put_or_moved_into_another_organisation(app, cast):
    with pytest.raises(Exception, match="row-level security"), transaction(cast.org):
        run(
            "INSERT INTO suppressions (org_id, channel, address, reason) VALUES (:o, 'email', 'a@b.c', 'manual')",
            o=cast.other_org,
        )
    with transaction(cast.org):
        run("INSERT INTO suppressions (channel, address, reason) VALUES ('email', 'a@b.c', 'manual')")
    with pytest.raises(Exception, match="row-level security"), transaction(cast.org):
        run("UPDATE suppressions SET org_id = :o", o=cast.other_org)
    with transaction(cast.other_org):
        assert value("SELECT count(*) FROM suppressions") == 0
        assert run("DELETE FROM suppressions") == 0


def test_the_scope_does_not_outlive_its_transaction(app, cast):
    with transaction(cast.org):
        assert value("SELECT count(*) FROM users") == 4
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM users")).scalar() == 0
        assert connection.execute(text("SELECT current_setting('app.org_id', true)")).scalar() in ("", None)


def test_the_audit_log_is_append_only(app, cast):
    for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(Exception, match="permission denied"), transaction(cast.org):
            run(statement)


def test_the_runner_sees_only_what_is_due(app, cast):
    with transaction(cast.org):
        work.announce("probe")
    assert cast.org in work.due("probe")
    with transaction(cast.org):
        work.settle("probe", lambda: None)
    assert cast.org not in work.due("probe")
    with transaction():
        assert rows("SELECT * FROM work_due") == []


def test_views_run_with_the_rights_of_who_asks(owner):
    for name, options in owner.execute(
        "SELECT relname, reloptions FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
    ).fetchall():
        assert "security_invoker=true" in (options or []), name


def test_two_organisations_may_not_share_a_name(cast):
    with transaction():
        organizations.create(f"Twice Told {cast.org}")
    with pytest.raises(Exception, match="another look"), transaction():
        organizations.create(f"Twice told {cast.org}")
