"""Lateness: a message that would come after its use (the campaign's end, the lead's own renewal) is skipped, or goes over
the next channel, as its campaign says. Held against the moment it is planned for, so that nobody waits for nothing."""

from collections import Counter
from typing import Any

from webapp.audience import timeline
from webapp.audience.consents import verdict, verdict_joins
from webapp.campaigns import lanes
from webapp.messaging import tallies
from webapp.platform.db import rows

OWN_DATE = (
    "(SELECT min((y.{field} + 1)::timestamp AT TIME ZONE :zone) FROM policies y WHERE y.org_id = l.org_id"
    " AND y.lead_id = l.id AND y.status = 'active' AND y.{field} >= CAST(:today AS date))"
)
# Asked when there is a new plan; what is late by the clock alone is skipped by the claim itself.
LATE = (
    "s.org_id = :org AND s.campaign_id = :c AND s.status = 'pending' AND s.expires_at <= GREATEST(s.not_before, now())"
)
LIMIT = 20_000
ADDRESS = {"email": "l.email_key", "sms": "l.phone", "whatsapp": "l.phone"}


def expiry(campaign: Any) -> str:
    """Returns the SQL expression (over leads l) of when a message of a campaign is of no use any more, or NULL."""
    if campaign.late_action == "send":
        return "NULL::timestamptz"
    ends = ["CAST(:ends AS timestamptz)"]
    if campaign.deadline_field:
        ends.append(OWN_DATE.format(field=campaign.deadline_field))
    return f"LEAST({', '.join(ends)})"


def values(campaign: Any) -> dict[str, Any]:
    """Returns the parameters of `expiry`."""
    if campaign.late_action == "send":
        return {}
    own = {"zone": lanes.zone(), "today": lanes.today()} if campaign.deadline_field else {}
    return {"ends": campaign.end_at} | own


def settle(campaign: Any) -> int:
    """Skips or switches what would come too late as it is planned now. Returns how many."""
    if campaign.late_action == "send" or not (campaign.end_at or campaign.deadline_field):
        return 0
    moved = 0
    channels = list(campaign.channels or ["email"])
    if campaign.late_action == "switch":
        for here, there in zip(channels, channels[1:], strict=False):
            switched = _switch(campaign, here, there)
            moved += switched
            if switched == LIMIT:
                # The others are offered the next channel first; nobody is skipped before that.
                return moved + settle(campaign)
    return moved + _skip(campaign)


def _switch(campaign: Any, here: str, there: str) -> int:
    """Moves late messages to the next channel, where their lead may be reached over it; they are due there now."""
    joins = " ".join(f"LEFT JOIN {table} ON {condition}" for table, condition in verdict_joins(there))
    address = ADDRESS[there]
    return len(rows(
        f"UPDATE sends s SET channel = CAST(:there AS text), recipient_address = j.address, sender_id = :sender, not_before = now(),"
        " planned_on = :today, wait_reason = 'switched', updated_at = now(),"
        " dedup_key = 'campaign:' || s.campaign_id || ':' || CAST(:there AS text) || ':' || j.address"
        f" FROM (SELECT s.id, {address} AS address FROM sends s JOIN leads l ON l.org_id = s.org_id AND l.id = s.lead_id {joins}"
        f" WHERE {LATE} AND s.channel = :here AND s.expires_at > now() AND {verdict(there)} IS NULL"
        # Of leads that became one, only the message to the address they kept: each address gets one.
        f" AND {ADDRESS[here]} = s.recipient_address"
        " AND NOT EXISTS (SELECT FROM sends d WHERE d.org_id = s.org_id AND d.dedup_key ="
        f" 'campaign:' || s.campaign_id || ':' || CAST(:there AS text) || ':' || {address}) LIMIT :limit FOR UPDATE OF s SKIP LOCKED) j"
        " WHERE s.org_id = :org AND s.id = j.id RETURNING s.id",
        org=campaign.org_id, c=campaign.id, here=here, there=there, limit=LIMIT, today=lanes.today(),
        sender=lanes.sender_id_for(campaign, there),
    ))  # fmt: skip


def _skip(campaign: Any) -> int:
    found = rows(
        f"UPDATE sends s SET status = 'skipped', skip_reason = 'too_late', updated_at = now() FROM (SELECT s.id FROM sends s"
        f" WHERE {LATE} LIMIT :limit FOR UPDATE SKIP LOCKED) j WHERE s.org_id = :org AND s.id = j.id"
        " RETURNING s.id, s.lead_id, s.channel",
        org=campaign.org_id, c=campaign.id, limit=LIMIT,
    )  # fmt: skip
    for channel in sorted({row.channel for row in found}):
        mine = [row for row in found if row.channel == channel]
        told = [
            (r.lead_id, {"campaign_id": campaign.id, "send_id": r.id, "reason": "too_late"}) for r in mine if r.lead_id
        ]
        timeline.record_many(told, f"{channel}_skipped")
        tallies.add(campaign.id, channel, Counter(skipped=len(mine)))
    return len(found)
