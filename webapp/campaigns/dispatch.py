"""Dispatch: starts campaigns whose time has come and sends their batches, in any number of threads and processes."""

import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select

from webapp.campaigns import campaigns, lanes, plan, replanning, watching
from webapp.campaigns.campaigns import WORK, Campaign
from webapp.messaging import delivery, outbox, outcomes, templates
from webapp.messaging.delivery import NothingToDo, Order
from webapp.platform import courtesy, work
from webapp.platform.clock import now
from webapp.platform.db import db, one, refresh_statistics, rows, run, transaction, value
from webapp.platform.logs import log
from webapp.platform.organizations import current

MANY = 5_000  # rows after which PostgreSQL looks at its tables again; a small campaign is on its way sooner without
logger = log(__name__)


def start_due() -> int:
    """Starts the scheduled campaigns of the organisation in scope whose time has come. Returns how many."""
    started = 0
    while True:
        with transaction():
            due = select(Campaign).where(
                or_(
                    and_(Campaign.status == "scheduled", Campaign.scheduled_at <= now()),
                    # Held at its start and let go on since.
                    and_(Campaign.status == "active", Campaign.started_at.is_(None)),
                )
            )
            first = due.order_by(Campaign.priority).limit(1)
            campaign = db.session.scalar(first.with_for_update(skip_locked=True, key_share=True))
            if campaign is None:
                return started
            planned = _start(campaign)
        if planned >= MANY:
            refresh_statistics("campaign_recipients", "sends")
        started += 1


def _start(campaign: Campaign) -> int:
    late = watching.overdue_start(campaign.scheduled_at) if campaign.status == "scheduled" else None
    if campaign.sender_id is None or not plan.has_audience(campaign) or late:
        # Its segment or sender was deleted between scheduling and now, or its time is long past: a person has to decide,
        # nothing is lost.
        what = "segment" if campaign.sender_id is not None else "sender"
        if campaign.status == "scheduled":
            campaigns.move(campaign, "active")
        campaigns.move(campaign, "paused")
        campaign.paused_at, campaign.hold_reason = now(), late or f"Its {what} was deleted before it started."
        return 0
    return begin(campaign)


def begin(campaign: Campaign) -> int:
    """Makes a campaign active and lays its sends. Returns how many people it is meant for."""
    if campaign.status != "active":
        campaigns.move(campaign, "active")
    campaign.started_at, campaign.target_count = now(), 0
    planned = plan.write(campaign)
    templates.count_use(campaign.template_id)
    replanning.write_batches(campaign.id, plan.sizes(campaign))
    work.announce(replanning.PLANS)
    logger.info("campaign started", campaign=campaign.id, planned=planned)
    return planned


# What was due before a silence of ours goes out only when a person says so: until it is held, nothing of it does.
SILENT = watching.SILENT.format(channel="= :channel")
# The campaign's own sender where it is of the channel, else the channel's default, else one that is active. Held and
# resting ones send nothing.
ORDER = f"""
    SELECT c.org_id, c.id, c.template_version_id, c.subject_line, c.preview_text, c.daily_send_limit, c.send_window,
        c.paced_by_callbacks, s.id AS sender_id, s.channel, s.provider, s.daily_limit, s.warming, s.rate_per_second,
        s.portfolio_id, s.updated_at AS sender_at, o.updated_at AS organization_at, p.daily_people
    FROM campaigns c JOIN organizations o ON o.id = c.org_id
    JOIN senders s ON s.org_id = c.org_id AND s.id = COALESCE(
        (SELECT x.id FROM senders x WHERE x.org_id = c.org_id AND x.id = c.sender_id AND x.channel = :channel),
        (SELECT x.id FROM senders x WHERE x.org_id = c.org_id AND x.channel = :channel
            AND (x.is_default OR x.status IN ('active', 'warming')) ORDER BY x.is_default DESC, x.id LIMIT 1))
    LEFT JOIN portfolios p ON p.org_id = s.org_id AND p.id = s.portfolio_id
    LEFT JOIN templates t ON t.org_id = c.org_id AND t.id = c.template_id
    WHERE c.id = :id AND c.status = 'active' AND NOT ({SILENT}) AND s.status IN ('active', 'warming') AND s.held_at IS NULL
        AND t.hold_reason IS NULL AND (s.channel <> 'whatsapp'
            OR t.id IS NOT NULL AND COALESCE(t.whatsapp ->> 'status', 'APPROVED') IN ('APPROVED', 'REINSTATED'))
        AND (s.rate_limited_until IS NULL OR s.rate_limited_until <= now())
    FOR SHARE OF c"""


def order_of(campaign_id: int, channel: str = "email") -> Order:
    """Returns what an active campaign sends over a channel, holding off a pause until the claim is committed. Raises
    NothingToDo."""
    found = one(ORDER, id=campaign_id, channel=channel, silence=watching.silence())
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
        limits=lanes.limits(found, channel, found, found.daily_people),
    )


