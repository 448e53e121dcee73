"""Scoring: what rules give leads in points, asked of the database once for everybody.

Each rule is one SELECT of (lead, rule, points); together they are the parts scores are made of. Working scores out,
showing them before they are kept and telling what one lead's score is made of all start from the same parts.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Double,
    Numeric,
    Select,
    Subquery,
    bindparam,
    cast,
    column,
    false,
    func,
    insert,
    literal,
    null,
    select,
    table,
    text,
    union_all,
)

from webapp.audience import segments, timeline
from webapp.audience.leads import ALIVE, Lead
from webapp.audience.rules.tree import Group, parse
from webapp.audience.timeline import LeadEvent
from webapp.platform import tenancy
from webapp.platform.db import db, run
from webapp.platform.errors import Invalid

BANDS = 10
TOP = 10
FADED = 1000  # halvings after which nothing is left; PostgreSQL refuses numbers too small to be told from 0
PARTS = table("score_parts", column("lead_id"), column("place"), column("points"))
MOVES = table("score_moves", column("lead_id"), column("before"), column("after"))


class Giving(Protocol):
    """A rule, kept or only thought of. condition: see `scores.ScoreRule`."""

    name: str
    kind: str
    condition: dict[str, Any]
    points: int
    half_life_days: Any
    limit: int | None


def asked(condition: Any) -> Group:
    """Returns the checked tree of an attribute rule's one condition. Raises Invalid."""
    return parse({"match": "all", "rules": [condition]})


def parts(rules: Sequence[Giving], at: datetime, lead_ids: Sequence[int] | None = None) -> Subquery:
    """Returns the rows (lead_id, place of the rule in the list, points), one for each rule that gives a lead any.

    at: the moment everything is reckoned from (UTC). lead_ids: the only leads in question, None for all.
    """
    selects = [_part(rule, place, at, lead_ids) for place, rule in enumerate(rules)]
    nothing = select(cast(null(), BigInteger).label("lead_id"), cast(null(), BigInteger).label("place"),
                     cast(null(), Numeric).label("points")).where(false())  # fmt: skip
    return union_all(nothing, *selects).subquery()


def _part(rule: Giving, place: int, at: datetime, ids: Sequence[int] | None) -> Select:
    if rule.kind == "attribute":
        return _by_attribute(rule, place, ids)
    age = func.date_part("epoch", _moment(at) - LeadEvent.occurred_at, type_=Double) / literal(86400.0, Double)
    worth: Any = func.count() * rule.points
    if rule.half_life_days:
        halvings = func.least(age / literal(float(rule.half_life_days), Double), literal(float(FADED), Double))
        worth = func.sum(func.power(literal(0.5, Double), halvings, type_=Double)) * literal(float(rule.points), Double)
    if rule.limit is not None:
        worth = func.least(worth, rule.limit) if rule.points > 0 else func.greatest(worth, -rule.limit)
    # To the fourth place: what adding in another order does to the last ones must not move a score.
    points = func.round(cast(worth, Numeric), 4)
    given = select(LeadEvent.lead_id, literal(place, BigInteger).label("place"), points.label("points")).where(
        LeadEvent.org_id == tenancy.current_org(), LeadEvent.type == rule.condition["type"],
        LeadEvent.occurred_at <= _moment(at),
    )  # fmt: skip
    if within := rule.condition.get("within_days"):
        given = given.where(LeadEvent.occurred_at > _moment(at) - text(f"interval '{int(within)} days'"))
    return _only(given, LeadEvent.lead_id, ids).group_by(LeadEvent.lead_id)


def _by_attribute(rule: Giving, place: int, ids: Sequence[int] | None) -> Select:
    columns = (Lead.id, literal(place, BigInteger), literal(rule.points, Numeric))
    try:
        return _only(segments.people(asked(rule.condition), *columns), Lead.id, ids)
    except Invalid:
        # A rule that cannot be asked any more gives nothing, and the others still count; its page says so.
        return select(*columns).where(false())


def _only(query: Select, lead_id: Any, ids: Sequence[int] | None) -> Select:
    if ids is None:
        return query
    these = bindparam(None, list(ids), type_=ARRAY(BigInteger()), unique=True)
    return query.where(lead_id == func.any(these))


def _moment(at: datetime) -> Any:
    return literal(at, TIMESTAMP(timezone=True))


def standing(model: str, given: Any, lead_ids: Sequence[int] | None = None) -> Select:
    """Returns the SELECT of (lead_id, before, after) of every living lead: the score kept and the one the parts make."""
    totals = select(given.c.lead_id, func.sum(given.c.points).label("total")).group_by(given.c.lead_id).subquery()
    made = func.least(100, func.greatest(0, func.round(func.coalesce(totals.c.total, 0))))
    query = (
        select(Lead.id.label("lead_id"), getattr(Lead, model).label("before"), cast(made, BigInteger).label("after"))
        .outerjoin(totals, totals.c.lead_id == Lead.id)
        .where(Lead.org_id == tenancy.current_org(), ALIVE)
    )
    return _only(query, Lead.id, lead_ids)


