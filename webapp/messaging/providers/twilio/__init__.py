"""Twilio: SMS, one POST of a form for each message.

Its answer carries the SID that the status callbacks name. They come to the sender's webhook; the message's own token in
that address tells which send they are about even where the answer was lost.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from flask import current_app

from webapp.messaging import senders
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import exchange
from webapp.messaging.providers.exchange import LOOPBACK, Answer, Request
from webapp.messaging.providers.smtp.connection import Unreachable
from webapp.messaging.providers.twilio.errors import ERRORS
from webapp.messaging.providers.verdicts import refused
from webapp.messaging.senders import Sender
from webapp.messaging.texting import TextMessage
from webapp.platform.errors import Refused

BASE = "https://api.twilio.com"


@dataclass(frozen=True)
class Account:
    """base: the API's address. number or service: what it is sent from. callback: where states are told, or ""."""

    base: str
    sid: str
    token: str
    number: str
    service: str
    callback: str

    @property
    def path(self) -> str:
        return f"/2010-04-01/Accounts/{quote(self.sid, safe='')}"

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{self.sid}:{self.token}".encode()).decode()}


def account_of(sender: Sender, base: str = "") -> Account:
    """Returns what a sender speaks with. base: instead of its own. Raises Unreachable."""
    config = sender.config
    try:
        token = senders.secret(sender, "auth_token")
    except Refused as problem:
        raise Unreachable(problem.message) from problem
    if not config.get("account_sid") or not token:
        raise Unreachable("The account SID or the auth token is missing. Enter them on the sender's page.")
    base = base or config.get("api_base") or BASE
    callback = senders.webhook_address(sender, current_app.config["BASE_URL"])
    if urlsplit(callback).hostname in LOOPBACK and urlsplit(base).hostname not in LOOPBACK:
        # It could not come here, and is refused where it is asked to.
        callback = ""
    return Account(
        base, config["account_sid"], token, sender.address, config.get("messaging_service_sid") or "", callback
    )


def check(sender: Sender) -> str:
    """See the package."""
    return check_account(account_of(sender))


def check_account(account: Account) -> str:
    """Returns what Twilio says about the account. Raises Unreachable."""
    answer = exchange.ask(account.base, Request("GET", f"{account.path}.json", account.authorization))
    if answer.status != 200 or "status" not in answer.data:
        raise Unreachable(f"Twilio answered {answer.status}: {answer.data.get('message') or 'nothing that helps'}")
    data = answer.data
    return f"{data.get('friendly_name') or account.sid}: account {data['status']}"


def deliver(sender: Sender, messages: Iterable[TextMessage], deadline: float) -> Iterator[Outcome]:
    """See the package."""
    return deliver_from(account_of(sender), messages, deadline)


def deliver_from(account: Account, messages: Iterable[TextMessage], deadline: float) -> Iterator[Outcome]:
    """Delivers from an account (see `account_of`)."""
    return exchange.deliver(account.base, messages, deadline, lambda message: request_of(account, message), outcome_of)


def request_of(account: Account, message: TextMessage) -> Request:
    """Returns the request that sends one message."""
    form = {"To": message.recipient}
    form |= {"MessagingServiceSid": account.service} if account.service else {"From": account.number}
    form["Body"] = message.body
    callback = message.status_callback or (f"{account.callback}?message={message.opaque}" if account.callback else "")
    if callback:
        form["StatusCallback"] = callback
    headers = account.authorization | {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", f"{account.path}/Messages.json", headers, urlencode(form).encode())


def outcome_of(send_id: int, answer: Answer) -> Outcome:
    """Returns what an answer says about the message."""
    sid = answer.data.get("sid")
    if 200 <= answer.status < 300 and isinstance(sid, str) and sid:
        return Outcome(send_id, "accepted", provider_id=sid)
    return refused(send_id, answer.status, answer.data.get("code"), str(answer.data.get("message") or ""), ERRORS)
