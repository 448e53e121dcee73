"""Memberships: who came into the demo's segments when, and went, as if they had been kept all along."""

from datetime import datetime

from sqlalchemy import select

from webapp.audience import stakeholders, syncing
from webapp.audience.segments import Segment
from webapp.platform.db import db, run

# Who left the status "new" was in these until then; the condition is what else their rules ask.
LEFT = {
    "New leads": "true",
    "High-value auto leads": "l.insurance_type = 'auto' AND l.value_estimate > 1000",
}


def give(now: datetime) -> None:
    """Counts every segment and spreads what it finds over the past."""
    for segment in stakeholders.ensure():
        segment.created_at = segment.updated_at = now.replace(day=1)
    run("UPDATE segments SET created_at = LEAST(created_at, now() - interval '120 days')")
    for segment in syncing.in_order(db.session.scalars(select(Segment))):
        syncing.sync(segment)
        reached = segment.estimated_size * 2 // 3
        run(
            "UPDATE segments SET current_reach = :n WHERE id = :id AND target_reach IS NOT NULL",
            n=reached,
            id=segment.id,
        )
    _spread()
    for name, condition in LEFT.items():
        _leave(name, condition)
    _retell()


def _spread() -> None:
    # Nobody came in before they were there, and most of what rules ask came about at the last change of status.
    run(
        "UPDATE segment_members m SET entered_at = GREATEST(l.created_at, COALESCE(e.at, l.created_at))"
        " FROM leads l LEFT JOIN (SELECT lead_id, max(occurred_at) AS at FROM lead_events WHERE type = 'status_changed'"
        " GROUP BY lead_id) e ON e.lead_id = l.id WHERE l.org_id = m.org_id AND l.id = m.lead_id"
    )


def _leave(name: str, condition: str) -> None:
    run(
        "INSERT INTO segment_members (segment_id, lead_id, entered_at, exited_at)"
        " SELECT s.id, l.id, l.created_at, e.at FROM segments s CROSS JOIN leads l JOIN (SELECT lead_id,"
        " min(occurred_at) AS at FROM lead_events WHERE type = 'status_changed' GROUP BY lead_id) e ON e.lead_id = l.id"
        f" WHERE s.name = :name AND l.status <> 'new' AND e.at > l.created_at AND {condition}",
        name=name,
    )


def _retell() -> None:
    """Writes the facts and the sizes day by day that belong to the members as they are told now."""
    run("DELETE FROM lead_events WHERE type IN ('segment_entered', 'segment_exited')")
    for kind, column in (("segment_entered", "entered_at"), ("segment_exited", "exited_at")):
        run(
            "INSERT INTO lead_events (lead_id, type, payload, occurred_at, created_at) SELECT m.lead_id, :kind,"
            f" jsonb_build_object('segment_id', s.id, 'segment', s.name), m.{column}, m.{column} FROM segment_members m"
            f" JOIN segments s ON s.org_id = m.org_id AND s.id = m.segment_id WHERE m.{column} IS NOT NULL"
            f" ORDER BY m.{column}",
            kind=kind,
        )
    run("DELETE FROM segment_sizes")
    run(
        "INSERT INTO segment_sizes (segment_id, on_date, size, entered, exited)"
        " SELECT segment_id, day, sum(came - went) OVER (PARTITION BY segment_id ORDER BY day), came, went FROM ("
        " SELECT f.segment_id, (f.at AT TIME ZONE o.timezone)::date AS day, sum(f.came) AS came, sum(f.went) AS went"
        " FROM (SELECT org_id, segment_id, entered_at AS at, 1 AS came, 0 AS went FROM segment_members"
        " UNION ALL SELECT org_id, segment_id, exited_at, 0, 1 FROM segment_members WHERE exited_at IS NOT NULL) f"
        " JOIN organizations o ON o.id = f.org_id GROUP BY 1, 2) days"
    )
