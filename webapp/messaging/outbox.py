"""The outbox: claiming sends and recording how they went, so that no crash and no race can make a second copy.

A send is claimed in one short transaction under a fresh token and a lease on the database's clock, committed before
anyone talks to a provider, and finalised only where the token still holds. A lease that ran out while sending leaves
a send `unknown`: it may have gone out, so it is never sent again by itself.
"""

import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Any

from webapp.audience import timeline
from webapp.audience.consents import verdict, verdict_joins
from webapp.messaging import tallies
from webapp.platform import tenancy
from webapp.platform.db import rows, value

BATCH = 200
LEASE_SECONDS = 120
TALK_SECONDS = 30  # no new message is begun later than this after the claim; what is not begun goes back
RETRIES = 3
BACKOFF_SECONDS = (30, 120, 600)

ENDS = ("sent", "failed", "unknown")
# The facts are written by the statement that made them true: nothing of a batch travels to Python and back.
FACTS = """facts AS (
            INSERT INTO lead_events (lead_id, type, payload)
            SELECT lead_id, channel || '_' || outcome, jsonb_strip_nulls(jsonb_build_object(
                'campaign_id', campaign_id, 'send_id', id, 'error', error_message))
            FROM changed WHERE outcome IN ('sent', 'failed', 'unknown') AND lead_id IS NOT NULL)"""
COUNTED = "SELECT campaign_id, channel, outcome, count(*)::int AS n FROM changed GROUP BY 1, 2, 3"
# Somebody fetched its pixel or followed a link while it was being sent: whatever else we know, it went out.
SEEN = "(s.opened_at IS NOT NULL OR s.clicked_at IS NOT NULL OR s.machine_open_count > 0)"
STANDS_AT = (
    "CASE WHEN s.clicked_at IS NOT NULL THEN 'clicked' WHEN s.opened_at IS NOT NULL THEN 'opened' ELSE 'sent' END"
)
OUTCOME = "CASE WHEN status IN ('opened', 'clicked') THEN 'sent' ELSE status END AS outcome"

