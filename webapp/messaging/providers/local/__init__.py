"""The local provider: the same SMTP, into the built-in mailbox."""

from collections.abc import Iterable, Iterator
from typing import Any

from webapp.messaging import mailbox
from webapp.messaging.compose import Message
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import smtp
from webapp.messaging.providers.smtp.connection import Unreachable, words
from webapp.messaging.senders import Sender


def _key() -> tuple[Any, ...]:
    try:
        return (*mailbox.address_of_server(), "none", "", "")
    except OSError as problem:
        raise Unreachable(f"The built-in mailbox does not start: {words(problem)}") from problem


def check(sender: Sender) -> str:
    """See the package."""
    return smtp.check_address(_key())


def deliver(sender: Sender, messages: Iterable[Message], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    return smtp.deliver_to(_key(), messages, deadline)
