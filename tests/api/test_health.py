"""Alive and ready: asked by whoever keeps the processes running, without a token."""

import pytest

from tests.api.client import alone
from webapp.platform import jobs
from webapp.platform.db import run, transaction


@pytest.fixture
def get(app):
    return lambda path: alone(app.test_client().get, path)


@pytest.fixture
def leader(cast):
    with transaction():
        assert jobs.beat("test node")
    yield
    with transaction():
        run("DELETE FROM scheduler_lease")


def test_it_is_alive(get):
    answer = get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_it_is_ready_while_somebodys_timers_lead(get, leader):
    answer = get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "database": True, "scheduler": True})


def test_it_is_not_ready_while_nobodys_do(get, cast):
    answer = get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {"status": "unavailable", "database": True, "scheduler": False}


def test_neither_sets_a_cookie(get):
    for path in ("/healthz", "/readyz"):
        assert "Set-Cookie" not in get(path).headers
