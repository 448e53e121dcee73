"""The lists of the delivery page: whose outcome nobody knows, and who did not get theirs."""

from datetime import timedelta
from typing import Any

from flask import url_for
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy import Select, and_, func, select

from webapp.analytics import delivery_report
from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.leads import Lead
from webapp.campaigns.campaigns import Campaign
from webapp.messaging.sends import Send
from webapp.platform import tenancy
from webapp.platform.clock import now
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.table import Column, Filter, Table

NO_CODE = "none"  # how an address says that a failure has no code
KIND_WORDS = {"confirmation": "Request to confirm", "test": "Test"}


def _sends() -> Select:
    campaign = and_(Campaign.org_id == Send.org_id, Campaign.id == Send.campaign_id)
    lead = and_(Lead.org_id == Send.org_id, Lead.id == Send.lead_id)
    joined = select(Send, Campaign.name.label("campaign"), Lead).outerjoin(Campaign, campaign).outerjoin(Lead, lead)
    return joined.where(Send.org_id == tenancy.current_org())


TWO_LINES = Markup('{}<br><span class="text-secondary">{}</span>')


def _person(row: Any) -> Any:
    if row.Lead is None:
        return TWO_LINES.format(row.Send.recipient_name or "Lead deleted", row.Send.recipient_address)
    link = Markup('<a class="row-link" href="{}">{}</a>').format(
        url_for("leads.detail", lead_id=row.Lead.id), row.Lead.name
    )
    return TWO_LINES.format(link, row.Send.recipient_address)


def _campaign(row: Any) -> Any:
    named = KIND_WORDS.get(row.Send.kind, filters.words(row.Send.kind))
    if row.campaign is not None:
        address = url_for("campaigns.detail", campaign_id=row.Send.campaign_id)
        named = Markup('<a href="{}">{}</a>').format(address, row.campaign)
    return TWO_LINES.format(named, CHANNEL_WORDS[row.Send.channel])


CHANNEL = Filter("channel", "Channel", tuple(CHANNEL_WORDS.items()), lambda channel: Send.channel == channel)
PERSON = Column("person", "Person", _person, export=lambda r: r.Lead.name if r.Lead else r.Send.recipient_name)
CAMPAIGN = Column("campaign", "Campaign", _campaign, export=lambda r: r.campaign, wide=True)


def unknown() -> Table:
    """Returns the list of sends whose outcome nobody knows, with what a person may say of them."""
    listed = tuple((str(row.id), row.name) for row in delivery_report.campaigns_with_unknown())
    by_campaign = Filter("campaign", "Campaign", listed, lambda campaign: Send.campaign_id == int(campaign))
    may = can(current_user, "delivery.resolve")
    return Table(
        name="unknown",
        noun=("unknown message", "unknown messages"),
        query=_sends().where(Send.status == "unknown"),
        key=Send.id,
        columns=(
            PERSON,
            CAMPAIGN,
            Column("when", "When", lambda r: filters.ago(r.Send.updated_at), Send.id, wide=True),
            Column("what", "What happened", lambda r: r.Send.error_message or "No answer came.", wraps=True),
        ),
        default_sort="-when",
        empty="Every message is accounted for. One whose answer got lost on the way would stand here.",
        filters=((by_campaign, CHANNEL) if listed else (CHANNEL,)),
        bulk=(
            ("It arrived: count as sent", url_for("delivery.resolve", outcome="sent"), "check", ""),
            ("It did not arrive: send it again", url_for("delivery.resolve", outcome="not-sent"), "repeat",
             "Send them again? Whoever did get the first one gets it twice."),
        ) if may else (),
        id_of=lambda r: r.Send.id,
    )  # fmt: skip


def failed() -> Table:
    """Returns the list of sends that failed or bounced in the last 7 days."""
    since = now() - timedelta(days=delivery_report.FAILURE_DAYS)
    return Table(
        name="failures",
        noun=("message", "messages"),
        query=_sends().where(Send.status.in_(("failed", "bounced")), Send.updated_at > since),
        key=Send.id,
        columns=(
            PERSON,
            CAMPAIGN,
            Column("status", "Status", lambda r: filters.status(r.Send.status), export=lambda r: r.Send.status, wide=True),
            Column("when", "When", lambda r: filters.moment(r.Send.updated_at), Send.updated_at,
                   lambda r: r.Send.updated_at.isoformat(), wide=True),
            Column("what", "Their answer", lambda r: r.Send.error_message or r.Send.error_code or "–", wraps=True),
        ),
        default_sort="-when",
        empty="Nothing failed in the last 7 days.",
        filters=(CHANNEL, Filter("code", "Code", (), _has_code)),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _has_code(asked: str) -> Any:
    code = code_of(asked)
    return func.coalesce(Send.error_code, "") == (code or "")


def code_of(asked: str | None) -> str | None:
    """Returns the code an address asks for; None where it asks for those without one."""
    return None if asked in (None, "", NO_CODE) else asked
