"""Recipients: the frozen audience of a campaign."""

from datetime import date

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import merges
from webapp.audience.leads import one_of
from webapp.platform.db import Base, Tenant, child_of


class CampaignRecipient(Tenant, Base):
    """The frozen audience: one row for each lead the campaign was meant for, reached or not."""

    __tablename__ = "campaign_recipients"
    campaign_id: Mapped[int]
    lead_id: Mapped[int]
    variant: Mapped[str] = mapped_column(server_default="")
    planned_on: Mapped[date | None]
    # added: named before the campaign began (by the API, by a file); planned or skipped once it has.
    state: Mapped[str]
    channel: Mapped[str | None]
    skip_reason: Mapped[str | None]
    __table_args__ = (
        child_of("campaigns", "campaign_id"),
        child_of("leads", "lead_id"),
        one_of("state", ("added", "planned", "skipped")),
        Index(None, "org_id", "campaign_id", "lead_id", unique=True),
        Index(None, "org_id", "lead_id"),
    )


merges.follows("campaign_recipients")
