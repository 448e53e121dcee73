"""Why a lead is in a segment or not: the rule tree with each rule true or false, and the value that decided it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Label, func, select

from webapp.audience import references
from webapp.audience.leads import Lead
from webapp.audience.membership import OPEN, SegmentMember
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.field import Names
from webapp.audience.rules.tree import Group, Rule
from webapp.audience.segments import Segment
from webapp.platform.db import db


@dataclass(frozen=True)
class Line:
    """One rule or group as it is for one lead. value: what of the lead decided, in words; parts: of a group."""

    holds: bool
    words: str
    value: str = ""
    match: str = ""
    parts: tuple["Line", ...] = ()


@dataclass(frozen=True)
class Explanation:
    """holds: whether the rules are true for the lead now; since: when it became a stored member (UTC), if it is one."""

    holds: bool
    since: datetime | None
    tree: Line


def explain(segment: Segment, lead: Lead) -> Explanation:
    """Returns why a lead is in a segment or not."""
    asking = Asking(ids=(lead.id,))
    since = db.session.scalar(
        select(SegmentMember.entered_at).where(
            SegmentMember.segment_id == segment.id, SegmentMember.lead_id == lead.id, OPEN
        )
    )
    if not segment.is_dynamic:
        line = Line(
            since is not None, "picked by hand", f"since {since:%Y-%m-%d}" if since else "never picked, or taken out"
        )
        return Explanation(since is not None, since, line)
    group = segment.tree
    rules = list(group.leaves())
    asked: list[Label] = [func.coalesce(rule.compile(asking), False).label(f"r{n}") for n, rule in enumerate(rules)]
    row = (
        db.session.execute(select(*asked).where(Lead.org_id == asking.org_id, Lead.id == lead.id)).one()
        if asked
        else ()
    )
    verdicts = {id(rule): bool(verdict) for rule, verdict in zip(rules, row, strict=True)}
    tree = _line(group, verdicts, lead, asking, references.names(group))
    return Explanation(tree.holds, since, tree)


def _line(part: Rule | Group, verdicts: dict[int, bool], lead: Lead, asking: Asking, names: Names) -> Line:
    if isinstance(part, Rule):
        value = part.field.evidence(lead, part.value, asking)
        return Line(verdicts[id(part)], part.words(names), value)
    lines = tuple(_line(inner, verdicts, lead, asking, names) for inner in part.rules)
    said = [line.holds for line in lines]
    holds = not lines or {"all": all(said), "any": any(said), "none": not any(said)}[part.match]
    return Line(holds, f"{part.match} of", "", part.match, lines)
