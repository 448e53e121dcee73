"""What came of a campaign: read from its counters, never by counting its recipients."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from webapp.messaging.tallies import MEASURES, CampaignAnalytics
from webapp.platform.clock import local
from webapp.platform.db import db, rows

HOURLY_DAYS = 3  # a campaign that has run no longer is drawn by the hour
RATES = ("delivery_rate", "open_rate", "click_rate", "click_to_open_rate", "conversion_rate", "unsubscribe_rate", "roi")


@dataclass(frozen=True)
class Totals:
    """The counters of a campaign (see CampaignAnalytics); zeros and no rates before anything happened."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def ended(self) -> int:
        """How many recipients are accounted for: sent, failed, unknown or skipped."""
        return self.total_sent + self.total_failed + self.total_unknown + self.total_skipped

    @property
    def waiting(self) -> int:
        return max(self.total_planned - self.ended, 0)

    @property
    def progress(self) -> float | None:
        """The part that is accounted for, a fraction."""
        return self.ended / self.total_planned if self.total_planned else None


def totals(campaign_id: int) -> Totals:
    """Returns the counters of a campaign."""
    row = db.session.scalar(
        select(CampaignAnalytics)
        .where(CampaignAnalytics.campaign_id == campaign_id)
        .execution_options(populate_existing=True)
    )
    names = [*MEASURES.values(), "total_revenue", "campaign_cost", *RATES, "last_updated"]
    counters = set(MEASURES.values())
    if row is None:
        return Totals({name: 0 if name in counters else None for name in names})
    return Totals({name: getattr(row, name) for name in names})


def over_time(campaign_id: int, zone: str) -> dict[str, Any]:
    """Returns {"labels": [...], "series": [{"name", "data"}]} of sent, opened and clicked, by hour or by day."""
    found = rows(
        "SELECT on_date, hour, sum(sent)::int AS sent, sum(opened)::int AS opened, sum(clicked)::int AS clicked"
        " FROM campaign_daily WHERE campaign_id = :id GROUP BY 1, 2 ORDER BY 1, 2",
        id=campaign_id,
    )
    moments = [(datetime(r.on_date.year, r.on_date.month, r.on_date.day, r.hour, tzinfo=UTC), r) for r in found]
    if not moments:
        return {"labels": [], "series": []}
    hourly = moments[-1][0] - moments[0][0] <= timedelta(days=HOURLY_DAYS)
    buckets = _buckets(local(moments[0][0], zone), local(moments[-1][0], zone), hourly)
    sums = {label: [0, 0, 0] for label in buckets}
    for moment, row in moments:
        cell = sums[_label(local(moment, zone), hourly)]
        for n, value in enumerate((row.sent, row.opened, row.clicked)):
            cell[n] += value
    series = [
        {"name": name, "data": [cell[n] for cell in sums.values()]}
        for n, name in enumerate(("Sent", "Opened", "Clicked"))
    ]
    return {"labels": list(sums), "series": series}


def _label(moment: datetime, hourly: bool) -> str:
    return f"{moment.day} {moment:%b %H:00}" if hourly else f"{moment.day} {moment:%b %Y}"


def _buckets(first: datetime, last: datetime, hourly: bool) -> list[str]:
    step, labels, at = timedelta(hours=1) if hourly else timedelta(days=1), [], first
    while at <= last + (step if hourly else timedelta(hours=23)):
        labels.append(_label(at, hourly))
        at += step
    if _label(last, hourly) not in labels:
        labels.append(_label(last, hourly))
    return list(dict.fromkeys(labels))


def links(campaign_id: int) -> list[Any]:
    """Returns the campaign's links with url, clicks and people, the most clicked first."""
    return rows(
        "SELECT l.id, l.url, count(e.id) AS clicks, count(DISTINCT e.send_id) AS people FROM links l"
        " LEFT JOIN engagement_events e ON e.org_id = l.org_id AND e.link_id = l.id AND e.kind = 'clicked'"
        " WHERE l.campaign_id = :id GROUP BY l.id, l.url ORDER BY clicks DESC, l.id",
        id=campaign_id,
    )


def errors(campaign_id: int) -> list[Any]:
    """Returns what went wrong: status, code, message and how many, the most frequent first."""
    return rows(
        "SELECT status, error_code, error_message, count(*) AS n FROM sends WHERE campaign_id = :id"
        " AND status IN ('failed', 'unknown') GROUP BY 1, 2, 3 ORDER BY n DESC LIMIT 20",
        id=campaign_id,
    )


def summary(days: int = 30) -> Any:
    """Returns sent, opened, clicked, delivered and unsubscribed over all campaigns in the last so many days."""
    return rows(
        "SELECT COALESCE(sum(sent), 0)::int AS sent, COALESCE(sum(delivered), 0)::int AS delivered,"
        " COALESCE(sum(opened), 0)::int AS opened, COALESCE(sum(clicked), 0)::int AS clicked,"
        " COALESCE(sum(unsubscribed), 0)::int AS unsubscribed FROM campaign_daily"
        " WHERE on_date > current_date - CAST(:days AS int)",
        days=days,
    )[0]
