"""The built-in phones: what the stand-ins for Twilio and WhatsApp delivered, as the people's phones would show it, and the
faults they were told to make."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, one, run
from webapp.platform.errors import Invalid, NotFound

CHANNELS = ("sms", "whatsapp")
DIRECTIONS = ("to_phone", "from_phone")
# What never came: the provider took it, and then it failed.
ASTRAY = ("undelivered", "failed")
KEEP = 20_000  # messages an organisation; the oldest go first
SHOWN = 200  # messages of one phone on its page
FAULTS_LIMIT = 1_000  # messages that one fault may hit


class PhoneMessage(Tenant, Changing, Base):
    """phone: the person's number; number: ours. callback: where and how its states are told (address, ...)."""

    __tablename__ = "phone_messages"
    channel: Mapped[str]
    direction: Mapped[str]
    sender_id: Mapped[int | None]
    phone: Mapped[str]
    number: Mapped[str]
    body: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    provider_message_id: Mapped[str]
    status: Mapped[str]
    read_at: Mapped[datetime | None]
    __table_args__ = (
        of_organization(),
        child_of("senders", "sender_id", "SET NULL"),
        one_of("channel", ("sms", "whatsapp")),
        one_of("direction", DIRECTIONS),
        Index(None, "org_id", "provider_message_id", unique=True),
        Index(None, "org_id", "channel", "phone", "id"),
        Index(None, "org_id", "id"),
    )


class PhoneFault(Tenant, Base):
    """The next `remaining` messages to a phone ("" for any) end in one documented way."""

    __tablename__ = "phone_faults"
    channel: Mapped[str]
    phone: Mapped[str] = mapped_column(server_default="")
    fault: Mapped[str]
    remaining: Mapped[int] = mapped_column(server_default="1")
    __table_args__ = (
        of_organization(),
        one_of("channel", ("sms", "whatsapp")),
        CheckConstraint("remaining >= 0", name="remaining"),
        Index(None, "org_id", "channel", "phone", unique=True),
    )


def get(message_id: int) -> PhoneMessage:
    """Returns a message. Raises NotFound."""
    message = db.session.scalar(select(PhoneMessage).where(PhoneMessage.id == message_id))
    if message is None:
        raise NotFound("That message is not on a phone any more.")
    return message


def thread(channel: str, phone: str) -> list[PhoneMessage]:
    """Returns the latest SHOWN messages of a phone on one channel, oldest first."""
    wanted = select(PhoneMessage).where(PhoneMessage.channel == channel, PhoneMessage.phone == phone)
    return list(reversed(db.session.scalars(wanted.order_by(PhoneMessage.id.desc()).limit(SHOWN)).all()))


def last_to(channel: str, phone: str) -> PhoneMessage | None:
    """Returns the last message that a phone got; None where it got none."""
    wanted = select(PhoneMessage).where(
        PhoneMessage.channel == channel, PhoneMessage.phone == phone, PhoneMessage.direction == "to_phone",
        PhoneMessage.status.not_in(ASTRAY),
    )  # fmt: skip
    return db.session.scalar(wanted.order_by(PhoneMessage.id.desc()).limit(1))


def is_unread(message: PhoneMessage) -> bool:
    """True for what came and was not looked at yet."""
    return message.direction == "to_phone" and message.read_at is None and message.status not in ASTRAY


def read(channel: str, phone: str) -> list[PhoneMessage]:
    """Marks everything on a phone as read. Returns what was not before."""
    return list(db.session.scalars(
        update(PhoneMessage)
        .where(
            PhoneMessage.channel == channel, PhoneMessage.phone == phone, PhoneMessage.direction == "to_phone",
            PhoneMessage.read_at.is_(None), PhoneMessage.status.not_in(ASTRAY),
        )
        .values(read_at=func.now(), status="read" if channel == "whatsapp" else PhoneMessage.status)
        .returning(PhoneMessage)
        .execution_options(populate_existing=True)
    ))  # fmt: skip


def fault(channel: str, phone: str) -> PhoneFault | None:
    """Returns what goes wrong with the next messages to a phone ("" for any); None where nothing does."""
    wanted = select(PhoneFault).where(
        PhoneFault.channel == channel, PhoneFault.phone == phone, PhoneFault.remaining > 0
    )
    return db.session.scalar(wanted)


def set_fault(channel: str, phone: str, name: str, remaining: int = 1) -> None:
    """Lets the next messages to a phone ("" for any) end in a fault of the stand-in's catalogue; "" lets them pass again.

    Raises Invalid for a number of messages outside 1 to FAULTS_LIMIT.
    """
    if channel not in CHANNELS:
        raise Invalid({"channel": f"Choose one of {', '.join(CHANNELS)}."})
    if isinstance(remaining, bool) or not isinstance(remaining, int) or not 1 <= remaining <= FAULTS_LIMIT:
        raise Invalid({"remaining": f"Give a number from 1 to {FAULTS_LIMIT:,}."})
    if not name:
        run("DELETE FROM phone_faults WHERE channel = :channel AND phone = :phone", channel=channel, phone=phone)
        return
    run(
        "INSERT INTO phone_faults (channel, phone, fault, remaining) VALUES (:channel, :phone, :fault, :remaining)"
        " ON CONFLICT (org_id, channel, phone) DO UPDATE SET fault = EXCLUDED.fault, remaining = EXCLUDED.remaining",
        channel=channel, phone=phone, fault=name, remaining=remaining,
    )  # fmt: skip


def take_fault(channel: str, phone: str) -> str | None:
    """Returns the fault that the next message to a phone ends in, one time fewer from now on; None for none. What was
    said of this phone goes before what was said of any."""
    found = one(
        "UPDATE phone_faults SET remaining = remaining - 1 WHERE id = (SELECT id FROM phone_faults"
        " WHERE channel = :channel AND phone IN (:phone, '') AND remaining > 0"
        " ORDER BY phone DESC LIMIT 1 FOR UPDATE) AND remaining > 0 RETURNING fault",
        channel=channel, phone=phone,
    )  # fmt: skip
    return found.fault if found else None


def prune() -> None:
    """Forgets the oldest messages of the organisation in scope beyond KEEP, and faults that have come."""
    run(
        "DELETE FROM phone_messages WHERE id <= (SELECT id FROM phone_messages ORDER BY id DESC OFFSET :keep LIMIT 1)",
        keep=KEEP,
    )
    run("DELETE FROM phone_faults WHERE remaining = 0")
