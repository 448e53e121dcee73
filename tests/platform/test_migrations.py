"""The migration chain: one line, down to empty and up again, and the tables are what the code thinks they are."""

import psycopg
import pytest
from alembic.script import ScriptDirectory
from flask_migrate import check, downgrade, upgrade

from tests.conftest import make_database, settings
from webapp import create_app
from webapp.platform.config import ROOT
from webapp.platform.db import db


@pytest.fixture
def fresh(server, tmp_path, request):
    """An application over a database of its own."""
    url = make_database(server, f"migrations_{tmp_path.parent.name.replace('-', '_')}_{request.node.name[:20]}")
    app = create_app(settings(tmp_path), url)
    with app.app_context():
        yield url
        db.engine.dispose()


def test_the_chain_is_one_line():
    script = ScriptDirectory(str(ROOT / "migrations"))
    assert len(script.get_heads()) == len(script.get_bases()) == 1


def test_down_to_empty_and_up_again(fresh):
    with psycopg.connect(fresh, autocommit=True) as owner:
        downgrade(revision="base")
        left = (
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S')"
        )
        assert owner.execute(left).fetchone()[0] == 1  # alembic's own note of where it stands
        functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        assert owner.execute(functions).fetchone()[0] == 0
        upgrade()
        assert owner.execute(left).fetchone()[0] > 30
    check()


def test_the_tables_are_what_the_code_says(fresh):
    check()
