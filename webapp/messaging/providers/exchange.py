"""Exchange: HTTP requests over kept connections, one at a time, with what is needed to know how far each came.

What counts is where a connection breaks. Before the last byte of a request has left, the server cannot have acted on
it; after that nobody knows until its answer is read. So nothing here follows a redirect or asks a second time.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from webapp.messaging.outbox import Outcome
from webapp.messaging.providers.smtp.connection import Unreachable, words

CONNECT_SECONDS = 10
ANSWER_SECONDS = 30
KEPT = 8  # free lines to one address
IDLE_SECONDS = 20  # servers drop idle connections; an older one is replaced before use
ANSWER_LIMIT = 256 * 1024  # bytes; an answer about one message has a few hundred
DOUBTS = 3  # so many unknown ends in a row, and the rest waits: whatever is wrong there, it goes on
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# After these nothing more of the batch is begun.
ENDING = ("back_off", "hold_sender", "hold_template")
BROKEN = (OSError, HTTPError, HTTPException)


class NotLeft(Exception):
    """The connection broke before the whole request was on its way: the server cannot have acted on it."""


class Lost(Exception):
    """The request may have arrived, and no answer came."""


@dataclass(frozen=True)
class Request:
    """path: below the line's base address, beginning with "/"."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """status: of HTTP. data: the JSON object it carried, {} where it carried none (or only a piece of one)."""

    status: int
    data: dict[str, Any]


class Line:
    """A connection to one base address, made when it is needed and again after it broke. Raises Unreachable where
    credentials must not go there."""

    def __init__(self, base: str):
        try:
            parts = urlsplit(base)
            host, port = parts.hostname or "", parts.port
        except ValueError as problem:
            raise Unreachable(f"{base}: {problem}") from problem
        if not host or not (parts.scheme == "https" or parts.scheme == "http" and host in LOOPBACK):
            raise Unreachable(f"{base}: credentials only go to an https address")
        # Its brackets belong to an IPv6 address where it is connected to.
        host = f"[{host}]" if ":" in host else host
        self.base, self.prefix, self.host = base, parts.path.rstrip("/"), host
        if parts.scheme == "https":
            self.connection = HTTPSConnection(host, port, ssl_context=_context(), timeout=CONNECT_SECONDS)
        else:
            self.connection = HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        self.last_used = time.monotonic()

    def ready(self) -> None:
        """Connects unless a good connection is there. Raises Unreachable."""
        if self.connection.is_connected and time.monotonic() - self.last_used < IDLE_SECONDS:
            return
        self.close()
        self.connection.timeout = CONNECT_SECONDS
        try:
            self.connection.connect()
        except (*BROKEN, ValueError) as problem:
            self.close()
            raise Unreachable(f"{self.base}: {words(problem.__cause__ or problem)}") from problem
        self.connection.timeout = ANSWER_SECONDS

    def ask(self, request: Request) -> Answer:
        """Sends a request over a line that is ready and returns the answer. Raises NotLeft and Lost."""
        whole = False
        try:
            self._send(request)
            try:
                response = self.connection.getresponse()
                content, whole = _content(response)
            except (*BROKEN, ValueError) as problem:
                raise Lost(words(problem)) from problem
        finally:
            self.last_used = time.monotonic()
            if not whole:
                self.close()
        return Answer(response.status, _object(content))

    def _send(self, request: Request) -> None:
        headers = {"Accept": "application/json", "User-Agent": "Canvass"} | dict(request.headers)
        try:
            self.connection.request(
                request.method, self.prefix + request.path, body=request.body, headers=headers, preload_content=False
            )
        except (*BROKEN, ValueError) as problem:
            raise NotLeft(words(problem)) from problem

    def close(self) -> None:
        with suppress(OSError):
            self.connection.close()


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _content(response: Any) -> tuple[bytes, bool]:
    """Returns what can be read of an answer, and whether that was all of it: its first line has told already."""
    deadline, content = time.monotonic() + ANSWER_SECONDS, b""
    try:
        while piece := response.read1(65536):
            content += piece
            if len(content) > ANSWER_LIMIT or time.monotonic() > deadline:
                return content, False
    except BROKEN:
        return content, False
    return content, True


def _object(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


class Lines:
    """Lines by base address; each thread takes one and gives it back."""

    def __init__(self) -> None:
        self._free: dict[str, list[Line]] = {}
        self._lock = threading.Lock()

    def take(self, base: str) -> Line:
        """Returns a free line, or a new one. Raises Unreachable."""
        with self._lock:
            free = self._free.get(base)
            if free:
                return free.pop()
        return Line(base)

    def give(self, line: Line) -> None:
        """Takes a line back; one that broke is connected again when it is next used."""
        with self._lock:
            free = self._free.setdefault(line.base, [])
            if len(free) < KEPT:
                free.append(line)
                return
        line.close()

    def close(self) -> None:
        """Ends every line that is not in use."""
        with self._lock:
            for line in [each for free in self._free.values() for each in free]:
                line.close()
            self._free.clear()


_lines = Lines()


def ask(base: str, request: Request) -> Answer:
    """Asks once, outside any batch. Raises Unreachable."""
    line = _lines.take(base)
    try:
        line.ready()
        return line.ask(request)
    except (NotLeft, Lost) as problem:
        raise Unreachable(f"{base}: {problem}") from problem
    finally:
        _lines.give(line)


def deliver(
    base: str,
    messages: Iterable[Any],
    deadline: float,
    request_of: Callable[[Any], Request],
    outcome_of: Callable[[int, Answer], Outcome],
) -> Iterator[Outcome]:
    """Sends messages one by one; yields an Outcome for each, in order. deadline: a time.monotonic().

    Raises Unreachable where there is no connection for the first; later ones are released then, and so is everything
    behind an outcome that lets the sender or the template wait.
    """
    line, tried, over, doubts = _lines.take(base), False, False, 0
    try:
        for message in messages:
            if over or time.monotonic() >= deadline:
                yield Outcome(message.send_id, "released")
                continue
            try:
                line.ready()
            except Unreachable as problem:
                if not tried:
                    raise
                over = True
                yield Outcome(message.send_id, "released", None, str(problem))
                continue
            tried = True
            outcome = _attempt(line, message.send_id, request_of(message), outcome_of)
            doubts = doubts + 1 if outcome.kind == "unknown" else 0
            if doubts == DOUBTS and not outcome.effect:
                outcome = replace(outcome, effect="back_off")
            over = outcome.effect in ENDING
            yield outcome
    finally:
        _lines.give(line)


def _attempt(line: Line, send_id: int, request: Request, outcome_of: Callable[[int, Answer], Outcome]) -> Outcome:
    try:
        answer = line.ask(request)
    except NotLeft as problem:
        return Outcome(send_id, "retry", None, f"The connection broke before the message had left: {problem}")
    except Lost as problem:
        return Outcome(send_id, "unknown", None, f"No answer came: {problem}")
    return outcome_of(send_id, answer)
