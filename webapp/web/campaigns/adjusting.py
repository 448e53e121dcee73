"""Changing the limits of a campaign that is under way."""

from typing import Any

from webapp.campaigns import adjusting, campaigns
from webapp.platform.errors import Invalid, Refused
from webapp.web.campaigns.forms import LimitsForm
from webapp.web.campaigns.room import campaign_pages
from webapp.web.shell import go, needs, render, say


@campaign_pages.get("/<int:campaign_id>/limits")
@needs("campaigns.send")
def limits(campaign_id: int) -> Any:
    campaign = campaigns.get(campaign_id)
    if campaign.status not in adjusting.STATES:
        return go("campaigns.detail", campaign_id=campaign_id)
    form = LimitsForm(obj=campaign)
    form.show_campaign(campaign)
    return render("campaigns/limits.html", campaign=campaign, form=form)


@campaign_pages.post("/<int:campaign_id>/limits")
@needs("campaigns.send")
def change_limits(campaign_id: int) -> Any:
    campaign, form = campaigns.get(campaign_id), LimitsForm()
    if campaign.status not in adjusting.STATES:
        raise Refused(f"A campaign that is {campaign.status} has no limits to change.")
    if form.validate() and not form.is_stale(campaign.updated_at):
        try:
            adjusting.adjust(campaign_id, form.limits())
            say("Limits changed. What has not gone out yet is being planned again.")
            return go("campaigns.detail", campaign_id=campaign_id)
        except Invalid as problem:
            form.show(problem)
    return render("campaigns/limits.html", status=422, campaign=campaign, form=form)
