"""Scores: points for what leads do and are, fading with time, recomputed for everybody at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import following, references, score_rules, scoring
from webapp.audience.leads import ALIVE, Lead, one_of
from webapp.platform import audit, work
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, rows, transaction
from webapp.platform.errors import Invalid, NotFound

# The column of leads that a rule adds to; in the order they are worked out, because the second may ask about the first.
MODELS = ("engagement_score", "score")
KINDS = ("event", "attribute")
WORK = "scores"
EVERY = timedelta(hours=1)  # points fade by themselves
AGAIN = timedelta(minutes=5)  # after one that failed
BATCH = 50_000  # scores changed in one transaction: so long do others wait who change the same leads
RULES = 50  # of one model
THRESHOLDS = 20
HISTORY = 30  # lines shown of one lead


class ScoreRule(Tenant, Changing, Base):
    __tablename__ = "score_rules"
    model: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    # event: {"type": "email_clicked", "within_days": 90}; attribute: a segment rule {"field", "operator", "value"}.
    condition: Mapped[dict[str, Any]]
    points: Mapped[int]
    # After so many days an event's points are worth half; nothing: they do not fade.
    half_life_days: Mapped[Decimal | None]
    limit: Mapped[int | None]  # at most so many points from this rule
    position: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    __table_args__ = (
        of_organization(),
        one_of("model", MODELS[::-1]),
        one_of("kind", KINDS),
        Index(None, "org_id", "model", "position"),
    )


class LeadScore(Tenant, Base):
    """A score a lead came to have. Written when it changed, so the history is as short as it can be."""

    __tablename__ = "lead_scores"
    lead_id: Mapped[int]
    model: Mapped[str]
    score: Mapped[int]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    __table_args__ = (
        child_of("leads", "lead_id"),
        one_of("model", MODELS[::-1]),
        Index(None, "org_id", "lead_id", "at"),
    )


class ScoreThreshold(Tenant, Base):
    """A line whose crossing is a fact on the timeline: score_threshold_crossed."""

    __tablename__ = "score_thresholds"
    model: Mapped[str]
    value: Mapped[int]
    name: Mapped[str]
    __table_args__ = (
        of_organization(),
        one_of("model", MODELS[::-1]),
        Index(None, "org_id", "model", "value", unique=True),
    )


@dataclass(frozen=True)
class Preview:
    """What rules would make of everybody. bands: how many leads in 0 to 9, 10 to 19, ... 90 to 100; top: (lead, score)."""

    bands: list[int]
    top: list[tuple[Lead, int]]


@dataclass(frozen=True)
class OfLead:
    """One lead's scores. values and parts by model; parts: (rule, points) of the rules that give any, most first;
    history: lines of lead_scores, newest first."""

    values: dict[str, int]
    parts: dict[str, list[tuple[ScoreRule, Decimal]]]
    history: list[Any]


def every(model: str, *, active_only: bool = False) -> list[ScoreRule]:
    """Returns the rules of a model in their order."""
    wanted = select(ScoreRule).where(ScoreRule.model == model).order_by(ScoreRule.position, ScoreRule.id)
    return list(db.session.scalars(wanted.where(ScoreRule.is_active) if active_only else wanted))


def get(rule_id: int) -> ScoreRule:
    """Returns a rule of the organisation in scope. Raises NotFound."""
    rule = db.session.scalar(select(ScoreRule).where(ScoreRule.id == rule_id))
    if rule is None:
        raise NotFound("That rule does not exist any more.")
    return rule


def draft(model: str, kind: str, values: dict[str, Any]) -> ScoreRule:
    """Returns a rule that is not kept, checked as `save` does. Raises Invalid."""
    return ScoreRule(model=model, kind=kind, **score_rules.clean(model, kind, values))


def save(rule: ScoreRule | None, values: dict[str, Any], *, model: str = "", kind: str = "") -> ScoreRule:
    """Adds or changes a rule. Raises Invalid with a message for each field.

    values: name, condition, points, half_life_days, limit, is_active. model, kind: of a new one.
    """
    if rule is None:
        others = every(model)
        if len(others) >= RULES:
            raise Invalid({"name": f"Use at most {RULES} rules."})
        rule = draft(model, kind, values)
        rule.position = max((other.position for other in others), default=-1) + 1
        db.session.add(rule)
    else:
        for field, value in score_rules.clean(rule.model, rule.kind, values).items():
            setattr(rule, field, value)
    db.session.flush()
    _changed("score_rule.saved", rule)
    return rule


def switch(rule: ScoreRule, is_active: bool) -> None:
    """Lets a rule count, or not."""
    rule.is_active = is_active
    db.session.flush()
    _changed("score_rule.saved", rule)


def move(rule: ScoreRule, steps: int) -> None:
    """Moves a rule up (-1) or down (1) among those of its model."""
    ordered = every(rule.model)
    place = ordered.index(rule)
    ordered.insert(max(place + steps, 0), ordered.pop(place))
    for position, other in enumerate(ordered):
        other.position = position
    db.session.flush()


def remove(rule: ScoreRule) -> None:
    """Deletes a rule; scores lose its points the next time they are worked out."""
    _changed("score_rule.deleted", rule)
    db.session.delete(rule)
    db.session.flush()


def _changed(did: str, rule: ScoreRule) -> None:
    audit.record(did, "score_rule", rule.id, after={"name": rule.name, "model": rule.model, "points": rule.points,
                 "condition": rule.condition, "is_active": rule.is_active})  # fmt: skip
    work.announce(WORK)


def words(rule: ScoreRule) -> str:
    """Returns what a rule says, in words."""
    if rule.kind == "event":
        return score_rules.event_words(rule)
    try:
        group = scoring.asked(rule.condition)
    except Invalid as problem:
        return f"Cannot be asked any more and gives nothing: {' '.join(problem.errors.values())}"
    said = group.words(references.names(group))
    return f"{said[:1].upper()}{said[1:]}: {score_rules.counted(rule.points)}"


def thresholds(model: str) -> list[ScoreThreshold]:
    """Returns a model's thresholds, the lowest first."""
    return list(
        db.session.scalars(select(ScoreThreshold).where(ScoreThreshold.model == model).order_by(ScoreThreshold.value))
    )


