"""A draft in its form: what may be chosen for its channels, and the forecast as its limits are changed."""

from typing import Any

from flask import render_template, request
from flask_login import current_user

from webapp.campaigns import campaigns, forecast, limits, plan
from webapp.campaigns.campaigns import SETTABLE, Campaign
from webapp.campaigns.forecast import Forecast
from webapp.platform import tenancy
from webapp.platform.errors import Invalid, NotFound
from webapp.web.campaigns.forms import CampaignForm, LimitsForm
from webapp.web.campaigns.room import campaign_pages
from webapp.web.campaigns.strips import months
from webapp.web.shell import go, needs, render


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
            form.show(problem)
    if request.method != "POST" and campaign is None:
        form.sender_id.data = _first_sender(form)
    return render("campaigns/form.html", status=422 if request.method == "POST" else 200, form=form, campaign=campaign)


def _first_sender(form: CampaignForm) -> int | None:
    return next((value for value, _ in form.sender_id.choices if value), None)


@campaign_pages.post("/choices")
@needs("campaigns.edit")
def choices() -> str:
    """What may be chosen for the channels in the form: templates, senders, and the daily limit that is usual there."""
    form = CampaignForm()
    offered = {value for value, _ in form.sender_id.choices}
    if form.sender_id.data not in offered:
        form.sender_id.data = _first_sender(form)
    limit, is_whatsapp = form.daily_send_limit, form.channels.data[0] == "whatsapp"
    if is_whatsapp and not (limit.raw_data and limit.raw_data[0]):
        limit.data, limit.raw_data = limits.WHATSAPP_DAILY, None
    elif not is_whatsapp and limit.data == limits.WHATSAPP_DAILY:
        limit.data, limit.raw_data = None, None
    return render_template("campaigns/_choices.html", form=form, swapped=True)


@campaign_pages.post("/forecast")
@needs("campaigns.edit")
def forecast_of_form() -> str:
    """The forecast for a draft as it stands in its form."""
    form = CampaignForm()
    values = form.values() if form.validate() or not _wrong(form) else {}
    return drawn(unsaved(None, values)) if values else _asked_for(_wrong(form))


@campaign_pages.post("/<int:campaign_id>/forecast")
@needs("campaigns.edit")
def forecast_of_limits(campaign_id: int) -> str:
    """The forecast for a campaign with the limits as they stand in the form of its limits."""
    campaign, form = campaigns.get(campaign_id), LimitsForm()
    return drawn(unsaved(campaign, form.limits())) if form.validate() else _asked_for(_wrong(form))


def _wrong(form: LimitsForm) -> list[str]:
    """Returns what keeps a forecast from being made, in words; what else is missing from a draft does not."""
    matters = (*LimitsForm()._fields, "scheduled_at", "channels")
    return [
        f"{form[name].label.text}: {form[name].errors[0]}" for name in matters if name in form and form[name].errors
    ]


def _asked_for(problems: list[str]) -> str:
    return render_template("campaigns/_forecast.html", forecast=None, problems=problems)


def unsaved(campaign: Campaign | None, values: dict[str, Any]) -> Campaign:
    """Returns a campaign like another with some values changed, which is never written."""
    known = {name: getattr(campaign, name) for name in (*SETTABLE, "id", "audience", "started_at")} if campaign else {}
    usual = {
        "channels": ["email"],
        "priority": 5,
        "late_action": "skip",
        "paced_by_callbacks": False,
        "status": "draft",
    }
    made = Campaign(**usual | known | {name: value for name, value in values.items() if name in SETTABLE})
    made.org_id = tenancy.current_org()
    made.send_window = limits.cleaned(made.send_window)
    return made


def drawn(campaign: Campaign) -> str:
    """Returns the forecast of a campaign, drawn; or what it needs before there is one."""
    problems = list(
        limits.problems({name: getattr(campaign, name) for name in limits.ADJUSTABLE}, campaign.channels).values()
    )
    made = None if problems else of(campaign)
    return render_template("campaigns/_forecast.html", **shown(made, problems))


def of(campaign: Campaign) -> Forecast | None:
    """Returns the forecast of a campaign; None while it has no audience."""
    try:
        return forecast.forecast(campaign) if plan.has_audience(campaign) else None
    except NotFound:
        return None  # its segment was deleted while the form stood open


def shown(made: Forecast | None, problems: list[str]) -> dict[str, Any]:
    """Returns what the fragment of a forecast needs."""
    strip = months(made.days) if made else []
    ends = {name: made.ends.get(name) for name in ("slow", "likely", "fast")} if made else {}
    return {"forecast": made, "problems": problems, "strip": strip, "ends": ends}
