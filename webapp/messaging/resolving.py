"""Resolving: what a person says of sends whose outcome nobody knows. A receipt may say it first; whoever comes second
finds nothing to do."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webapp.audience import timeline
from webapp.messaging import batches, meters, tallies
from webapp.platform import audit, tenancy, work
from webapp.platform.db import rows, run
from webapp.platform.errors import Refused
from webapp.platform.organizations import current as current_organization

LIMIT = 20_000  # sends of one act
# Why one is not sent again, in the words that end "left as they are: ...".
REFUSALS = {
    "seen": "a receipt shows that it arrived",
    "ended": "the campaign has ended and its sender is gone; send it again from a copy",
    "cancelled": "the campaign was cancelled or put away",
    "alone": "it belongs to no campaign that could send it",
    "lead_removed": "the lead was deleted",
    "address_changed": "the lead's address has changed since",
}


@dataclass(frozen=True)
class Resolved:
    """What came of one act. done: how many were resolved; left: reason (REFUSALS) -> how many stay unknown because of
    it. Those of neither had been resolved before."""

    done: int
    left: Counter[str] = field(default_factory=Counter)

    @property
    def reasons(self) -> str:
        """Says why some were left, in words: "2: the lead was deleted"."""
        return "; ".join(f"{n:,}: {REFUSALS[reason]}" for reason, n in self.left.most_common())


def unknown_of(campaign_id: int, until: datetime) -> list[int]:
    """Returns the ids of a campaign's unknown sends that were unknown by a time (UTC), at most LIMIT."""
    found = rows(
        "SELECT id FROM sends WHERE org_id = :org AND status = 'unknown' AND campaign_id = :campaign"
        " AND updated_at <= :until ORDER BY id LIMIT :limit",
        org=tenancy.current_org(), campaign=campaign_id, until=until, limit=LIMIT,
    )  # fmt: skip
    return [row.id for row in found]


def as_sent(send_ids: Sequence[int], by: str) -> Resolved:
    """Counts unknown sends as sent, at the time they became unknown. by: the name of who says so. Raises Refused."""
    _by_a_person(send_ids, by)
    changed = rows(
        """
        WITH picked AS (
            SELECT id FROM sends WHERE org_id = :org AND id = ANY(:ids) AND status = 'unknown' ORDER BY id FOR UPDATE
        )
        UPDATE sends s SET status = 'sent', sent_at = s.updated_at, error_code = NULL, error_message = NULL,
            delivered_at = CASE WHEN s.channel = 'email' THEN s.updated_at END, updated_at = now()
        FROM picked p WHERE s.org_id = :org AND s.id = p.id AND s.status = 'unknown'
        RETURNING s.id, s.campaign_id, s.sender_id, s.channel, s.variant, s.kind, (s.claimed_at AT TIME ZONE :zone)::date AS claimed_on
        """,
        org=tenancy.current_org(), ids=list(send_ids), zone=current_organization().timezone,
    )  # fmt: skip
    _tell(changed, by)
    _count(changed, "sent", lambda channel, n: Counter(unknown=-n, sent=n, delivered=n if channel == "email" else 0))
    _note("sends.resolved_as_sent", changed, by)
    return Resolved(len(changed))


def as_not_sent(send_ids: Sequence[int], by: str) -> Resolved:
    """Gives unknown sends back to be sent again; the attempts they had count. by: the name of who says so. Leaves those
    that a receipt proves to have arrived, whose campaign sends no more, or whose lead is at that address no more.
    Raises Refused."""
    _by_a_person(send_ids, by)
    scope = {"org": tenancy.current_org(), "ids": list(send_ids)}
    # A campaign cannot end between the look at it and the commit.
    run(
        "SELECT FROM campaigns WHERE org_id = :org AND id IN (SELECT campaign_id FROM sends WHERE org_id = :org"
        " AND id = ANY(:ids) AND status = 'unknown') ORDER BY id FOR SHARE",
        **scope,
    )
    judged = rows(JUDGED, **scope)
    free = [row.id for row in judged if row.why is None]
    changed = rows(
        "UPDATE sends s SET status = 'pending', not_before = now(), wait_reason = NULL, claim_token = NULL,"
        " claimed_by = NULL, claimed_at = NULL, lease_until = NULL, error_code = NULL, error_message = NULL,"
        " updated_at = now() FROM (SELECT id, claimed_at FROM sends WHERE org_id = :org AND id = ANY(:ids)"
        " AND status = 'unknown' ORDER BY id FOR UPDATE) o WHERE s.org_id = :org AND s.id = o.id AND s.status = 'unknown'"
        " RETURNING s.id, s.campaign_id, s.channel, s.variant, s.kind, (o.claimed_at AT TIME ZONE :zone)::date AS claimed_on",
        **scope | {"ids": free, "zone": current_organization().timezone},
    )
    _count(changed, "pending", lambda channel, n: Counter(unknown=-n))
    for kind in {"confirmations" if row.campaign_id is None else "campaigns" for row in changed}:
        work.announce(kind)
    _note("sends.resolved_as_not_sent", changed, by)
    return Resolved(len(changed), Counter(row.why for row in judged if row.why))


