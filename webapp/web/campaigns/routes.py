"""Campaigns: the list, the draft with its review, the running campaign with its figures."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import and_, func, select

from webapp.analytics import campaign_report
from webapp.audience.leads import Lead
from webapp.audience.segments import Segment
from webapp.campaigns import campaigns, checking, plan
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.recipients import CampaignRecipient
from webapp.campaigns.words import STATUSES
from webapp.messaging import templates
from webapp.messaging.senders import Sender
from webapp.messaging.sends import Send
from webapp.messaging.tallies import CampaignAnalytics
from webapp.messaging.templates import Template
from webapp.platform.clock import now
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.campaigns.forms import CampaignForm
from webapp.web.shell import go, needs, render, say, show_errors
from webapp.web.table import Column, Filter, Table
from webapp.web.templates.previews import sandboxed, shown

campaign_pages = Blueprint("campaigns", __name__, url_prefix="/campaigns")
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


def _table() -> Table:
    sent = func.coalesce(CampaignAnalytics.total_sent, 0)
    joined = and_(CampaignAnalytics.org_id == Campaign.org_id, CampaignAnalytics.campaign_id == Campaign.id)
    return Table(
        name="campaigns",
        noun=("campaign", "campaigns"),
        query=select(Campaign, CampaignAnalytics).outerjoin(CampaignAnalytics, joined),
        key=Campaign.id,
        columns=(
            Column("name", "Name", lambda r: r.Campaign.name, func.lower(Campaign.name)),
            Column("status", "Status", lambda r: filters.status(r.Campaign.status)),
            Column("sent", "Sent", lambda r: _figure(r, "total_sent", filters.number), sent, numeric=True),
            Column("opens", "Opens", lambda r: _figure(r, "open_rate", filters.percent), numeric=True, wide=True),
            Column("clicks", "Clicks", lambda r: _figure(r, "click_rate", filters.percent), numeric=True, wide=True),
            Column("when", "When", lambda r: filters.moment(r.Campaign.started_at or r.Campaign.scheduled_at), wide=True),
            Column("created", "Created", lambda r: filters.day(r.Campaign.created_at), Campaign.created_at, wide=True),
        ),
        default_sort="-created",
        empty="No campaigns yet. A campaign sends one template to one segment.",
        url_of=lambda r: url_for("campaigns.detail", campaign_id=r.Campaign.id),
        search=lambda term: func.strpos(func.lower(Campaign.name), term.lower()) > 0,
        search_label="Campaign name",
        filters=(Filter("status", "Status", tuple((s, filters.words(s)) for s in STATUSES), lambda s: Campaign.status == s),),
    )  # fmt: skip


def _figure(row: Any, name: str, shown: Callable[[Any], Any]) -> Any:
    return shown(getattr(row.CampaignAnalytics, name)) if row.CampaignAnalytics else "–"


@campaign_pages.get("")
@needs("campaigns.view")
def page() -> Any:
    action = ("New campaign", url_for("campaigns.new")) if can(current_user, "campaigns.edit") else None
    return _table().respond("list.html", title="Campaigns", action=action)


@campaign_pages.route("/new", methods=["GET", "POST"])
@needs("campaigns.edit")
def new() -> Any:
    return _edit(None)


@campaign_pages.route("/<int:campaign_id>/edit", methods=["GET", "POST"])
@needs("campaigns.edit")
def edit(campaign_id: int) -> Any:
    return _edit(campaigns.get(campaign_id))


def _edit(campaign: Campaign | None) -> Any:
    form = CampaignForm(campaign)
    if request.method == "POST" and form.validate():
        try:
            saved = campaigns.save(campaign, form.values(), current_user.local_id)
            return go("campaigns.detail", campaign_id=saved.id)
        except Invalid as problem:
            show_errors(form, problem)
    if request.method != "POST" and campaign is None:
        default = next((value for value, _ in form.sender_id.choices if value), None)
        form.sender_id.data = default
    return render("campaigns/form.html", status=422 if request.method == "POST" else 200, form=form, campaign=campaign)


@campaign_pages.get("/<int:campaign_id>")
@needs("campaigns.view")
def detail(campaign_id: int) -> Any:
    campaign = campaigns.get(campaign_id)
    if campaign.status in ("draft", "scheduled"):
        return _review(campaign, checking.missing(campaign) if campaign.status == "draft" else {})
    return render("campaigns/detail.html", **_report(campaign))


def _review(campaign: Campaign, errors: dict[str, str], status: int = 200) -> Any:
    judged = plan.preview(campaign)
    return render(
        "campaigns/review.html",
        status=status,
        campaign=campaign,
        is_due=bool(campaign.scheduled_at and campaign.scheduled_at < now() + timedelta(minutes=1)),
        errors=errors,
        reached=judged.pop(None, 0),
        skipped=sorted(judged.items(), key=lambda pair: -pair[1]),
        template=_named(Template, campaign.template_id),
        segment=_named(Segment, campaign.segment_id),
        sender=_named(Sender, campaign.sender_id),
    )


def _named(kind: Any, row_id: int | None) -> Any:
    return db.session.scalar(select(kind).where(kind.id == row_id)) if row_id else None


def _report(campaign: Campaign) -> dict[str, Any]:
    chart = campaign_report.over_time(campaign.id, filters.zone())
    return {
        "campaign": campaign,
        "totals": campaign_report.totals(campaign.id),
        "chart": chart,
        "chart_json": json.dumps(chart),
        "links": campaign_report.links(campaign.id),
        "problems": campaign_report.errors(campaign.id),
        "skipped": plan.skipped(campaign),
        "segment": _named(Segment, campaign.segment_id),
        "sender": _named(Sender, campaign.sender_id),
        "states": STATES,
    }


@campaign_pages.get("/<int:campaign_id>/live")
@needs("campaigns.view")
def live(campaign_id: int) -> Any:
    """The part of the page that follows the sending."""
    campaign = campaigns.get(campaign_id)
    if request.args.get("was") != campaign.status:
        # The whole page says another thing now: its buttons and its list of recipients too.
        return go("campaigns.detail", campaign_id=campaign_id)
    return render_template("campaigns/_live.html", **_report(campaign))


@campaign_pages.get("/<int:campaign_id>/started")
@needs("campaigns.view")
def started(campaign_id: int) -> Any:
    """Takes a waiting page to the running campaign once it has started."""
    return (
        go("campaigns.detail", campaign_id=campaign_id)
        if campaigns.get(campaign_id).status != "scheduled"
        else ("", 204)
    )


def _recipients(campaign: Campaign) -> Table:
    joined = and_(Send.org_id == CampaignRecipient.org_id, Send.lead_id == CampaignRecipient.lead_id,
                  Send.campaign_id == CampaignRecipient.campaign_id)  # fmt: skip
    lead = and_(Lead.org_id == CampaignRecipient.org_id, Lead.id == CampaignRecipient.lead_id)
    query = select(CampaignRecipient, Send, Lead).outerjoin(Send, joined).join(Lead, lead)
    return Table(
        name="recipients",
        noun=("recipient", "recipients"),
        query=query.where(CampaignRecipient.campaign_id == campaign.id),
        key=CampaignRecipient.id,
        columns=(
            Column("name", "Name", lambda r: r.Lead.name),
            Column("address", "Address", lambda r: r.Send.recipient_address if r.Send else r.Lead.email or "–", wide=True),
            Column("state", "State", lambda r: filters.status(_state(r)), export=_state),
            Column("why", "Why", _why, wraps=True),
            Column("opened", "Opened", lambda r: filters.moment(r.Send and r.Send.opened_at), wide=True,
                   export=lambda r: r.Send and r.Send.opened_at),
            Column("order", "Planned", lambda r: filters.day(r.CampaignRecipient.planned_on), CampaignRecipient.created_at,
                   wide=True),
        ),
        default_sort="order",
        empty="Nobody yet.",
        url_of=lambda r: url_for("leads.detail", lead_id=r.Lead.id),
        search=lambda term: func.strpos(Lead.name_key, term.lower()) + func.strpos(func.coalesce(Lead.email_key, ""), term.lower()) > 0,
        search_label="Name or address",
        filters=(Filter("state", "State", tuple((s, filters.words(s)) for s in STATES), lambda s: STATES[s]),),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _state(row: Any) -> str:
    return row.Send.status if row.Send else row.CampaignRecipient.state


def _why(row: Any) -> str:
    reason = row.Send.skip_reason if row.Send else row.CampaignRecipient.skip_reason
    return filters.reason_words(reason) if reason else (row.Send.error_message or "" if row.Send else "")


@campaign_pages.get("/<int:campaign_id>/recipients")
@needs("campaigns.view")
def recipients(campaign_id: int) -> Any:
    campaign = campaigns.get(campaign_id)
    return _recipients(campaign).respond("campaigns/recipients.html", campaign=campaign)


@campaign_pages.get("/<int:campaign_id>/message")
@needs("campaigns.view")
def message(campaign_id: int) -> Any:
    """The message as it stands, for a frame."""
    campaign = campaigns.get(campaign_id)
    if campaign.template_version_id:
        source: Any = templates.version(campaign.template_version_id)
    elif campaign.template_id:
        source = templates.get(campaign.template_id)
    else:
        return sandboxed("")
    values = {field: getattr(source, field) or "" for field in templates.BODIES}
    values["subject_line"] = campaign.subject_line or values["subject_line"]
    return shown(values, None)


@campaign_pages.post("/<int:campaign_id>/launch")
@needs("campaigns.send")
def launch(campaign_id: int) -> Any:
    try:
        campaign = campaigns.launch(campaign_id)
    except Invalid as problem:
        return _review(campaigns.get(campaign_id), problem.errors, 422)
    say(
        "Launched."
        if campaign.schedule_type == "immediate"
        else f"Scheduled for {filters.day_time(campaign.scheduled_at)}."
    )
    return go("campaigns.detail", campaign_id=campaign_id)


VERBS: dict[str, tuple[Callable[[int], Campaign], str]] = {
    "pause": (campaigns.pause, "Paused. What was being sent at this moment still goes out, nothing after it."),
    "resume": (campaigns.resume, "Resumed."),
    "cancel": (campaigns.cancel, "Cancelled. Nothing more goes out."),
    "unschedule": (campaigns.unschedule, "Back to draft."),
    "archive": (campaigns.archive, "Archived."),
}


@campaign_pages.post("/<int:campaign_id>/<any(pause, resume, cancel, unschedule, archive):verb>")
@needs("campaigns.send")
def act(campaign_id: int, verb: str) -> Any:
    carried_out, words = VERBS[verb]
    carried_out(campaign_id)
    say(words)
    return go("campaigns.detail", campaign_id=campaign_id)


@campaign_pages.post("/<int:campaign_id>/copy")
@needs("campaigns.edit")
def copy(campaign_id: int) -> Any:
    copied = campaigns.clone(campaigns.get(campaign_id), current_user.local_id)
    say("Copied to a new draft.")
    return go("campaigns.edit", campaign_id=copied.id)


@campaign_pages.post("/<int:campaign_id>/delete")
@needs("campaigns.edit")
def delete(campaign_id: int) -> Any:
    campaigns.remove(campaign_id)
    say("Campaign deleted.")
    return go("campaigns.page")
