"""SMTP connections: the standard library connects, secures and signs in; then they are kept and used again."""

import smtplib
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

CONNECT_SECONDS = 15
REPLY_SECONDS = 60
NOOP_SECONDS = 5
IDLE_SECONDS = 30  # servers drop idle connections; an older one is replaced before use
QUIET_SECONDS = 1
TALK_SECONDS = 60  # how long what was begun may take after nothing more is begun; then the line is cut
REUSE_LIMIT = 1000  # messages over one connection: many servers ask for an end somewhere
REPLY_LINES = 100  # a server that goes on longer than this in one answer is talking nonsense
BIG = 32 * 1024  # bytes; a larger body leaves ahead of its end, so that a break in the middle is known for one


class Unreachable(Exception):
    """No connection, or the server refused to work with us at all. Its text is shown to the operator."""


class NotLeft(OSError):
    """The connection broke before the end of a message was sent: the server cannot have accepted it."""


class Connection:
    """One signed-in SMTP connection."""

    def __init__(self, host: str, port: int, tls: str, username: str = "", password: str = ""):
        smtp = None
        try:
            context = ssl.create_default_context() if tls != "none" else None
            if tls == "tls":
                smtp = smtplib.SMTP_SSL(host, port, timeout=CONNECT_SECONDS, context=context)
            else:
                smtp = smtplib.SMTP(host, port, timeout=CONNECT_SECONDS)
            smtp.ehlo_or_helo_if_needed()
            if tls == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo()
            if username:
                smtp.login(username, password)
        except (OSError, ValueError) as problem:
            # ValueError: a host name or a password in letters that the protocol does not have.
            if smtp is not None:
                smtp.close()
            raise Unreachable(f"{host}:{port}: {words(problem)}") from problem
        self.sock, self.offers = smtp.sock, smtp.esmtp_features
        self.sock.settimeout(REPLY_SECONDS)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.sock.makefile("rb")
        self.pipelining = smtp.has_extn("pipelining")
        self.used, self.last_used, self.broken = 0, time.monotonic(), False
        self.ends_at = float("inf")

    def give(self, seconds: float) -> None:
        """Says how long this connection may still talk: what it is told later than that comes too late to be written down."""
        self.ends_at = time.monotonic() + seconds

    def _left(self) -> float:
        left = min(REPLY_SECONDS, self.ends_at - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left

    def reply(self) -> tuple[int, str]:
        """Reads one reply: (code, text). Raises OSError at the connection's end, and where it is no reply at all."""
        text = ""
        self.sock.settimeout(self._left())
        for _ in range(REPLY_LINES):
            line = self.reader.readline(4096)
            if not line:
                raise ConnectionError("the server closed the connection")
            if not line.endswith(b"\n") or not line[:3].isdigit() or not 200 <= int(line[:3]) < 600:
                break
            text += line[4:-1].decode("utf-8", "replace")
            if line[3:4] != b"-":
                return int(line[:3]), text.strip()
        raise ConnectionError("the server answered something that is not SMTP")

    def ask(self, command: bytes) -> tuple[int, str]:
        self.sock.sendall(command)
        return self.reply()

    def push(self, body: bytes, end: bytes) -> None:
        """Sends a message and what ends it. Raises NotLeft where it broke before the end was on its way, or it is too late
        to begin."""
        try:
            self.sock.settimeout(self._left())
        except TimeoutError as problem:
            raise NotLeft(words(problem)) from problem
        if len(body) > BIG:
            try:
                self.sock.sendall(body)
            except OSError as problem:
                raise NotLeft(words(problem)) from problem
            body = b""
        self.sock.sendall(body + end)

    def close(self) -> None:
        self.broken = True
        for step in (lambda: self.sock.sendall(b"QUIT\r\n"), self.reader.close, self.sock.close):
            with suppress(OSError):
                step()

    def answers(self) -> bool:
        """True unless the server has hung up meanwhile; asked only after a pause, when it may have."""
        if time.monotonic() - self.last_used < QUIET_SECONDS:
            return True
        self.give(NOOP_SECONDS)
        try:
            answer = self.ask(b"NOOP\r\n")
        except OSError:
            return False
        return answer[0] == 250

    @property
    def stale(self) -> bool:
        return self.broken or self.used >= REUSE_LIMIT or time.monotonic() - self.last_used > IDLE_SECONDS


class Pool:
    """Connections by address and credentials; each thread takes one and gives it back."""

    def __init__(self) -> None:
        self._free: dict[tuple, list[Connection]] = {}
        self._lock = threading.Lock()

    def take(self, key: tuple[Any, ...]) -> Connection:
        """Returns a free connection that still answers, or a new one. Raises Unreachable."""
        while True:
            with self._lock:
                waiting = self._free.setdefault(key, [])
                connection = waiting.pop() if waiting else None
            if connection is None:
                return Connection(*key)
            # Asked outside the lock: a server that says nothing must not hold up the other threads.
            if not connection.stale and connection.answers():
                return connection
            connection.close()

    def give(self, key: tuple[Any, ...], connection: Connection) -> None:
        """Takes a connection back, or ends it if it is broken."""
        if connection.broken:
            connection.close()
            return
        connection.last_used = time.monotonic()
        with self._lock:
            self._free[key].append(connection)


def words(problem: Exception) -> str:
    """Returns what went wrong, as shown to the operator."""
    if isinstance(problem, smtplib.SMTPAuthenticationError):
        return f"the server refused the user name or password ({problem.smtp_code})"
    if isinstance(problem, smtplib.SMTPResponseException):
        text = problem.smtp_error
        return f"{problem.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"
    if isinstance(problem, smtplib.SMTPNotSupportedError):
        return "the server does not offer what this sender is set to use (STARTTLS or sign-in)"
    if isinstance(problem, UnicodeError):
        return "the host name, user name or password has letters that SMTP cannot carry"
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, ssl.SSLError):
        return f"no secure connection: {problem.reason or problem}"
    return getattr(problem, "strerror", None) or str(problem)
