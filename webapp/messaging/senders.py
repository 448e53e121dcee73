"""Senders: the identities messages go out under, with their credentials."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.messaging import credentials, portfolios, sender_fields, sender_limits, sender_reading
from webapp.messaging.sender_fields import PROVIDERS, Field
from webapp.messaging.sender_limits import STATUSES
from webapp.platform import audit, work
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, rows, run, value
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import PLANS
from webapp.platform.organizations import current as current_organization
from webapp.platform.signing import signer

CHANNELS = ("email", "sms", "whatsapp")


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
    # A daily limit that rises: {"started_on": "2026-11-01", "first": 50, "growth": 1.4}; see warming.daily_limit_on.
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
    # Read anew: verbs here write past the session.
    wanted = select(Sender).where(Sender.id == sender_id).execution_options(populate_existing=True)
    sender = db.session.scalar(wanted)
    if sender is None:
        raise NotFound("That sender does not exist any more.")
    return sender


def hold_row(sender: Sender) -> None:
    """Locks a sender's row and reads it as it stands now: its credentials and settings are changed piece by piece, and two
    who did so at once would lose one's pieces. Raises NotFound where it was deleted meanwhile."""
    if (
        sender.id is not None
        and db.session.scalar(
            select(Sender).where(Sender.id == sender.id).with_for_update().execution_options(populate_existing=True)
        )
        is None
    ):
        raise NotFound("That sender does not exist any more.")


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
    """Adds or changes an SMTP sender; see `save`."""
    return save(sender, values | {"provider": "smtp", "channel": "email"})


def save(sender: Sender | None, values: dict[str, Any]) -> Sender:
    """Adds or changes a sender. values: any of sender_limits.NAMES, is_default, and the fields of its provider
    (sender_fields); of a new one also provider and channel. What is not given stays, and so does a secret given empty.
    Raises Invalid."""
    if sender is not None:
        hold_row(sender)
    provider, channel = (sender.provider, sender.channel) if sender else sender_fields.kind_of(values)
    fields = sender_fields.of(provider, channel)
    before = sender_reading.written(sender) if sender else {}
    given, kept = before | values, set(credentials.still_good(sender.secrets)) if sender else set()
    common, own = _read(fields, given, kept)
    if errors := sender_reading.exposed(fields, before, own, kept):
        raise Invalid(errors)
    if sender is None:
        sender = Sender(channel=channel, provider=provider, address=_made_up_address(channel), config={})
    fresh = {field.name: own[field.name] for field in fields if field.is_secret and own.get(field.name)}
    for name, given_value in common.items():
        setattr(sender, name, given_value)
    sender_reading.keep(sender, fields, own)
    if channel == "whatsapp" and sender.portfolio_id is None:
        sender.portfolio_id = portfolios.of_one_number(sender.name).id
    sender.secrets = credentials.added(sender.secrets, fresh)
    db.session.add(sender)
    db.session.flush()
    if provider == "local" and channel != "email" and not sender.secrets:
        account, made = credentials.of_own_phone(channel, sender.org_id, sender.id)
        sender.config, sender.secrets = sender.config | account, credentials.added(None, made)
        db.session.flush()
    if given.get("is_default"):
        make_default(sender)
    _tell("sender.saved", sender, {"host": own.get("host"), "credentials": sorted(fresh)})
    work.announce(PLANS)
    return sender


def _read(fields: tuple[Field, ...], given: dict[str, Any], kept: set[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (what every sender has, what its provider asks for). Raises Invalid with everything that is wrong."""
    errors: dict[str, str] = {}
    parts: list[dict[str, Any]] = [{}, {}]
    for place, read in enumerate((lambda: sender_limits.read(given), lambda: sender_reading.read(fields, given, kept))):
        try:
            parts[place] = read()
        except Invalid as problem:
            errors |= problem.errors
    wanted = parts[1].get("portfolio_id")
    if wanted and not rows("SELECT FROM portfolios WHERE id = :id", id=wanted):
        errors["portfolio_id"] = "Choose one from the list."
    if errors:
        raise Invalid(errors)
    return parts[0], parts[1]


def _made_up_address(channel: str) -> str:
    """Returns the address of a built-in sender: a number no telephone has, or an address no domain has."""
    if channel == "email":
        return f"hello@{current_organization().slug[:60].strip('-')}.example"
    taken = {sender.address for sender in every()}
    return next(number for n in range(10_000) if (number := f"+1555010{n:04d}") not in taken)


def _tell(action: str, sender: Sender, more: dict[str, Any]) -> None:
    """Notes in the audit log what was done to a sender; never what its credentials are."""
    names = ("name", "address", "provider", "status", "daily_limit")
    after = {name: getattr(sender, name) for name in names} | more
    audit.record(action, "sender", sender.id, after={name: told for name, told in after.items() if told})


def make_default(sender: Sender) -> None:
    """Makes a sender the one its channel uses unless another is chosen."""
    # One after the other: two who choose at once must not both stand.
    rows("SELECT FROM senders WHERE channel = :channel ORDER BY id FOR NO KEY UPDATE", channel=sender.channel)
    run(
        "UPDATE senders SET is_default = false, updated_at = now() WHERE channel = :channel AND is_default AND id <> :id",
        channel=sender.channel, id=sender.id,
    )  # fmt: skip
    run("UPDATE senders SET is_default = true, updated_at = now() WHERE id = :id", id=sender.id)
    db.session.refresh(sender)


def renew_secret(sender: Sender, name: str) -> str:
    """Makes a new one of the secrets we make ourselves. Returns it, this once. Raises NotFound for another's name."""
    if name not in [field.name for field in sender_fields.of(sender.provider, sender.channel) if field.generated]:
        raise NotFound
    made = credentials.random()
    hold_row(sender)
    sender.secrets = credentials.added(sender.secrets, {name: made})
    db.session.flush()
    _tell("sender.secret_renewed", sender, {"credentials": [name]})
    return made


def campaigns_of(sender_id: int) -> list[str]:
    """Returns the names of the campaigns that are still to send with a sender."""
    found = rows(
        "SELECT name FROM campaigns WHERE sender_id = :id AND status NOT IN ('completed', 'cancelled', 'archived')"
        " ORDER BY name",
        id=sender_id,
    )
    return [row.name for row in found]


def remove(sender: Sender) -> None:
    """Deletes a sender that sent nothing yet. Raises Refused while campaigns use it, and where it has sent: what went out
    keeps its name, and its limits go on counting what it did."""
    if names := campaigns_of(sender.id):
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise Refused(f"{sender.name} is used by {shown}. Choose another sender there, or wait until they are done.")
    if value("SELECT EXISTS (SELECT FROM sender_minutes WHERE sender_id = :id)", id=sender.id):
        raise Refused(f"{sender.name} has sent messages, which keep its name. Make it inactive: then nothing uses it.")
    _tell("sender.deleted", sender, {})
    db.session.delete(sender)
    db.session.flush()
    work.announce(PLANS)


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
    """Lets a held sender send again; what it did before counts no more against it. Returns False where it was not held."""
    freed = bool(run(
        "UPDATE senders SET held_at = NULL, hold_reason = NULL, rate_limited_until = NULL, last_error = NULL,"
        " config = config || jsonb_build_object('judged_from', CAST(now() AS text)), updated_at = now()"
        " WHERE id = :id AND held_at IS NOT NULL",
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
    return credentials.opened(sender.secrets).get(name, "")
