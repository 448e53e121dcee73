"""Local senders of SMS and WhatsApp: the built-in phones' own accounts, with credentials like any other's."""

import secrets as chance

from sqlalchemy import select

from webapp.messaging.portfolios import Portfolio
from webapp.messaging.senders import Sender
from webapp.messaging.standin import accounts
from webapp.platform import secrets
from webapp.platform.db import db
from webapp.platform.errors import Invalid

CHANNELS = ("sms", "whatsapp")
PORTFOLIO = "Built-in phones"


def ensure_local_text(channel: str, name: str, number: str) -> Sender:
    """Returns the organisation's built-in sender of a channel ("sms", "whatsapp"), made if it has none: the default if
    the channel has none yet, and with a portfolio of the lowest tier on WhatsApp. number: E.164. Raises Invalid."""
    if channel not in CHANNELS:
        raise Invalid({"channel": f"Choose one of {', '.join(CHANNELS)}."})
    found = db.session.scalar(select(Sender).where(Sender.provider == "local", Sender.channel == channel))
    if found:
        return found
    has_default = db.session.scalar(select(Sender.id).where(Sender.is_default, Sender.channel == channel))
    sender = Sender(channel=channel, provider="local", name=name, address=number, is_default=has_default is None)
    db.session.add(sender)
    db.session.flush()
    furnish(sender)
    return sender


def furnish(sender: Sender) -> None:
    """Gives a local sender of SMS or WhatsApp the account it has at the stand-in, unless it has one."""
    if sender.secrets:
        return
    org_id, sender_id = sender.org_id, sender.id
    if sender.channel == "sms":
        sender.config = (sender.config or {}) | {"account_sid": accounts.sid_of(org_id, sender_id)}
        sender.secrets = secrets.seal({"auth_token": chance.token_hex(16)})
    else:
        number_id = accounts.number_id_of(org_id, sender_id)
        sender.config = (sender.config or {}) | {"phone_number_id": number_id, "business_account_id": f"9{number_id}"}
        names = ("access_token", "app_secret", "verify_token")
        sender.secrets = secrets.seal({name: chance.token_hex(16) for name in names})
        sender.portfolio_id = sender.portfolio_id or _portfolio().id
    db.session.flush()


def _portfolio() -> Portfolio:
    found = db.session.scalar(select(Portfolio).where(Portfolio.name == PORTFOLIO).order_by(Portfolio.id).limit(1))
    if found is None:
        found = Portfolio(name=PORTFOLIO, daily_people=250)
        db.session.add(found)
        db.session.flush()
    return found
