"""Outcomes: recording how claimed sends went, exactly once, where the claim's token still holds."""

from collections import Counter, defaultdict
from typing import Any

from webapp.messaging import batches, caps, meters, tallies
from webapp.messaging.outbox import Claim, Outcome
from webapp.platform import tenancy
from webapp.platform.db import rows

RETRIES = 3
BACKOFF_SECONDS = (30, 120, 600)
EXPIRE_LIMIT = 5_000
ENDS = ("sent", "failed", "unknown")
# A receipt of it came while it was being sent: whatever else we know, it went out.
SEEN = (
    "(s.opened_at IS NOT NULL OR s.clicked_at IS NOT NULL OR s.machine_open_count > 0 OR s.delivered_at IS NOT NULL"
    " OR s.read_at IS NOT NULL OR s.bounced_at IS NOT NULL OR s.provider_message_id IS NOT NULL)"
)
STANDS_AT = (
    "CASE WHEN s.clicked_at IS NOT NULL THEN 'clicked' WHEN s.opened_at IS NOT NULL THEN 'opened'"
    " WHEN s.bounced_at IS NOT NULL THEN 'bounced' WHEN s.delivered_at IS NOT NULL THEN 'delivered' ELSE 'sent' END"
)
OUTCOME = (
    "CASE WHEN s.status IN ('opened', 'clicked', 'delivered', 'bounced') THEN 'sent' ELSE s.status END AS outcome,"
    " s.channel = 'email' AND s.status IN ('sent', 'opened', 'clicked') AS counts_delivered"
)
CHANGED = f"s.id, s.lead_id, s.campaign_id, s.channel, s.sender_id, s.claimed_at, s.recipient_address, s.error_message, {OUTCOME}"
# The facts are written by the statement that made them true: nothing of a batch travels to Python and back.
FACTS = """facts AS (
            INSERT INTO lead_events (lead_id, type, payload)
            SELECT lead_id, channel || '_' || outcome, jsonb_strip_nulls(jsonb_build_object(
                'campaign_id', campaign_id, 'send_id', id, 'error', error_message))
            FROM changed WHERE outcome IN ('sent', 'failed', 'unknown') AND lead_id IS NOT NULL)"""
COUNTED = (
    "SELECT campaign_id, channel, outcome, count(*)::int AS n, count(*) FILTER (WHERE counts_delivered)::int AS delivered,"
    " array_agg(recipient_address) FILTER (WHERE outcome IN ('pending', 'failed')) AS without FROM changed GROUP BY 1, 2, 3"
)


def finalise(claimed: Claim, outcomes: list[Outcome]) -> Counter[str]:
    """Records the outcomes of a claim where its token still holds. Returns how many sends ended in which status."""
    attempts = {row.id: row.attempts for row in claimed.rows}
    settled = [(o, *_verdict(o, attempts[o.send_id])) for o in sorted(outcomes, key=lambda o: o.send_id)]
    sent = f"(o.status = 'sent' OR o.status IN ('pending', 'unknown') AND {SEEN})"
    counted = rows(
        f"""
        -- In the order in which receipts lock them.
        WITH held AS MATERIALIZED (
            SELECT id FROM sends WHERE org_id = :org AND id = ANY(:ids) AND claim_token = :token ORDER BY id FOR UPDATE
        ), changed AS (
            UPDATE sends s SET status = CASE WHEN {sent} THEN {STANDS_AT} ELSE o.status END,
                attempts = s.attempts - CASE WHEN {sent} THEN 0 ELSE o.uncounted END,
                not_before = CASE WHEN o.status = 'pending' THEN now() + o.wait * interval '1 second' ELSE s.not_before END,
                sent_at = CASE WHEN {sent} THEN now() END,
                -- E-mail reports only failures: accepted counts as delivered until a bounce says otherwise.
                delivered_at = CASE WHEN {sent} AND s.channel = 'email' AND s.bounced_at IS NULL THEN now()
                    ELSE s.delivered_at END,
                provider_message_id = COALESCE(NULLIF(o.provider_id, ''), s.provider_message_id),
                error_code = CASE WHEN NOT {sent} THEN NULLIF(o.code, '') WHEN s.bounced_at IS NOT NULL THEN s.error_code END,
                error_message = CASE WHEN NOT {sent} THEN NULLIF(o.message, '')
                    WHEN s.bounced_at IS NOT NULL THEN s.error_message END,
                bounce_type = CASE WHEN o.status = 'failed' AND NOT {sent} THEN COALESCE(NULLIF(o.bounce, ''), s.bounce_type)
                    ELSE s.bounce_type END,
                -- What goes back does not count as written to (see judging.LATELY).
                claimed_at = CASE WHEN o.status = 'pending' AND NOT {sent} THEN NULL ELSE s.claimed_at END,
                claim_token = NULL, lease_until = NULL, updated_at = now()
            FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:waits AS int[]),
                        CAST(:uncounted AS int[]), CAST(:providers AS text[]), CAST(:codes AS text[]),
                        CAST(:messages AS text[]), CAST(:bounces AS text[]))
                AS o (id, status, wait, uncounted, provider_id, code, message, bounce)
            JOIN held USING (id)
            WHERE s.org_id = :org AND s.id = o.id AND s.claim_token = :token AND s.status = 'sending'
            RETURNING {CHANGED}
        ), {FACTS}
        {COUNTED}
        """,
        org=tenancy.current_org(), token=claimed.token,
        ids=[o.send_id for o, *_ in settled], statuses=[status for _, status, _, _ in settled],
        waits=[wait for *_, wait, _ in settled], uncounted=[uncounted for *_, uncounted in settled],
        providers=[o.provider_id or "" for o, *_ in settled], codes=[o.code or "" for o, *_ in settled],
        messages=[o.message or "" for o, *_ in settled], bounces=[o.bounce or "" for o, *_ in settled],
    )  # fmt: skip
    moved = Counter({row.outcome: row.n for row in counted})
    caps.give_back(claimed, moved, [address for row in counted for address in row.without or ()])
    return _tally(counted)


