"""Segments: named sets of leads. Here the dynamic ones, whose members are whoever its rules are true for."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, Select, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import ALIVE, Lead, one_of
from webapp.audience.rules.tree import Group, parse
from webapp.platform import audit, tenancy
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.organizations import slugify

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
    __table_args__ = (
        of_organization(),
        child_of("users", "created_by", "SET NULL"),
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


def people(group: Group, *columns: Any) -> Select:
    """Returns the SELECT of the given columns (the whole lead if none) of the leads a rule tree is true for."""
    # The organisation is named although row-level security would do: with the constant the planner knows how many
    # rows to expect, and a cluster spread by organisation knows where to ask.
    return select(*(columns or (Lead,))).where(Lead.org_id == tenancy.current_org(), ALIVE, group.compile())


def count(group: Group) -> int:
    """Returns how many leads a rule tree is true for now."""
    return db.session.scalar(people(group, func.count()))


def sample(group: Group, limit: int = 10) -> list[Lead]:
    """Returns some of the leads a rule tree is true for, the newest first."""
    return list(db.session.scalars(people(group).order_by(Lead.created_at.desc(), Lead.id.desc()).limit(limit)))


def holds(group: Group, lead_id: int) -> bool:
    """True if the rule tree is true for one lead."""
    return db.session.scalar(people(group, func.count()).where(Lead.id == lead_id)) == 1


def get(segment_id: int) -> Segment:
    """Returns a segment of the organisation in scope. Raises NotFound."""
    segment = db.session.scalar(select(Segment).where(Segment.id == segment_id))
    if segment is None:
        raise NotFound("That segment does not exist any more.")
    return segment


def every() -> list[Segment]:
    """Returns the active segments by name."""
    return list(db.session.scalars(select(Segment).where(Segment.is_active).order_by(func.lower(Segment.name))))


def save(segment: Segment | None, values: dict[str, Any], created_by: int | None = None) -> Segment:
    """Adds or changes a segment. values: name, description, criteria, is_active and slug, as given. Raises Invalid."""
    errors: dict[str, str] = {}
    name = (values.get("name") or "").strip() if segment is None or "name" in values else segment.name
    if not name or len(name) > 120:
        errors["name"] = "Give the segment a name of at most 120 characters."
    group = None
    try:
        if segment is None or "criteria" in values:
            group = parse(values.get("criteria") or EVERYONE)
    except Invalid as problem:
        errors |= problem.errors
    slug = slugify(values.get("slug") or (segment.slug if segment else name))
    taken = select(Segment.id).where(Segment.slug == slug, Segment.id != (segment.id if segment else 0))
    if "name" not in errors and db.session.scalar(taken):
        errors["slug" if values.get("slug") else "name"] = "There is a segment of that name already."
    if errors:
        raise Invalid(errors)
    if segment is None:
        segment = Segment(criteria=EVERYONE, slug=slug, name=name, created_by=created_by)
    segment.name, segment.slug = name, slug
    for plain in ("description", "is_active"):
        if plain in values:
            setattr(segment, plain, values[plain])
    if group is not None:
        segment.criteria, segment.match_all_rules = group.to_json(), group.match == "all"
        segment.operator = "and" if group.match == "all" else "or"
    add_unique(segment, Invalid({"name": "There is a segment of that name already."}))
    if group is not None:
        recount(segment)
        db.session.flush()
    audit.record("segment.saved", "segment", segment.id, after={"name": name, "criteria": segment.criteria})
    return segment


def recount(segment: Segment) -> int:
    """Counts the segment now and keeps the figure. Returns it."""
    segment.estimated_size, segment.last_calculated_at = count(segment.tree), now()
    return segment.estimated_size


def remove(segment: Segment) -> None:
    """Deletes a segment. Campaigns that used it stay, without one."""
    audit.record("segment.deleted", "segment", segment.id, before={"name": segment.name, "criteria": segment.criteria})
    db.session.delete(segment)
    db.session.flush()
