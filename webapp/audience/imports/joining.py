"""An import that puts everybody of its file into a segment picked by hand."""

from typing import Any

from webapp.audience import membership, segments
from webapp.audience.imports.tables import Import
from webapp.audience.rules.values import BadValue, row_id
from webapp.audience.segments import Segment
from webapp.platform.db import db, rows
from webapp.platform.errors import Invalid, Refused


def chosen(value: Any) -> int | None:
    """Returns the id of the segment an import joins its leads to, or None. Raises Invalid where it takes none."""
    try:
        return segments.picked_by_hand(row_id(value)).id if value not in (None, "") else None
    except (BadValue, Refused):
        raise Invalid({"segment_id": "Choose a segment that is picked by hand."}) from None


def join(import_: Import) -> None:
    """Puts everybody of the file, known before or not, into the chosen segment. Inside the import's transaction."""
    segment = _segment(import_)
    if segment is not None:
        found = rows("SELECT lead_id FROM import_rows WHERE lead_id IS NOT NULL UNION SELECT lead_id FROM import_made")
        membership.add(segment, [row.lead_id for row in found], "import")


def part(import_: Import) -> None:
    """Takes whom an import put into a segment out of it again."""
    try:
        segment = _segment(import_)
    except Invalid:
        return  # deleted since, and its members with it
    if segment is not None:
        found = rows(
            "SELECT lead_id FROM segment_members WHERE segment_id = :id AND source = 'import' AND exited_at IS NULL"
            " AND entered_at BETWEEN :since AND :until",
            id=segment.id, since=import_.started_at, until=import_.finished_at,
        )  # fmt: skip
        membership.remove(segment, [row.lead_id for row in found])


def _segment(import_: Import) -> Segment | None:
    wanted = import_.options.get("segment_id")
    segment = db.session.get(Segment, (import_.org_id, wanted)) if wanted else None
    if wanted and (segment is None or segment.is_dynamic):
        raise Invalid(
            {"segment_id": "The segment these leads were to be put into is not there any more. Choose again."}
        )
    return segment
