"""The built-in phones: what the stand-ins for Twilio and WhatsApp delivered, as the people's phones would show it, and the
faults they were told to make."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

DIRECTIONS = ("to_phone", "from_phone")


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
