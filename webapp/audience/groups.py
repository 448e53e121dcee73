"""WhatsApp groups: where leads meet, and how much being in one says about them."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

ROLES = ("admin", "member", "unknown")


class WhatsAppGroup(Tenant, Changing, Base):
    __tablename__ = "whatsapp_groups"
    external_group_id: Mapped[str | None]
    sender_id: Mapped[int | None]
    name: Mapped[str]
    description: Mapped[str | None]
    member_count: Mapped[int] = mapped_column(server_default="0")
    region: Mapped[str | None]
    state: Mapped[str | None]
    district: Mapped[str | None]
    segment_tags: Mapped[list[str]] = mapped_column(server_default="{}")
    discovered_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    is_active: Mapped[bool] = mapped_column(server_default="true")
    __table_args__ = (
        of_organization(),
        child_of("senders", "sender_id", "SET NULL"),
        Index(None, "org_id", "external_group_id", unique=True),
        Index(None, "org_id", "created_at", "id"),
    )


class GroupMember(Tenant, Changing, Base):
    __tablename__ = "whatsapp_group_members"
    group_id: Mapped[int]
    lead_id: Mapped[int]
    role: Mapped[str] = mapped_column(server_default="member")
    contributes_to_persona: Mapped[bool] = mapped_column(server_default="true")
    persona_weight: Mapped[Decimal] = mapped_column(server_default="1")
    joined_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    left_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("whatsapp_groups", "group_id"),
        child_of("leads", "lead_id"),
        one_of("role", ROLES),
        CheckConstraint("persona_weight BETWEEN 0 AND 1", name="persona_weight"),
        Index("ix_whatsapp_group_members_open", "org_id", "group_id", "lead_id", unique=True,
              postgresql_where=text("left_at IS NULL")),
        Index(None, "org_id", "lead_id"),
    )  # fmt: skip