LEAD_COLUMNS = (
    "first_name, last_name, email, phone, city, state, attributes, owner_id, country, timezone, language"
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended. kind: accepted; rejected (explicit 5xx); retry (provably not accepted: explicit 4xx,
    dropped before the end of the message); released (never begun, counts as no attempt); unknown (it may have gone).

    effect: what the provider's words mean beyond this one message: back_off (the sender rests a while), hold_sender or
    hold_template (nothing more goes out until a person has looked), suppress (never write to this address again).
    """

    send_id: int
    kind: str
    code: str | None = None
    message: str | None = None
    provider_id: str | None = None
    effect: str | None = None


@dataclass(frozen=True)
class Claim:
    """Sends claimed together. rows: id, lead_id, recipient_address, recipient_name, variant, attempts and the lead's
    columns as one mapping each."""

    token: str
    campaign_id: int | None
    channel: str
    rows: list[Any]
    skipped: int


def claim(
    campaign_id: int | None, channel: str, node: str, limit: int = BATCH, *, version_id: int | None = None
) -> Claim:
    """Claims up to `limit` due sends of a campaign and skips those whose lead may no longer be reached. Without a
    campaign: of the requests to confirm a consent that are written by one template version.

    Consent, suppression and the address are looked at in the claiming statement itself: an unsubscribe committed
    before it is obeyed. The caller commits before talking to anyone.
    """
    token = secrets.token_urlsafe(12)
    confirming = campaign_id is None
    whose = "s.campaign_id = :campaign"
    if confirming:
        whose = "s.campaign_id IS NULL AND s.kind = 'confirmation' AND s.template_version_id = :version"
    address = "l.email_key" if channel == "email" else "l.phone"
    joins = " ".join(f"LEFT JOIN {table} ON {condition}" for table, condition in verdict_joins(channel))
    found = rows(
        f"""
        WITH picked AS (
            SELECT s.org_id, s.id, s.lead_id, s.recipient_address FROM sends s
            WHERE s.org_id = :org AND {whose} AND s.status = 'pending' AND s.not_before <= now()
            ORDER BY s.not_before, s.id LIMIT :limit FOR UPDATE SKIP LOCKED
        ), judged AS (
            SELECT p.id, l.id AS known_lead, {", ".join("l." + c.strip() for c in LEAD_COLUMNS.split(","))},
                CASE WHEN l.id IS NULL THEN 'lead_removed'
                     WHEN {address} IS DISTINCT FROM p.recipient_address AND l.deleted_at IS NULL THEN 'address_changed'
                     ELSE {verdict(channel, confirming=confirming)} END AS verdict
            FROM picked p LEFT JOIN leads l ON l.org_id = p.org_id AND l.id = p.lead_id {joins}
        )
        UPDATE sends s SET
            status = CASE WHEN j.verdict IS NULL THEN 'sending' ELSE 'skipped' END,
            skip_reason = j.verdict,
            attempts = s.attempts + CASE WHEN j.verdict IS NULL THEN 1 ELSE 0 END,
            claim_token = CASE WHEN j.verdict IS NULL THEN :token END,
            claimed_by = :node,
            lease_until = CASE WHEN j.verdict IS NULL THEN now() + :lease * interval '1 second' END,
            updated_at = now()
        FROM judged j WHERE s.org_id = :org AND s.id = j.id
        RETURNING s.id, s.lead_id, s.recipient_address, s.recipient_name, s.variant, s.attempts, s.skip_reason,
            {", ".join("j." + c.strip() for c in LEAD_COLUMNS.split(","))}
        """,
        org=tenancy.current_org(), limit=limit, token=token, node=node, lease=LEASE_SECONDS,
        **({"version": version_id} if confirming else {"campaign": campaign_id}),
    )  # fmt: skip
    skipped = [row for row in found if row.skip_reason]
    timeline.record_many(
        [
            (r.lead_id, {"campaign_id": campaign_id, "send_id": r.id, "reason": r.skip_reason})
            for r in skipped
            if r.lead_id
        ],
        f"{channel}_skipped",
    )
    tallies.add(campaign_id, channel, Counter(skipped=len(skipped)))
    return Claim(token, campaign_id, channel, [row for row in found if not row.skip_reason], len(skipped))


def finalise(claimed: Claim, outcomes: list[Outcome]) -> Counter[str]:
    """Records the outcomes of a claim where its token still holds. Returns how many sends ended in which status."""
    attempts = {row.id: row.attempts for row in claimed.rows}
    settled = [(o, *_verdict(o, attempts[o.send_id])) for o in outcomes]
    sent = f"(o.status = 'sent' OR o.status IN ('pending', 'unknown') AND {SEEN})"
    counted = rows(
        f"""
        WITH changed AS (
            UPDATE sends s SET status = CASE WHEN {sent} THEN {STANDS_AT} ELSE o.status END,
                attempts = s.attempts - CASE WHEN {sent} THEN 0 ELSE o.uncounted END,
                not_before = CASE WHEN o.status = 'pending' THEN now() + o.wait * interval '1 second' ELSE s.not_before END,
                sent_at = CASE WHEN {sent} THEN now() END,
                -- E-mail reports only failures: accepted counts as delivered until a bounce says otherwise.
                delivered_at = CASE WHEN {sent} AND s.channel = 'email' THEN now() END,
                provider_message_id = NULLIF(o.provider_id, ''),
                error_code = CASE WHEN NOT {sent} THEN NULLIF(o.code, '') END,
                error_message = CASE WHEN NOT {sent} THEN NULLIF(o.message, '') END,
                bounce_type = CASE WHEN o.status = 'failed' AND o.code LIKE '5%' THEN 'hard' END,
                claim_token = NULL, lease_until = NULL, updated_at = now()
            FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:waits AS int[]),
                        CAST(:uncounted AS int[]), CAST(:providers AS text[]), CAST(:codes AS text[]),
                        CAST(:messages AS text[])) AS o (id, status, wait, uncounted, provider_id, code, message)
            WHERE s.org_id = :org AND s.id = o.id AND s.claim_token = :token AND s.status = 'sending'
            RETURNING s.id, s.lead_id, s.campaign_id, s.channel, s.error_message, {OUTCOME.replace("status", "s.status")}
        ), {FACTS}
        {COUNTED}
        """,
        org=tenancy.current_org(), token=claimed.token,
        ids=[o.send_id for o, *_ in settled], statuses=[status for _, status, _, _ in settled],
        waits=[wait for *_, wait, _ in settled], uncounted=[uncounted for *_, uncounted in settled],
        providers=[o.provider_id or "" for o, *_ in settled], codes=[o.code or "" for o, *_ in settled],
        messages=[(o.message or "").replace("\0", "")[:1000] for o, *_ in settled],
    )  # fmt: skip
    return _tally(counted)


def _verdict(outcome: Outcome, attempts: int) -> tuple[str, int, int]:
    """Returns (status, seconds to wait, attempts to give back)."""
    if outcome.kind == "released":
        return "pending", 0, 1
    if outcome.kind == "retry" and attempts <= RETRIES:
        return "pending", BACKOFF_SECONDS[attempts - 1], 0
    return {"accepted": "sent", "unknown": "unknown"}.get(outcome.kind, "failed"), 0, 0


def _tally(counted: list[Any]) -> Counter[str]:
    """Moves the counters of sends that reached an end. counted: campaign_id, channel, outcome, n."""
    total: Counter[str] = Counter()
    for row in counted:
        moved = Counter({row.outcome: row.n} if row.outcome in ENDS else {})
        if row.outcome == "sent" and row.channel == "email":
            moved["delivered"] = row.n
        tallies.add(row.campaign_id, row.channel, moved)
        total[row.outcome] += row.n
    return total


def expire() -> int:
    """Turns sends whose lease ran out while sending into `unknown`, or into sent ones where a receipt of theirs has
    come. Returns how many."""
    counted = rows(
        f"""
        WITH changed AS (
            UPDATE sends s SET status = CASE WHEN {SEEN} THEN {STANDS_AT} ELSE 'unknown' END,
                sent_at = CASE WHEN {SEEN} THEN updated_at END,
                delivered_at = CASE WHEN {SEEN} AND channel = 'email' THEN updated_at END,
                error_message = CASE WHEN NOT {SEEN} THEN
                    'The process that was sending this stopped before it could say how it went.' END,
                claim_token = NULL, lease_until = NULL, updated_at = now()
            WHERE org_id = :org AND id IN (SELECT id FROM sends WHERE org_id = :org AND status = 'sending'
                                           AND lease_until < now() LIMIT 5000 FOR UPDATE SKIP LOCKED)
            RETURNING id, lead_id, campaign_id, channel, error_message, {OUTCOME}
        ), {FACTS}
        {COUNTED}
        """,
        org=tenancy.current_org(),
    )
    return sum(_tally(counted).values())


def next_due(campaign_ids: list[int]) -> Any:
    """Returns when the next of these campaigns' sends may go out or a lease runs out; None if nothing is left."""
    return value(
        "SELECT LEAST((SELECT min(not_before) FROM sends WHERE org_id = :org AND status = 'pending'"
        " AND campaign_id = ANY(:campaigns)), (SELECT min(lease_until) FROM sends WHERE org_id = :org"
        " AND status = 'sending'))",
        org=tenancy.current_org(), campaigns=campaign_ids,
    )  # fmt: skip


def unfinished(campaign_id: int) -> bool:
    """True while a campaign has sends that are pending or being sent."""
    return bool(value(
        "SELECT EXISTS (SELECT FROM sends WHERE org_id = :org AND campaign_id = :c AND status = 'pending')"
        " OR EXISTS (SELECT FROM sends WHERE org_id = :org AND campaign_id = :c AND status = 'sending')",
        org=tenancy.current_org(), c=campaign_id,
    ))  # fmt: skip


def cancel(campaign_id: int) -> int:
    """Skips everything of a campaign that has not been claimed. Returns how many."""
    changed = rows(
        "UPDATE sends SET status = 'skipped', skip_reason = 'cancelled', updated_at = now()"
        " WHERE org_id = :org AND campaign_id = :c AND status = 'pending' RETURNING channel",
        org=tenancy.current_org(), c=campaign_id,
    )  # fmt: skip
    for channel, n in Counter(row.channel for row in changed).items():
        tallies.add(campaign_id, channel, Counter(skipped=n))
    return len(changed)
