"""Campaigns: the list, the review of a draft, the running campaign with its figures, and the moves between states."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import render_template, request, url_for
from flask_login import current_user
from sqlalchemy import and_, func, select

from webapp.analytics import campaign_report
from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.segments import Segment
from webapp.campaigns import campaigns, checking, plan
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.words import STATUSES
from webapp.messaging import templates
from webapp.messaging.bodies import BODIES
from webapp.messaging.senders import Sender
from webapp.messaging.tallies import CampaignAnalytics
from webapp.messaging.templates import Template
from webapp.platform.clock import now
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.campaigns import batches, drafting
from webapp.web.campaigns.room import campaign_pages
from webapp.web.shell import go, needs, render, say
from webapp.web.table import Column, Filter, Table
from webapp.web.templates.previews import phone_of_sms, phone_of_whatsapp, sandboxed, shown


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
            Column("channel", "Channel", lambda r: ", ".join(CHANNEL_WORDS.get(c, c) for c in r.Campaign.channels), wide=True),
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


@campaign_pages.get("/<int:campaign_id>")
@needs("campaigns.view")
def detail(campaign_id: int) -> Any:
    campaign = campaigns.get(campaign_id)
    if campaign.status in ("draft", "scheduled"):
        return _review(campaign, checking.missing(campaign) if campaign.status == "draft" else {})
    return render("campaigns/detail.html", **_report(campaign))


def _review(campaign: Campaign, errors: dict[str, str], status: int = 200) -> Any:
    made = drafting.of(campaign)
    skipped = made.skipped if made else {}
    return render(
        "campaigns/review.html",
        status=status,
        campaign=campaign,
        is_due=bool(campaign.scheduled_at and campaign.scheduled_at < now() + timedelta(minutes=1)),
        errors=errors,
        reached=made.recipients if made else 0,
        skipped=sorted(skipped.items(), key=lambda pair: -pair[1]),
        **drafting.shown(made, []),
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
        "held": _holding(campaign),
        **batches.standing(campaign),
    }


def _holding(campaign: Campaign) -> list[tuple[str, str, str]]:
    """Returns what a live campaign is held up by besides itself: (what, why, the address of where to act)."""
    if campaign.status not in ("active", "paused", "scheduled"):
        return []
    sender, template = _named(Sender, campaign.sender_id), _named(Template, campaign.template_id)
    held = []
    if sender and sender.status not in ("active", "warming"):
        held.append(
            (f"Its sender {sender.name} is {sender.status}", "Nothing goes out over it.", url_for("senders.page"))
        )
    if sender and sender.held_at:
        held.append((f"Its sender {sender.name} is held", sender.hold_reason or "", url_for("senders.page")))
    if template and template.hold_reason:
        address = url_for("templates.edit", template_id=template.id)
        held.append((f"Its template {template.name} is held", template.hold_reason, address))
    return held


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
    channel = request.args.get("channel") or campaign.channels[0]
    if channel == "whatsapp":
        return phone_of_whatsapp(source.whatsapp or {}, None)
    if channel == "sms":
        return phone_of_sms(source.text_content or "", None)
    values = {field: getattr(source, field) or "" for field in BODIES}
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
