"""The batches of a campaign: what goes out on which day, and how far that day is."""

from typing import Any

from sqlalchemy import select

from webapp.analytics import batch_report
from webapp.campaigns import campaigns
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.words import wait_words
from webapp.messaging.batches import STATUSES, CampaignBatch
from webapp.platform import clock
from webapp.web import filters
from webapp.web.campaigns.room import campaign_pages
from webapp.web.shell import needs
from webapp.web.table import Column, Filter, Table


def today() -> Any:
    """Returns the organisation's local day."""
    return clock.local(clock.now(), filters.zone()).date()


def _table(campaign: Campaign) -> Table:
    here = today()
    return Table(
        name="batches",
        noun=("batch", "batches"),
        query=select(CampaignBatch).where(CampaignBatch.campaign_id == campaign.id),
        key=CampaignBatch.id,
        columns=(
            Column("day", "Day", lambda b: filters.day(b.send_date) + (" (today)" if b.send_date == here else ""),
                   CampaignBatch.send_date, lambda b: b.send_date.isoformat()),
            Column("number", "Batch", lambda b: filters.number(b.batch_number), numeric=True, wide=True),
            Column("planned", "Planned", lambda b: filters.number(b.batch_size), numeric=True),
            Column("sent", "Sent", lambda b: filters.number(b.sent), numeric=True),
            Column("left", "Left", lambda b: filters.number(b.remaining), numeric=True),
            Column("status", "State", lambda b: filters.status(b.status), export=lambda b: b.status),
        ),
        default_sort="day",
        empty="No batches yet. They are planned when the campaign starts.",
        filters=(Filter("status", "State", tuple((s, filters.words(s)) for s in STATUSES), lambda s: CampaignBatch.status == s),),
        can_export=True,
    )  # fmt: skip


@campaign_pages.get("/<int:campaign_id>/batches")
@needs("campaigns.view")
def batches(campaign_id: int) -> Any:
    campaign = campaigns.get(campaign_id)
    return _table(campaign).respond("campaigns/batches.html", campaign=campaign)


def standing(campaign: Campaign) -> dict[str, Any]:
    """Returns what the page of a running campaign says of its batches, and what its next message waits for."""
    under_way = campaign.status in ("active", "paused")
    waiting = batch_report.next_waiting(campaign.id, list(campaign.channels)) if under_way else None
    early = waiting is not None and waiting.not_before > clock.now()
    return {
        "today": today(),
        "batches": batch_report.near(campaign.id, today()),
        "plan": batch_report.standing(campaign.id, today()),
        "waits_for": wait_words(waiting.wait_reason) if waiting else "",
        "goes_on_at": waiting.not_before if early else None,
    }
