"""The timeline: append-only facts about leads. Everything that happens to a lead is written here, in the transaction
that made it true, and everything that follows leads (segments, automations, attribution) reads it."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Computed, Index, func, insert, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform import audit, work
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, rows, run, value

# type -> (words on screen, icon): every kind of fact the house writes.
FACTS: dict[str, tuple[str, str]] = {
    "lead_created": ("Lead created", "user-plus"),
    "lead_updated": ("Details changed", "pencil"),
    "lead_imported": ("Imported", "file-import"),
    "lead_deleted": ("Deleted", "trash"),
    "lead_restored": ("Restored", "arrow-back-up"),
    "lead_merged": ("Merged", "arrows-join-2"),
    "lead_unmerged": ("Merge taken back", "arrows-split-2"),
    "status_changed": ("Status changed", "progress"),
    "consent_changed": ("Consent changed", "hand-stop"),
    "consent_asked": ("Asked to confirm their consent", "mail-question"),
    "suppressed": ("Address suppressed", "ban"),
    "suppression_lifted": ("Address reachable again", "circle-check"),
    "lead_anonymized": ("Anonymised", "user-off"),
    "lead_exported": ("Everything kept about them handed out", "file-export"),
    "policy_added": ("Policy added", "file-certificate"),
    "policy_renewed": ("Policy renewed", "refresh"),
    "policy_lapsed": ("Policy lapsed", "file-off"),
    "policy_updated": ("Policy changed", "file-pencil"),
    "policy_removed": ("Policy removed", "file-x"),
    "payment_overdue": ("Payment overdue", "cash-off"),
    "persona_approved": ("Persona approved", "mood-check"),
    "persona_refused": ("Persona refused", "mood-x"),
    "page_visited": ("Visited the website", "world"),
    "call_logged": ("Call", "phone"),
    "email_sent": ("E-mail sent", "send"),
    "email_failed": ("E-mail not accepted", "mail-x"),
    "email_skipped": ("E-mail not sent", "mail-off"),
    "email_bounced": ("E-mail bounced", "mail-x"),
    "email_complained": ("Marked as spam", "alert-triangle"),
    "email_unknown": ("E-mail outcome unknown", "help-circle"),
    "email_opened": ("Opened e-mail", "mail-opened"),
    "email_machine_opened": ("E-mail fetched by a machine", "robot"),
    "email_clicked": ("Clicked in e-mail", "click"),
    "email_unsubscribed": ("Unsubscribed from e-mail", "user-minus"),
    "email_resubscribed": ("Subscribed to e-mail again", "user-check"),
    "email_replied": ("Replied to e-mail", "mail-forward"),
    "sms_sent": ("SMS sent", "message"),
    "sms_failed": ("SMS not accepted", "message-x"),
    "sms_skipped": ("SMS not sent", "message-off"),
    "sms_unknown": ("SMS outcome unknown", "help-circle"),
    "sms_bounced": ("SMS not delivered", "message-x"),
    "sms_clicked": ("Clicked in SMS", "click"),
    "sms_unsubscribed": ("Stopped SMS", "user-minus"),
    "sms_resubscribed": ("Takes SMS again", "user-check"),
    "sms_replied": ("Replied to SMS", "message-forward"),
    "whatsapp_sent": ("WhatsApp sent", "brand-whatsapp"),
    "whatsapp_failed": ("WhatsApp not accepted", "message-x"),
    "whatsapp_skipped": ("WhatsApp not sent", "message-off"),
    "whatsapp_unknown": ("WhatsApp outcome unknown", "help-circle"),
    "whatsapp_bounced": ("WhatsApp not delivered", "message-x"),
    "whatsapp_opened": ("Read on WhatsApp", "checks"),
    "whatsapp_clicked": ("Clicked in WhatsApp", "click"),
    "whatsapp_unsubscribed": ("Stopped WhatsApp", "user-minus"),
    "whatsapp_resubscribed": ("Takes WhatsApp again", "user-check"),
    "whatsapp_replied": ("Replied on WhatsApp", "message-forward"),
    "converted": ("Bought", "coin"),
    "segment_entered": ("Came into a segment", "filter-plus"),
    "segment_exited": ("Left a segment", "filter-minus"),
    "score_threshold_crossed": ("Score crossed a line", "gauge"),
    "custom": ("Event", "bolt"),
}
FOLLOWED = "timeline"  # the work of those who follow the timeline
HOUSEKEEPING = (
    "lead_created", "lead_updated", "lead_imported", "lead_deleted", "lead_restored", "consent_changed",
    "segment_entered", "segment_exited",
)  # fmt: skip
CAMPAIGN_OF = (
    "CASE WHEN jsonb_typeof(payload -> 'campaign_id') = 'number' THEN CASE WHEN (payload -> 'campaign_id')::numeric"
    " BETWEEN 1 AND 9223372036854775806 THEN (payload -> 'campaign_id')::bigint END END"
)


class LeadEvent(Tenant, Base):
    __tablename__ = "lead_events"
    lead_id: Mapped[int]
    type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    actor: Mapped[str | None]
    occurred_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # The writing transaction, so that a follower never steps over a fact that commits late (see `after`).
    tx: Mapped[int] = mapped_column(server_default=text("pg_current_xact_id()::text::bigint"))
    # Out of the payload, for rules about one campaign.
    campaign_id: Mapped[int | None] = mapped_column(Computed(CAMPAIGN_OF, persisted=True))
    __table_args__ = (
        child_of("leads", "lead_id"),
        Index(None, "org_id", "lead_id", "occurred_at", "id"),
        Index(None, "org_id", "tx", "id"),
        # Rules ask who did something and when. What every lead gets at its birth or by a bulk change is left out.
        Index(
            "ix_lead_events_deeds", "org_id", "type", "occurred_at",
            postgresql_include=["lead_id", "campaign_id"],
            postgresql_where=text(f"type NOT IN ({', '.join(map(repr, HOUSEKEEPING))})"),
        ),
    )  # fmt: skip


class TimelineCursor(Tenant, Changing, Base):
    """Where a follower of the timeline stands, one row a follower."""

    __tablename__ = "timeline_cursors"
    id = None
    name: Mapped[str] = mapped_column(primary_key=True)
    tx: Mapped[int] = mapped_column(server_default="0")
    fact_id: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (of_organization(),)


class Cursor(NamedTuple):
    """Where a follower of the timeline stands."""

    tx: int = 0
    id: int = 0


def record(lead_id: int, type: str, payload: dict[str, Any] | None = None, *, at: datetime | None = None) -> None:
    """Adds one fact about a lead. at: when it happened (UTC), now if not given."""
    record_many([(lead_id, payload or {})], type, at=at)


def record_many(facts: Iterable[tuple[int, dict[str, Any]]], type: str, *, at: datetime | None = None) -> None:
    """Adds one fact of one type for many leads: (lead id, payload) each."""
    given = {"type": type, "actor": audit.actor_name()} | ({"occurred_at": at} if at else {})
    batch = [{"lead_id": lead_id, "payload": payload, **given} for lead_id, payload in facts]
    if batch:
        db.session.execute(insert(LeadEvent), batch)
        work.wake(FOLLOWED)


def record_dated(facts: Iterable[tuple[int, str, dict[str, Any], datetime]]) -> None:
    """Adds many facts, each of its own type and time: (lead id, type, payload, UTC) each."""
    told = [
        {"lead": lead_id, "type": type, "payload": payload, "at": at.isoformat()}
        for lead_id, type, payload, at in facts
    ]
    if told:
        run(
            "INSERT INTO lead_events (lead_id, type, payload, actor, occurred_at) SELECT lead, type, payload, :actor, at"
            " FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS n (lead bigint, type text, payload jsonb, at timestamptz)",
            told=json.dumps(told), actor=audit.actor_name(),
        )  # fmt: skip
        work.wake(FOLLOWED)


def record_select(
    type: str, select_lead_and_payload: str, *, happened_at: datetime | None = None, **params: Any
) -> int:
    """Adds one fact for each row of a SELECT of (lead_id, payload jsonb). happened_at: UTC, now if not given. Returns how
    many."""
    work.wake(FOLLOWED)
    return run(
        "INSERT INTO lead_events (lead_id, payload, type, actor, occurred_at) SELECT s.lead_id, s.payload, :fact_type,"
        f" :fact_actor, COALESCE(:fact_at, now()) FROM ({select_lead_and_payload}) s (lead_id, payload)",
        fact_type=type,
        fact_actor=audit.actor_name(),
        fact_at=happened_at,
        **params,
    )


def after(cursor: Cursor, limit: int = 1000) -> list[Any]:
    """Returns facts behind the cursor, oldest first, whose place in the order is final.

    Ids are handed out before transactions commit, so "id > last" would skip the ones that commit late. Facts are
    ordered by (writing transaction, id), and only those older than every running transaction are given out.
    """
    return rows(
        "SELECT * FROM lead_events WHERE (tx, id) > (:tx, :id)"
        " AND tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY tx, id LIMIT :limit",
        tx=cursor.tx,
        id=cursor.id,
        limit=limit,
    )


def cursor_of(name: str) -> Cursor | None:
    """Returns where a follower stands and holds the place for the rest of the transaction; None where another process
    holds it. A follower that has never been is at the very beginning."""
    run("INSERT INTO timeline_cursors (name) VALUES (:name) ON CONFLICT DO NOTHING", name=name)
    held = rows("SELECT tx, fact_id FROM timeline_cursors WHERE name = :name FOR UPDATE SKIP LOCKED", name=name)
    return Cursor(held[0].tx, held[0].fact_id) if held else None


def move_cursor(name: str, cursor: Cursor) -> None:
    """Notes how far a follower has read."""
    run(
        "UPDATE timeline_cursors SET tx = :tx, fact_id = :id, updated_at = now() WHERE name = :name",
        name=name, tx=cursor.tx, id=cursor.id,
    )  # fmt: skip


def horizon() -> Cursor:
    """Returns the place behind every fact that has its final place in the order."""
    return Cursor(value("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") - 1, 2**62)


def of_lead(
    lead_id: int, *, before: tuple[datetime, int] | None = None, types: list[str] | None = None, limit: int = 30
) -> list[Any]:
    """Returns a lead's facts, newest first. before: (occurred_at, id) of the last one seen."""
    where = "lead_id = :lead_id"
    params: dict[str, Any] = {"lead_id": lead_id, "limit": limit}
    if before:
        where += " AND (occurred_at, id) < (:at, :id)"
        params |= {"at": before[0], "id": before[1]}
    if types:
        where += " AND type = ANY(:types)"
        params["types"] = types
    return rows(f"SELECT * FROM lead_events WHERE {where} ORDER BY occurred_at DESC, id DESC LIMIT :limit", **params)


def count_of_lead(lead_id: int, types: list[str] | None = None) -> int:
    """Returns how many facts there are about a lead, of some types or of all."""
    return value(
        "SELECT count(*) FROM lead_events WHERE lead_id = :lead AND (CAST(:types AS text[]) IS NULL OR type = ANY(:types))",
        lead=lead_id, types=types,
    )  # fmt: skip
