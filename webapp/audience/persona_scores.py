"""How sure we are that somebody is a persona, drawn from the groups they are in, and what people decided about it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import leads, timeline
from webapp.audience.leads import ALIVE, Lead, one_of
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, child_of, db, rows, run

LEVELS = ("low", "medium", "high", "very_high")
APPROVALS = ("approved", "refused", "open")


class PersonaScore(Tenant, Changing, Base):
    __tablename__ = "persona_scores"
    lead_id: Mapped[int]
    persona_id: Mapped[int]
    confidence_score: Mapped[Decimal]
    confidence_level: Mapped[str]
    matching_groups_count: Mapped[int]
    total_groups_count: Mapped[int]
    method: Mapped[str] = mapped_column(server_default="groups")
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", server_default="{}")
    is_approved: Mapped[bool | None]  # nothing: nobody has looked; false: refused
    approved_by: Mapped[int | None]
    approved_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("leads", "lead_id"),
        child_of("personas", "persona_id"),
        child_of("users", "approved_by", "SET NULL"),
        one_of("confidence_level", LEVELS),
        CheckConstraint("confidence_score BETWEEN 0 AND 100", name="confidence_score"),
        Index(None, "org_id", "lead_id", "persona_id", unique=True),
        Index(None, "org_id", "persona_id", "confidence_score"),
    )


# What each lead's groups say now, and with it the rows that nothing speaks for any more. One statement, so that nobody
# ever sees half of it.
RECOMPUTE = (
    "WITH belonging AS (SELECT m.lead_id, m.group_id, m.persona_weight AS weight FROM whatsapp_group_members m"
    " JOIN leads l ON l.id = m.lead_id AND l.deleted_at IS NULL"
    " WHERE m.left_at IS NULL AND m.contributes_to_persona AND {asked_m}),"
    " whole AS (SELECT lead_id, sum(weight) AS weight, count(*) AS groups FROM belonging GROUP BY lead_id),"
    " fits AS (SELECT g.id AS group_id, p.id AS persona_id FROM whatsapp_groups g JOIN personas p"
    " ON g.segment_tags && p.segment_tags"
    " AND (NULLIF(g.region, '') IS NULL OR NULLIF(p.region, '') IS NULL OR lower(g.region) = lower(p.region))"
    " AND (NULLIF(g.state, '') IS NULL OR NULLIF(p.state, '') IS NULL OR lower(g.state) = lower(p.state))),"
    " matched AS (SELECT b.lead_id, f.persona_id, sum(b.weight) AS weight, count(*) AS groups"
    " FROM belonging b JOIN fits f USING (group_id) GROUP BY b.lead_id, f.persona_id),"
    " fresh AS (SELECT m.lead_id, m.persona_id, m.groups AS matching, w.groups AS total, m.weight, w.weight AS of_weight,"
    " round(m.weight / w.weight * 100, 2) AS score FROM matched m JOIN whole w USING (lead_id) WHERE w.weight > 0),"
    " gone AS (DELETE FROM persona_scores s WHERE s.is_approved IS NULL AND {asked_s} AND NOT EXISTS"
    " (SELECT FROM fresh f WHERE f.lead_id = s.lead_id AND f.persona_id = s.persona_id)),"
    # What somebody decided stays decided, also where no group speaks for it any more.
    " faded AS (UPDATE persona_scores s SET confidence_score = 0, confidence_level = 'low', matching_groups_count = 0,"
    " total_groups_count = COALESCE((SELECT w.groups FROM whole w WHERE w.lead_id = s.lead_id), 0), metadata = '{{}}',"
    " updated_at = now() WHERE s.is_approved IS NOT NULL AND {asked_s} AND NOT EXISTS"
    " (SELECT FROM fresh f WHERE f.lead_id = s.lead_id AND f.persona_id = s.persona_id))"
    " INSERT INTO persona_scores AS s (lead_id, persona_id, confidence_score, confidence_level, matching_groups_count,"
    " total_groups_count, metadata) SELECT lead_id, persona_id, score, CASE WHEN score >= 80 THEN 'very_high'"
    " WHEN score >= 60 THEN 'high' WHEN score >= 40 THEN 'medium' ELSE 'low' END, matching, total,"
    " jsonb_build_object('weight', weight, 'of_weight', of_weight) FROM fresh"
    " ON CONFLICT (org_id, lead_id, persona_id) DO UPDATE SET confidence_score = EXCLUDED.confidence_score,"
    " confidence_level = EXCLUDED.confidence_level, matching_groups_count = EXCLUDED.matching_groups_count,"
    " total_groups_count = EXCLUDED.total_groups_count, metadata = EXCLUDED.metadata, updated_at = now()"
    " WHERE (s.confidence_score, s.matching_groups_count, s.total_groups_count, s.metadata) IS DISTINCT FROM"
    " (EXCLUDED.confidence_score, EXCLUDED.matching_groups_count, EXCLUDED.total_groups_count, EXCLUDED.metadata)"
)


def recompute(lead_ids: list[int] | None = None) -> int:
    """Brings the confidence of everybody (or of some leads) in every persona up to date with the groups they are in.
    Decisions stay. Returns how many scores are new or different."""
    # One at a time in an organisation: two at once would each insert the same new pairs.
    run("SELECT pg_advisory_xact_lock(hashtextextended('personas', current_setting('app.org_id')::bigint))")
    if lead_ids is None:
        return run(RECOMPUTE.format(asked_m="true", asked_s="true"))
    return run(RECOMPUTE.format(asked_m="m.lead_id = ANY(:ids)", asked_s="s.lead_id = ANY(:ids)"), ids=lead_ids)


def of_lead(lead_id: int) -> list[Any]:
    """Returns a lead's personas, the surest first: id, persona_id, persona, persona_type, confidence, level, matching,
    total, is_approved (nothing: nobody has decided), approved_at."""
    return rows(
        "SELECT s.id, s.persona_id, p.name AS persona, p.persona_type, s.confidence_score AS confidence,"
        " s.confidence_level AS level, s.matching_groups_count AS matching, s.total_groups_count AS total,"
        " s.is_approved, s.approved_at FROM persona_scores s JOIN personas p ON p.id = s.persona_id"
        " WHERE s.lead_id = :lead_id ORDER BY s.is_approved DESC NULLS LAST, s.confidence_score DESC, p.name",
        lead_id=lead_id,
    )


def decide(score_ids: list[int], approved: bool, user_id: int | None) -> int:
    """Says of leads that they are a persona, or that they are not. Whoever is one is no other: an earlier approval for
    another persona is open again. Returns how many decisions were new."""
    wanted = select(PersonaScore).join(Lead, (Lead.org_id == PersonaScore.org_id) & (Lead.id == PersonaScore.lead_id))
    wanted = wanted.where(PersonaScore.id.in_(score_ids), ALIVE).order_by(PersonaScore.lead_id, PersonaScore.id)
    found = db.session.scalars(wanted.with_for_update(of=PersonaScore).execution_options(populate_existing=True)).all()
    personas = {row.id: row for row in rows("SELECT id, name, persona_type FROM personas")}
    fresh = [score for score in found if score.is_approved is not approved]
    for score in fresh:
        _decide(score, personas[score.persona_id], approved, user_id)
    return len(fresh)


def _decide(score: PersonaScore, persona: Any, approved: bool, user_id: int | None) -> None:
    lead = leads.get(score.lead_id, lock=True)
    if approved:
        run(
            "UPDATE persona_scores SET is_approved = NULL, approved_by = NULL, approved_at = NULL, updated_at = now()"
            " WHERE lead_id = :lead_id AND is_approved AND id <> :id",
            lead_id=lead.id, id=score.id,
        )  # fmt: skip
        leads.put(lead, {"persona_type": persona.persona_type})
    elif lead.persona_type == persona.persona_type:
        leads.put(lead, {"persona_type": None})
    score.is_approved, score.approved_by, score.approved_at = approved, user_id, now()
    db.session.flush()
    timeline.record(
        lead.id,
        "persona_approved" if approved else "persona_refused",
        {"persona_id": persona.id, "persona": persona.name, "confidence": f"{score.confidence_score.normalize():f} %"},
    )


def retype(persona_id: int, before: str, after: str | None) -> None:
    """Lets the leads that were approved for a persona follow when its type is called otherwise, or when it goes."""
    moved = (
        "WITH moved AS (UPDATE leads l SET persona_type = :after, updated_at = now() FROM persona_scores s"
        " WHERE s.persona_id = :persona_id AND s.is_approved AND l.id = s.lead_id AND l.persona_type = :before"
        " RETURNING l.id) SELECT id FROM moved"
    )
    found = rows(moved, persona_id=persona_id, before=before, after=after)
    timeline.record_many([(row.id, {"changes": {"persona_type": [before, after]}}) for row in found], "lead_updated")


def counts() -> dict[int, tuple[int, int]]:
    """Returns for each persona how many people it may be and how many of them are approved."""
    found = rows(
        "SELECT persona_id, count(*) AS people, count(*) FILTER (WHERE is_approved) AS approved FROM persona_scores"
        " GROUP BY persona_id"
    )
    return {row.persona_id: (row.people, row.approved) for row in found}
