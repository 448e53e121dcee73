"""Counting: the figures of campaigns that were written down whole, as tallies would have kept them."""

from decimal import Decimal

from webapp.messaging.tallies import MEASURES
from webapp.platform.db import run

# Where each measure stands: (measure, moment, table, condition). Counted from the rows, so that the figures cannot
# say anything else.
_SENDS = "sends s WHERE s.campaign_id = :id AND"
_RECEIPTS = "engagement_events e JOIN sends s ON s.org_id = e.org_id AND s.id = e.send_id WHERE s.campaign_id = :id AND"
_RECIPIENTS = (
    "campaign_recipients r JOIN campaigns c ON c.org_id = r.org_id AND c.id = r.campaign_id WHERE c.id = :id AND"
)
COUNTED = (
    ("planned", "c.started_at", f"{_RECIPIENTS} true"),
    ("skipped", "c.started_at", f"{_RECIPIENTS} r.state = 'skipped'"),
    ("skipped", "s.updated_at", f"{_SENDS} s.status = 'skipped'"),
    ("sent", "s.sent_at", f"{_SENDS} s.sent_at IS NOT NULL"),
    ("delivered", "s.delivered_at", f"{_SENDS} s.delivered_at IS NOT NULL"),
    ("bounced", "e.at", f"{_RECEIPTS} e.kind = 'bounced'"),
    ("failed", "s.updated_at", f"{_SENDS} s.status = 'failed'"),
    ("unknown", "s.updated_at", f"{_SENDS} s.status = 'unknown'"),
    ("opens", "e.at", f"{_RECEIPTS} e.kind = 'opened'"),
    ("opened", "s.opened_at", f"{_SENDS} s.opened_at IS NOT NULL"),
    ("machine_opened", "e.at", f"{_RECEIPTS} e.kind = 'machine_open'"),
    ("clicks", "e.at", f"{_RECEIPTS} e.kind = 'clicked'"),
    ("clicked", "s.clicked_at", f"{_SENDS} s.clicked_at IS NOT NULL"),
    ("unsubscribed", "s.unsubscribed_at", f"{_SENDS} s.unsubscribed_at IS NOT NULL"),
    ("conversions", "s.converted_at", f"{_SENDS} s.converted_at IS NOT NULL"),
)


def count(campaign_id: int, revenue: Decimal) -> None:
    """Draws the counters of a campaign from its rows: by hour, then in all. revenue: of its conversions."""
    moved = " UNION ALL ".join(f"SELECT '{measure}', {at} FROM {where}" for measure, at, where in COUNTED)
    each = ", ".join(f"count(*) FILTER (WHERE measure = '{measure}')" for measure in MEASURES)
    run(
        f"INSERT INTO campaign_daily (campaign_id, on_date, hour, channel, {', '.join(MEASURES)})"
        f" SELECT :id, (at AT TIME ZONE 'UTC')::date, EXTRACT(hour FROM at AT TIME ZONE 'UTC'), 'email', {each}"
        f" FROM ({moved}) m (measure, at) GROUP BY 2, 3",
        id=campaign_id,
    )
    totals = ", ".join(f"sum({measure})" for measure in MEASURES)
    run(
        f"INSERT INTO campaign_analytics (campaign_id, {', '.join(MEASURES.values())}, total_revenue, last_updated)"
        f" SELECT campaign_id, {totals}, :revenue, now() FROM campaign_daily WHERE campaign_id = :id GROUP BY 1",
        id=campaign_id,
        revenue=revenue,
    )
