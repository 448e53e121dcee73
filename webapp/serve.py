"""Starting the house: the database, the migrations, the demo organisation, the web server and the timers."""

import os
import socket
import sys
import time

import psycopg
import sqlalchemy.exc
from flask import Flask
from flask_migrate import upgrade
from gunicorn.app.base import BaseApplication

from webapp import create_app, demo, schedule
from webapp.platform import users
from webapp.platform.config import BadSetting, Settings
from webapp.platform.db import db, transaction
from webapp.platform.embedded import Embedded

THREADS = 16
COMES_BACK_SECONDS = 60  # in which a database that went away while we start has to be there again
DEMO_ADMIN = "admin@demo.example"


def build() -> Flask:
    """Returns the application of this process, its database running. Raises BadSetting."""
    settings = Settings.from_env()
    embedded = None if settings.database_url else Embedded(settings.home)
    try:
        owner_url = settings.database_url or embedded.start()
    except Exception as problem:
        raise BadSetting(f"The embedded PostgreSQL under {settings.home} does not start: {problem}") from problem
    app = create_app(settings, owner_url)
    if embedded is not None:
        app.extensions["embedded"] = embedded
    else:
        _reachable(owner_url)
    return app


def _reachable(owner_url: str) -> None:
    try:
        psycopg.connect(owner_url, connect_timeout=10).close()
    except psycopg.OperationalError as problem:
        raise BadSetting(f"DATABASE_URL: {str(problem).strip().splitlines()[-1]}") from problem


class Server(BaseApplication):
    """gunicorn with one worker of many threads; more processes are more calls of this program, or WEB_CONCURRENCY."""

    def __init__(self, app: Flask, settings: Settings):
        self.app, self.settings = app, settings
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"127.0.0.1:{self.settings.port}",
            "worker_class": "gthread",
            "workers": int(os.environ.get("WEB_CONCURRENCY", "1")),
            "threads": THREADS,
            "timeout": 120,
            # Longer than a reverse proxy keeps its own end, or it would send into a closed connection.
            "keepalive": 75,
            "graceful_timeout": 30,
            "loglevel": "warning",
            "control_socket_disable": True,
            "post_worker_init": _worker_started,
            "worker_exit": _worker_stopping,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return self.app


def _worker_started(worker) -> None:
    app = worker.app.load()
    # Threads that send give up the interpreter to those that answer sooner than by default.
    sys.setswitchinterval(0.001)
    with app.app_context():
        # The pool came over the fork with the parent's sockets.
        db.engine.dispose(close=False)
    schedule.start(app)


def _worker_stopping(_server, worker) -> None:
    app = worker.app.load()
    runner = app.extensions.get("runner")
    if runner is not None:
        runner.stop()


def prepare(app: Flask) -> None:
    """Migrates and, on the embedded database, seeds the demo organisation once."""
    with app.app_context():
        upgrade()
        if "embedded" in app.extensions and demo.seed():
            print("  Made the demo organisation: 5,000 leads and two years of history.")
        db.session.remove()
        db.engine.dispose()


def sign_in_link(app: Flask) -> str | None:
    """Returns a one-time sign-in address of the demo's admin, or None where there is no demo."""
    with app.app_context(), transaction():
        found = users.find_everywhere(DEMO_ADMIN)
    if not found:
        return None
    org_id, user_id = found[0]
    with app.app_context(), transaction(org_id):
        token = users.link_token(users.get(user_id), "sign-in")
    return f"{app.config['BASE_URL']}/sign-in/{token}"


def _port_is_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            sys.exit(f"Canvass cannot start. PORT {port} is in use: stop what runs there, or set another PORT.")


def _ready(app: Flask) -> str | None:
    """Prepares, and returns the sign-in link. A database that was there and goes away meanwhile is waited for: it is being
    started anew. Raises sqlalchemy.exc.DBAPIError where it refuses, or does not come back."""
    until: float | None = None
    while True:
        try:
            prepare(app)
            return sign_in_link(app)
        except sqlalchemy.exc.DBAPIError as problem:
            if until is None and problem.connection_invalidated:
                until = time.monotonic() + COMES_BACK_SECONDS
            if until is None or time.monotonic() > until:
                raise
            time.sleep(1)


def serve(app: Flask) -> None:
    """Runs until Ctrl-C."""
    settings: Settings = app.config["SETTINGS"]
    print("Canvass is starting...", flush=True)
    _port_is_free(settings.port)
    try:
        link = _ready(app)
    except sqlalchemy.exc.DBAPIError as problem:
        sys.exit(f"Canvass cannot start. The database refused: {str(problem.orig).strip().splitlines()[0]}")
    print(f"\n  Canvass is at {settings.base_url}", flush=True)
    if link:
        print(f"  Sign in once with  {link}", flush=True)
        print("  or as marketer@demo.example, agent@demo.example, viewer@demo.example, password canvass-demo")
    print("  Ctrl-C stops it.\n", flush=True)
    Server(app, settings).run()
