"""The stand-in's HTTP: requests read, answers given, or held back and broken off as a fault wants it."""

import base64
import select
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask

from webapp.messaging.standin import as_twilio, as_whatsapp
from webapp.messaging.standin.replies import Reply
from webapp.platform.logs import log

BODY_LIMIT = 1_000_000  # bytes
HANG_SECONDS = 120  # longer than anybody waits
IDLE_SECONDS = 60
logger = log(__name__)


class Server(ThreadingHTTPServer):
    """Listens on a port of the system's choice. app: whose database the phones are in."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: Flask):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.app = app

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.info("a request to the built-in phones broke off", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "Canvass"
    timeout = IDLE_SECONDS
    # The answer leaves in one piece: else its second half waits for the other side to say it got the first.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: what matters is on the page of phones."""

    def do_GET(self) -> None:
        self._give(self._answer("GET", b""))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            return self._give(Reply(413, b""))
        return self._give(self._answer("POST", self.rfile.read(int(length))))

    def _answer(self, method: str, body: bytes) -> Reply:
        path = urlsplit(self.path).path
        kind, _, shown = self.headers.get("Authorization", "").partition(" ")
        try:
            with self.server.app.app_context():
                if path.startswith("/2010-04-01/"):
                    user, password = _basic(shown) if kind.lower() == "basic" else ("", "")
                    form = dict(parse_qsl(body.decode("utf-8", "replace").replace("\0", ""), keep_blank_values=True))
                    return as_twilio.answer(method, path, user, password, form)
                return as_whatsapp.answer(method, path, shown if kind.lower() == "bearer" else "", body)
        except Exception:
            logger.exception("the built-in phones could not answer")
            return Reply(500, b"")

    def _give(self, reply: Reply) -> None:
        if reply.manner == "hang":
            self._wait_for_the_end()
        if reply.manner in ("hang", "drop"):
            self.close_connection = True
            return
        body = b"<html>It is all there.</html>" if reply.manner == "garbage" else reply.body
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/html" if reply.manner == "garbage" else "application/json")
        self.send_header("Content-Length", str(len(body)))
        if reply.manner == "redirect":
            self.send_header("Location", "http://elsewhere.invalid/")
        self.end_headers()
        if reply.manner == "truncated":
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)
        self.wfile.flush()

    def _wait_for_the_end(self) -> None:
        """Says nothing until the other side gives up."""
        until = time.monotonic() + HANG_SECONDS
        while time.monotonic() < until:
            if select.select([self.connection], [], [], 1)[0] and not self.connection.recv(1024):
                return


def _basic(shown: str) -> tuple[str, str]:
    try:
        user, _, password = base64.b64decode(shown, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return user, password
