"""Segments follow the timeline: a lead that changed is asked about again, in the segments whose rules read what changed.

Rules that change their answer by the clock are swept instead, all leads of a segment at once.
"""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import DBAPIError

from webapp.audience import membership, segments, syncing
from webapp.audience.membership import SegmentMember
from webapp.audience.segments import SWEEP, Segment
from webapp.audience.timeline import FOLLOWED, HOUSEKEEPING, Cursor, after, cursor_of, horizon, move_cursor
from webapp.platform import work
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, transaction, value
from webapp.platform.errors import NotFound, Refused
from webapp.platform.logs import log

BATCH = 2_000  # facts read at once
TURN = 20  # batches read before the next organisation gets its turn
BACKLOG = 50_000  # facts behind which it is cheaper to count every segment afresh than to follow
CLOCKED = timedelta(minutes=5)  # how old the members of a segment with time in its rules may get
REST = timedelta(days=1)  # and those of any other, should a change ever have gone unheard
EVERYTHING = "*all"
BIRTHS = {
    "lead_created",
    "lead_imported",
    "lead_deleted",
    "lead_restored",
    "lead_merged",
    "lead_unmerged",
    "lead_anonymized",
}

logger = log(__name__)


def touched(type: str, payload: dict) -> set[str]:
    """Returns what of a lead a fact may have changed, in the words of `Field.reads`."""
    keys = {"*", f"event.{type}"}
    if type in BIRTHS:
        keys.add(EVERYTHING)
    elif type == "lead_updated":
        keys.update(payload.get("changes") or (EVERYTHING,))
    elif type == "status_changed":
        keys.add("status")
    elif type == "consent_changed":
        keys.add("consent")
    elif type in ("segment_entered", "segment_exited"):
        keys.add(f"segment:{payload.get('segment_id')}")
    elif type.startswith(("policy_", "payment_")):
        keys.add("policies")
    if type not in HOUSEKEEPING:
        keys.add("last_activity_at")
    return keys


def follow(limit: int = BATCH) -> int:
    """Reads the next facts and asks about the leads they touched. Returns how many facts it read: 0 when there are none
    to read now, or another process is reading them. One transaction, the caller's."""
    cursor = cursor_of("segments")
    if cursor is None:
        return 0
    if cursor == Cursor() or value(
        "SELECT count(*) FROM (SELECT 1 FROM lead_events WHERE (tx, id) > (:tx, :id) LIMIT :most) facts",
        tx=cursor.tx, id=cursor.id, most=BACKLOG,
    ) == BACKLOG:  # fmt: skip
        count_afresh()
        move_cursor("segments", horizon())
        return 0
    facts = after(cursor, limit)
    if facts:
        changes: dict[int, set[str]] = defaultdict(set)
        for fact in facts:
            changes[fact.lead_id] |= touched(fact.type, fact.payload)
        _ask_again(changes)
        move_cursor("segments", Cursor(facts[-1].tx, facts[-1].id))
    return len(facts)


def _ask_again(changes: dict[int, set[str]]) -> None:
    for segment in syncing.in_order(_dynamic()):
        reads = segment.tree.reads() | {EVERYTHING}
        asked = [lead_id for lead_id, keys in changes.items() if keys & reads]
        if not asked:
            continue
        try:
            moved = syncing.sync_leads(segment, asked)
        except NotFound:
            continue  # deleted since
        for lead_id, _ in moved:
            changes[lead_id].add(f"segment:{segment.id}")
    _recount_picked([lead_id for lead_id, keys in changes.items() if EVERYTHING in keys])


def _recount_picked(came_or_went: list[int]) -> None:
    """Counts the segments picked by hand again that leads are in who were deleted or came back."""
    picked = select(Segment).where(~Segment.is_dynamic).order_by(Segment.id)
    inside = select(SegmentMember.segment_id).where(SegmentMember.lead_id.in_(came_or_went), membership.OPEN)
    for segment in db.session.scalars(picked.where(Segment.id.in_(inside))) if came_or_went else ():
        try:
            membership.lock(segment.id)
        except NotFound:
            continue
        membership.note_size(segment, Counter(), membership.size(segment.id))


def _dynamic() -> list[Segment]:
    wanted = select(Segment).where(Segment.is_dynamic, Segment.is_active)
    return list(db.session.scalars(wanted.order_by(Segment.id)))


def count_afresh(reading: frozenset[str] | None = None) -> None:
    """Has every dynamic segment (or those whose rules read one of some fields) counted by the next sweep."""
    for segment in syncing.in_order(_dynamic()):
        if reading is None or segment.tree.reads() & reading:
            # Whoever is counting it by what was before says so first, and does not say afterwards that it is done.
            try:
                membership.lock(segment.id)
            except NotFound:
                continue
            run("UPDATE segments SET last_calculated_at = NULL WHERE id = :id", id=segment.id)
    work.announce(SWEEP)


def sweep(org_id: int) -> Counter[str]:
    """Brings the segments up to date that are due, each in a transaction of its own. Returns what moved."""
    moved: Counter[str] = Counter()
    with transaction(org_id):
        due = [segment.id for segment in syncing.in_order(_due(now()))]
        if not due:
            work.settle(SWEEP, next_sweep)
            return moved
    for segment_id in due:
        try:
            with transaction(org_id):
                moved += syncing.sync(segments.get(segment_id))
        except Refused:
            continue  # deleted since
        except DBAPIError:
            # One that cannot be counted holds up none of the others; it is tried again at its next time.
            logger.exception("segment not counted", segment_id=segment_id)
            with transaction(org_id):
                run("UPDATE segments SET last_calculated_at = now() WHERE id = :id", id=segment_id)
    with transaction(org_id):
        work.settle(SWEEP, next_sweep)
    return moved


def _due(moment: datetime) -> list[Segment]:
    stale = or_(Segment.last_calculated_at.is_(None), Segment.last_calculated_at <= moment - CLOCKED)
    found = db.session.scalars(select(Segment).where(Segment.is_dynamic, Segment.is_active, stale).order_by(Segment.id))
    return [s for s in found if s.last_calculated_at is None or s.last_calculated_at <= moment - _age_limit(s)]


def _age_limit(segment: Segment) -> timedelta:
    return CLOCKED if segment.tree.is_clocked else REST


def next_sweep() -> datetime | None:
    """Returns when the next segment is due to be swept (UTC), or None where there is none."""
    times = [now() if s.last_calculated_at is None else s.last_calculated_at + _age_limit(s) for s in _dynamic()]
    return min(times, default=None)


def run_due(org_id: int) -> int:
    """Follows and sweeps an organisation until nothing is due, or for a turn's length. Returns how many facts it read."""
    read = 0
    for _ in range(TURN):
        with transaction(org_id):
            n = follow()
            read += n
            if not n:
                work.settle(FOLLOWED, lambda: now() if is_behind() else None)
                break
    moved = sweep(org_id)
    syncing.settle_statistics(moved)
    return read


def is_behind() -> bool:
    """True if there are facts that have not been read yet, also such as cannot be read until others have committed."""
    cursor = one("SELECT tx, fact_id FROM timeline_cursors WHERE name = 'segments'")
    return bool(cursor) and bool(value(
        "SELECT EXISTS (SELECT FROM lead_events WHERE (tx, id) > (:tx, :id))", tx=cursor.tx, id=cursor.fact_id
    ))  # fmt: skip
