"""The local provider: the same wire formats, into the built-in mailbox and the built-in phones."""

from collections.abc import Iterable, Iterator
from typing import Any

from webapp.messaging import mailbox, standin
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import smtp, twilio, whatsapp_cloud
from webapp.messaging.providers.smtp.connection import Unreachable, words
from webapp.messaging.senders import Sender

PHONES = {"sms": twilio, "whatsapp": whatsapp_cloud}


def _key() -> tuple[Any, ...]:
    try:
        return (*mailbox.address_of_server(), "none", "", "")
    except OSError as problem:
        raise Unreachable(f"The built-in mailbox does not start: {words(problem)}") from problem


def _account(sender: Sender) -> Any:
    """Returns the account of an SMS or WhatsApp sender at this process's stand-in. Raises Unreachable."""
    try:
        host, port = standin.address_of_server()
    except OSError as problem:
        raise Unreachable(f"The built-in phones do not start: {words(problem)}") from problem
    return PHONES[sender.channel].account_of(sender, f"http://{host}:{port}")


def check(sender: Sender) -> str:
    """See the package."""
    if sender.channel in PHONES:
        return PHONES[sender.channel].check_account(_account(sender))
    return smtp.check_address(_key())


def deliver(sender: Sender, messages: Iterable[Any], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    if sender.channel in PHONES:
        return PHONES[sender.channel].deliver_from(_account(sender), messages, deadline)
    return smtp.deliver_to(_key(), messages, deadline)