def add_threshold(model: str, values: dict[str, Any]) -> ScoreThreshold:
    """Adds a threshold of a name and a value, 1 to 100. Leads that are above it already do not cross it. Raises Invalid."""
    cleaned = score_rules.clean_threshold(values)
    if len(thresholds(model)) >= THRESHOLDS:
        raise Invalid({"value": f"Use at most {THRESHOLDS} thresholds."})
    threshold = ScoreThreshold(model=model, **cleaned)
    add_unique(threshold, Invalid({"value": "There is a threshold at this score already."}))
    audit.record("score_threshold.added", "score_threshold", threshold.id, after={"model": model, **cleaned})
    return threshold


def remove_threshold(threshold_id: int) -> ScoreThreshold:
    """Deletes a threshold. Returns it. Raises NotFound."""
    threshold = db.session.scalar(select(ScoreThreshold).where(ScoreThreshold.id == threshold_id))
    if threshold is None:
        raise NotFound("That threshold does not exist any more.")
    audit.record("score_threshold.deleted", "score_threshold", threshold.id, before={"value": threshold.value})
    db.session.delete(threshold)
    db.session.flush()
    return threshold


def ensure_defaults() -> None:
    """Gives the organisation in scope the rules and thresholds most begin with, unless it has some of its own."""
    if db.session.scalar(select(ScoreRule.id).limit(1)):
        return
    for model, kind, values in score_rules.DEFAULTS:
        save(None, values, model=model, kind=kind)
    for model, value, name in score_rules.DEFAULT_THRESHOLDS:
        if value not in {threshold.value for threshold in thresholds(model)}:
            add_threshold(model, {"value": value, "name": name})


def recompute(
    model: str, lead_ids: Sequence[int] | None = None, at: datetime | None = None, most: int | None = None
) -> int:
    """Brings the scores of some leads (None: of all) to what the active rules make of them. Returns how many changed.

    at: the moment from which ages are reckoned (UTC), now if not given. most: change at most so many.
    """
    return scoring.recompute(model, every(model, active_only=True), at or now(), lead_ids, most)


def run_due(org_id: int) -> None:
    """Works out every score of an organisation, and has the segments whose rules ask about those that changed counted
    afresh."""
    with transaction(org_id):
        # Noted first: whoever changes a rule meanwhile is not made to wait, and what they announce is not forgotten.
        work.settle(WORK, lambda: now() + EVERY if _has_rules() else None)
    try:
        for model in MODELS:
            while _work_off(org_id, model) == BATCH:
                pass
    except Exception:
        with transaction(org_id):
            work.announce(WORK, now() + AGAIN)
        raise


def _work_off(org_id: int, model: str) -> int:
    """Changes the next scores of a model, in a transaction of its own. Returns how many."""
    with transaction(org_id):
        changed = recompute(model, most=BATCH)
        if changed:
            following.count_afresh(frozenset({model}))
    return changed


def ask_for_recompute() -> None:
    """Has every score of the organisation in scope worked out within seconds."""
    work.announce(WORK)


def _has_rules() -> bool:
    return db.session.scalar(select(ScoreRule.id).where(ScoreRule.is_active).limit(1)) is not None


def next_at() -> datetime | None:
    """Returns when the scores are worked out next (UTC; in the past: right now), None where no rule is active."""
    return db.session.scalar(select(work.WorkDue.due_at).where(work.WorkDue.kind == WORK))


def preview(model: str, rules: Sequence[ScoreRule]) -> Preview:
    """Returns what rules would make of everybody, without writing anything."""
    bands, top = scoring.preview(model, [rule for rule in rules if rule.is_active is not False], now())
    found = {lead.id: lead for lead in db.session.scalars(select(Lead).where(Lead.id.in_([lead for lead, _ in top])))}
    return Preview(bands, [(found[lead], score) for lead, score in top if lead in found])


def distribution(model: str) -> list[int]:
    """Returns how many leads stand in each of ten bands now."""
    band = func.least(getattr(Lead, model) // scoring.BANDS, scoring.BANDS - 1)
    counted = dict(db.session.execute(select(band, func.count()).where(ALIVE).group_by(band)).all())
    return [counted.get(n, 0) for n in range(scoring.BANDS)]


def of_lead(lead_id: int) -> OfLead:
    """Returns a lead's scores, what the rules give them now, and how they came about."""
    lead = db.session.scalar(select(Lead).where(Lead.id == lead_id))
    given = {}
    for model in MODELS:
        rules = every(model, active_only=True)
        found = db.session.execute(select(scoring.parts(rules, now(), [lead_id]))).all() if rules else []
        given[model] = sorted(((rules[row.place], row.points) for row in found), key=lambda part: -abs(part[1]))
    history = rows(
        "SELECT model, score, reason, at FROM lead_scores WHERE lead_id = :lead ORDER BY at DESC, id DESC LIMIT :n",
        lead=lead_id, n=HISTORY,
    )  # fmt: skip
    return OfLead({model: getattr(lead, model, 0) for model in MODELS}, given, history)
