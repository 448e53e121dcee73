"""Intents: plain rules by which a reply is sorted, editable by an admin."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.messaging.inbound import INTENTS
from webapp.platform.db import Base, Changing, Tenant, of_organization

MATCHES = ("is", "begins", "contains")


class IntentRule(Tenant, Changing, Base):
    """The first rule by position that fits decides. channel: one channel, or "any". language: a two-letter code, or "" for
    every language. words: what is looked for, compared without regard to case, accents and punctuation."""

    __tablename__ = "intent_rules"
    position: Mapped[int]
    channel: Mapped[str] = mapped_column(server_default="any")
    language: Mapped[str] = mapped_column(server_default="")
    intent: Mapped[str]
    match: Mapped[str] = mapped_column(server_default="contains")
    words: Mapped[list[str]]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    __table_args__ = (
        of_organization(),
        one_of("channel", ("any", "email", "sms", "whatsapp")),
        one_of("intent", INTENTS),
        one_of("match", MATCHES),
        Index(None, "org_id", "position", "id"),
    )
