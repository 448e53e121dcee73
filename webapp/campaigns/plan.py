"""Planning: who a campaign will reach and who not, and why. The review and the launch run the same selection; one
counts it, the other writes it down."""

from collections import Counter
from typing import Any

from sqlalchemy import Select, func, literal, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert

from webapp.audience import segments
from webapp.audience.consents import verdict, verdict_joins
from webapp.audience.leads import Lead
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.recipients import CampaignRecipient
from webapp.messaging import tallies
from webapp.platform.clock import local, now
from webapp.platform.db import db, run
from webapp.platform.organizations import current as current_organization


def _judged(campaign: Campaign, channel: str, *columns: Any) -> Select:
    """Returns the SELECT of the audience with `skip_reason` first: NULL for those who will be reached."""
    reason = literal_column(verdict(channel, "leads")).label("skip_reason")
    chosen = segments.audience(segments.get(campaign.segment_id), reason, *columns)
    joined: Any = Lead.__table__
    for table, condition in verdict_joins(channel, "leads"):
        joined = joined.outerjoin(db.metadata.tables[table], text(condition))
    return chosen.select_from(joined)


def preview(campaign: Campaign, channel: str = "email") -> dict[str | None, int]:
    """Returns how many people of the audience fall under each skip reason; None: how many will be reached."""
    if not campaign.segment_id:
        return {}
    judged = _judged(campaign, channel).subquery()
    counted = select(judged.c.skip_reason, func.count()).group_by(judged.c.skip_reason)
    return dict(db.session.execute(counted).all())


def write(campaign: Campaign, channel: str = "email") -> int:
    """Freezes the audience and lays one send for each who may be reached. Returns how many people that was.

    Doing it twice adds only who has come since: the audience is unique by lead, the sends by their dedup key.
    """
    today = local(now(), current_organization().timezone).date()
    judged = _judged(campaign, channel, Lead.id).subquery()
    state = literal_column("CASE WHEN skip_reason IS NULL THEN 'planned' ELSE 'skipped' END")
    frozen = select(literal(campaign.id), judged.c.id, state, judged.c.skip_reason, literal(today))
    columns = ["campaign_id", "lead_id", "state", "skip_reason", "planned_on"]
    freeze = insert(CampaignRecipient).from_select(columns, frozen).on_conflict_do_nothing()
    # Counted where it happens: a million rows do not come back to Python, and those of an earlier run do not count again.
    written = freeze.returning(CampaignRecipient.state).cte("written")
    counted = select(func.count(), func.count().filter(written.c.state == "skipped")).select_from(written)
    planned, skipped = db.session.execute(counted).one()
    run(
        """
        INSERT INTO sends (campaign_id, kind, lead_id, channel, sender_id, recipient_address, recipient_name,
                           template_version_id, variant, dedup_key, planned_on, priority)
        SELECT r.campaign_id, 'campaign', l.id, :channel, :sender, l.email_key,
               NULLIF(concat_ws(' ', l.first_name, l.last_name), ''), :version, r.variant,
               'campaign:' || r.campaign_id || ':' || :channel || ':' || l.email_key, :today, :priority
        FROM campaign_recipients r JOIN leads l ON l.org_id = r.org_id AND l.id = r.lead_id
        WHERE r.org_id = :org AND r.campaign_id = :campaign AND r.state = 'planned' ORDER BY l.id
        ON CONFLICT (org_id, dedup_key) DO NOTHING
        """,
        channel=channel, sender=campaign.sender_id, version=campaign.template_version_id, today=today,
        priority=campaign.priority, org=campaign.org_id, campaign=campaign.id,
    )  # fmt: skip
    if not planned:
        return 0
    campaign.target_count = (campaign.target_count or 0) + planned
    tallies.add(campaign.id, channel, Counter(planned=planned, skipped=skipped))
    return planned


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
