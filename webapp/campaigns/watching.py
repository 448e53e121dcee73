"""Watching: campaigns that a person should look at are paused, and say why: after a silence of ours, so that nothing
long overdue goes out unasked; and when too many of their messages fail."""

from datetime import datetime, timedelta
from typing import Any

from webapp.campaigns import campaigns
from webapp.messaging import policy
from webapp.platform import audit
from webapp.platform.clock import local, now
from webapp.platform.db import rows
from webapp.platform.logs import log
from webapp.platform.organizations import current

LATEST = timedelta(hours=2)  # how far back failures are looked at
logger = log(__name__)


def hold(campaign_id: int, reason: str) -> bool:
    """Pauses an active campaign until a person resumes it. reason: shown to them. Returns False where it is not active."""
    campaign = campaigns.get(campaign_id, lock=True)
    if campaign.status != "active":
        return False
    campaigns.move(campaign, "paused")
    campaign.paused_at, campaign.hold_reason = now(), reason
    audit.record("campaign.held", "campaign", campaign_id, after={"reason": reason})
    logger.warning("campaign held", campaign=campaign_id, reason=reason)
    return True


# True for a campaign c of which messages have been due for :silence, while nothing of it moved for as long. One look at the
# head of its queue: an EXISTS may be planned as a join with everything that waits.
SILENT = """c.started_at < now() - :silence AND COALESCE(c.resumed_at, '-infinity') < now() - :silence
        AND NOT EXISTS (SELECT FROM campaign_batches b WHERE b.org_id = c.org_id AND b.campaign_id = c.id
            AND b.moved_at >= now() - :silence)
        AND COALESCE((SELECT true FROM sends d WHERE d.org_id = c.org_id AND d.campaign_id = c.id AND d.channel {channel}
            AND d.status = 'pending' AND d.not_before < now() - :silence LIMIT 1), false)"""


def silence() -> timedelta:
    """Returns how long nothing may have gone out before a person is asked."""
    return timedelta(hours=policy.of(current()).overdue_hours)


def needing_a_look(campaign_ids: list[int]) -> set[int]:
    """Returns the ids of those that `hold_what_is_overdue` or `hold_what_fails` would hold, in two statements for all."""
    return {row.id for row in _overdue(campaign_ids)} | set(_failing(campaign_ids))


def hold_what_is_overdue(campaign_ids: list[int]) -> int:
    """Holds the campaigns of which messages have been due for longer than the organisation allows, while nothing of them
    went out. Returns how many."""
    return sum(hold(row.id, _silence(row.moved, row.due)) for row in _overdue(campaign_ids))


def _overdue(campaign_ids: list[int]) -> list[Any]:
    return rows(
        "SELECT c.id, GREATEST(c.started_at, c.resumed_at, (SELECT max(moved_at) FROM campaign_batches b"
        " WHERE b.org_id = c.org_id AND b.campaign_id = c.id)) AS moved, now() - :silence AS due"
        " FROM campaigns c"
        f" WHERE c.id = ANY(:ids) AND c.status = 'active' AND {SILENT.format(channel='= ANY(c.channels)')} ORDER BY c.id",
        ids=campaign_ids, silence=silence(),
    )  # fmt: skip


def _silence(moved: datetime, due: datetime) -> str:
    since = local(max(moved, due), current().timezone)
    return f"Nothing of it has gone out since {since:%-d %b %H:%M}. Is it still right to send? Resume it if so."


def overdue_start(scheduled_at: datetime) -> str | None:
    """Returns why a scheduled campaign should not start by itself any more, or None."""
    if now() - scheduled_at <= timedelta(hours=policy.of(current()).overdue_hours):
        return None
    at = local(scheduled_at, current().timezone)
    return f"It was to start on {at:%-d %b at %H:%M}, when Canvass was not running. Resume it if it is still right."


def hold_what_fails(campaign_ids: list[int]) -> int:
    """Holds the campaigns of which too many of the latest messages failed, bounced or were complained about. Returns how
    many."""
    return sum(hold(campaign_id, reason) for campaign_id, reason in sorted(_failing(campaign_ids).items()))


def _failing(campaign_ids: list[int]) -> dict[int, str]:
    """Returns why each of those should be held of which too much went wrong lately."""
    limits = policy.of(current())
    since = now() - LATEST
    found = rows(
        "SELECT c.id, sum(sent)::int AS sent, sum(failed)::int AS failed, sum(bounced)::int AS bounced,"
        " sum(complaints)::int AS complaints"
        " FROM campaign_daily d JOIN campaigns c ON c.org_id = d.org_id AND c.id = d.campaign_id WHERE c.id = ANY(:ids)"
        " AND d.on_date + make_interval(hours => d.hour::int) >= GREATEST(:since, date_trunc('hour', c.resumed_at"
        " AT TIME ZONE 'UTC') + interval '1 hour') GROUP BY c.id",
        ids=campaign_ids, since=since.replace(tzinfo=None, minute=0, second=0, microsecond=0),
    )  # fmt: skip
    return {row.id: reason for row in found if (reason := verdict(row, limits))}


def verdict(found: Any, limits: policy.Policy) -> str | None:
    """Returns why so many failures are too many, or None. found: sent, failed, bounced, complaints."""
    tried, wrong = found.sent + found.failed, found.failed + found.bounced
    if tried < limits.error_sample:
        return None
    if wrong / tried >= limits.error_rate:
        return (
            f"{wrong:,} of its last {tried:,} messages failed or bounced ({wrong / tried:.0%}). See why under Delivery"
            " before you resume it."
        )
    if found.sent and found.complaints / found.sent >= limits.complaint_rate:
        rate = found.complaints / found.sent
        return f"{found.complaints:,} of {found.sent:,} people marked it as spam ({rate:.2%}). Mail providers allow 0.30 %."
    return None
