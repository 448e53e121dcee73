"""Inbound messages: what people write back, kept with the send it answers."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from webapp.audience import merges
from webapp.audience.leads import one_of
from webapp.messaging.senders import CHANNELS
from webapp.platform.db import Base, Tenant, child_of, of_organization

INTENTS = ("stop", "start", "help", "interested", "question", "complaint", "callback", "other")


class InboundMessage(Tenant, Base):
    __tablename__ = "inbound_messages"
    channel: Mapped[str]
    sender_id: Mapped[int | None]
    from_address: Mapped[str]
    to_address: Mapped[str | None]
    body: Mapped[str]
    lead_id: Mapped[int | None]
    send_id: Mapped[int | None]
    intent: Mapped[str]
    provider_message_id: Mapped[str]
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    __table_args__ = (
        of_organization(),
        child_of("senders", "sender_id", "SET NULL"),
        child_of("leads", "lead_id", "SET NULL"),
        child_of("sends", "send_id", "SET NULL"),
        one_of("channel", CHANNELS),
        one_of("intent", INTENTS),
        # Told twice, kept once.
        Index(None, "org_id", "channel", "provider_message_id", unique=True),
        # Whether somebody's service window is open.
        Index(None, "org_id", "channel", "from_address", "received_at"),
        Index(None, "org_id", "lead_id", "id"),
        Index(None, "org_id", "received_at", "id"),
    )


merges.follows("inbound_messages")
