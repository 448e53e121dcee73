"""The test of a sender's connections: what its provider answers now, and whether its mailbox can be read."""

from dataclasses import dataclass

from webapp.messaging import mailbox_polling, providers
from webapp.messaging.imap import Unreadable
from webapp.messaging.providers.smtp import Unreachable
from webapp.messaging.senders import Sender
from webapp.platform import clock
from webapp.platform.db import db
from webapp.platform.errors import Refused


@dataclass(frozen=True)
class Answer:
    """reached, said: whether the provider was reached, and its own words. readable, mailbox: the same of the mailbox;
    None where it has none, or where it was not tried because the provider was not reached."""

    reached: bool
    said: str
    readable: bool | None = None
    mailbox: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong, as it is kept at the sender; None where all is well."""
        if not self.reached:
            return self.said
        return f"{mailbox_polling.ERROR}{self.mailbox}" if self.readable is False else None


def test(sender: Sender) -> Answer:
    """Tries a sender's connections and keeps at it how that went. Raises Refused for credentials that cannot be opened."""
    told = _tried(sender)
    sender.last_error = told.problem[:1000] if told.problem else None
    if told.reached:
        sender.last_connected_at, sender.rate_limited_until = clock.now(), None
    db.session.flush()
    return told


def _tried(sender: Sender) -> Answer:
    try:
        said = providers.of(sender.provider).check(sender)
    except Unreachable as problem:
        return Answer(False, str(problem))
    try:
        place = mailbox_polling.place_of(sender)
        return Answer(True, said, True, mailbox_polling.check(place)) if place else Answer(True, said)
    except (Unreadable, Refused) as problem:
        return Answer(True, said, False, str(problem))
