"""Why one lead got a campaign's message, did not, or when they will."""

from typing import Any

from webapp.audience import leads
from webapp.campaigns import campaigns, why
from webapp.web.campaigns.room import campaign_pages
from webapp.web.shell import needs, render


@campaign_pages.get("/<int:campaign_id>/why/<int:lead_id>", endpoint="why")
@needs("campaigns.view")
def why_of_lead(campaign_id: int, lead_id: int) -> Any:
    campaign, lead = campaigns.get(campaign_id), leads.get(lead_id)
    return render("campaigns/why.html", campaign=campaign, lead=lead, why=why.why(campaign, lead))
