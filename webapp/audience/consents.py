"""Consent and suppression: whether we may use an address at all. The sending floor asks here and nowhere else."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import timeline
from webapp.audience.leads import Lead, one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, rows, run, value
from webapp.platform.errors import Invalid

CHANNELS = ("email", "sms", "whatsapp")
STATUSES = ("subscribed", "unsubscribed", "pending")
CHANNEL_WORDS = {"email": "E-mail", "sms": "SMS", "whatsapp": "WhatsApp"}
EVIDENCE_LIMIT = 500  # characters
REASONS = ("hard_bounce", "complaint", "unsubscribe", "stop", "manual", "invalid")


class Consent(Tenant, Changing, Base):
    __tablename__ = "consents"
    lead_id: Mapped[int]
    channel: Mapped[str]
    status: Mapped[str]
    source: Mapped[str | None]
    evidence: Mapped[str | None]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        child_of("leads", "lead_id"),
        one_of("channel", CHANNELS),
        one_of("status", STATUSES),
        Index(None, "org_id", "lead_id", "channel", unique=True),
    )


class Suppression(Tenant, Base):
    __tablename__ = "suppressions"
    channel: Mapped[str]
    address: Mapped[str] = mapped_column(Text(collation="C"))
    reason: Mapped[str]
    note: Mapped[str | None]
    __table_args__ = (
        of_organization(),
        one_of("channel", CHANNELS),
        one_of("reason", REASONS),
        Index(None, "org_id", "channel", "address", unique=True),
        Index(None, "org_id", "address", "id"),
        Index(None, "org_id", "created_at", "id"),
    )


def set_consent(lead_id: int, channel: str, status: str, *, source: str, evidence: str | None = None) -> bool:
    """Sets a lead's consent for a channel. Returns False where it stood so already (then nothing is written).

    source: who or what said so. evidence: how one knows; both are kept on the timeline with the change.
    """
    changed = run(
        "INSERT INTO consents (lead_id, channel, status, source, evidence)"
        " VALUES (:lead, :channel, :status, :source, :evidence)"
        " ON CONFLICT (org_id, lead_id, channel) DO UPDATE SET status = EXCLUDED.status, source = EXCLUDED.source,"
        " evidence = EXCLUDED.evidence, changed_at = now(), updated_at = now() WHERE consents.status <> EXCLUDED.status",
        lead=lead_id,
        channel=channel,
        status=status,
        source=source,
        evidence=evidence,
    )
    if status == "subscribed":
        # Their own later word lifts what their own earlier word barred; a bounce or a complaint stays barred.
        run(
            "DELETE FROM suppressions USING leads WHERE leads.org_id = suppressions.org_id AND leads.id = :lead"
            " AND suppressions.channel = :channel AND suppressions.reason IN ('unsubscribe', 'stop')"
            " AND suppressions.address = CASE WHEN :channel = 'email' THEN leads.email_key ELSE leads.phone END",
            lead=lead_id, channel=channel,
        )  # fmt: skip
    if changed:
        told = {"channel": channel, "to": status, "source": source} | ({"evidence": evidence} if evidence else {})
        timeline.record(lead_id, "consent_changed", told)
    return bool(changed)


def note(lead: Lead, channel: str, status: str, *, by: str, evidence: str = "") -> bool:
    """Sets a consent as a person of the house was told. by: their name. Returns False where it stood so already.

    Raises Invalid: a consent noted by hand needs its evidence and an address to use it for.
    """
    evidence = evidence.replace("\0", "").strip()
    if channel not in CHANNELS or status not in ("subscribed", "unsubscribed"):
        raise Invalid({"status": "Choose one of the list."}, "Choose one of the list.")
    if len(evidence) > EVIDENCE_LIMIT:
        raise Invalid({"evidence": f"Use at most {EVIDENCE_LIMIT} characters."})
    if status == "subscribed":
        if not address_of(lead, channel):
            what = "an e-mail address" if channel == "email" else "a phone number"
            raise Invalid({"evidence": f"Give the lead {what} first."})
        if not evidence:
            raise Invalid({"evidence": "Say how you know: when they agreed, and how."})
    return set_consent(lead.id, channel, status, source=f"noted by {by}", evidence=evidence or None)


def prefer(lead: Lead, wishes: dict[str, bool], evidence: str) -> int:
    """Sets consents as the lead chose themselves. wishes: channel -> whether they want it. Returns how many changed.

    A no where they were never asked changes nothing: it is what stands there already.
    """
    stands = of_lead(lead.id)
    changed = 0
    for channel, wanted in wishes.items():
        if wanted or channel in stands:
            status = "subscribed" if wanted else "unsubscribed"
            changed += set_consent(lead.id, channel, status, source="preference page", evidence=evidence)
    return changed


def address_of(lead: Lead, channel: str) -> str | None:
    """Returns where a lead is reached over a channel, or None."""
    return lead.email if channel == "email" else lead.phone


def of_lead(lead_id: int) -> dict[str, Consent]:
    """Returns a lead's consents by channel; a channel never asked about is missing."""
    return {row.channel: row for row in db.session.scalars(select(Consent).where(Consent.lead_id == lead_id))}


