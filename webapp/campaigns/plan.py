"""Planning: who a campaign will reach over which channel, who not and why, and on which day. The review and the launch run
the same selection; one counts it, the other writes it down."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, case, func, literal, literal_column, or_, select, text
from sqlalchemy.dialects.postgresql import insert

from webapp.audience import segments
from webapp.audience.consents import verdict, verdict_joins
from webapp.audience.leads import ALIVE, Lead
from webapp.campaigns import lanes, lateness, targeting
from webapp.campaigns.allocation import allocate
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.recipients import CampaignRecipient
from webapp.messaging import tallies
from webapp.messaging.judging import LATELY, TURN
from webapp.platform import tenancy
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run


def _judged(campaign: Campaign, *columns: Any) -> Select:
    """Returns the SELECT of the audience with `skip_reason` first (NULL for those who will be reached) and `channel`, the
    first of the campaign's over which they can be."""
    channels = list(dict.fromkeys(campaign.channels or ["email"]))
    verdicts = {channel: literal_column(verdict(channel, "leads", named=True)) for channel in channels}
    reason = case((or_(*(found.is_(None) for found in verdicts.values())), None), else_=verdicts[channels[0]]).label(
        "skip_reason"
    )
    chosen = case(*((found.is_(None), channel) for channel, found in verdicts.items()), else_=None).label("channel")
    joined: Any = Lead.__table__
    for channel in channels:
        for table, condition in verdict_joins(channel, "leads", named=True):
            aliased = db.metadata.tables[table].alias(f"{table}_{channel}")
            joined = joined.outerjoin(aliased, text(condition))
    wanted = select(reason, chosen, *columns).select_from(joined)
    return wanted.where(Lead.org_id == tenancy.current_org(), ALIVE, _audience(campaign))


def _audience(campaign: Campaign) -> Any:
    """Returns the condition of being meant: named one by one, or by the segment's or the campaign's own rules."""
    added = select(CampaignRecipient.lead_id).where(
        CampaignRecipient.org_id == tenancy.current_org(),
        CampaignRecipient.campaign_id == campaign.id,
        CampaignRecipient.state == "added",
    )
    meant = [Lead.id.in_(added)] if campaign.id else []
    if campaign.segment_id:
        meant.append(segments.get(campaign.segment_id).condition())
    if (rules := targeting.condition(campaign)) is not None:
        meant.append(rules)
    return or_(*meant) if meant else literal(False)


def has_audience(campaign: Campaign) -> bool:
    """True if a campaign says whom it is for: a segment, rules of its own, or people named one by one."""
    named = select(CampaignRecipient.id).where(CampaignRecipient.campaign_id == campaign.id).limit(1)
    if campaign.segment_id or targeting.tree(campaign) is not None:
        return True
    return campaign.id is not None and db.session.scalar(named) is not None


def preview(campaign: Campaign) -> dict[str | None, int]:
    """Returns how many people of the audience fall under each skip reason; None: how many will be reached."""
    found: Counter[str | None] = Counter()
    for reason, _, n in by_channel(campaign):
        found[reason] += n
    return dict(found)


def by_channel(campaign: Campaign) -> list[tuple[str | None, str | None, int]]:
    """Returns (skip reason, channel, people) of the audience."""
    judged = _judged(campaign).subquery()
    counted = select(judged.c.skip_reason, judged.c.channel, func.count()).group_by(
        judged.c.skip_reason, judged.c.channel
    )
    return [tuple(row) for row in db.session.execute(counted)]


def turns(campaign: Campaign, most: int, days: int) -> list[tuple[str, date, int]]:
    """Returns (channel, day, people) of those who will be reached, and had `most` messages in the last `days` days: when it
    is their turn again."""
    judged = _judged(campaign, Lead.org_id, Lead.id.label("lead_id"), literal(0).label("id")).cte("p")
    day = text(f"CAST(({TURN[1]}) AT TIME ZONE :zone AS date) AS day")
    found = select(literal_column("p.channel"), day, func.count()).select_from(text(f"p {LATELY}")).add_cte(judged)
    found = found.where(text(f"p.channel IS NOT NULL AND {TURN[0]}")).group_by(text("1, 2")).order_by(text("2, 1"))
    given = {"frequency_n": most, "frequency_days": days, "zone": lanes.zone()}
    return [tuple(row) for row in db.session.execute(found, given)]


def write(campaign: Campaign) -> int:
    """Freezes the audience and lays one send for each who may be reached, on the day there is room for it. Returns how many
    people that was.

    Doing it twice adds only who has come since: the audience is unique by lead, the sends by their dedup key.
    """
    frozen = _freeze(campaign)
    planned = sum(frozen.values())
    run(
        "UPDATE campaign_recipients SET state = 'planned' WHERE org_id = :org AND campaign_id = :c AND state = 'added'",
        org=campaign.org_id, c=campaign.id,
    )  # fmt: skip
    for channel in campaign.channels or ["email"]:
        _lay(campaign, channel)
    lateness.settle(campaign)
    if not planned:
        return 0
    campaign.target_count = (campaign.target_count or 0) + planned
    first = (campaign.channels or ["email"])[0]
    for channel in sorted({channel or first for channel in frozen}):
        # Who can be reached over none of them is passed over where the campaign begins.
        without = frozen[None] if channel == first else 0
        tallies.add(campaign.id, channel, Counter(planned=frozen[channel] + without, skipped=without))
    return planned


