"""Policies: what a lead holds. They feed renewals, tokens and revenue."""

from datetime import date
from decimal import Decimal

from sqlalchemy import Index, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, db, value

STATUSES = ("active", "lapsed", "cancelled", "expired")
PAYMENT_STATUSES = ("paid", "due", "overdue")


class Policy(Tenant, Changing, Base):
    __tablename__ = "policies"
    lead_id: Mapped[int]
    number: Mapped[str]
    type: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    premium: Mapped[Decimal | None]
    coverage: Mapped[Decimal | None]
    started_on: Mapped[date | None]
    renews_on: Mapped[date | None]
    lapsed_on: Mapped[date | None]
    next_due_on: Mapped[date | None]
    payment_status: Mapped[str] = mapped_column(server_default="paid")
    __table_args__ = (
        child_of("leads", "lead_id"),
        one_of("status", STATUSES),
        one_of("payment_status", PAYMENT_STATUSES),
        Index(None, "org_id", "number", unique=True),
        Index(None, "org_id", "lead_id"),
        Index(None, "org_id", "renews_on"),
    )


def of_lead(lead_id: int) -> list[Policy]:
    """Returns a lead's policies, the next to renew first."""
    return list(db.session.scalars(select(Policy).where(Policy.lead_id == lead_id).order_by(Policy.renews_on)))


def renewing(days: int) -> int:
    """Returns how many active policies renew within so many days."""
    return value(
        "SELECT count(*) FROM policies WHERE status = 'active' AND renews_on >= current_date"
        " AND renews_on <= current_date + CAST(:days AS int)",
        days=days,
    )
