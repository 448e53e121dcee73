"""Replanning: what is left of the live campaigns is laid out anew whenever a limit, a tier, a window or a priority changes,
or a day was missed. What was sent or claimed is never moved."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select

from webapp.campaigns import lanes, lateness, watching
from webapp.campaigns.allocation import Plan, allocate
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.lanes import MOVABLE, Lane
from webapp.platform import work
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run, transaction, value
from webapp.platform.logs import log
from webapp.platform.organizations import current

PLANS = "plans"
UNTRIED = "(s.attempts = 0 AND s.wait_reason IS NULL)"
LOOK_AGAIN = timedelta(minutes=10)
logger = log(__name__)


def run_due() -> int:
    """Plans the organisation in scope again and notes when to look next. Returns how many sends were moved."""
    with transaction():
        # First: what changes while this plan is made asks for another one.
        work.settle(PLANS, _look_again)
    with transaction():
        # One planner at a time: two would lay the same room out twice.
        if not value("SELECT pg_try_advisory_xact_lock(2, CAST(:org AS int))", org=current().id):
            work.announce(PLANS)  # the other one may have read what was before
            return 0
        # Before what was missed is laid out anew, and nothing shows any more that it was.
        watching.hold_what_is_overdue(list(db.session.scalars(select(Campaign.id).where(Campaign.status == "active"))))
        _judge_anew()
        moved = replan()
    if moved:
        logger.info("planned again", moved=moved)
    return moved


def _look_again() -> Any:
    live = value("SELECT count(*) FROM campaigns WHERE status = 'active'")
    return now() + LOOK_AGAIN if live else None


def _judge_anew() -> int:
    """Lets what waits for hours or a holiday that the organisation has changed since be looked at again. Returns how many."""
    return run(
        "UPDATE sends s SET wait_reason = NULL, not_before = now(), updated_at = now() FROM campaigns c, organizations o"
        " WHERE s.org_id = :org AND s.status = 'pending' AND s.wait_reason IN ('quiet_hours', 'holiday')"
        " AND s.not_before > now() AND c.org_id = s.org_id AND c.id = s.campaign_id AND c.status = 'active'"
        " AND o.id = s.org_id AND s.updated_at < o.updated_at",
        org=current().id,
    )


def replan() -> int:
    """Lays out what is left of the live campaigns. Returns how many sends were moved to another day."""
    every = lanes.live()
    plans = allocate([lane.demand for lane in every], lanes.today(), lanes.rooms(every), lanes.closed_days())
    moved = sum(_move(lane, plans[lane.demand.key]) for lane in every if lane.demand.key[1] is not None)
    sizes: dict[int, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for lane in every:
        for day, n in [*plans[lane.demand.key].days, *lane.coming.items()]:
            sizes[lane.demand.key[0]][day] += n
    wanted = select(Campaign).where(Campaign.status == "active").order_by(Campaign.id)
    live = db.session.scalars(wanted).all()
    # Sends before batches, as who claims locks them.
    for campaign in live:
        if late := lateness.settle(campaign):
            moved += late
            work.announce("campaigns")
    for campaign in live:
        write_batches(campaign.id, sizes[campaign.id])
    if moved:
        work.announce("campaigns")
    return moved


def _move(lane: Lane, plan: Plan) -> int:
    """Moves a lane's pending sends to the days of its plan, in the order they stand in, and those that would go later than
    its day opens to that. The others are not touched."""
    campaign_id, channel = lane.demand.key
    if _stands(lane, plan):
        return 0
    days = plan.days
    if plan.left:
        last = (days[-1][0] if days else lanes.today()) + timedelta(days=1)
        days = [*days, (last, plan.left)]
    moment = now()
    return run(
        f"""
        UPDATE sends s SET planned_on = d.day, updated_at = now(), wait_reason = NULL,
            -- What backs off before another try goes on backing off.
            not_before = CASE WHEN s.attempts > 0 THEN GREATEST(s.not_before, d.opens) ELSE d.opens END
        FROM (SELECT id, row_number() OVER (ORDER BY expires_at NULLS LAST, planned_on NULLS LAST, not_before, id) AS place
              FROM sends s WHERE org_id = :org AND campaign_id = :c AND channel = :channel AND {MOVABLE}) r
        JOIN (SELECT day, opens, row_number() OVER (ORDER BY day, slot) AS place
              FROM unnest(CAST(:days AS date[]), CAST(:sizes AS int[]), CAST(:opens AS timestamptz[])) AS u (day, size, opens)
              CROSS JOIN LATERAL generate_series(1, u.size) AS slot) d USING (place)
        WHERE s.org_id = :org AND s.id = r.id AND {MOVABLE}
            AND (s.planned_on IS DISTINCT FROM d.day OR {UNTRIED} AND s.not_before > d.opens)
        """,
        org=current().id, c=campaign_id, channel=channel, days=[day for day, _ in days],
        sizes=[n for _, n in days], opens=[lanes.opens_on(lane.hours, day, moment) for day, _ in days],
    )  # fmt: skip


def _stands(lane: Lane, plan: Plan) -> bool:
    """True if the pending sends are spread over days as the plan says already, and none waits longer than its day does."""
    campaign_id, channel = lane.demand.key
    found = rows(
        f"SELECT planned_on, count(*) AS n, max(not_before) FILTER (WHERE {UNTRIED}) AS latest FROM sends s"
        f" WHERE org_id = :org AND campaign_id = :c AND channel = :channel AND {MOVABLE} GROUP BY 1 ORDER BY 1",
        org=current().id, c=campaign_id, channel=channel,
    )  # fmt: skip
    moment = now()
    return not plan.left and [(row.planned_on, row.n) for row in found] == plan.days and not any(
        row.latest and row.latest > lanes.opens_on(lane.hours, row.planned_on, moment) for row in found
    )  # fmt: skip


def write_batches(campaign_id: int, sizes: dict[date, int]) -> None:
    """Writes a campaign's batches from today on. sizes: day -> how many are planned. Days that are over keep what was done
    on them; one on which nothing was is gone."""
    org, day = current().id, lanes.today()
    given: dict[str, Any] = {"org": org, "c": campaign_id, "today": day}
    run(
        "DELETE FROM campaign_batches WHERE org_id = :org AND campaign_id = :c AND done = 0 AND claimed = 0"
        " AND NOT (send_date = ANY(:days))",
        days=[on for on in sizes if on >= day], **given,
    )  # fmt: skip
    run(
        "UPDATE campaign_batches SET batch_size = done, status = 'completed', updated_at = now() WHERE org_id = :org"
        " AND campaign_id = :c AND send_date < :today AND batch_size <> done AND claimed <= done",
        **given,
    )
    run(
        """
        INSERT INTO campaign_batches AS b (campaign_id, send_date, batch_number, batch_size)
        SELECT :c, u.day, 0, u.size FROM unnest(CAST(:days AS date[]), CAST(:sizes AS int[])) AS u (day, size)
        ON CONFLICT (org_id, campaign_id, send_date) DO UPDATE SET batch_size = EXCLUDED.batch_size, updated_at = now()
        """,
        days=list(sizes), sizes=list(sizes.values()), c=campaign_id,
    )  # fmt: skip
    # Today's is going out at this moment: what is done and what is left are counted in one look.
    run(
        "UPDATE campaign_batches b SET batch_size = b.done + w.n, updated_at = now(),"
        " status = CASE WHEN b.done = 0 THEN 'pending' WHEN w.n = 0 THEN 'completed' ELSE 'processing' END"
        " FROM (SELECT count(*) AS n FROM sends"
        " WHERE org_id = :org AND campaign_id = :c AND status IN ('pending', 'sending') AND planned_on <= :today) w"
        " WHERE b.org_id = :org AND b.campaign_id = :c AND b.send_date = :today",
        **given,
    )  # fmt: skip
    run(
        "UPDATE campaign_batches b SET batch_number = n.number FROM (SELECT id, row_number() OVER (ORDER BY send_date) AS number"
        " FROM campaign_batches WHERE org_id = :org AND campaign_id = :c) n"
        " WHERE b.org_id = :org AND b.id = n.id AND b.batch_number <> n.number",
        org=org, c=campaign_id,
    )  # fmt: skip
