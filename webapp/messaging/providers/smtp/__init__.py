"""SMTP: messages go down a connection pipelined where the server offers it, one command at a time where not.

RFC 5321 for the dialogue, RFC 2920 for pipelining. What counts is where a connection breaks: before the end of a
message has left, the server cannot have accepted it; after that nobody knows until its reply is read.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from webapp.messaging import senders
from webapp.messaging.bounce_causes import refusal
from webapp.messaging.compose import Message
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers.smtp.connection import (
    TALK_SECONDS,
    Connection,
    NotLeft,
    Pool,
    Unreachable,
    words,
)
from webapp.messaging.senders import Sender
from webapp.platform.errors import Refused

END = b".\r\n"
RESET = b"RSET\r\n"
STAGES = ("sender", "recipient", "message")  # what the answers to MAIL, RCPT and DATA speak of
_pool = Pool()


def key_of(sender: Sender) -> tuple[Any, ...]:
    """Returns (host, port, tls, username, password) of an SMTP sender. Raises Unreachable."""
    config = sender.config
    try:
        password = senders.secret(sender, "password")
    except Refused as problem:
        raise Unreachable(problem.message) from problem
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
        raise Unreachable(words(problem)) from problem
    finally:
        connection.close()
    offers = ", ".join(sorted(name.upper() for name in connection.offers)) or "no extensions"
    return f"{code} {text} (offers {offers})"


def deliver(sender: Sender, messages: Iterable[Message], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    return deliver_to(key_of(sender), messages, deadline)


def deliver_to(key: tuple[Any, ...], messages: Iterable[Message], deadline: float) -> Iterator[Outcome]:
    """Delivers to an address (see `key_of`)."""
    connection = _pool.take(key)
    connection.give(deadline - time.monotonic() + TALK_SECONDS)
    try:
        yield from (_pipelined if connection.pipelining else _stepwise)(connection, iter(messages), deadline)
    except BaseException:
        connection.broken = True
        raise
    finally:
        _pool.give(key, connection)


def _pipelined(connection: Connection, messages: Iterator[Message], deadline: float) -> Iterator[Outcome]:
    """The envelope of each message leaves together with the body of the one before: one round trip a message."""
    begun = next(messages, None) if time.monotonic() < deadline else None
    if begun is not None:
        try:
            connection.sock.sendall(b"".join(_envelope(begun)))
        except OSError as problem:
            yield _broken(connection, begun, [], "retry", problem)
            begun = None
    while begun is not None:
        upcoming = next(messages, None) if time.monotonic() < deadline else None
        yield _exchange(connection, begun, b"".join(_envelope(upcoming)) if upcoming else b"")
        if connection.broken and upcoming:
            yield Outcome(upcoming.send_id, "released")
        begun = None if connection.broken else upcoming
    for message in messages:
        yield Outcome(message.send_id, "released")


def _exchange(connection: Connection, message: Message, following: bytes) -> Outcome:
    """Reads the replies to an envelope that has left; sends the message and, behind it, the next envelope."""
    replies: list[tuple[int, str]] = []
    stage = "retry"
    try:
        for _ in range(3):
            replies.append(connection.reply())
        if replies[2][0] == 354:
            # A server may ask for the message although it took no recipient; nothing but the end may follow then, and
            # that is no message (RFC 2920). Otherwise only the reply tells from here on what became of it.
            refused = _refused(message, replies) is not None
            stage = "unknown"
            connection.push(b"" if refused else message.data, END + following)
        else:
            # It still holds what it took of this envelope and would refuse the next one.
            connection.push(b"", RESET + following)
        replies.append(connection.reply())
    except OSError as problem:
        return _broken(connection, message, replies, stage, problem)
    return _done(connection, message, replies)


def _stepwise(connection: Connection, messages: Iterator[Message], deadline: float) -> Iterator[Outcome]:
    """One command at a time, for servers that do not offer pipelining."""
    for message in messages:
        if connection.broken or time.monotonic() >= deadline:
            yield Outcome(message.send_id, "released")
        else:
            yield _conversation(connection, message)


def _conversation(connection: Connection, message: Message) -> Outcome:
    replies: list[tuple[int, str]] = []
    stage = "retry"
    try:
        for command in _envelope(message):
            replies.append(connection.ask(command))
            if _refused(message, replies):
                break
        else:
            stage = "unknown"
            connection.push(message.data, END)
            replies.append(connection.reply())
        if stage == "retry" and replies[-1][0] != 421:
            replies.append(connection.ask(RESET))
    except OSError as problem:
        return _broken(connection, message, replies, stage, problem)
    return _done(connection, message, replies)


def _envelope(message: Message) -> tuple[bytes, bytes, bytes]:
    return f"MAIL FROM:<{message.mail_from}>\r\n".encode(), f"RCPT TO:<{message.recipient}>\r\n".encode(), b"DATA\r\n"


def _refused(message: Message, replies: list[tuple[int, str]]) -> Outcome | None:
    """Returns the outcome where the server refused the envelope (MAIL and RCPT want a 2xx, DATA a 354), else None."""
    for (code, text), wanted, stage in zip(replies, (2, 2, 3), STAGES, strict=False):
        if code // 100 != wanted:
            return _refusal(message, code, text, stage)
    return None


def _refusal(message: Message, code: int, text: str, stage: str) -> Outcome:
    """What a server will not take. A recipient or a message it refuses for good has failed; where it refuses us, nobody's
    message has, and a person has to look at the sender."""
    words = f"{code} {text}"
    if code < 500:
        return Outcome(message.send_id, "retry", str(code), words)
    if stage == "sender" or code in (530, 535):
        return Outcome(message.send_id, "retry", str(code), words, effect="hold_sender")
    bounce = refusal(words, of_recipient=stage == "recipient")
    return Outcome(message.send_id, "rejected", str(code), words, bounce=bounce)


def _done(connection: Connection, message: Message, replies: list[tuple[int, str]]) -> Outcome:
    """The dialogue about a message came to its end."""
    connection.used += 1
    outcome = _refused(message, replies)
    if outcome is None:
        code, text = replies[3]
        if 200 <= code < 300:
            outcome = Outcome(message.send_id, "accepted", provider_id=message.message_id)
        elif code < 400:
            outcome = Outcome(message.send_id, "unknown", str(code), f"{code} {text}")
        else:
            outcome = _refusal(message, code, text, "message")
    # 421: it is leaving. It refuses us: whoever comes next would be refused as well. A good code in a bad place: it and we
    # are out of step, and nothing it says can be relied on.
    leaving = any(code == 421 for code, _ in replies) or outcome.effect is not None
    connection.broken = leaving or (outcome.kind != "accepted" and outcome.code is not None and outcome.code < "400")
    return outcome


def _broken(
    connection: Connection, message: Message, replies: list[tuple[int, str]], stage: str, problem: OSError
) -> Outcome:
    """The connection was lost. What the server had refused by then stays refused."""
    connection.broken = True
    kind = "retry" if isinstance(problem, NotLeft) else stage
    lost = Outcome(message.send_id, kind, None, f"Connection lost: {words(problem)}")
    return _refused(message, replies) or lost
