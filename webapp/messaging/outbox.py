"""The outbox: claiming sends, so that no crash and no race can make a second copy (see `outcomes` for how they went).

A send is claimed in one short transaction under a fresh token and a lease on the database's clock, committed before
anyone talks to a provider, and finalised only where the token still holds. A lease that ran out while sending leaves
a send `unknown`: it may have gone out, so it is never sent again by itself.
"""

import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.audience import timeline
from webapp.messaging import caps, tallies
from webapp.messaging.caps import LEASE_SECONDS, Limits, Room
from webapp.messaging.judging import judgement
from webapp.platform import organizations, tenancy
from webapp.platform.db import rows, run, value

BATCH = 200
TEXT_LIMIT = 1000  # characters kept of a provider's words
TALK_SECONDS = 10  # no new message is begun later than this after the claim; what is not begun goes back

LEAD_COLUMNS = (
    "first_name, last_name, email, phone, city, state, attributes, owner_id, country, timezone, language"
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended. kind: accepted; rejected (explicit 5xx); retry (provably not accepted: explicit 4xx,
    dropped before the end of the message); released (never begun, counts as no attempt); unknown (it may have gone).

    effect: what the provider's words mean beyond this one message: back_off (the sender rests a while), hold_sender or
    hold_template (nothing more goes out until a person has looked), suppress (never write to this address again).
    bounce: where a mail server refused it, hard (the address is dead) or soft (only this message was not taken).
    """

    send_id: int
    kind: str
    code: str | None = None
    message: str | None = None
    provider_id: str | None = None
    effect: str | None = None
    bounce: str | None = None

    def __post_init__(self) -> None:
        # A provider may answer anything; what no database can hold must not cost what is known of the others.
        for name in ("code", "message", "provider_id"):
            if (text := getattr(self, name)) is not None:
                clean = str(text).replace("\0", "").encode("utf-8", "replace").decode()[:TEXT_LIMIT]
                object.__setattr__(self, name, clean)


@dataclass(frozen=True)
class Claim:
    """Sends claimed together. rows: id, lead_id, recipient_address, recipient_name, variant, attempts and the lead's
    columns as one mapping each. waiting: how many were due but have to wait. starts_in, gap: seconds until the first may
    leave, and between two. limits, sender_id, minute: what `caps.give_back` needs."""

    token: str
    campaign_id: int | None
    channel: str
    rows: list[Any]
    skipped: int
    waiting: int = 0
    starts_in: float = 0
    gap: float = 0
    limits: Limits | None = None
    sender_id: int | None = None
    minute: datetime | None = None


def claim(
    campaign_id: int | None,
    channel: str,
    node: str,
    limit: int = BATCH,
    *,
    version_id: int | None = None,
    sender_id: int | None = None,
    limits: Limits | None = None,
) -> Claim:
    """Claims up to `limit` due sends of a campaign and skips those whose lead may no longer be reached. Without a
    campaign: of the requests to confirm a consent that are written by one template version.

    Consent, suppression, hours, frequency and the address are looked at in the claiming statement itself: an unsubscribe
    committed before it is obeyed. limits: caps, taken here from a sender. The caller commits before talking to anyone.
    """
    token = secrets.token_urlsafe(12)
    room = Room(limit)
    if limits is not None and sender_id is not None:
        room = caps.room(campaign_id, sender_id, limits, limit)
        if room.full and campaign_id is not None:
            caps.note_full(campaign_id, limits.day)
        if room.n <= 0:
            return Claim(token, campaign_id, channel, [], 0)
    found = _claim_rows(campaign_id, channel, node, token, room, version_id, sender_id, limits)
    if room.only_free and not found:
        caps.nobody_free(campaign_id, sender_id)
    skipped = [row for row in found if row.skip_reason]
    taken = [row for row in found if not row.skip_reason and not row.wait_reason]
    if taken and limits is not None:
        caps.take(campaign_id, sender_id, limits, room, token, [row.recipient_address for row in taken])
    timeline.record_many(
        [
            (r.lead_id, {"campaign_id": campaign_id, "send_id": r.id, "reason": r.skip_reason})
            for r in skipped
            if r.lead_id
        ],
        f"{channel}_skipped",
    )
    tallies.add(campaign_id, channel, Counter(skipped=len(skipped)))
    waiting = len(found) - len(skipped) - len(taken)
    return Claim(
        token,
        campaign_id,
        channel,
        taken,
        len(skipped),
        waiting,
        room.starts_in,
        room.gap,
        limits,
        sender_id,
        room.minute,
    )


def _claim_rows(
    campaign_id: int | None, channel: str, node: str, token: str, room: Room, version_id: int | None,
    sender_id: int | None, limits: Limits | None,
) -> list[Any]:  # fmt: skip
    confirming = campaign_id is None
    whose = "s.campaign_id = :campaign AND s.channel = :channel"
    given = {"campaign": campaign_id, "channel": channel}
    if confirming:
        whose = "s.campaign_id IS NULL AND s.kind = 'confirmation' AND s.template_version_id = :version"
        given = {"version": version_id}
    source = "sends s"
    if room.only_free:
        # The channel in words: the index for this is of one channel's pending ones.
        source = f"{caps.FREE_PEOPLE} f JOIN sends s ON s.recipient_address = f.address AND s.channel = '{channel}'"
        given |= {"portfolio": limits.portfolio_id, "channel": channel}
    judged = judgement(channel, limits, confirming=confirming)
    columns = ", ".join("{}." + c.strip() for c in LEAD_COLUMNS.split(","))
    return rows(
        f"""
        WITH {judged.tables}picked AS (
            SELECT s.org_id, s.id, s.lead_id, s.campaign_id, s.recipient_address, s.expires_at FROM {source}
            WHERE s.org_id = :org AND {whose} AND s.status = 'pending' AND s.not_before <= now()
            ORDER BY s.not_before, s.id LIMIT :limit FOR UPDATE OF s SKIP LOCKED
        ), judged AS (
            SELECT p.id, l.id AS known_lead, {columns.replace("{}", "l")},
                {judged.skip} AS verdict, {judged.waits} AS waits, {judged.until} AS until
            FROM picked p LEFT JOIN leads l ON l.org_id = p.org_id AND l.id = p.lead_id {judged.joins}
        ), fated AS (
            SELECT *, CASE WHEN verdict IS NOT NULL THEN 'skipped' WHEN waits IS NOT NULL THEN 'pending' ELSE 'sending' END
                AS fate FROM judged
        )
        UPDATE sends s SET
            status = j.fate,
            skip_reason = j.verdict,
            wait_reason = CASE WHEN j.fate = 'pending' THEN j.waits END,
            -- The day's plan is about those who can be written to on it.
            planned_on = CASE WHEN j.fate = 'pending' AND s.planned_on IS NOT NULL
                THEN GREATEST(s.planned_on, (j.until AT TIME ZONE :zone)::date) ELSE s.planned_on END,
            not_before = CASE WHEN j.fate = 'pending' THEN GREATEST(j.until, now() + interval '1 second') ELSE s.not_before END,
            attempts = s.attempts + CASE WHEN j.fate = 'sending' THEN 1 ELSE 0 END,
            claim_token = CASE WHEN j.fate = 'sending' THEN :token END,
            claimed_by = :node,
            claimed_at = CASE WHEN j.fate = 'sending' THEN now() ELSE s.claimed_at END,
            sender_id = CASE WHEN j.fate = 'sending' THEN COALESCE(CAST(:sender AS bigint), s.sender_id) ELSE s.sender_id END,
            lease_until = CASE WHEN j.fate = 'sending' THEN now() + :lease * interval '1 second' END,
            updated_at = now()
        FROM fated j WHERE s.org_id = :org AND s.id = j.id
        RETURNING s.id, s.lead_id, s.recipient_address, s.recipient_name, s.variant, s.attempts, s.skip_reason, s.wait_reason,
            {columns.replace("{}", "j")}
        """,
        org=tenancy.current_org(), limit=room.n, token=token, node=node, lease=LEASE_SECONDS, sender=sender_id,
        zone=organizations.current().timezone, **given, **judged.values,
    )  # fmt: skip


def next_due(campaign_ids: list[int]) -> Any:
    """Returns when the next of these campaigns' sends may go out or a lease runs out; None if nothing is left."""
    return value(
        # One look at the head of each queue, not over all that wait.
        "SELECT LEAST((SELECT min(f.at) FROM unnest(CAST(:campaigns AS bigint[])) c"
        " CROSS JOIN unnest(ARRAY['email', 'sms', 'whatsapp']) w CROSS JOIN LATERAL (SELECT not_before AS at FROM sends"
        " WHERE org_id = :org AND campaign_id = c AND channel = w AND status = 'pending' ORDER BY not_before LIMIT 1) f),"
        " (SELECT min(lease_until) FROM sends WHERE org_id = :org AND status = 'sending'))",
        org=tenancy.current_org(), campaigns=campaign_ids,
    )  # fmt: skip


def unfinished(campaign_id: int) -> bool:
    """True while a campaign has sends that are pending or being sent."""
    return bool(value(
        "SELECT EXISTS (SELECT FROM sends WHERE org_id = :org AND campaign_id = :c AND status = 'pending')"
        " OR EXISTS (SELECT FROM sends WHERE org_id = :org AND campaign_id = :c AND status = 'sending')",
        org=tenancy.current_org(), c=campaign_id,
    ))  # fmt: skip


def finished(campaign_ids: list[int]) -> list[int]:
    """Returns those of some campaigns that have nothing unfinished (see `unfinished`)."""
    found = rows(
        # One look at the head of each queue, never a join with everything that waits.
        "SELECT c AS id FROM unnest(CAST(:campaigns AS bigint[])) c"
        " LEFT JOIN LATERAL (SELECT true AS waits FROM sends WHERE org_id = :org AND campaign_id = c AND status = 'pending'"
        " LIMIT 1) p ON true LEFT JOIN LATERAL (SELECT true AS goes FROM sends WHERE org_id = :org AND campaign_id = c"
        " AND status = 'sending' LIMIT 1) s ON true WHERE p.waits IS NULL AND s.goes IS NULL",
        org=tenancy.current_org(), campaigns=campaign_ids,
    )  # fmt: skip
    return [row.id for row in found]


def cancel(campaign_id: int) -> int:
    """Skips everything of a campaign that has not been claimed. Returns how many."""
    changed = rows(
        "WITH gone AS (UPDATE sends SET status = 'skipped', skip_reason = 'cancelled', updated_at = now()"
        " WHERE org_id = :org AND campaign_id = :c AND status = 'pending' RETURNING channel)"
        " SELECT channel, count(*)::int AS n FROM gone GROUP BY 1 ORDER BY 1",
        org=tenancy.current_org(), c=campaign_id,
    )  # fmt: skip
    run(
        "UPDATE campaign_batches SET batch_size = done, status = 'completed', updated_at = now() WHERE org_id = :org"
        " AND campaign_id = :c AND batch_size <> done",
        org=tenancy.current_org(), c=campaign_id,
    )  # fmt: skip
    for row in changed:
        tallies.add(campaign_id, row.channel, Counter(skipped=row.n))
    return sum(row.n for row in changed)
