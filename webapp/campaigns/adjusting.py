"""Changing the limits of a campaign that is under way: what is left of it is planned again, what was sent stays."""

from datetime import datetime
from typing import Any

from webapp.audience.lead_values import storable
from webapp.campaigns import campaigns, checking, lateness, limits
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.limits import ADJUSTABLE
from webapp.platform import audit, work
from webapp.platform.clock import now
from webapp.platform.db import db, run
from webapp.platform.errors import Invalid, Refused

WORK = "plans"
STATES = ("scheduled", "active", "paused")


def adjust(campaign_id: int, values: dict[str, Any]) -> Campaign:
    """Changes the limits of a scheduled, active or paused campaign and lets what is left be planned again. values: any of
    ADJUSTABLE. Raises Invalid, and Refused in any other state."""
    campaign = campaigns.get(campaign_id, lock=True)
    if campaign.status == "draft":
        raise Refused("A draft has nothing under way yet: change it in its form.")
    if campaign.status not in STATES:
        raise Refused(f"A campaign that is {campaign.status} sends nothing more.")
    values = {field: storable(value) for field, value in values.items() if field in ADJUSTABLE}
    errors = limits.problems(values, campaign.channels)
    if (
        "end_at" not in errors
        and values.get("end_at")
        and values["end_at"] <= now()
        and values["end_at"] != campaign.end_at
    ):
        errors["end_at"] = "This time has passed. To stop now, pause or cancel the campaign."
    if "send_window" in values and "send_window" not in errors:
        values["send_window"] = limits.cleaned(values["send_window"])
        changes = values["send_window"] != campaign.send_window
        if changes and (said := checking.closed(campaign.channels, values["send_window"])):
            errors["send_window"] = said
    if errors:
        raise Invalid(errors)
    before = {field: getattr(campaign, field) for field in values}
    changed = {field: value for field, value in values.items() if value != before[field]}
    if not changed:
        return campaign
    for field, value in changed.items():
        setattr(campaign, field, value)
    audit.record(
        "campaign.adjusted", "campaign", campaign.id,
        before={field: _plain(before[field]) for field in changed}, after={f: _plain(v) for f, v in changed.items()},
    )  # fmt: skip
    db.session.flush()
    _lay_anew(campaign, changed)
    work.announce(WORK)
    return campaign


def _lay_anew(campaign: Campaign, changed: dict[str, Any]) -> None:
    """Tells the messages that are laid already what has changed for each of them."""
    laid = "s.org_id = :org AND s.campaign_id = :c AND s.status = 'pending'"
    given = {"org": campaign.org_id, "c": campaign.id}
    if changed.keys() & {"end_at", "late_action"}:
        run(
            f"UPDATE sends s SET expires_at = {lateness.expiry(campaign)}, updated_at = now() FROM leads l"
            f" WHERE {laid} AND l.org_id = s.org_id AND l.id = s.lead_id",
            **given, **lateness.values(campaign),
        )  # fmt: skip
    if "send_window" in changed:
        # They waited for the hours there were.
        run(
            f"UPDATE sends s SET wait_reason = NULL, not_before = now(), updated_at = now() WHERE {laid}"
            " AND s.wait_reason IN ('quiet_hours', 'holiday')",
            **given,
        )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