def preview(model: str, rules: Sequence[Giving], at: datetime) -> tuple[list[int], list[tuple[int, int]]]:
    """Returns what the rules would make of everybody, writing nothing: how many leads would stand in each of ten bands,
    and (lead id, score) of the ten highest."""
    all_of_them = standing(model, parts(rules, at)).cte("standing").prefix_with("MATERIALIZED")
    band = func.least(all_of_them.c.after // BANDS, BANDS - 1)
    counted = select(literal("band").label("sort"), band.label("of"), func.count().label("n")).group_by(band)
    best = select(literal("top"), all_of_them.c.lead_id, all_of_them.c.after).where(all_of_them.c.after > 0)
    best = best.order_by(all_of_them.c.after.desc(), all_of_them.c.lead_id).limit(TOP).subquery()
    found = db.session.execute(union_all(counted, select(best))).all()
    bands = {row.of: row.n for row in found if row.sort == "band"}
    top = sorted(((row.of, row.n) for row in found if row.sort == "top"), key=lambda pair: (-pair[1], pair[0]))
    return [bands.get(n, 0) for n in range(BANDS)], top


def recompute(
    model: str, rules: Sequence[Giving], at: datetime, lead_ids: Sequence[int] | None = None, most: int | None = None
) -> int:
    """Brings the scores of leads (of at most so many that are to change) to what the rules make of them. Returns how many
    changed.

    Only what changed is written: the lead, a line of history with its reason, and a fact for each threshold crossed.
    """
    # One at a time in an organisation; readers and writers of leads are not kept waiting by the reckoning itself.
    run("SELECT pg_advisory_xact_lock(hashtextextended('scores', current_setting('app.org_id')::bigint))")
    _stage(model, rules, at, lead_ids, most)
    # In the order of ids, as everybody who changes many leads takes them.
    run("SELECT id FROM leads WHERE id IN (SELECT lead_id FROM score_moves) ORDER BY id FOR NO KEY UPDATE")
    # Not `updated_at`: nobody changed anything about the lead.
    changed = run(f"UPDATE leads l SET {model} = m.after FROM score_moves m WHERE l.id = m.lead_id")
    if changed:
        _remember(model, [rule.name for rule in rules], at)
    return changed


def _stage(model: str, rules: Sequence[Giving], at: datetime, lead_ids: Sequence[int] | None, most: int | None) -> None:
    """Fills score_parts, and score_moves with the leads whose score is not what it should be."""
    run("DROP TABLE IF EXISTS score_parts, score_moves")
    run("CREATE TEMP TABLE score_parts (lead_id bigint, place bigint, points numeric) ON COMMIT DROP")
    run("CREATE TEMP TABLE score_moves (lead_id bigint, before bigint, after bigint) ON COMMIT DROP")
    if lead_ids is None:
        run("SET LOCAL work_mem = '64MB'")
    given = parts(rules, at, lead_ids)
    db.session.execute(insert(PARTS).from_select(["lead_id", "place", "points"], select(given)))
    run("ANALYZE score_parts")
    now_is = standing(model, PARTS, lead_ids).subquery()
    moved = select(now_is).where(now_is.c.before != now_is.c.after).limit(most)
    db.session.execute(insert(MOVES).from_select(["lead_id", "before", "after"], moved))
    run("ANALYZE score_moves")


def _remember(model: str, names: list[str], at: datetime) -> None:
    run(
        "INSERT INTO lead_scores (lead_id, model, score, reason, at) SELECT m.lead_id, :model, m.after,"
        " COALESCE(r.words, 'No rule gives points now'), :at FROM score_moves m LEFT JOIN ("
        "SELECT lead_id, string_agg(name || ' ' || to_char(round(points), 'FMSG999999999990'), ', ' ORDER BY rank)"
        " FILTER (WHERE rank <= 3) || CASE WHEN count(*) > 3 THEN ' and ' || count(*) - 3 || ' more' ELSE '' END AS words"
        " FROM (SELECT p.lead_id, p.points, n.name, row_number() OVER (PARTITION BY p.lead_id"
        " ORDER BY abs(p.points) DESC, p.place) AS rank FROM score_parts p JOIN score_moves USING (lead_id)"
        " JOIN unnest(CAST(:names AS text[])) WITH ORDINALITY n (name, place) ON n.place = p.place + 1"
        " WHERE abs(p.points) >= 0.5) told GROUP BY lead_id) r USING (lead_id)",
        model=model, at=at, names=names,
    )  # fmt: skip
    timeline.record_select(
        "score_threshold_crossed",
        "SELECT m.lead_id, jsonb_build_object('model', t.model, 'threshold', t.value, 'name', t.name, 'direction',"
        " CASE WHEN m.before < m.after THEN 'up' ELSE 'down' END, 'from', m.before, 'to', m.after)"
        " FROM score_moves m JOIN score_thresholds t ON t.model = :model AND t.value > LEAST(m.before, m.after)"
        " AND t.value <= GREATEST(m.before, m.after)",
        happened_at=at, model=model,
    )  # fmt: skip
