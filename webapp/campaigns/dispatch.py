"""Dispatch: starts campaigns whose time has come and sends their batches, in any number of threads and processes."""

import time
from datetime import datetime, timedelta

from sqlalchemy import select

from webapp.campaigns import campaigns, plan
from webapp.campaigns.campaigns import WORK, Campaign
from webapp.messaging import delivery, outbox, templates
from webapp.messaging.delivery import NothingToDo, Order
from webapp.platform import work
from webapp.platform.clock import now
from webapp.platform.db import db, one, refresh_statistics, run, transaction, value
from webapp.platform.logs import log

logger = log(__name__)


def start_due() -> int:
    """Starts the scheduled campaigns of the organisation in scope whose time has come. Returns how many."""
    started = 0
    while True:
        with transaction():
            due = select(Campaign).where(Campaign.status == "scheduled", Campaign.scheduled_at <= now())
            campaign = db.session.scalar(due.order_by(Campaign.priority).limit(1).with_for_update(skip_locked=True))
            if campaign is None:
                return started
            _start(campaign)
        refresh_statistics("campaign_recipients", "sends")
        started += 1


def _start(campaign: Campaign) -> None:
    if campaign.segment_id is None or campaign.sender_id is None:
        # Its segment or sender was deleted between scheduling and now: a person has to decide, nothing is lost.
        what = "segment" if campaign.segment_id is None else "sender"
        campaigns.move(campaign, "active")
        campaigns.move(campaign, "paused")
        campaign.paused_at, campaign.hold_reason = now(), f"Its {what} was deleted before it started."
        return
    campaigns.move(campaign, "active")
    campaign.started_at = now()
    planned = plan.write(campaign)
    templates.count_use(campaign.template_id)
    logger.info("campaign started", campaign=campaign.id, planned=planned)


def order_of(campaign_id: int) -> Order:
    """Returns what an active campaign sends, holding off a pause until the claim is committed. Raises NothingToDo."""
    found = one(
        "SELECT c.org_id, c.id, c.sender_id, c.template_version_id, c.subject_line, c.preview_text, s.channel,"
        " s.updated_at AS sender_at, o.updated_at AS organization_at FROM campaigns c"
        " JOIN senders s ON s.org_id = c.org_id AND s.id = c.sender_id JOIN organizations o ON o.id = c.org_id"
        " WHERE c.id = :id AND c.status = 'active' AND s.status IN ('active', 'warming')"
        " AND (s.rate_limited_until IS NULL OR s.rate_limited_until <= now()) FOR SHARE OF c",
        id=campaign_id,
    )
    if found is None:
        raise NothingToDo
    return Order(
        org_id=found.org_id,
        campaign_id=found.id,
        version_id=found.template_version_id,
        sender_id=found.sender_id,
        channel=found.channel,
        subject=found.subject_line or "",
        preview=found.preview_text or "",
        stamp=(found.sender_at, found.organization_at),
    )


def send_for(node: str, seconds: float, stopping) -> int:
    """Sends what is due in the organisation in scope for about so many seconds. Returns the number of batches.

    stopping: a threading.Event that ends it after the batch in hand.
    """
    until, batches = time.monotonic() + seconds, 0
    with transaction():
        sending = live()
    for campaign_id in sending:
        while time.monotonic() < until and not stopping.is_set():
            if delivery.send_batch(lambda: order_of(campaign_id), node) is None:  # noqa: B023 - called before the next turn
                break
            batches += 1
    return batches


def settle() -> None:
    """Closes what is finished in the organisation in scope and notes when it has work again."""
    with transaction():
        outbox.expire()
        for campaign_id in recently_cancelled():
            # A batch in flight at the cancelling may have put some back for another try.
            outbox.cancel(campaign_id)
        for campaign_id in live():
            if complete_if_done(campaign_id):
                logger.info("campaign completed", campaign=campaign_id)
    with transaction():
        work.settle(WORK, _next_due)


def _next_due():
    times = [t for t in (next_start(), outbox.next_due(live())) if t is not None]
    return min(times, default=None)


def complete_if_done(campaign_id: int) -> bool:
    """Completes an active campaign with nothing left to send. Returns True if this call did."""
    if outbox.unfinished(campaign_id):
        return False
    return bool(run(
        "UPDATE campaigns SET status = 'completed', completed_at = now(), updated_at = now()"
        " WHERE id = :id AND status = 'active'",
        id=campaign_id,
    ))  # fmt: skip


def live() -> list[int]:
    """Returns the ids of campaigns that are sending, the most urgent first."""
    wanted = select(Campaign.id).where(Campaign.status == "active").order_by(Campaign.priority, Campaign.started_at)
    return list(db.session.scalars(wanted))


def recently_cancelled() -> list[int]:
    """Returns the ids of campaigns cancelled within the last hour."""
    hour_ago = now() - timedelta(hours=1)
    return list(
        db.session.scalars(select(Campaign.id).where(Campaign.status == "cancelled", Campaign.completed_at > hour_ago))
    )


def next_start() -> datetime | None:
    """Returns when the next scheduled campaign begins, or None."""
    return value("SELECT min(scheduled_at) FROM campaigns WHERE status = 'scheduled'")