# (campaign, channel) -> how much of its share it has had in this process. Of two that are both due, the one with priority
# 1 gets ten times the batches of the one with priority 10, and neither ever waits for the other's end.
_had: Counter[tuple[int, str]] = Counter()


def send_once(node: str, due: list[Any]) -> bool:
    """Sends one batch of what is due in the organisation in scope, of whoever is furthest behind their share. due: rows of
    `due_lanes`. Returns False where none of them had anything to send."""
    for lane in sorted(due, key=lambda lane: _had[lane.id, lane.channel]):
        ended = delivery.send_batch(lambda: order_of(lane.id, lane.channel), node)  # noqa: B023 - called before the next turn
        if ended is not None:
            _had[lane.id, lane.channel] += lane.priority
            return True
        due.remove(lane)
    return False


def send_for(node: str, seconds: float, stopping: Any) -> int:
    """Sends what is due in the organisation in scope for about so many seconds. Returns the number of batches.

    stopping: a threading.Event that ends it after the batch in hand.
    """
    until, batches = time.monotonic() + seconds, 0
    with transaction():
        due = due_lanes()
    while due and not stopping.is_set():
        with courtesy.in_line():
            if not send_once(node, due):
                break
        batches += 1
        if time.monotonic() >= until:
            break
    return batches


def due_lanes() -> list[Any]:
    """Returns the (id, channel, priority) of active campaigns with messages that are due now. Those new to this process
    begin level with the others."""
    found = rows(
        "SELECT c.id, w.channel, c.priority FROM campaigns c CROSS JOIN LATERAL unnest(c.channels) AS w (channel)"
        " WHERE c.status = 'active' AND EXISTS (SELECT FROM sends s WHERE s.org_id = c.org_id AND s.campaign_id = c.id"
        " AND s.channel = w.channel AND s.status = 'pending' AND s.not_before <= now()) ORDER BY c.priority, c.started_at"
    )
    keys = {(row.id, row.channel) for row in found}
    if len(_had) > 10_000:
        _had.clear()
    level = min((had for key, had in _had.items() if key in keys), default=0)
    for key in keys:
        _had[key] = max(_had[key], level)
    return list(found)


def settle() -> None:
    """Closes what is finished in the organisation in scope, holds what a person should look at, and notes when it has work
    again."""
    with transaction():
        outcomes.expire(current().timezone)
    with transaction():
        for campaign_id in recently_cancelled():
            # A batch in flight at the cancelling may have put some back for another try.
            outbox.cancel(campaign_id)
        # Looked at together: of hundreds that send, few need anything.
        sending = live()
        needing = {*outbox.finished(sending), *watching.needing_a_look(sending)}
    for campaign_id in sorted(needing):
        # Each by itself: what it locks, a claim may hold in another order.
        with transaction():
            _tend(campaign_id)
    with transaction():
        work.settle(WORK, _next_due)


def _tend(campaign_id: int) -> None:
    if complete_if_done(campaign_id):
        logger.info("campaign completed", campaign=campaign_id)
    elif not watching.hold_what_is_overdue([campaign_id]):
        watching.hold_what_fails([campaign_id])


def _next_due() -> datetime | None:
    sending = live()
    times = [t for t in (next_start(), outbox.next_due(sending)) if t is not None]
    if outbox.finished(sending) or recently_cancelled():
        # Its last batch came in since we looked, of somebody who may be dead by now: it still has to be closed.
        times.append(now())
    # What is due but held back (a cap, a sender at rest) is looked at again in a moment, not at once.
    return max(min(times), now() + timedelta(seconds=1)) if times else None


def complete_if_done(campaign_id: int) -> bool:
    """Completes an active campaign with nothing left to send. Returns True if this call did."""
    # Held while it is looked at again: somebody may be putting a message of it back at this moment.
    if outbox.unfinished(campaign_id) or not campaigns.get(campaign_id, lock=True) or outbox.unfinished(campaign_id):
        return False
    return bool(run(
        "UPDATE campaigns SET status = 'completed', completed_at = now(), updated_at = now()"
        " WHERE id = :id AND status = 'active' AND started_at IS NOT NULL",
        id=campaign_id,
    ))  # fmt: skip


def live() -> list[int]:
    """Returns the ids of campaigns that are sending, the most urgent first."""
    wanted = select(Campaign.id).where(Campaign.status == "active").order_by(Campaign.priority, Campaign.started_at)
    return list(db.session.scalars(wanted))


def recently_cancelled() -> list[int]:
    """Returns the ids of campaigns cancelled within the last days of which something came back to be sent."""
    found = rows(
        "SELECT c.id FROM campaigns c WHERE c.status IN ('cancelled', 'archived') AND c.completed_at > :since AND EXISTS"
        " (SELECT FROM sends s WHERE s.org_id = c.org_id AND s.campaign_id = c.id AND s.status = 'pending') ORDER BY c.id",
        since=now() - timedelta(days=30),
    )
    return [row.id for row in found]


def next_start() -> datetime | None:
    """Returns when the next scheduled campaign begins, or None."""
    return value("SELECT min(scheduled_at) FROM campaigns WHERE status = 'scheduled'")
