"""WhatsApp business portfolios: how many different people all numbers of one may write to in a moving 24 hours, and the
ledger of who they were."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

TIERS = (250, 2_000, 10_000, 100_000)  # people in a moving 24 hours; beyond the last there is no limit


class Portfolio(Tenant, Changing, Base):
    """daily_people: people in a moving 24 hours, NULL for no limit. tier_source: who said so last."""

    __tablename__ = "portfolios"
    name: Mapped[str]
    external_id: Mapped[str | None]
    daily_people: Mapped[int | None] = mapped_column(server_default="250")
    tier_source: Mapped[str] = mapped_column(server_default="hand")
    tier_changed_at: Mapped[datetime | None]
    __table_args__ = (
        of_organization(),
        one_of("tier_source", ("hand", "webhook")),
        CheckConstraint("daily_people > 0", name="daily_people"),
        Index(None, "org_id", "external_id", unique=True),
    )


class PortfolioPerson(Tenant, Base):
    """One person written to outside a service window. last_at: the latest claim; before_at: the one before, put back
    where that claim's message provably did not go out (claim_token says which claim)."""

    __tablename__ = "portfolio_people"
    portfolio_id: Mapped[int]
    address: Mapped[str]
    last_at: Mapped[datetime]
    before_at: Mapped[datetime | None]
    claim_token: Mapped[str | None]
    __table_args__ = (
        child_of("portfolios", "portfolio_id"),
        Index(None, "org_id", "portfolio_id", "address", unique=True),
        Index(None, "org_id", "portfolio_id", "last_at"),
    )
