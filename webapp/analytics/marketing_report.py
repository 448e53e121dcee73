"""How far campaigns are and whether sending is well, in the few figures a script asks for."""

from datetime import date
from typing import Any

from webapp.analytics import campaign_report, delivery_report
from webapp.campaigns import recipients
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.forecast import forecast
from webapp.platform import tenancy
from webapp.platform.clock import local, now
from webapp.platform.db import one, value

BEHIND_SECONDS = 3600  # what is due and has waited longer than this is worth a look


def stats(campaign: Campaign, zone: str) -> dict[str, Any]:
    """Returns the counts of a campaign, progress_percentage (0 to 100) and estimated_completion_date (None where nothing
    is planned). Before it begins, pending are the people named for it. zone: the organisation's."""
    totals = campaign_report.totals(campaign.id)
    begun = campaign.status not in ("draft", "scheduled")
    # Cancelled before it began: nobody was planned, and everybody named is passed over.
    named = 0 if begun and campaign.started_at else recipients.count(campaign.id)
    return {
        "sent": totals.total_sent,
        "delivered": totals.total_delivered,
        "read": totals.unique_opened,
        "failed": totals.total_failed,
        "pending": totals.waiting if begun else named,
        "skipped": totals.total_skipped + (named if begun else 0),
        "unknown": totals.total_unknown,
        "progress_percentage": round((totals.progress or 0) * 100, 1),
        "estimated_completion_date": _ends(campaign, zone),
    }


def _ends(campaign: Campaign, zone: str) -> date | None:
    if campaign.completed_at:
        return local(campaign.completed_at, zone).date()
    if campaign.status == "scheduled":
        return forecast(campaign).ends["likely"]
    return value(
        "SELECT max(send_date) FROM campaign_batches WHERE org_id = :org AND campaign_id = :id AND remaining > 0",
        org=tenancy.current_org(), id=campaign.id,
    )  # fmt: skip


def today(on: date) -> Any:
    """Returns what is planned on a day of campaigns that send: campaigns, planned, sent, remaining."""
    return one(
        "SELECT count(DISTINCT campaign_id)::int AS campaigns, COALESCE(sum(batch_size), 0)::int AS planned,"
        " COALESCE(sum(sent), 0)::int AS sent, COALESCE(sum(remaining), 0)::int AS remaining"
        " FROM v_daily_campaign_schedule WHERE org_id = :org AND send_date = :on AND campaign_status = 'active'",
        org=tenancy.current_org(), on=on,
    )  # fmt: skip


def health(zone: str) -> dict[str, Any]:
    """Returns status (ok, or attention where something waits for a person or has waited for an hour) and the figures it
    is judged by. oldest_pending_seconds: how long what is due has waited, 0 where nothing does."""
    queues = delivery_report.queues(zone)
    oldest = min((queue.oldest for queue in queues if queue.oldest), default=None)
    live = one(
        "SELECT count(*) FILTER (WHERE status = 'active')::int AS active,"
        " count(*) FILTER (WHERE status = 'paused')::int AS paused,"
        " count(*) FILTER (WHERE status = 'paused' AND hold_reason IS NOT NULL)::int AS held"
        " FROM campaigns WHERE org_id = :org AND status IN ('active', 'paused')",
        org=tenancy.current_org(),
    )
    figures = {
        "active_campaigns": live.active,
        "paused_campaigns": live.paused,
        "held_campaigns": live.held,
        "held_senders": len(delivery_report.held_senders()),
        "pending": sum(queue.waiting for queue in queues),
        "sending": sum(queue.sending for queue in queues),
        "unknown": delivery_report.unknown(),
        "oldest_pending_seconds": int((now() - oldest).total_seconds()) if oldest else 0,
        "sent_today": sum(queue.sent for queue in queues),
    }
    stuck = figures["oldest_pending_seconds"] > BEHIND_SECONDS
    waits = stuck or any(figures[name] for name in ("held_campaigns", "held_senders", "unknown"))
    return {"status": "attention" if waits else "ok"} | figures
