"""The WhatsApp Cloud API: one POST of JSON for each message, of a template the people at Meta have approved.

There is no key that would make a second POST harmless, so there is never one: the token each message carries comes back
in every status, and tells which send it is about even where the answer was lost.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from webapp.messaging import senders
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import exchange
from webapp.messaging.providers.exchange import Answer, Request
from webapp.messaging.providers.smtp.connection import Unreachable
from webapp.messaging.providers.verdicts import refused
from webapp.messaging.providers.whatsapp_cloud.errors import ERRORS
from webapp.messaging.senders import Sender
from webapp.messaging.whatsapp import TemplateMessage
from webapp.platform.errors import Refused

BASE = "https://graph.facebook.com/v23.0"


@dataclass(frozen=True)
class Account:
    """base: the API's address with its version. number_id: what it is sent from."""

    base: str
    number_id: str
    token: str

    @property
    def path(self) -> str:
        return f"/{quote(self.number_id, safe='')}"

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def account_of(sender: Sender, base: str = "") -> Account:
    """Returns what a sender speaks with. base: instead of its own. Raises Unreachable."""
    config = sender.config
    try:
        token = senders.secret(sender, "access_token")
    except Refused as problem:
        raise Unreachable(problem.message) from problem
    if not config.get("phone_number_id") or not token:
        raise Unreachable("The phone number ID or the access token is missing. Enter them on the sender's page.")
    return Account(base or config.get("api_base") or BASE, str(config["phone_number_id"]), token)


def check(sender: Sender) -> str:
    """See the package."""
    return check_account(account_of(sender))


def check_account(account: Account) -> str:
    """Returns what WhatsApp says about the number. Raises Unreachable."""
    asked = f"{account.path}?fields=verified_name,display_phone_number,quality_rating"
    answer = exchange.ask(account.base, Request("GET", asked, account.authorization))
    data = answer.data
    if answer.status != 200 or "display_phone_number" not in data:
        error = _error(data)
        raise Unreachable(f"WhatsApp answered {answer.status}: {error.get('message') or 'nothing that helps'}")
    name, number = data.get("verified_name") or "No name", data["display_phone_number"]
    return f"{name}, {number}: quality {str(data.get('quality_rating') or 'unknown').lower()}"


def deliver(sender: Sender, messages: Iterable[TemplateMessage], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    return deliver_from(account_of(sender), messages, deadline)


def deliver_from(account: Account, messages: Iterable[TemplateMessage], deadline: float) -> Iterator[Outcome]:
    """Delivers from an account (see `account_of`)."""
    return exchange.deliver(account.base, messages, deadline, lambda message: request_of(account, message), outcome_of)


def request_of(account: Account, message: TemplateMessage) -> Request:
    """Returns the request that sends one message."""
    body = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.recipient,
        "type": "template",
        "template": {
            "name": message.name,
            "language": {"code": message.language},
            "components": list(message.components),
        },
        "biz_opaque_callback_data": message.opaque,
    }
    headers = account.authorization | {"Content-Type": "application/json"}
    return Request("POST", f"{account.path}/messages", headers, json.dumps(body).encode())


def outcome_of(send_id: int, answer: Answer) -> Outcome:
    """Returns what an answer says about the message."""
    data = answer.data
    messages = data.get("messages")
    first = messages[0] if isinstance(messages, list) and messages and isinstance(messages[0], dict) else {}
    if 200 <= answer.status < 300 and isinstance(first.get("id"), str) and first["id"]:
        held = first.get("message_status")
        return Outcome(
            send_id, "accepted", message=None if held in (None, "accepted") else str(held), provider_id=first["id"]
        )
    error = _error(data)
    details = error.get("error_data") if isinstance(error.get("error_data"), dict) else {}
    said = ": ".join(str(part) for part in (error.get("message"), details.get("details")) if part)
    return refused(send_id, answer.status, error.get("code"), said, ERRORS)


def _error(data: dict[str, Any]) -> dict[str, Any]:
    return data["error"] if isinstance(data.get("error"), dict) else {}
