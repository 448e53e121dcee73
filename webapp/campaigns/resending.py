"""Sending again what a person says never arrived; a campaign that had completed goes on for it."""

from collections.abc import Sequence

from sqlalchemy import select

from webapp.campaigns.campaigns import WORK, Campaign
from webapp.messaging import outbox, resolving
from webapp.messaging.resolving import Resolved
from webapp.messaging.sends import Send
from webapp.platform import audit, work
from webapp.platform.clock import now
from webapp.platform.db import db
from webapp.platform.organizations import PLANS


def as_not_sent(send_ids: Sequence[int], by: str) -> Resolved:
    """Gives unknown sends back to be sent again, as resolving.as_not_sent does, also those of campaigns that have
    completed: these are active again until the last of them is out. by: the name of who says so. Raises Refused."""
    completed = _completed(send_ids)
    for campaign in completed:
        campaign.status = "active"
    db.session.flush()
    resolved = resolving.as_not_sent(send_ids, by)
    for campaign in completed:
        if outbox.unfinished(campaign.id):
            campaign.completed_at = campaign.hold_reason = None
            # What has waited so long is sent because somebody asks for it now.
            campaign.resumed_at = now()
            audit.record("campaign.reopened", "campaign", campaign.id, before={"status": "completed"}, after={"by": by})
        else:
            campaign.status = "completed"
    db.session.flush()
    if completed:
        work.announce(WORK)
        work.announce(PLANS)
    return resolved


def _completed(send_ids: Sequence[int]) -> list[Campaign]:
    """Returns the completed campaigns of some unknown sends that could still send, locked in the order of their ids."""
    of_these = select(Send.campaign_id).where(Send.id.in_(send_ids), Send.status == "unknown")
    wanted = select(Campaign).where(Campaign.status == "completed", Campaign.id.in_(of_these))
    able = wanted.where(Campaign.sender_id.is_not(None)).order_by(Campaign.id)
    return list(db.session.scalars(able.with_for_update(key_share=True).execution_options(populate_existing=True)))
