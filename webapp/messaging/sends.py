"""Sends: the outbox and its record. One row is one message to one lead over one channel, whatever caused it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import merges
from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

STATUSES = (
    "pending", "sending", "sent", "delivered", "opened", "clicked", "replied", "converted", "bounced", "failed",
    "skipped", "unknown",
)  # fmt: skip
KINDS = ("campaign", "drip", "automation", "test", "followup", "confirmation")
# Engagement only moves a send forward along this line; a late event adds its time and leaves the status.
LADDER = ("sent", "delivered", "opened", "clicked", "replied", "converted")


class Send(Tenant, Changing, Base):
    __tablename__ = "sends"
    campaign_id: Mapped[int | None]
    step_id: Mapped[int | None]
    automation_run_id: Mapped[int | None]
    callback_id: Mapped[int | None]
    kind: Mapped[str]
    lead_id: Mapped[int | None]
    channel: Mapped[str]
    sender_id: Mapped[int | None]
    recipient_address: Mapped[str]
    recipient_name: Mapped[str | None]
    template_version_id: Mapped[int | None]
    variant: Mapped[str] = mapped_column(server_default="")
    rendered: Mapped[dict[str, Any] | None]
    dedup_key: Mapped[str]
    planned_on: Mapped[date | None]
    priority: Mapped[int] = mapped_column(server_default="5")
    not_before: Mapped[datetime] = mapped_column(server_default=text("now()"))
    # Later than this it is of no use any more: skipped, or sent over another channel, as its campaign says.
    expires_at: Mapped[datetime | None]
    # What it waits for while it is pending (quiet_hours, holiday, frequency, switched).
    wait_reason: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    claim_token: Mapped[str | None]
    claimed_by: Mapped[str | None]
    claimed_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    provider_message_id: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    bounce_type: Mapped[str | None]
    skip_reason: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    clicked_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    converted_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]
    bounced_at: Mapped[datetime | None]
    open_count: Mapped[int] = mapped_column(server_default="0")
    machine_open_count: Mapped[int] = mapped_column(server_default="0")
    click_count: Mapped[int] = mapped_column(server_default="0")
    links_clicked: Mapped[list[Any]] = mapped_column(server_default="[]")
    cost: Mapped[Decimal | None]
    __table_args__ = (
        of_organization(),
        child_of("campaigns", "campaign_id"),
        # A lead removed for good leaves the record that somebody was written to.
        child_of("leads", "lead_id", "SET NULL"),
        child_of("senders", "sender_id", "SET NULL"),
        child_of("template_versions", "template_version_id", "NO ACTION"),
        one_of("kind", KINDS),
        one_of("channel", ("email", "sms", "whatsapp")),
        one_of("status", STATUSES),
        one_of("bounce_type", ("hard", "soft", "complaint")),
        Index(None, "org_id", "dedup_key", unique=True),
        Index(
            "ix_sends_pending", "org_id", "campaign_id", "channel", "not_before", "id",
            postgresql_where=text("status = 'pending'"),
        ),
        # Where a portfolio is full: those who take no place of it, by their address.
        Index(
            "ix_sends_pending_people", "org_id", "campaign_id", "recipient_address",
            postgresql_where=text("status = 'pending' AND channel = 'whatsapp'"),
        ),
        Index("ix_sends_sending", "org_id", "lease_until", postgresql_where=text("status = 'sending'")),
        Index(None, "org_id", "campaign_id", "id"),
        Index(None, "org_id", "lead_id", "id"),
        # Receipts of SMS and WhatsApp name the provider's id; those of e-mail carry ours.
        Index(
            "ix_sends_provider_message", "org_id", "provider_message_id",
            postgresql_where=text("channel <> 'email' AND provider_message_id IS NOT NULL"),
        ),
        # What went wrong with a sender lately: few rows, asked by its own page.
        Index(
            "ix_sends_problems", "org_id", "sender_id", "updated_at", postgresql_where=text("error_code IS NOT NULL"),
        ),
        # The unknown are few, and somebody looks at all of them.
        Index("ix_sends_unknown", "org_id", "id", postgresql_where=text("status = 'unknown'")),
        # What went wrong lately, by code, is looked at beside millions that went well.
        Index(
            "ix_sends_failed", "org_id", "updated_at", "id", postgresql_include=["channel", "status", "error_code"],
            postgresql_where=text("status IN ('failed', 'bounced')"),
        ),
    )  # fmt: skip


merges.follows("sends")


def reached(status: str) -> str:
    """Returns the SQL condition that a send may still move to a status of the ladder (never backwards)."""
    below = LADDER[: LADDER.index(status)]
    return f"status IN ({', '.join(repr(word) for word in below)}, 'unknown')"
