"""Home: what is going on, what needs somebody, how the month went."""

from typing import Any

from flask import Blueprint, current_app, url_for
from flask_login import current_user, login_required
from sqlalchemy import select

from webapp.analytics import batch_report, campaign_report, needs
from webapp.audience import leads, policies
from webapp.campaigns.campaigns import Campaign
from webapp.platform import clock
from webapp.platform.db import db
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.shell import render

home = Blueprint("home", __name__)
RENEWAL_DAYS = 30


@home.get("/")
@login_required
def page() -> Any:
    hour = clock.local(clock.now(), filters.zone()).hour
    greeting = "Good morning" if hour < 12 else "Good afternoon" if hour < 18 else "Good evening"
    values: dict[str, Any] = {"greeting": greeting, "leads": leads.count(), "renewing": policies.renewing(RENEWAL_DAYS)}
    if can(current_user, "campaigns.view"):
        recent = select(Campaign).where(Campaign.status != "archived").order_by(Campaign.created_at.desc()).limit(6)
        values |= {
            "month": campaign_report.summary(30),
            "recent": [(c, campaign_report.totals(c.id)) for c in db.session.scalars(recent)],
            "live": batch_report.sending(clock.local(clock.now(), filters.zone()).date()),
            "needs": [asked for row in needs.somebody() if (asked := _asked(row))],
        }
    return render("home/page.html", "home/_panel.html", **values)


def _asked(row: Any) -> tuple[str, str, str, str] | None:
    """Returns (icon, what, why, address) of something that needs a person; None where its page is not to be had."""
    match row.kind:
        case "campaign":
            return "send", f"{row.name} is held", row.reason, url_for("campaigns.detail", campaign_id=row.id)
        case "sender":
            return "at", f"Sender {row.name} is held", row.reason or "", url_for("senders.page")
        case "template":
            address = url_for("templates.edit", template_id=row.id)
            return "template", f"Template {row.name} is held", row.reason, address
        case "unknown":
            what = "1 message of unknown outcome" if row.n == 1 else f"{row.n:,} messages of unknown outcome"
            return _elsewhere("delivery.page", "delivery.view", "help-circle", what, "Say whether they went out.")
        case _:
            what = "1 reply to answer" if row.n == 1 else f"{row.n:,} replies to answer"
            return _elsewhere("inbound.page", "inbound.view", "message-reply", what, "")


def _elsewhere(endpoint: str, permission: str, sign: str, what: str, why: str) -> tuple[str, str, str, str] | None:
    if endpoint not in current_app.view_functions or not can(current_user, permission):
        return None
    return sign, what, why, url_for(endpoint)
