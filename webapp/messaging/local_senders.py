"""Local senders of SMS and WhatsApp: the built-in phones' own accounts, with credentials like any other's."""

from sqlalchemy import select

from webapp.messaging import credentials
from webapp.messaging.portfolios import Portfolio
from webapp.messaging.senders import Sender
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
    account, made = credentials.of_own_phone(sender.channel, sender.org_id, sender.id)
    sender.config, sender.secrets = (sender.config or {}) | account, secrets.seal(made)
    if sender.channel == "whatsapp":
        sender.portfolio_id = sender.portfolio_id or _portfolio().id
    db.session.flush()


def _portfolio() -> Portfolio:
    found = db.session.scalar(select(Portfolio).where(Portfolio.name == PORTFOLIO).order_by(Portfolio.id).limit(1))
    if found is None:
        found = Portfolio(name=PORTFOLIO, daily_people=250)
        db.session.add(found)
        db.session.flush()
    return found
