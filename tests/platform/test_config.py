"""Settings: a wrong value stops the start with one clear line."""

import os
import subprocess
import sys

import pytest

from webapp.platform.config import ROOT, BadSetting, Settings


def env(tmp_path, **values):
    return {"CANVASS_HOME": str(tmp_path), **values}


def test_defaults(tmp_path):
    settings = Settings.from_env(env(tmp_path))
    assert (settings.port, settings.base_url, settings.database_url) == (8000, "http://127.0.0.1:8000", None)
    assert len(settings.secret_key) > 40


def test_the_secret_key_is_made_once_and_kept_private(tmp_path):
    first = Settings.from_env(env(tmp_path)).secret_key
    assert Settings.from_env(env(tmp_path)).secret_key == first
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", "postgresql://host"),
        ("SECRET_KEY", "short"),
        ("BASE_URL", "canvass.example.com"),
        ("BASE_URL", "https://x.example/?a=b"),
        ("LOG_LEVEL", "LOUD"),
        ("API_RATE_LIMIT", "0"),
        ("API_RATE_LIMIT", "plenty"),
    ],
)
def test_a_wrong_value_names_itself(tmp_path, name, value):
    with pytest.raises(BadSetting, match=f"^{name}"):
        Settings.from_env(env(tmp_path, **{name: value}))


def test_the_program_stops_with_one_line(tmp_path):
    wrong = os.environ | env(tmp_path, PORT="x", PYTHONWARNINGS="ignore")
    done = subprocess.run([sys.executable, "wsgi.py"], cwd=ROOT, env=wrong, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.strip() == "Canvass cannot start. PORT must be a number from 1 to 65535, not 'x'"


def test_an_unreachable_database_is_said_in_one_line(tmp_path):
    wrong = os.environ | env(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing", PYTHONWARNINGS="ignore")
    done = subprocess.run([sys.executable, "wsgi.py"], cwd=ROOT, env=wrong, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.strip().startswith("Canvass cannot start. DATABASE_URL:")
    assert len(done.stderr.strip().splitlines()) == 1
