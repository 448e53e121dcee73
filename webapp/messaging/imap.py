"""A mailbox over IMAP4rev1, by the standard library: its unseen messages, and where they go when they are done with."""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from webapp.messaging.mail_parts import LIMIT

ANSWER_SECONDS = 20
BATCH = 20  # messages fetched at once
HANDLED = ("Canvass", "INBOX.Canvass", "INBOX/Canvass")  # the folder of what was taken, under each habit of servers
UID = re.compile(rb"UID (\d+)")


class Unreadable(Exception):
    """The mailbox cannot be read now. Its text is shown to the operator."""


@dataclass(frozen=True)
class Place:
    """Where a mailbox is. tls: tls, starttls or none."""

    host: str
    port: int
    tls: str
    username: str
    password: str
    folder: str


class Mailbox:
    """An open folder of a mailbox."""

    def __init__(self, server: imaplib.IMAP4, place: Place):
        self.server = server
        _ok(server.login(place.username, place.password))
        _ok(server.select(_quoted(place.folder)))
        # Asked anew: before they know who asks, many servers name only part of what they can.
        offered = b" ".join(part or b"" for part in _ok(server.capability())).upper().split()
        self.handled = self._folder_for_handled() if b"MOVE" in offered else None
        if self.handled == place.folder:
            self.handled = None

    def _folder_for_handled(self) -> str | None:
        for name in HANDLED:
            self.server.create(_quoted(name))
            if self.server.status(_quoted(name), "(MESSAGES)")[0] == "OK":
                return name
        return None

    def waiting(self) -> list[str]:
        """Returns the uids of the messages that nobody has read; what is flagged is left to people."""
        (found,) = _ok(self.server.uid("SEARCH", "UNSEEN", "UNFLAGGED"))[:1] or [b""]
        return (found or b"").decode("ascii").split()

    def unseen(self) -> Iterator[tuple[str, bytes]]:
        """Yields (uid, message) of each message that waits, without marking it. A long one is cut after LIMIT bytes."""
        uids = self.waiting()
        for start in range(0, len(uids), BATCH):
            yield from self._fetched(uids[start : start + BATCH])

    def _fetched(self, uids: list[str]) -> Iterator[tuple[str, bytes]]:
        answer = _ok(self.server.uid("FETCH", ",".join(uids), f"(UID BODY.PEEK[]<0.{LIMIT}>)"))
        for item, following in zip(answer, [*answer[1:], b""], strict=True):
            if isinstance(item, tuple):
                # Servers may name the UID in front of the message or behind it.
                named = UID.search(item[0]) or (UID.search(following) if isinstance(following, bytes) else None)
                if named:
                    yield named[1].decode(), item[1]

    def done(self, uid: str, *, put_away: bool) -> None:
        """Marks a message as seen. put_away: moves it out of the way where the server can."""
        _ok(self.server.uid("STORE", uid, "+FLAGS.SILENT", r"(\Seen)"))
        if put_away and self.handled:
            # Seen is enough: a server that does not move it after all loses us nothing.
            self.server.uid("MOVE", uid, _quoted(self.handled))

    def flag(self, uid: str) -> None:
        """Leaves a message to people."""
        _ok(self.server.uid("STORE", uid, "+FLAGS.SILENT", r"(\Flagged)"))


@contextmanager
def opened(place: Place) -> Iterator[Mailbox]:
    """Opens a mailbox for the block. Raises Unreadable where it cannot be read, also when it breaks off later."""
    server = None
    try:
        server = _connected(place)
        yield Mailbox(server, place)
    except (imaplib.IMAP4.error, OSError, EOFError) as problem:
        raise Unreadable(f"{place.host}:{place.port}: {_words(problem)}") from problem
    except UnicodeError as problem:
        raise Unreadable("The name, the password and the folder must be in plain letters.") from problem
    finally:
        if server is not None:
            with suppress(imaplib.IMAP4.error, OSError, EOFError):
                server.logout()


def _connected(place: Place) -> imaplib.IMAP4:
    context = ssl.create_default_context()
    if place.tls == "tls":
        return imaplib.IMAP4_SSL(place.host, place.port, ssl_context=context, timeout=ANSWER_SECONDS)
    server = imaplib.IMAP4(place.host, place.port, timeout=ANSWER_SECONDS)
    if place.tls == "starttls":
        try:
            server.starttls(ssl_context=context)
        except BaseException:
            server.shutdown()
            raise
    return server


def _ok(answer: tuple[str, list]) -> list:
    kind, data = answer
    if kind != "OK":
        raise imaplib.IMAP4.error(b" ".join(part for part in data if isinstance(part, bytes)))
    return data


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _words(problem: Exception) -> str:
    told = problem.args[0] if problem.args else ""
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(problem)
    return " ".join(text.split())[:300] or type(problem).__name__
