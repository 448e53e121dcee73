"""The recipients of a campaign: over which channel, on which day, how it went or what it waits for."""

from typing import Any

from flask import url_for
from flask_login import current_user
from sqlalchemy import and_, func, select
from sqlalchemy.orm import aliased

from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.leads import Lead
from webapp.campaigns import campaigns
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.recipients import CampaignRecipient
from webapp.campaigns.words import wait_words
from webapp.messaging.sends import Send
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.campaigns.room import campaign_pages
from webapp.web.shell import needs
from webapp.web.table import Column, Filter, Table

STATES: dict[str, Any] = {
    "sent": Send.sent_at.is_not(None),
    "opened": Send.opened_at.is_not(None),
    "clicked": Send.clicked_at.is_not(None),
    "unsubscribed": Send.unsubscribed_at.is_not(None),
    "pending": Send.status.in_(("pending", "sending")),
    "failed": Send.status == "failed",
    "unknown": Send.status == "unknown",
    "bounced": Send.status == "bounced",
    "skipped": (CampaignRecipient.state == "skipped") | (Send.status == "skipped"),
}


def _joined(campaign: Campaign) -> Any:
    """Returns the condition that a send is a recipient's: the latest, where one may have several over several channels."""
    theirs = and_(Send.org_id == CampaignRecipient.org_id, Send.lead_id == CampaignRecipient.lead_id,
                  Send.campaign_id == CampaignRecipient.campaign_id)  # fmt: skip
    if len(campaign.channels) == 1:
        return theirs
    later = aliased(Send)
    newest = select(func.max(later.id)).where(
        later.org_id == CampaignRecipient.org_id, later.lead_id == CampaignRecipient.lead_id,
        later.campaign_id == CampaignRecipient.campaign_id,
    )  # fmt: skip
    return and_(theirs, Send.id == newest.correlate(CampaignRecipient).scalar_subquery())


def _table(campaign: Campaign) -> Table:
    lead = and_(Lead.org_id == CampaignRecipient.org_id, Lead.id == CampaignRecipient.lead_id)
    query = select(CampaignRecipient, Send, Lead).select_from(CampaignRecipient)
    query = query.outerjoin(Send, _joined(campaign)).join(Lead, lead)
    channels = tuple((channel, CHANNEL_WORDS[channel]) for channel in campaign.channels if channel in CHANNEL_WORDS)
    of_channel = Filter("channel", "Channel", channels, lambda channel: Send.channel == channel)
    return Table(
        name="recipients",
        noun=("recipient", "recipients"),
        query=query.where(CampaignRecipient.campaign_id == campaign.id),
        key=CampaignRecipient.id,
        columns=(
            Column("name", "Name", lambda r: r.Lead.name),
            Column("address", "Address", lambda r: r.Send.recipient_address if r.Send else r.Lead.email or "–", wide=True),
            Column("channel", "Channel", _channel, wide=True),
            Column("state", "State", lambda r: filters.status(_state(r)), export=_state),
            Column("why", "Why", _why, wraps=True),
            Column("opened", "Opened", lambda r: filters.moment(r.Send and r.Send.opened_at), wide=True,
                   export=lambda r: r.Send and r.Send.opened_at),
            Column("order", "Planned", lambda r: filters.day(_planned(r)), CampaignRecipient.created_at, wide=True,
                   export=_planned),
        ),
        default_sort="order",
        empty="Nobody yet.",
        url_of=lambda r: url_for("campaigns.why", campaign_id=campaign.id, lead_id=r.Lead.id),
        search=lambda term: func.strpos(Lead.name_key, term.lower()) + func.strpos(func.coalesce(Lead.email_key, ""), term.lower()) > 0,
        search_label="Name or address",
        filters=(Filter("state", "State", tuple((s, filters.words(s)) for s in STATES), lambda s: STATES[s]),
                 *((of_channel,) if len(channels) > 1 else ())),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _state(row: Any) -> str:
    return row.Send.status if row.Send else row.CampaignRecipient.state


def _channel(row: Any) -> str:
    channel = row.Send.channel if row.Send else row.CampaignRecipient.channel
    return CHANNEL_WORDS.get(channel or "", "–")


def _planned(row: Any) -> Any:
    return (row.Send and row.Send.planned_on) or row.CampaignRecipient.planned_on


def _why(row: Any) -> str:
    reason = row.Send.skip_reason if row.Send else row.CampaignRecipient.skip_reason
    if reason:
        return filters.reason_words(reason)
    if row.Send and row.Send.status == "pending" and row.Send.wait_reason:
        return wait_words(row.Send.wait_reason)
    return row.Send.error_message or "" if row.Send else ""


@campaign_pages.get("/<int:campaign_id>/recipients")
@needs("campaigns.view")
def recipients(campaign_id: int) -> Any:
    campaign = campaigns.get(campaign_id)
    return _table(campaign).respond("campaigns/recipients.html", campaign=campaign)