def _freeze(campaign: Campaign) -> Counter[str | None]:
    """Writes the audience down. Returns how many are new in it by channel; None: those that are skipped."""
    judged = _judged(campaign, Lead.id).subquery()
    state = literal_column("CASE WHEN skip_reason IS NULL THEN 'planned' ELSE 'skipped' END")
    frozen = select(literal(campaign.id), judged.c.id, state, judged.c.channel, judged.c.skip_reason)
    columns = ["campaign_id", "lead_id", "state", "channel", "skip_reason"]
    freeze = insert(CampaignRecipient).from_select(columns, frozen)
    freeze = freeze.on_conflict_do_update(
        index_elements=["org_id", "campaign_id", "lead_id"],
        set_={name: freeze.excluded[name] for name in ("state", "channel", "skip_reason")},
        where=CampaignRecipient.state == "added",
    )
    # Counted where it happens: a million rows do not come back to Python, and those of an earlier run do not count again.
    written = freeze.returning(CampaignRecipient.channel).cte("written")
    counted = select(written.c.channel, func.count()).group_by(written.c.channel)
    return Counter(dict(db.session.execute(counted).all()))


def days_for(campaign: Campaign, channel: str, n: int) -> list[tuple[date, int]]:
    """Returns (day, how many) for n messages of a campaign over a channel, beside what the others have planned. What finds
    no day within the horizon comes on the last one."""
    own = lanes.lane(campaign, channel, n, lanes.today())
    every = [*lanes.live(but=campaign.id), own]
    plan = allocate([lane.demand for lane in every], lanes.today(), lanes.rooms(every), lanes.closed_days())[
        own.demand.key
    ]
    if plan.left:
        last = plan.days[-1][0] if plan.days else lanes.today() + timedelta(days=1)
        plan.days.append((last + timedelta(days=1), plan.left))
    return plan.days


def _lay(campaign: Campaign, channel: str) -> None:
    fresh = """FROM campaign_recipients r JOIN leads l ON l.org_id = r.org_id AND l.id = r.lead_id
        WHERE r.org_id = :org AND r.campaign_id = :campaign AND r.state = 'planned' AND r.channel = :channel
            AND NOT EXISTS (SELECT FROM sends s WHERE s.org_id = r.org_id AND s.lead_id = r.lead_id
                            AND s.campaign_id = r.campaign_id)"""
    given = {"org": campaign.org_id, "campaign": campaign.id, "channel": channel}
    n = rows(f"SELECT count(*) AS n {fresh}", **given)[0].n
    if not n:
        return
    days = days_for(campaign, channel, n)
    hours = lanes.hours_of(channel, campaign.send_window)
    moment = now()
    run(
        f"""
        INSERT INTO sends (campaign_id, kind, lead_id, channel, sender_id, recipient_address, recipient_name,
                           template_version_id, variant, dedup_key, planned_on, not_before, expires_at, priority)
        SELECT :campaign, 'campaign', m.id, :channel, :sender, m.address, m.name, :version, m.variant,
            'campaign:' || :campaign || ':' || :channel || ':' || m.address, d.day, d.opens, m.expires_at, :priority
        FROM (SELECT l.id, {lateness.ADDRESS[channel]} AS address, NULLIF(concat_ws(' ', l.first_name, l.last_name), '') AS name,
                r.variant, {lateness.expiry(campaign)} AS expires_at,
                row_number() OVER (ORDER BY {lateness.expiry(campaign)} NULLS LAST, l.id) AS place {fresh}) m
        JOIN (SELECT day, opens, row_number() OVER (ORDER BY day, slot) AS place
              FROM unnest(CAST(:days AS date[]), CAST(:sizes AS int[]), CAST(:opens AS timestamptz[])) AS u (day, size, opens)
              CROSS JOIN LATERAL generate_series(1, u.size) AS slot) d USING (place)
        ORDER BY m.place
        ON CONFLICT (org_id, dedup_key) DO NOTHING
        """,
        sender=lanes.sender_id_for(campaign, channel), version=campaign.template_version_id, priority=campaign.priority,
        days=[day for day, _ in days], sizes=[size for _, size in days],
        opens=[lanes.opens_on(hours, day, moment) for day, _ in days], **lateness.values(campaign), **given,
    )  # fmt: skip


def sizes(campaign: Campaign) -> dict[date, int]:
    """Returns how many messages of a campaign are planned for each day."""
    found = rows(
        "SELECT planned_on, count(*) AS n FROM sends WHERE org_id = :org AND campaign_id = :c AND status = 'pending'"
        " GROUP BY 1 ORDER BY 1",
        org=campaign.org_id, c=campaign.id,
    )  # fmt: skip
    return {row.planned_on: row.n for row in found if row.planned_on}


def skipped(campaign: Campaign) -> dict[str, int]:
    """Returns how many recipients were skipped for which reason, at planning and at claiming together."""
    found = db.session.execute(
        text(
            "SELECT skip_reason, count(*) FROM (SELECT skip_reason FROM campaign_recipients WHERE campaign_id = :id AND"
            " state = 'skipped' UNION ALL SELECT skip_reason FROM sends WHERE campaign_id = :id AND status = 'skipped') s"
            " GROUP BY 1 ORDER BY 2 DESC"
        ),
        {"id": campaign.id},
    )
    return dict(found.all())
