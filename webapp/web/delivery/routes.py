"""The delivery page: what is going out, how fast, what is stuck, and what needs a person."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, request
from flask_login import current_user

from webapp.analytics import delivery_report
from webapp.campaigns import campaigns, resending
from webapp.messaging import advice, resolving, senders
from webapp.messaging.resolving import Resolved
from webapp.platform.clock import local, now
from webapp.platform.errors import Invalid
from webapp.web import filters
from webapp.web.delivery.lists import code_of, failed, unknown
from webapp.web.shell import go, needs, render, row_id, say

delivery_pages = Blueprint("delivery", __name__, url_prefix="/delivery")
CHART_HEIGHT = 100


def _now() -> dict[str, Any]:
    """Returns what the part of the page shows that follows by itself."""
    zone = filters.zone()
    today = local(now(), zone).date()
    minutes, queues = delivery_report.rate(), delivery_report.queues(zone)
    return {
        "queues": queues,
        "minutes": minutes,
        "bars": _bars(minutes),
        "channels": [queue.channel for queue in queues if any(queue.channel in minute.sent for minute in minutes)],
        "held_campaigns": delivery_report.held_campaigns(),
        "held_senders": delivery_report.held_senders(),
        "held_templates": delivery_report.held_templates(),
        "resting": delivery_report.resting_senders(),
        "unknown_count": delivery_report.unknown(),
        "today": today,
        "schedule": delivery_report.schedule(today),
        "next_days": delivery_report.next_days(today),
    }


def _bars(minutes: list[delivery_report.Minute]) -> list[tuple[int, str, float, float]]:
    """Returns the stacked bars of a chart 100 high: minute, channel, top and height."""
    most = max((minute.total for minute in minutes), default=0) or 1
    bars = []
    for n, minute in enumerate(minutes):
        top = float(CHART_HEIGHT)
        for channel, sent in sorted(minute.sent.items()):
            height = sent / most * CHART_HEIGHT
            top -= height
            bars.append((n, channel, round(top, 2), round(height, 2)))
    return bars


@delivery_pages.get("")
@needs("delivery.view")
def page() -> Any:
    table = unknown()
    if request.headers.get("HX-Request") == "true":
        return table.respond("delivery/page.html", **_of_all_shown(table))
    return table.respond("delivery/page.html", failures=delivery_report.failures(), **_now(), **_of_all_shown(table))


def _of_all_shown(table: Any) -> dict[str, Any]:
    """Returns what a form needs that acts on all unknown ones of the campaign the list is narrowed to."""
    chosen = table.chosen.get("campaign")
    if not chosen:
        return {"whole": None}
    name = dict(next(f.choices for f in table.filters if f.name == "campaign"))[chosen]
    return {
        "whole": {"id": chosen, "name": name, "n": delivery_report.unknown_of_campaign(int(chosen)), "until": now()}
    }


@delivery_pages.get("/now")
@needs("delivery.view")
def following() -> Any:
    """The part of the page that follows by itself."""
    return render("delivery/_now.html", **_now())


@delivery_pages.get("/failures")
@needs("delivery.view")
def failures() -> Any:
    """The people behind what went wrong."""
    channel, code = request.args.get("channel", ""), code_of(request.args.get("code"))
    known = advice.of(channel, code) if channel else None
    return failed().respond("delivery/failures.html", known=known, code=code)


ACTS: dict[str, tuple[Callable[..., Resolved], str]] = {
    "sent": (resolving.as_sent, "counted as sent"),
    "not-sent": (resending.as_not_sent, "on their way again"),
}


@delivery_pages.post("/unknown/<any('sent', 'not-sent'):outcome>")
@needs("delivery.resolve")
def resolve(outcome: str) -> Any:
    act, words = ACTS[outcome]
    ids = _chosen()
    if not ids:
        say("Nothing was selected, or somebody else was quicker.", "warning")
        return go("delivery.page")
    resolved = act(ids, current_user.name)
    if resolved.done:
        say(f"{resolved.done:,} {words}.")
    elif not resolved.left:
        say("Nothing to do: their outcome is known by now.", "warning")
    if resolved.left:
        say(f"{resolved.left.total():,} left as they are. {resolved.reasons}.", "warning")
    return go("delivery.page")


def _chosen() -> list[int]:
    """Returns the ids of the rows selected, or of all of a campaign that were unknown when the page was shown."""
    try:
        if "campaign" in request.form:
            until = datetime.fromisoformat(request.form.get("until", ""))
            campaign = campaigns.get(row_id(request.form["campaign"]))
            return resolving.unknown_of(campaign.id, until.astimezone(UTC))
        return [row_id(text) for text in request.form.getlist("ids")]
    except (ValueError, OverflowError):
        raise Invalid({"ids": "These are not messages of ours."}, "These are not messages of ours.") from None


@delivery_pages.post("/campaigns/<int:campaign_id>/resume")
@needs("campaigns.send")
def let_go_on(campaign_id: int) -> Any:
    say(f"{campaigns.resume(campaign_id).name} goes on.")
    return go("delivery.page")


@delivery_pages.post("/campaigns/<int:campaign_id>/cancel")
@needs("campaigns.send")
def cancel(campaign_id: int) -> Any:
    say(f"{campaigns.cancel(campaign_id).name} is cancelled. Nothing more of it goes out.")
    return go("delivery.page")


@delivery_pages.post("/senders/<int:sender_id>/release")
@needs("senders.edit")
def release(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    freed = senders.let_go_on(sender_id)
    say(f"{sender.name} sends again." if freed else f"{sender.name} was not held.", "success" if freed else "warning")
    return go("delivery.page")
