"""A served house and a browser for it."""

import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from tests.conftest import settings
from webapp import create_app, schedule
from webapp.messaging import senders
from webapp.platform import work
from webapp.platform.db import db, transaction

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip


def pytest_collection_modifyitems(items) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="NOT RUN: chromium is not on this machine"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Served:
    url: str
    org: int
    emails: dict[str, str]
    app: Flask


@pytest.fixture(scope="session")
def house(database_url, tmp_path_factory) -> Iterator[tuple[str, Flask]]:
    """The application served over HTTP with its timers at rest, once for each test process: they run while a test is
    served, and change nothing under the others'."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    app = create_app(settings(tmp_path_factory.mktemp("served"), BASE_URL=url, PORT=str(port)), database_url)
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    runner = schedule.start(app)
    runner.scheduler.pause()
    yield url, app
    runner.stop()
    server.shutdown()
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def served(house, cast, database_url) -> Iterator[Served]:
    """The served house, with the cast's organisation ready to send."""
    url, app = house
    with psycopg.connect(database_url, autocommit=True) as owner:
        # What other tests left to be done is none of this one's.
        owner.execute("DELETE FROM work_due")
    work._woken.clear()
    with transaction(cast.org):
        senders.ensure_local("Test Insurance", "hello@test.example")
    scheduler = app.extensions["runner"].scheduler
    scheduler.resume()
    yield Served(url, cast.org, cast.emails, app)
    scheduler.pause()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """A fresh browser window that fails the test if the page breaks a script or its own security policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    yield opened
    context.close()
    assert not problems, problems