JUDGED = """
    SELECT s.id, CASE
        WHEN s.opened_at IS NOT NULL OR s.clicked_at IS NOT NULL OR s.read_at IS NOT NULL OR s.delivered_at IS NOT NULL
            OR s.bounced_at IS NOT NULL OR s.unsubscribed_at IS NOT NULL OR s.converted_at IS NOT NULL
            OR s.machine_open_count > 0
            OR EXISTS (SELECT FROM engagement_events e WHERE e.org_id = s.org_id AND e.send_id = s.id)
            OR EXISTS (SELECT FROM inbound_messages m WHERE m.org_id = s.org_id AND m.lead_id = s.lead_id
                       AND m.send_id = s.id) THEN 'seen'
        WHEN c.status = 'completed' THEN 'ended'
        WHEN c.status NOT IN ('active', 'paused') THEN 'cancelled'
        WHEN c.id IS NULL AND s.kind <> 'confirmation' THEN 'alone'
        WHEN l.id IS NULL OR l.deleted_at IS NOT NULL OR l.anonymized_at IS NOT NULL THEN 'lead_removed'
        WHEN CASE WHEN s.channel = 'email' THEN l.email_key ELSE l.phone END IS DISTINCT FROM s.recipient_address
            THEN 'address_changed' END AS why
    FROM sends s
    LEFT JOIN campaigns c ON c.org_id = s.org_id AND c.id = s.campaign_id
    LEFT JOIN leads l ON l.org_id = s.org_id AND l.id = s.lead_id
    WHERE s.org_id = :org AND s.id = ANY(:ids) AND s.status = 'unknown' ORDER BY s.id FOR UPDATE OF s
"""


def _by_a_person(send_ids: Sequence[int], by: str) -> None:
    if not by.strip():
        raise Refused("Only a person can say what became of a message.")
    if len(send_ids) > LIMIT:
        raise Refused(f"Say it of at most {LIMIT:,} messages at once.")


def _tell(changed: list[Any], by: str) -> None:
    told: dict[str, list[int]] = defaultdict(list)
    for row in changed:
        told[row.channel].append(row.id)
    for channel, ids in sorted(told.items()):
        timeline.record_select(
            f"{channel}_sent",
            "SELECT lead_id, jsonb_strip_nulls(jsonb_build_object('campaign_id', campaign_id, 'send_id', id, 'note',"
            " CAST(:note AS text))) FROM sends WHERE org_id = :org AND id = ANY(:ids) AND lead_id IS NOT NULL ORDER BY id",
            note=f"resolved by {by}", org=tenancy.current_org(), ids=ids,
        )  # fmt: skip


def _count(changed: list[Any], status: str, moved: Callable[[str, int], Counter[str]]) -> None:
    """Moves the counters of the batches of the days the sends were claimed on, of senders and of campaigns, in the order
    in which everybody does."""
    sends = Counter((row.campaign_id, row.channel, row.variant) for row in changed if row.campaign_id)
    of_days = Counter((row.campaign_id, row.claimed_on) for row in changed if row.campaign_id and row.claimed_on)
    batches.resolved(of_days, as_sent=status == "sent")
    if status == "sent":
        for sender_id, n in sorted(Counter(row.sender_id for row in changed if row.sender_id).items()):
            told = Counter(sent=n)
            told["unknown"] = -n
            meters.count(sender_id, told)
    for (campaign_id, channel, variant), n in sorted(sends.items()):
        tallies.add(campaign_id, channel, moved(channel, n), variant)


def _note(action: str, changed: list[Any], by: str) -> None:
    if not changed:
        return
    campaigns = {row.campaign_id for row in changed}
    only = campaigns.pop() if len(campaigns) == 1 else None
    audit.record(
        action, "campaign" if only else "sends", only,
        after={"count": len(changed), "by": by, "sends": sorted(row.id for row in changed)[:1000]},
    )  # fmt: skip
