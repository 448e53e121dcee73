"""Callers of the API and something to call it on."""

import os
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.api.client import Caller, token_of
from tests.api.world import World, build
from tests.conftest import make_database, settings
from webapp import create_app
from webapp.platform.db import db


@pytest.fixture(scope="session")
def app(server, tmp_path_factory) -> Iterator[Flask]:
    """The application over a database of its own: no timers of a served house work off what these tests queue."""
    url = make_database(server, f"api_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
    made = create_app(settings(tmp_path_factory.mktemp("home")), url)
    made.config["TESTING"] = True
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def caller(app, cast) -> Callable[[str], Caller]:
    """Returns a function from a role (or "stranger") to somebody who calls the API with a token of theirs."""
    return lambda role: Caller(app, token_of(app, cast.emails[role]).json["access_token"])


@pytest.fixture
def api(caller) -> Caller:
    """The marketer, calling."""
    return caller("marketer")


@pytest.fixture
def world(cast) -> World:
    return build(cast.org, cast.marketer)


@pytest.fixture
def other_world(cast) -> World:
    """The same things in the stranger's organisation."""
    return build(cast.other_org, cast.stranger)
