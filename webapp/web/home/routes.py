"""Home: what is going on, what needs somebody, how the month went."""

from typing import Any

from flask import Blueprint
from flask_login import current_user, login_required
from sqlalchemy import select

from webapp.analytics import campaign_report
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
        live = (
            select(Campaign).where(Campaign.status.in_(("active", "paused", "scheduled"))).order_by(Campaign.priority)
        )
        values |= {
            "month": campaign_report.summary(30),
            "recent": [(c, campaign_report.totals(c.id)) for c in db.session.scalars(recent)],
            "live": [(c, campaign_report.totals(c.id)) for c in db.session.scalars(live.limit(5))],
        }
    return render("home/page.html", "home/_panel.html", **values)