def _verdict(outcome: Outcome, attempts: int) -> tuple[str, int, int]:
    """Returns (status, seconds to wait, attempts to give back)."""
    if outcome.kind == "released":
        return "pending", 0, 1
    if outcome.kind == "retry" and attempts <= RETRIES:
        return "pending", BACKOFF_SECONDS[attempts - 1], 0
    return {"accepted": "sent", "unknown": "unknown"}.get(outcome.kind, "failed"), 0, 0


def _tally(counted: list[Any]) -> Counter[str]:
    """Moves the counters of sends that reached an end. counted: campaign_id, channel, outcome, n, delivered."""
    total: Counter[str] = Counter()
    for row in sorted(counted, key=lambda row: (row.campaign_id or 0, row.channel, row.outcome)):
        moved = Counter({row.outcome: row.n} if row.outcome in ENDS else {})
        if row.outcome == "sent":
            moved["delivered"] = row.delivered
        tallies.add(row.campaign_id, row.channel, moved)
        total[row.outcome] += row.n
    return total


def expire(zone: str = "UTC") -> int:
    """Turns sends whose lease ran out while sending into `unknown`, or into sent ones where a receipt of theirs has
    come. zone: the organisation's, in whose days batches are. Returns how many."""
    counted = rows(
        f"""
        WITH changed AS (
            UPDATE sends s SET status = CASE WHEN {SEEN} THEN {STANDS_AT} ELSE 'unknown' END,
                sent_at = CASE WHEN {SEEN} THEN updated_at END,
                delivered_at = CASE WHEN {SEEN} AND s.channel = 'email' AND s.bounced_at IS NULL THEN updated_at
                    ELSE s.delivered_at END,
                error_message = CASE WHEN s.bounced_at IS NOT NULL THEN s.error_message WHEN NOT {SEEN} THEN
                    'The process that was sending this stopped before it could say how it went.' END,
                claim_token = NULL, lease_until = NULL, updated_at = now()
            WHERE s.org_id = :org AND s.id IN (SELECT id FROM sends WHERE org_id = :org AND status = 'sending'
                                           AND lease_until < now() LIMIT :limit FOR UPDATE SKIP LOCKED)
            RETURNING {CHANGED}
        ), {FACTS}
        SELECT campaign_id, channel, sender_id, (claimed_at AT TIME ZONE :zone)::date AS on_date, outcome,
            count(*)::int AS n, count(*) FILTER (WHERE counts_delivered)::int AS delivered
        FROM changed GROUP BY 1, 2, 3, 4, 5
        """,
        org=tenancy.current_org(), zone=zone, limit=EXPIRE_LIMIT,
    )  # fmt: skip
    # Statements of their own, in the order of caps.room: PostgreSQL chooses that of the parts of one.
    batches.ran_out(counted)
    of_senders: dict[int, Counter[str]] = defaultdict(Counter)
    for row in counted:
        if row.sender_id:
            of_senders[row.sender_id][row.outcome] += row.n
    for sender_id in sorted(of_senders):
        meters.count(sender_id, of_senders[sender_id])
    return sum(_tally(counted).values())
