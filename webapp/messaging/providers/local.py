"""The local provider: the same SMTP, into the built-in mailbox."""

from collections.abc import Iterable, Iterator

from webapp.messaging import mailbox
from webapp.messaging.compose import Message
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import smtp
from webapp.messaging.senders import Sender


def check(sender: Sender) -> str:
    """See the package."""
    return smtp.check_address((*mailbox.address_of_server(), "none", "", ""))


def deliver(sender: Sender, messages: Iterable[Message], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    return smtp.deliver_to((*mailbox.address_of_server(), "none", "", ""), messages, deadline)
