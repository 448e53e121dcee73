"""SMTP: the standard library connects, secures and signs in; the messages then go down its socket pipelined.

RFC 5321 for the dialogue, RFC 2920 for pipelining. What counts is where a connection breaks: before the end of a
message has left, the server cannot have accepted it; after that nobody knows until its reply is read.
"""

import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from webapp.messaging import senders
from webapp.messaging.compose import Message
from webapp.messaging.outbox import Outcome
from webapp.messaging.senders import Sender

CONNECT_SECONDS = 15
REPLY_SECONDS = 60
IDLE_SECONDS = 30  # servers drop idle connections; an older one is replaced before use
QUIET_SECONDS = 1
REUSE_LIMIT = 1000  # messages over one connection: many servers ask for an end somewhere


class Unreachable(Exception):
    """No connection, or the server refused to work with us at all. Its text is shown to the operator."""


class Connection:
    """One signed-in SMTP connection."""

    def __init__(self, host: str, port: int, tls: str, username: str = "", password: str = ""):
        context = ssl.create_default_context() if tls != "none" else None
        try:
            if tls == "tls":
                self.smtp = smtplib.SMTP_SSL(host, port, timeout=CONNECT_SECONDS, context=context)
            else:
                self.smtp = smtplib.SMTP(host, port, timeout=CONNECT_SECONDS)
            self.smtp.ehlo_or_helo_if_needed()
            if tls == "starttls":
                self.smtp.starttls(context=context)
                self.smtp.ehlo()
            if username:
                self.smtp.login(username, password)
        except (OSError, smtplib.SMTPException) as problem:
            raise Unreachable(f"{host}:{port}: {_words(problem)}") from problem
        self.smtp.sock.settimeout(REPLY_SECONDS)
        self.smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = self.smtp.sock.makefile("rb")
        self.pipelining = self.smtp.has_extn("pipelining")
        self.used, self.last_used, self.broken = 0, time.monotonic(), False

    def reply(self) -> tuple[int, str]:
        """Reads one reply: (code, text). Raises OSError at the connection's end."""
        text = ""
        while True:
            line = self.reader.readline(4096)
            if not line.endswith(b"\n") or not line[:3].isdigit():
                raise ConnectionError("the server closed the connection")
            text += line[4:-1].decode("utf-8", "replace")
            if line[3:4] != b"-":
                return int(line[:3]), text.strip()

    def ask(self, command: bytes) -> tuple[int, str]:
        self.smtp.sock.sendall(command)
        return self.reply()

    def close(self) -> None:
        self.broken = True
        try:
            self.smtp.sock.sendall(b"QUIT\r\n")
            self.reader.close()
            self.smtp.sock.close()
        except OSError:
            pass

    def answers(self) -> bool:
        """True unless the server has hung up meanwhile; asked only after a pause, when it may have."""
        if time.monotonic() - self.last_used < QUIET_SECONDS:
            return True
        try:
            return self.ask(b"NOOP\r\n")[0] == 250
        except OSError:
            return False

    @property
    def stale(self) -> bool:
        return self.broken or self.used >= REUSE_LIMIT or time.monotonic() - self.last_used > IDLE_SECONDS


class Pool:
    """Connections by address and credentials; each thread takes one and gives it back."""

    def __init__(self) -> None:
        self._free: dict[tuple, list[Connection]] = {}
        self._lock = threading.Lock()

    def take(self, key: tuple[Any, ...]) -> Connection:
        with self._lock:
            waiting = self._free.setdefault(key, [])
            while waiting:
                connection = waiting.pop()
                if not connection.stale and connection.answers():
                    return connection
                connection.close()
        return Connection(*key)

    def give(self, key: tuple[Any, ...], connection: Connection) -> None:
        connection.last_used = time.monotonic()
        if connection.broken:
            return
        with self._lock:
            self._free[key].append(connection)


_pool = Pool()


def _words(problem: Exception) -> str:
    if isinstance(problem, smtplib.SMTPAuthenticationError):
        return f"the server refused the user name or password ({problem.smtp_code})"
    if isinstance(problem, smtplib.SMTPResponseException):
        text = problem.smtp_error
        return f"{problem.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"
    if isinstance(problem, smtplib.SMTPNotSupportedError):
        return "the server does not offer what this sender is set to use (STARTTLS or sign-in)"
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, ssl.SSLError):
        return f"no secure connection: {problem.reason or problem}"
    return getattr(problem, "strerror", None) or str(problem)


def key_of(sender: Sender) -> tuple[Any, ...]:
    """Returns (host, port, tls, username, password) of an SMTP sender."""
    config = sender.config
    password = senders.secret(sender, "password")
    return config["host"], config["port"], config["tls"], config.get("username", ""), password


