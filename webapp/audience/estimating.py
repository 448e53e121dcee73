"""What a rule tree would find, asked while it is being edited: the count and the funnel in one reading of the leads, a
sample, whom it reaches over which channel, and what it shares with other segments. Nothing is written."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column, select, text

from webapp.audience.consents import CHANNELS, verdict, verdict_joins
from webapp.audience.leads import ALIVE, Lead
from webapp.audience.membership import OPEN, SegmentMember
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.field import AttributeField, ColumnField
from webapp.audience.rules.tree import Group
from webapp.audience.segments import Segment, people
from webapp.platform.db import db

SAMPLE = 10
APART = 8  # rules of which every combination of answers is counted
RARE = 0.02  # below this share of all leads, walking the newest leads until ten match reads too many


@dataclass(frozen=True)
class Funnel:
    """everyone: all leads; steps: how many are left after each rule of the top group in its order (all, none), or have
    come together by then (any); count: how many the tree is true for."""

    everyone: int
    steps: tuple[int, ...]
    count: int


def funnel(group: Group) -> Funnel:
    """Returns the count of a tree and how it comes about, rule by rule of its top group."""
    asking = Asking()
    parts = [func.coalesce(rule.compile(asking), False) for rule in group.rules]
    everybody = (Lead.org_id == asking.org_id, ALIVE)
    if not parts:
        n = db.session.scalar(select(func.count()).where(*everybody))
        return Funnel(n, (), n)
    # A rule decides where it is not true (all), or where it is (any, none).
    deciding = group.match != "all"
    of_columns = all(isinstance(rule.field, ColumnField | AttributeField) for rule in group.leaves())
    count = _apart if of_columns and len(parts) <= APART else _in_turn
    at = count(parts, deciding, everybody)
    everyone, gone, steps = sum(at.values()), 0, []
    for n in range(len(parts)):
        gone += at.get(n, 0)
        steps.append(gone if group.match == "any" else everyone - gone)
    return Funnel(everyone, tuple(steps), steps[-1])


def _in_turn(parts: list[ColumnElement[bool]], deciding: bool, everybody: tuple) -> Counter[int]:
    """Returns how many leads the first, the second... rule decides about. Each lead is asked until then, so that what
    comes later costs only those still in."""
    stops = parts if deciding else [~part for part in parts]
    place = case(*((stop, n) for n, stop in enumerate(stops)), else_=len(parts))
    found = select(place.label("place"), func.count().label("n")).where(*everybody).group_by(text("place"))
    return Counter({row.place: row.n for row in db.session.execute(found)})


def _apart(parts: list[ColumnElement[bool]], deciding: bool, everybody: tuple) -> Counter[int]:
    """As `_in_turn`, each lead asked everything: PostgreSQL knows how few answers there can be, and lets several
    processes read. Of rules that look nothing up elsewhere that is the faster way."""
    said = select(*(part.label(f"p{n}") for n, part in enumerate(parts))).where(*everybody).subquery()
    at: Counter[int] = Counter()
    for *answers, n in db.session.execute(select(*said.c, func.count()).group_by(*said.c)):
        at[answers.index(deciding) if deciding in answers else len(parts)] += n
    return at


def sample(group: Group, expected: int | None = None, everyone: int | None = None) -> list[Lead]:
    """Returns ten of the leads a tree is true for, the newest first. expected, everyone: how many are, of how many, where
    that is known: it decides how to look."""
    newest = (Lead.created_at.desc(), Lead.id.desc())
    if expected == 0:
        return []
    if expected is None or everyone is None or expected > everyone * RARE:
        return list(db.session.scalars(people(group).order_by(*newest).limit(SAMPLE)))
    # Found first and put in order then: the fence keeps the planner from walking the newest leads instead.
    few = people(group, Lead.id).offset(0).cte("few").prefix_with("MATERIALIZED")
    return list(db.session.scalars(select(Lead).join(few, Lead.id == few.c.id).order_by(*newest).limit(SAMPLE)))


def reach(group: Group) -> dict[str, int]:
    """Returns how many of a tree's leads may be written to, by channel: consent given, address there and not barred."""
    return {channel: _reached(group, channel) for channel in CHANNELS}


def _reached(group: Group, channel: str) -> int:
    joined: Any = Lead.__table__
    for table, condition in verdict_joins(channel, "leads"):
        joined = joined.outerjoin(db.metadata.tables[table], text(condition))
    wanted: ColumnElement[bool] = literal_column(verdict(channel, "leads")).is_(None)
    return db.session.scalar(people(group, func.count()).select_from(joined).where(wanted))


def overlaps(group: Group, segments: list[Segment]) -> list[tuple[Segment, int]]:
    """Returns (segment, how many of its stored members the tree is true for) for each."""
    asking = Asking()
    shared = select(SegmentMember.segment_id, func.count()).where(
        SegmentMember.org_id == asking.org_id,
        SegmentMember.segment_id.in_([segment.id for segment in segments]),
        OPEN,
        SegmentMember.lead_id.in_(people(group, Lead.id, asking=asking)),
    )
    counted = dict(db.session.execute(shared.group_by(SegmentMember.segment_id)).all())
    return [(segment, counted.get(segment.id, 0)) for segment in segments]
