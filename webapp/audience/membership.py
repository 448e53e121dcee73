"""Membership: who is in a segment, since when, and who was.

A dynamic segment's members are stored as well as found: what joins rules together, what the past looked like and what
automations follow is the stored membership. `move` is the one statement that changes it: rows, facts and flows at once.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Index,
    Select,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import ALIVE, Lead, one_of
from webapp.audience.timeline import FOLLOWED, LeadEvent
from webapp.platform import audit, tenancy, work
from webapp.platform.clock import local, now
from webapp.platform.db import Base, Tenant, child_of, db, rows, run, value
from webapp.platform.errors import NotFound
from webapp.platform.organizations import current as current_organization

SOURCES = ("rule", "manual", "import")


class SegmentMember(Tenant, Base):
    __tablename__ = "segment_members"
    segment_id: Mapped[int]
    lead_id: Mapped[int]
    entered_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    exited_at: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(server_default="rule")
    __table_args__ = (
        child_of("segments", "segment_id"),
        child_of("leads", "lead_id"),
        one_of("source", SOURCES),
        # One open row a pair; who is in it now is read from this index alone.
        Index(
            "ix_segment_members_open", "org_id", "segment_id", "lead_id", unique=True,
            postgresql_where=text("exited_at IS NULL"),
        ),
        Index(None, "org_id", "lead_id"),
        Index(None, "org_id", "segment_id", "entered_at"),
    )  # fmt: skip


class SegmentSize(Tenant, Base):
    """How large a segment was at the end of a day (of the organisation), and how many came and went on it."""

    __tablename__ = "segment_sizes"
    id = None
    segment_id: Mapped[int] = mapped_column(primary_key=True)
    on_date: Mapped[date] = mapped_column(primary_key=True)
    size: Mapped[int]
    entered: Mapped[int] = mapped_column(server_default="0")
    exited: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (child_of("segments", "segment_id"),)


OPEN = SegmentMember.exited_at.is_(None)


def lock(segment_id: int, *, look: bool = True) -> None:
    """Waits until nobody else changes the members of a segment, for the rest of the transaction. What is read after it
    is read as the last one left it. Take one segment's lock at a time, or theirs in the order of what they depend on.
    look: raises NotFound for one that was deleted while it was waited for; without, the caller looks for itself."""
    key = f"segment {tenancy.current_org()} {segment_id}"
    run("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))", key=key)
    if look and not value("SELECT EXISTS (SELECT FROM segments WHERE id = :id)", id=segment_id):
        raise NotFound("That segment does not exist any more.")


def inside(segment_id: int) -> ColumnElement[bool]:
    """Returns the condition that a lead is a stored member of a segment."""
    return Lead.id.in_(select(SegmentMember.lead_id).where(*_of(segment_id)))


def _of(segment_id: int) -> tuple[Any, ...]:
    return SegmentMember.org_id == tenancy.current_org(), SegmentMember.segment_id == segment_id, OPEN


def move(segment: Any, entering: Select | None, leaving: Any | None, source: str = "rule") -> Select:
    """Returns the statement that lets leads into a segment and out of it: rows and facts at once, so that they always
    balance. Its rows are (lead_id, type), type being segment_entered or segment_exited. Hold `lock`.

    entering: SELECT of the lead ids to come in; leaving: condition over SegmentMember for the open rows to end.
    """
    moves = []
    if entering is not None:
        come = entering.subquery()
        rows_in = select(literal(segment.id), come.c[0], literal(source))
        added = upsert(SegmentMember).from_select(["segment_id", "lead_id", "source"], rows_in)
        added = added.on_conflict_do_nothing(index_elements=["org_id", "segment_id", "lead_id"], index_where=OPEN)
        moves.append((added.returning(SegmentMember.lead_id).cte("entered"), "segment_entered"))
    if leaving is not None:
        ended = update(SegmentMember).where(*_of(segment.id), leaving).values(exited_at=func.now())
        moves.append((ended.returning(SegmentMember.lead_id).cte("exited"), "segment_exited"))
    moved = union_all(*(select(cte.c.lead_id, literal(kind).label("type")) for cte, kind in moves)).subquery()
    about = func.jsonb_build_object("segment_id", literal(segment.id), "segment", literal(segment.name))
    facts = insert(LeadEvent).from_select(
        ["lead_id", "type", "payload", "actor"],
        select(moved.c.lead_id, moved.c.type, about, literal(audit.actor_name())),
    )
    written = facts.returning(LeadEvent.lead_id, LeadEvent.type).cte("written")
    return select(written.c.lead_id, written.c.type)


def count_moves(statement: Select) -> Counter[str]:
    """Runs a `move` and returns how many entered and exited."""
    written = statement.subquery()
    counted = select(written.c.type, func.count()).group_by(written.c.type)
    moved = Counter(dict(db.session.execute(counted).all()))
    if moved:
        work.wake(FOLLOWED)
    return moved


def note_size(segment: Any, moved: Counter[str], size: int | None = None) -> None:
    """Keeps how large a segment is now and what went in and out today. size: counted afresh; None: by what moved."""
    entered, exited = moved["segment_entered"], moved["segment_exited"]
    # Not through the session: being counted is no change somebody made, and `updated_at` says when that was.
    now_holds = value(
        "UPDATE segments SET estimated_size = GREATEST(COALESCE(CAST(:size AS bigint), estimated_size + :change), 0),"
        # Of what was counted by rules that have been changed meanwhile, it is not said that it was counted.
        " last_calculated_at = CASE WHEN CAST(:size AS bigint) IS NOT NULL AND version = :version THEN now()"
        " ELSE last_calculated_at END WHERE id = :id RETURNING estimated_size",
        id=segment.id, size=size, change=entered - exited, version=segment.version,
    )  # fmt: skip
    if now_holds is None:
        raise NotFound("That segment does not exist any more.")
    db.session.refresh(segment, ["estimated_size", "last_calculated_at"])
    run(
        "INSERT INTO segment_sizes (segment_id, on_date, size, entered, exited)"
        " VALUES (:segment, :today, :size, :entered, :exited)"
        " ON CONFLICT (org_id, segment_id, on_date) DO UPDATE SET size = EXCLUDED.size,"
        " entered = segment_sizes.entered + EXCLUDED.entered, exited = segment_sizes.exited + EXCLUDED.exited",
        segment=segment.id,
        today=local(now(), current_organization().timezone).date(),
        size=now_holds,
        entered=entered,
        exited=exited,
    )


def add(segment: Any, lead_ids: Sequence[int], source: str = "manual") -> int:
    """Puts leads into a static segment by hand or from an import. Returns how many were not in it before."""
    lock(segment.id)
    wanted = select(Lead.id).where(Lead.org_id == tenancy.current_org(), ALIVE, Lead.id == _any(lead_ids))
    return _noted(segment, move(segment, wanted.where(~inside(segment.id)), None, source))


def remove(segment: Any, lead_ids: Sequence[int]) -> int:
    """Takes leads out of a static segment. Returns how many were in it."""
    lock(segment.id)
    return _noted(segment, move(segment, None, SegmentMember.lead_id == _any(lead_ids)))


def _noted(segment: Any, statement: Select) -> int:
    moved = count_moves(statement)
    note_size(segment, moved, size(segment.id))
    return moved.total()


def _any(lead_ids: Sequence[int]) -> Any:
    return func.any(text("CAST(:wanted AS bigint[])").bindparams(wanted=list(lead_ids)))


def size(segment_id: int) -> int:
    """Returns how many leads are stored members of a segment; those deleted meanwhile do not count."""
    return db.session.scalar(
        select(func.count()).select_from(SegmentMember).join(Lead, and_(Lead.org_id == SegmentMember.org_id,
               Lead.id == SegmentMember.lead_id)).where(*_of(segment_id), ALIVE)
    )  # fmt: skip


def on(segment_id: int, moment: datetime) -> ColumnElement[bool]:
    """Returns the condition that a lead was a member at a moment (UTC)."""
    was = select(SegmentMember.lead_id).where(
        SegmentMember.org_id == tenancy.current_org(),
        SegmentMember.segment_id == segment_id,
        SegmentMember.entered_at <= moment,
        or_(SegmentMember.exited_at.is_(None), SegmentMember.exited_at > moment),
    )
    return Lead.id.in_(was)


def flows(segment_id: int, since: date) -> list[Any]:
    """Returns (on_date, size, entered, exited) for each day kept since a date, and the last one before it."""
    return rows(
        "SELECT on_date, size, entered, exited FROM segment_sizes WHERE segment_id = :id AND on_date >= COALESCE("
        "(SELECT max(on_date) FROM segment_sizes WHERE segment_id = :id AND on_date < :since), :since) ORDER BY on_date",
        id=segment_id,
        since=since,
    )


def of_lead(lead_id: int) -> list[Any]:
    """Returns a lead's own history of segments, those they are in first: (segment_id, name, entered_at, exited_at, source)."""
    return rows(
        "SELECT m.segment_id, s.name, m.entered_at, m.exited_at, m.source FROM segment_members m"
        " JOIN segments s ON s.org_id = m.org_id AND s.id = m.segment_id WHERE m.lead_id = :lead"
        " ORDER BY m.exited_at IS NOT NULL, COALESCE(m.exited_at, m.entered_at) DESC, m.id DESC LIMIT 100",
        lead=lead_id,
    )
