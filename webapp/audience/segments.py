"""Segments: named sets of leads. Whoever its rules are true for is in a dynamic one; a static one is picked by hand."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, Index, Select, func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import membership, planning, references
from webapp.audience.leads import ALIVE, Lead, one_of
from webapp.audience.membership import inside
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.tree import Group, parse
from webapp.platform import audit, tenancy, work
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, run
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import slugify

SWEEP = "segment_sweep"  # the work of bringing stored members up to date by the clock
EVERYONE: dict[str, Any] = {"match": "all", "rules": []}


class Segment(Tenant, Changing, Base):
    __tablename__ = "segments"
    name: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str | None]
    is_dynamic: Mapped[bool] = mapped_column(server_default="true")
    match_all_rules: Mapped[bool] = mapped_column(server_default="true")
    operator: Mapped[str] = mapped_column(server_default="and")
    criteria: Mapped[dict[str, Any]]
    estimated_size: Mapped[int] = mapped_column(server_default="0")
    last_calculated_at: Mapped[datetime | None]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    created_by: Mapped[int | None]
    segment_type: Mapped[str | None]
    pain_points: Mapped[list[str] | None]
    goals: Mapped[list[str] | None]
    preferred_channels: Mapped[list[str] | None]
    estimated_market_size: Mapped[Decimal | None]
    current_reach: Mapped[int | None]
    target_reach: Mapped[int | None]
    priority_score: Mapped[int | None]
    icon: Mapped[str | None]
    color: Mapped[str | None]
    # Counts the saves, so that a form opened before somebody else's save is not written over it unseen.
    version: Mapped[int] = mapped_column(server_default="1")
    updated_by: Mapped[int | None]
    __table_args__ = (
        of_organization(),
        child_of("users", "created_by", "SET NULL"),
        child_of("users", "updated_by", "SET NULL"),
        one_of("operator", ("and", "or")),
        one_of("segment_type", ("primary", "secondary", "niche")),
        CheckConstraint("priority_score BETWEEN 1 AND 10", name="priority_score"),
        Index(None, "org_id", "slug", unique=True),
        Index(None, "org_id", "created_at", "id"),
    )

    @property
    def tree(self) -> Group:
        """The checked rule tree."""
        return parse(self.criteria)

    def condition(self, asking: Asking | None = None) -> ColumnElement[bool]:
        """Returns the condition that a lead is in it now: by its rules, or as it was picked."""
        return self.tree.compile(asking or Asking()) if self.is_dynamic else inside(self.id)


class Changed(Refused):
    """Somebody else saved the segment since this version of it was read."""

    def __init__(self, segment: Segment):
        super().__init__("Somebody else changed this segment while you were editing it. Nothing of yours is lost.")
        self.segment = segment


def people(group: Group, *columns: Any, asking: Asking | None = None) -> Select:
    """Returns the SELECT of the given columns (the whole lead if none) of the leads a rule tree is true for."""
    asking = asking or Asking()
    query = select(*(columns or (Lead,))).where(Lead.org_id == asking.org_id, ALIVE, group.compile(asking))
    return query if asking.ids is None else query.where(asking.only(Lead.id))


def audience(segment: Segment, *columns: Any) -> Select:
    """Returns the SELECT of the given columns (the whole lead if none) of the leads in a segment now."""
    return select(*(columns or (Lead,))).where(Lead.org_id == tenancy.current_org(), ALIVE, segment.condition())


def count(group: Group) -> int:
    """Returns how many leads a rule tree is true for now."""
    return db.session.scalar(people(group, func.count()))


def holds(segment: Segment, lead_id: int) -> bool:
    """True if a lead is in a segment now."""
    asking = Asking(ids=(lead_id,))
    found = select(func.count()).where(
        Lead.org_id == asking.org_id, Lead.id == lead_id, ALIVE, segment.condition(asking)
    )
    return db.session.scalar(found) == 1


def get(segment_id: int) -> Segment:
    """Returns a segment of the organisation in scope. Raises NotFound."""
    segment = db.session.scalar(select(Segment).where(Segment.id == segment_id))
    if segment is None:
        raise NotFound("That segment does not exist any more.")
    return segment


def read_again(segment: Segment, **how: Any) -> None:
    """Reads a segment as it stands now. Raises NotFound where somebody deleted it meanwhile."""
    try:
        db.session.refresh(segment, **how)
    except InvalidRequestError:
        raise NotFound("That segment does not exist any more.") from None


def picked_by_hand(segment_id: int) -> Segment:
    """Returns a static segment. Raises NotFound, and Refused for one whose rules decide."""
    segment = get(segment_id)
    if segment.is_dynamic:
        raise Refused(
            "The rules of this segment decide who is in it. Change them, or freeze it into a static copy first."
        )
    return segment


def size_now(segment: Segment) -> int:
    """Counts who is in a segment now."""
    return db.session.scalar(audience(segment, func.count()))


def every(*, static_only: bool = False) -> list[Segment]:
    """Returns the active segments by name."""
    wanted = select(Segment).where(Segment.is_active).order_by(func.lower(Segment.name))
    return list(db.session.scalars(wanted.where(~Segment.is_dynamic) if static_only else wanted))


def save(
    segment: Segment | None, values: dict[str, Any], saved_by: int | None = None, version: int | None = None
) -> Segment:
    """Adds or changes a segment. Raises Invalid with a message for each field, and Changed.

    values: name, description, criteria, is_active, slug, is_dynamic (of a new one) and the planning fields, as given.
    version: the one the values were edited from; None writes over whatever is there.
    """
    if segment is not None:
        read_again(segment, with_for_update={"key_share": True})
        if version is not None and version != segment.version:
            raise Changed(segment)
    cleaned, group = _checked(segment, values)
    before = segment.criteria if segment else None
    if segment is None:
        segment = Segment(criteria=EVERYONE, created_by=saved_by, is_dynamic=cleaned.pop("is_dynamic", True), version=0)
    if group is not None:
        mode = "and" if group.match == "all" else "or"
        cleaned |= {"criteria": group.to_json(), "match_all_rules": mode == "and", "operator": mode}
        if cleaned["criteria"] != before:
            # Nothing counted by the old rules holds: the next sweep counts it afresh.
            cleaned["last_calculated_at"] = None
    if segment.is_active is False and cleaned.get("is_active"):
        cleaned["last_calculated_at"] = None  # nobody followed it while it was put away
    _write(segment, cleaned | {"version": segment.version + 1, "updated_by": saved_by})
    if segment.is_dynamic and segment.last_calculated_at is None:
        run("UPDATE segments SET estimated_size = :n WHERE id = :id", n=count(group or segment.tree), id=segment.id)
        db.session.refresh(segment, ["estimated_size"])
        work.announce(SWEEP)
    audit.record("segment.saved", "segment", segment.id, after={"name": segment.name, "criteria": segment.criteria})
    return segment


def _write(segment: Segment, values: dict[str, Any]) -> None:
    clash = Invalid({"name": "There is a segment of that name already."})
    add_unique(segment, clash, values)


def _checked(segment: Segment | None, values: dict[str, Any]) -> tuple[dict[str, Any], Group | None]:
    errors: dict[str, str] = {}
    cleaned = {name: values[name] for name in ("description", "is_active", "is_dynamic") if name in values}
    cleaned |= planning.clean(values, errors)
    name = (
        str(values.get("name") or "").replace("\0", "").strip() if segment is None or "name" in values else segment.name
    )
    if not name or len(name) > 120:
        errors["name"] = "Give the segment a name of at most 120 characters."
    if segment is not None and cleaned.pop("is_dynamic", segment.is_dynamic) != segment.is_dynamic:
        errors["is_dynamic"] = "A segment stays what it was made as. Freeze a dynamic one into a static copy instead."
    group = _parsed(segment, values, errors)
    slug = slugify(values.get("slug") or (segment.slug if segment else name))
    taken = select(Segment.id).where(Segment.slug == slug, Segment.id != (segment.id if segment else 0))
    if "name" not in errors and db.session.scalar(taken):
        errors["slug" if values.get("slug") else "name"] = "There is a segment of that name already."
    if errors:
        raise Invalid(errors)
    return cleaned | {"name": name, "slug": slug}, group


def _parsed(segment: Segment | None, values: dict[str, Any], errors: dict[str, str]) -> Group | None:
    if segment is not None and "criteria" not in values:
        return None
    try:
        group = parse(values.get("criteria") or EVERYONE)
        references.check(group, segment.id if segment else None)
    except Invalid as problem:
        errors |= problem.errors
        return None
    return group


def freeze(segment: Segment, name: str, created_by: int | None = None) -> Segment:
    """Makes a static segment of who is in a segment now. Returns it. Raises Invalid at `name`."""
    frozen = save(None, {"name": name, "is_dynamic": False, "description": f"Frozen from {segment.name}."}, created_by)
    membership.lock(frozen.id)
    moved = membership.count_moves(membership.move(frozen, audience(segment, Lead.id), None, "manual"))
    membership.note_size(frozen, moved, moved.total())
    return frozen


def used_by(segment: Segment) -> list[Segment]:
    """Returns the segments whose rules ask about this one."""
    others = select(Segment).where(Segment.is_dynamic, Segment.id != segment.id).order_by(func.lower(Segment.name))
    return [s for s in db.session.scalars(others) if segment.id in references.asked_segments(s.criteria)]


def remove(segment: Segment) -> None:
    """Deletes a segment. Campaigns that used it stay, without one. Raises Refused where another segment asks about it."""
    # Whoever is moving its members finishes first, and whoever waits to finds it gone before writing anything.
    membership.lock(segment.id)
    read_again(segment, with_for_update=True)
    references.hold()
    if users := used_by(segment):
        listed = ", ".join(user.name for user in users[:5])
        raise Refused(f"The rules of {listed} ask about this segment. Change them first.")
    audit.record("segment.deleted", "segment", segment.id, before={"name": segment.name, "criteria": segment.criteria})
    db.session.delete(segment)
    db.session.flush()
