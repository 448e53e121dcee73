"""Bringing the stored members of dynamic segments to what the rules say now: all of a segment, or some leads of it.

Only the difference is written. Nobody is taken out and put back, nothing is emptied, and readers never wait.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import ARRAY, BigInteger, Select, any_, func, join, or_, select

from webapp.audience import membership, references
from webapp.audience.leads import Lead
from webapp.audience.membership import OPEN, SegmentMember, move
from webapp.audience.rules.asking import Asking
from webapp.audience.segments import Segment, people, read_again
from webapp.audience.timeline import FOLLOWED
from webapp.platform import work
from webapp.platform.db import db, refresh_statistics, value
from webapp.platform.errors import Refused

BULK = 10_000  # moves after which PostgreSQL is asked to look at the table again


def sync(segment: Segment) -> Counter[str]:
    """Brings all of a dynamic segment up to date. Returns how many "segment_entered" and "segment_exited".

    Several processes may do it at once, and leads may change meanwhile: each waits for the one before it, then reads.
    Raises Refused for a static one, and NotFound for one deleted meanwhile.
    """
    if not segment.is_dynamic:
        raise Refused("A static segment has the members it was given; there are no rules to bring it up to date by.")
    membership.lock(segment.id, look=False)
    # The rules as they are now that the lock is had, not as they were when it was asked for.
    read_again(segment)
    moved = membership.count_moves(_difference(segment, Asking()))
    size = value("SELECT count(*) FROM segment_members WHERE org_id = :org AND segment_id = :id AND exited_at IS NULL",
                 org=segment.org_id, id=segment.id)  # fmt: skip
    membership.note_size(segment, moved, size)
    return moved


def sync_leads(segment: Segment, lead_ids: Sequence[int]) -> list[tuple[int, str]]:
    """Brings some leads of a dynamic segment up to date. Returns (lead id, segment_entered | segment_exited) of those
    that moved."""
    membership.lock(segment.id, look=False)
    read_again(segment)
    moved = [tuple(row) for row in db.session.execute(_difference(segment, Asking(ids=tuple(lead_ids))))]
    if moved:
        work.wake(FOLLOWED)
        membership.note_size(segment, Counter(kind for _, kind in moved))
    return moved


def _difference(segment: Segment, asking: Asking) -> Select:
    matched = people(segment.tree, Lead.id, asking=asking).cte("matched").prefix_with("MATERIALIZED")
    member = select(SegmentMember.id, SegmentMember.lead_id).where(
        SegmentMember.org_id == asking.org_id, SegmentMember.segment_id == segment.id, OPEN
    )
    if asking.ids is not None:
        member = member.where(asking.only(SegmentMember.lead_id))
    stored = member.cte("stored").prefix_with("MATERIALIZED")
    # A full join is never done row by row, whatever PostgreSQL believes about a table it has not looked at yet; two
    # anti-joins were, and took minutes where this takes a second.
    both = join(matched, stored, matched.c.id == stored.c.lead_id, full=True)
    apart = select(matched.c.id.label("came"), stored.c.id.label("gone")).select_from(both)
    apart = apart.where(or_(matched.c.id.is_(None), stored.c.id.is_(None))).cte("apart").prefix_with("MATERIALIZED")
    come = select(apart.c.came).where(apart.c.came.is_not(None))
    gone = func.array(
        select(apart.c.gone).where(apart.c.gone.is_not(None)).scalar_subquery(), type_=ARRAY(BigInteger())
    )
    return move(segment, come, SegmentMember.id == any_(gone))


def in_order(segments: Iterable[Segment]) -> list[Segment]:
    """Returns segments so that each stands behind those its rules ask about."""
    waiting = {segment.id: segment for segment in segments}
    ordered: list[Segment] = []

    def place(segment: Segment) -> None:
        for asked in sorted(references.asked_segments(segment.criteria)):
            if asked in waiting:  # and not placed behind one just before it
                place(waiting.pop(asked))
        ordered.append(segment)

    while waiting:
        place(waiting.pop(min(waiting)))
    return ordered


def settle_statistics(moved: Counter[str]) -> None:
    """Lets PostgreSQL look again after many moves. Outside of any transaction."""
    if moved.total() > BULK:
        refresh_statistics("segment_members")
