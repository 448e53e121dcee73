"""Counters of what happened to a campaign's sends: moved in batches in the transaction of the facts themselves,
never counted over all recipients."""

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Computed, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform.clock import now
from webapp.platform.db import Base, Tenant, child_of, db

# measure -> column of campaign_analytics. Both tables move together.
MEASURES = {
    "planned": "total_planned",
    "sent": "total_sent",
    "delivered": "total_delivered",
    "bounced": "total_bounced",
    "failed": "total_failed",
    "unknown": "total_unknown",
    "skipped": "total_skipped",
    "opens": "total_opened",
    "opened": "unique_opened",
    "machine_opened": "machine_opened",
    "clicks": "total_clicked",
    "clicked": "unique_clicked",
    "unsubscribed": "total_unsubscribed",
    "complaints": "total_spam_reports",
    "conversions": "total_conversions",
}


def _rate(part: str, whole: str) -> Any:
    # A zero denominator gives no rate, not 0 %.
    return mapped_column(Computed(f"{part}::double precision / NULLIF({whole}, 0)", persisted=True))


class CampaignAnalytics(Tenant, Base):
    """One row a campaign. Rates are fractions by the usual definitions: delivery = delivered / sent; open, click,
    conversion and unsubscribe over delivered; click-to-open = unique clicked / unique opened; roi = (revenue -
    cost) / cost."""

    __tablename__ = "campaign_analytics"
    campaign_id: Mapped[int]
    total_planned: Mapped[int] = mapped_column(server_default="0")
    total_sent: Mapped[int] = mapped_column(server_default="0")
    total_delivered: Mapped[int] = mapped_column(server_default="0")
    total_bounced: Mapped[int] = mapped_column(server_default="0")
    total_failed: Mapped[int] = mapped_column(server_default="0")
    total_unknown: Mapped[int] = mapped_column(server_default="0")
    total_skipped: Mapped[int] = mapped_column(server_default="0")
    total_opened: Mapped[int] = mapped_column(server_default="0")
    unique_opened: Mapped[int] = mapped_column(server_default="0")
    machine_opened: Mapped[int] = mapped_column(server_default="0")
    total_clicked: Mapped[int] = mapped_column(server_default="0")
    unique_clicked: Mapped[int] = mapped_column(server_default="0")
    total_unsubscribed: Mapped[int] = mapped_column(server_default="0")
    total_spam_reports: Mapped[int] = mapped_column(server_default="0")
    total_conversions: Mapped[int] = mapped_column(server_default="0")
    total_revenue: Mapped[Decimal] = mapped_column(server_default="0")
    campaign_cost: Mapped[Decimal] = mapped_column(server_default="0")
    delivery_rate: Mapped[float | None] = _rate("total_delivered", "total_sent")
    open_rate: Mapped[float | None] = _rate("unique_opened", "total_delivered")
    click_rate: Mapped[float | None] = _rate("unique_clicked", "total_delivered")
    click_to_open_rate: Mapped[float | None] = _rate("unique_clicked", "unique_opened")
    conversion_rate: Mapped[float | None] = _rate("total_conversions", "total_delivered")
    unsubscribe_rate: Mapped[float | None] = _rate("total_unsubscribed", "total_delivered")
    roi: Mapped[float | None] = _rate("(total_revenue - campaign_cost)", "campaign_cost")
    last_updated: Mapped[datetime | None]
    __table_args__ = (
        child_of("campaigns", "campaign_id"),
        Index(None, "org_id", "campaign_id", unique=True),
    )


class CampaignDaily(Tenant, Base):
    """The same measures by UTC day and hour, channel and variant, for charts over time."""

    __tablename__ = "campaign_daily"
    campaign_id: Mapped[int]
    on_date: Mapped[date]
    hour: Mapped[int]
    channel: Mapped[str]
    variant: Mapped[str] = mapped_column(server_default="")
    planned: Mapped[int] = mapped_column(server_default="0")
    sent: Mapped[int] = mapped_column(server_default="0")
    delivered: Mapped[int] = mapped_column(server_default="0")
    bounced: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    unknown: Mapped[int] = mapped_column(server_default="0")
    skipped: Mapped[int] = mapped_column(server_default="0")
    opens: Mapped[int] = mapped_column(server_default="0")
    opened: Mapped[int] = mapped_column(server_default="0")
    machine_opened: Mapped[int] = mapped_column(server_default="0")
    clicks: Mapped[int] = mapped_column(server_default="0")
    clicked: Mapped[int] = mapped_column(server_default="0")
    unsubscribed: Mapped[int] = mapped_column(server_default="0")
    complaints: Mapped[int] = mapped_column(server_default="0")
    conversions: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (
        child_of("campaigns", "campaign_id"),
        Index(None, "org_id", "campaign_id", "on_date", "hour", "channel", "variant", unique=True),
    )


def _upsert(table: str, keys: list[str], columns: list[str]) -> Any:
    named = keys + columns
    sets = ", ".join(f"{c} = {table}.{c} + EXCLUDED.{c}" for c in columns)
    if table == "campaign_analytics":
        sets += ", last_updated = now()"
    return text(
        f"INSERT INTO {table} ({', '.join(named)}) VALUES ({', '.join(f':{c}' for c in named)})"
        f" ON CONFLICT (org_id, {', '.join(keys)}) DO UPDATE SET {sets}"
    )


def add(campaign_id: int | None, channel: str, moved: Counter[str], variant: str = "") -> None:
    """Moves the counters of a campaign. moved: measure -> how many more (or fewer). No campaign: nothing to count."""
    moved = Counter({measure: n for measure, n in moved.items() if n})
    if campaign_id is None or not moved:
        return
    moment = now().astimezone(UTC)
    measures = sorted(moved)
    place = {"on_date": moment.date(), "hour": moment.hour, "channel": channel, "variant": variant}
    counts = {measure: moved[measure] for measure in measures}
    # The one row of the campaign first: who counts two of its channels waits there for who counts one.
    totals = _upsert("campaign_analytics", ["campaign_id"], [MEASURES[m] for m in measures])
    db.session.execute(totals, {"campaign_id": campaign_id, **{MEASURES[m]: n for m, n in counts.items()}})
    daily = _upsert("campaign_daily", ["campaign_id", *place], measures)
    db.session.execute(daily, {"campaign_id": campaign_id, **place, **counts})
