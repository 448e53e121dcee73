"""Accounts: whose credentials the stand-ins are shown. An account's number is made from organisation and sender, so that
a request finds its way into the right one before anything is looked up."""

import hmac
from dataclasses import dataclass

from webapp.messaging import senders
from webapp.messaging.senders import Sender
from webapp.platform.db import transaction
from webapp.platform.errors import NotFound, Refused
from webapp.platform.signing import signer


@dataclass(frozen=True)
class Account:
    """A local sender as its provider knows it. secrets: the names and values its provider was given."""

    org_id: int
    sender: Sender
    secrets: dict[str, str]


def _token_of(shown: str) -> str:
    if shown.startswith("AC"):
        return shown[2:]
    if not shown.isascii() or not shown.isdigit() or len(shown) > 200:
        raise NotFound()
    return f"{int(shown):x}"[1:]


def find(shown: str, channel: str, secret: str, given: str) -> Account | None:
    """Returns the account of an id that was shown with a secret; None where they do not belong together.

    Ends any transaction that is open: whoever asks is not yet in the scope of an organisation.
    """
    try:
        org_id, sender_id = signer().unpack("local", _token_of(shown))
        with transaction(org_id) as session:
            sender = senders.get(sender_id)
            session.expunge(sender)
    except (Refused, ValueError, IndexError):
        return None
    if sender.provider != "local" or sender.channel != channel:
        return None
    account = of(sender)
    return account if hmac.compare_digest(account.secrets.get(secret, "").encode(), given.encode()) and given else None


def of(sender: Sender) -> Account:
    """Returns the account of a local sender. Raises Refused where its credentials cannot be opened."""
    names = ("auth_token",) if sender.channel == "sms" else ("access_token", "app_secret", "verify_token")
    return Account(sender.org_id, sender, {name: senders.secret(sender, name) for name in names})