def check(sender: Sender) -> str:
    """Connects and signs in. Returns what the server said. Raises Unreachable."""
    return check_address(key_of(sender))


def check_address(key: tuple[Any, ...]) -> str:
    """Connects to an address and returns what the server offers. Raises Unreachable."""
    connection = Connection(*key)
    try:
        code, text = connection.ask(b"NOOP\r\n")
    except OSError as problem:
        raise Unreachable(_words(problem)) from problem
    finally:
        connection.close()
    offers = ", ".join(sorted(name.upper() for name in connection.smtp.esmtp_features)) or "no extensions"
    return f"{code} {text} (offers {offers})"


def deliver(sender: Sender, messages: Iterable[Message], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    return deliver_to(key_of(sender), messages, deadline)


def deliver_to(key: tuple[Any, ...], messages: Iterable[Message], deadline: float) -> Iterator[Outcome]:
    """Delivers to an address (see `key_of`)."""
    connection = _pool.take(key)
    try:
        yield from (_pipelined if connection.pipelining else _stepwise)(connection, iter(messages), deadline)
    except BaseException:
        connection.broken = True
        raise
    finally:
        if connection.broken:
            connection.close()
        _pool.give(key, connection)


def _envelope(message: Message) -> bytes:
    return f"MAIL FROM:<{message.mail_from}>\r\nRCPT TO:<{message.recipient}>\r\nDATA\r\n".encode()


def _refusal(message: Message, code: int, text: str) -> Outcome:
    return Outcome(message.send_id, "retry" if code < 500 else "rejected", str(code), f"{code} {text}")


def _final(message: Message, code: int, text: str) -> Outcome:
    if 200 <= code < 300:
        return Outcome(message.send_id, "accepted", provider_id=message.message_id)
    return _refusal(message, code, text)


def _lost(message: Message, kind: str, problem: Exception) -> Outcome:
    return Outcome(message.send_id, kind, None, f"Connection lost: {_words(problem)}")


def _pipelined(connection: Connection, messages: Iterator[Message], deadline: float) -> Iterator[Outcome]:
    """The envelope of each message leaves together with the body of the one before: one round trip a message."""
    send = connection.smtp.sock.sendall
    message = next(messages, None)
    if message is None:
        return
    begun: Message | None = message
    try:
        send(_envelope(message))
    except OSError as problem:
        connection.broken = True
        yield _lost(message, "retry", problem)
        yield from _released(messages)
        return
    while begun is not None:
        message, stage = begun, "retry"
        upcoming = next(messages, None) if time.monotonic() < deadline else None
        following = _envelope(upcoming) if upcoming else b""
        try:
            replies = [connection.reply() for _ in range(3)]
            refused = next(((code, text) for code, text in replies[:2] if not 200 <= code < 300), None)
            if replies[2][0] == 354:
                # From the first byte of the end of the message on, only the reply tells what became of it.
                stage = "unknown"
                body = b"" if refused else message.data
                send(body + b".\r\n" + following)
                final = connection.reply()
            else:
                send(following) if following else None
                final = replies[2]
            yield _refusal(message, *refused) if refused else _final(message, *final)
            connection.used += 1
        except OSError as problem:
            connection.broken = True
            yield _lost(message, stage, problem)
            if upcoming:
                yield _lost(upcoming, "released", problem)
            yield from _released(messages)
            return
        if any(code == 421 for code, _ in (*replies, final)):
            connection.broken = True
            if upcoming:
                yield Outcome(upcoming.send_id, "released")
            break
        begun = upcoming
    yield from _released(messages)


def _stepwise(connection: Connection, messages: Iterator[Message], deadline: float) -> Iterator[Outcome]:
    """One command at a time, for servers that do not offer pipelining."""
    for message in messages:
        if connection.broken or time.monotonic() >= deadline:
            yield Outcome(message.send_id, "released")
            continue
        stage = "retry"
        try:
            code, text = 0, ""
            for command in _envelope(message).splitlines(keepends=True):
                code, text = connection.ask(command)
                if not 200 <= code < 400:
                    break
            if code == 354:
                stage = "unknown"
                code, text = connection.ask(message.data + b".\r\n")
            elif code != 421:
                connection.ask(b"RSET\r\n")
            yield _final(message, code, text)
            connection.used += 1
            connection.broken = code == 421
        except OSError as problem:
            connection.broken = True
            yield _lost(message, stage, problem)


def _released(messages: Iterator[Message]) -> Iterator[Outcome]:
    for message in messages:
        yield Outcome(message.send_id, "released")
