"""Senders: the identities messages go out under, with their credentials."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.messaging.headers import Unsendable, carried
from webapp.platform import audit, secrets
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, run
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.signing import signer
from webapp.platform.users import clean_email

CHANNELS = ("email", "sms", "whatsapp")
PROVIDERS = ("smtp", "twilio", "whatsapp_cloud", "local")
STATUSES = ("active", "standby", "warming", "banned", "inactive")
TLS_MODES = ("starttls", "tls", "none")
HOST = re.compile(r"(?!.*\.\.)[\w.:-]{1,253}")


class Sender(Tenant, Changing, Base):
    __tablename__ = "senders"
    channel: Mapped[str]
    name: Mapped[str]
    address: Mapped[str]
    reply_to: Mapped[str | None]
    provider: Mapped[str]
    config: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    secrets: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    health_score: Mapped[int] = mapped_column(server_default="100")
    daily_limit: Mapped[int | None]
    used_last_24h: Mapped[int] = mapped_column(server_default="0")
    rate_per_second: Mapped[int | None]
    rate_limited_until: Mapped[datetime | None]
    is_default: Mapped[bool] = mapped_column(server_default="false")
    last_connected_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    notes: Mapped[str | None]
    # WhatsApp: the business portfolio whose limit its numbers share.
    portfolio_id: Mapped[int | None]
    # A daily limit that rises: {"started_on": "2026-11-01", "first": 50, "growth": 1.4}; see caps.daily_limit_on.
    warming: Mapped[dict[str, Any] | None]
    # Held: it sends nothing until a person lets it go on. rate_limited_until is a rest that ends by itself.
    held_at: Mapped[datetime | None]
    hold_reason: Mapped[str | None]
    __table_args__ = (
        of_organization(),
        one_of("channel", CHANNELS),
        one_of("provider", PROVIDERS),
        one_of("status", STATUSES),
        CheckConstraint("health_score BETWEEN 0 AND 100", name="health_score"),
        child_of("portfolios", "portfolio_id", "SET NULL"),
        Index(None, "org_id", "channel", unique=True, postgresql_where="is_default"),
    )

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def get(sender_id: int) -> Sender:
    """Returns a sender of the organisation in scope. Raises NotFound."""
    sender = db.session.scalar(select(Sender).where(Sender.id == sender_id))
    if sender is None:
        raise NotFound("That sender does not exist any more.")
    return sender


def usable(channel: str = "email") -> list[Sender]:
    """Returns the senders one may choose for a channel, the default first."""
    wanted = select(Sender).where(Sender.channel == channel, Sender.status.in_(("active", "warming")))
    return list(db.session.scalars(wanted.order_by(Sender.is_default.desc(), func.lower(Sender.name))))


def every() -> list[Sender]:
    """Returns all senders of the organisation, the defaults first."""
    return list(db.session.scalars(select(Sender).order_by(Sender.is_default.desc(), func.lower(Sender.name))))


def ensure_local(name: str, address: str) -> Sender:
    """Returns the organisation's built-in e-mail sender, made if it has none."""
    found = db.session.scalar(select(Sender).where(Sender.provider == "local", Sender.channel == "email"))
    if found:
        return found
    has_default = db.session.scalar(select(Sender.id).where(Sender.is_default, Sender.channel == "email"))
    sender = Sender(channel="email", provider="local", name=name, address=address, is_default=has_default is None)
    db.session.add(sender)
    db.session.flush()
    return sender


def save_smtp(sender: Sender | None, values: dict[str, Any]) -> Sender:
    """Adds or changes an SMTP sender. values: name, address, reply_to, host, port, tls, username, password (empty
    keeps the kept one), is_default, status. Raises Invalid."""
    errors: dict[str, str] = {}
    clean: dict[str, str | None] = {}
    for field, needed in (("address", True), ("reply_to", False)):
        text = (values.get(field) or "").strip()
        try:
            clean[field] = carried(clean_email(text)) if text or needed else None
        except Invalid as problem:
            errors[field] = problem.errors["email"]
        except Unsendable:
            errors[field] = "Mail servers do not take such letters before the @."
    host, port = (values.get("host") or "").strip(), values.get("port", 587)
    name = " ".join((values.get("name") or "").split())
    if not name or len(name) > 120:
        errors["name"] = "Give the name recipients see, of at most 120 characters."
    if not HOST.fullmatch(host):
        errors["host"] = "Give the server's host name."
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        errors["port"] = "A port is a number from 1 to 65535."
    if values.get("tls") not in TLS_MODES:
        errors["tls"] = "Choose how the connection is secured."
    if values.get("status") and values["status"] not in STATUSES:
        errors["status"] = f"Choose one of {', '.join(STATUSES)}."
    if errors:
        raise Invalid(errors)
    if sender is None:
        sender = Sender(channel="email", provider="smtp")
        db.session.add(sender)
    sender.name, sender.address, sender.reply_to = name, clean["address"], clean["reply_to"]
    sender.config = {
        "host": host,
        "port": port,
        "tls": values["tls"],
        "username": (values.get("username") or "").strip(),
    }
    if values.get("password"):
        sender.secrets = secrets.seal({"password": values["password"]})
    sender.status = values.get("status") or sender.status or "active"
    db.session.flush()
    if values.get("is_default"):
        make_default(sender)
    audit.record(
        "sender.saved", "sender", sender.id, after={"name": sender.name, "address": sender.address, "host": host}
    )
    return sender


def make_default(sender: Sender) -> None:
    """Makes a sender the one its channel uses unless another is chosen."""
    db.session.execute(
        update(Sender).where(Sender.channel == sender.channel, Sender.is_default).values(is_default=False)
    )
    sender.is_default = True
    db.session.flush()


def hold(sender_id: int, reason: str) -> bool:
    """Lets a sender send nothing more until a person lets it go on. reason: shown to them. Returns False where it is
    held already."""
    held = bool(run(
        "UPDATE senders SET held_at = now(), hold_reason = :reason, updated_at = now()"
        " WHERE id = :id AND held_at IS NULL",
        id=sender_id, reason=reason[:1000],
    ))  # fmt: skip
    if held:
        audit.record("sender.held", "sender", sender_id, after={"reason": reason[:1000]})
    return held


def let_go_on(sender_id: int) -> bool:
    """Lets a held sender send again. Returns False where it was not held."""
    freed = bool(run(
        "UPDATE senders SET held_at = NULL, hold_reason = NULL, rate_limited_until = NULL, last_error = NULL,"
        " updated_at = now() WHERE id = :id AND held_at IS NOT NULL",
        id=sender_id,
    ))  # fmt: skip
    if freed:
        audit.record("sender.released", "sender", sender_id)
    return freed


def webhook_address(sender: Sender, base_url: str) -> str:
    """Returns where the sender's provider tells us of its messages. The token in it names organisation and sender; what
    comes there counts only with the provider's own signature as well. A local sender speaks as SMS and WhatsApp do."""
    speaks = {"sms": "twilio", "whatsapp": "whatsapp_cloud"}.get(sender.channel, "smtp")
    return f"{base_url}/webhooks/{speaks}/{signer().pack('webhook', sender.org_id, sender.id)}"


def secret(sender: Sender, name: str) -> str:
    """Returns one of the sender's secrets in clear text, or "" where it has none."""
    return secrets.unseal(sender.secrets).get(name, "") if sender.secrets else ""