def history(lead_id: int, limit: int = 50) -> list[Any]:
    """Returns the facts about a lead's consents and barred addresses, newest first."""
    types = ["consent_changed", "consent_asked", "suppressed", "suppression_lifted"]
    return timeline.of_lead(lead_id, types=types, limit=limit)


def suppressed_of(lead: Lead) -> dict[str, bool]:
    """Returns for each channel whether the lead's address there is barred."""
    barred = rows(
        "SELECT s.channel FROM suppressions s JOIN leads l ON l.org_id = s.org_id AND l.id = :lead"
        " AND s.address = CASE WHEN s.channel = 'email' THEN l.email_key ELSE l.phone END",
        lead=lead.id,
    )
    return dict.fromkeys(CHANNELS, False) | {row.channel: True for row in barred}


def suppress(channel: str, address: str, reason: str, at: datetime | None = None) -> bool:
    """Bars an address (lower-cased e-mail or E.164). at: since when (UTC), now if not given. Returns False where it was
    barred already."""
    return bool(run(
        "INSERT INTO suppressions (channel, address, reason, created_at)"
        " VALUES (:channel, lower(:address), :reason, COALESCE(CAST(:at AS timestamptz), now()))"
        " ON CONFLICT (org_id, channel, address) DO NOTHING",
        channel=channel, address=address, reason=reason, at=at,
    ))  # fmt: skip


def release(channel: str, address: str, reason: str, at: datetime | None = None) -> bool:
    """Lifts a bar that was set for one reason. at: only where it was set by then. Returns False where there was none."""
    return bool(run(
        "DELETE FROM suppressions WHERE channel = :channel AND address = lower(:address) AND reason = :reason"
        " AND (CAST(:at AS timestamptz) IS NULL OR created_at <= :at)",
        channel=channel, address=address, reason=reason, at=at,
    ))  # fmt: skip


def is_suppressed(channel: str, address: str, reason: str | None = None) -> bool:
    """True if the address must not be used. reason: for this one."""
    return bool(value(
        "SELECT true FROM suppressions WHERE channel = :channel AND address = lower(:address)"
        " AND (CAST(:reason AS text) IS NULL OR reason = :reason)",
        channel=channel, address=address, reason=reason,
    ))  # fmt: skip


def verdict(channel: str, lead: str = "l", *, confirming: bool = False, named: bool = False) -> str:
    """Returns the SQL expression that says why a lead may not be reached over a channel, or NULL if they may.

    lead: the alias of `leads`; it stands beside the joins of `verdict_joins`. Planning and claiming use the same words.
    confirming: for the one message that asks for consent, which goes to a pending consent and to no other. named: the joins
    stand there once for each of several channels, under names of their own.
    """
    consents, suppressions = (f"{table}_{channel}" if named else table for table in ("consents", "suppressions"))
    waits = "'pending'" if not confirming else "'subscribed'"
    reason = "consent_pending" if not confirming else "confirmed"
    address, missing = (f"{lead}.email_key", "no_email") if channel == "email" else (f"{lead}.phone", "no_phone")
    return (
        f"CASE WHEN {lead}.deleted_at IS NOT NULL OR {lead}.anonymized_at IS NOT NULL THEN 'lead_removed'"
        f" WHEN {address} IS NULL THEN '{missing}'"
        f" WHEN {consents}.status = 'unsubscribed' THEN 'unsubscribed'"
        f" WHEN {suppressions}.id IS NOT NULL THEN 'suppressed'"
        f" WHEN {consents}.status = {waits} THEN '{reason}'"
        f" WHEN {consents}.id IS NULL THEN 'no_consent' END"
    )


def verdict_joins(channel: str, lead: str = "l", *, named: bool = False) -> list[tuple[str, str]]:
    """Returns the (table, condition) pairs to LEFT JOIN for `verdict`. named: as `table`_`channel`."""
    address = f"{lead}.email_key" if channel == "email" else f"{lead}.phone"
    joins = []
    for table, column, other in (("consents", "lead_id", f"{lead}.id"), ("suppressions", "address", address)):
        name = f"{table}_{channel}" if named else table
        condition = f"{name}.org_id = {lead}.org_id AND {name}.channel = '{channel}' AND {name}.{column} = {other}"
        joins.append((table, condition))
    return joins


SKIP_REASONS: dict[str, str] = {
    "no_email": "No e-mail address",
    "no_phone": "No phone number",
    "suppressed": "Address suppressed",
    "unsubscribed": "Unsubscribed",
    "consent_pending": "Consent not confirmed yet",
    "confirmed": "Consent is confirmed already",
    "no_consent": "Never agreed to this channel",
    "lead_removed": "Lead deleted",
    "address_changed": "Address changed since the campaign was planned",
    "duplicate_address": "Same address as another recipient",
    "cancelled": "Campaign cancelled",
    "missing_value": "A value the message needs is missing",
    "too_late": "Its time had passed",
    "no_hours": "At no hour may they be written to, wherever in their country they may be",
}


def reason_words(reason: str | None) -> str:
    """Returns a skip reason as said on screen."""
    return SKIP_REASONS.get(reason or "", (reason or "").replace("_", " "))
