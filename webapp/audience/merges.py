"""Merging two leads that are one person: all history follows, and it can be taken back."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, select
from sqlalchemy.orm import Mapped

from webapp.audience import leads, timeline
from webapp.audience.lead_values import EDITABLE
from webapp.audience.leads import ALIVE, Lead, from_plain, plain
from webapp.platform import audit
from webapp.platform.clock import now
from webapp.platform.db import Base, Tenant, child_of, db, one, rows, run, value
from webapp.platform.errors import Invalid, NotFound, Refused

# Fields where one of the two values is kept; tags and attributes are put together.
CHOSEN = tuple(field for field in EDITABLE if field not in ("tags", "attributes"))
STRICTNESS = ("subscribed", "pending", "unsubscribed")
_followers: dict[str, str] = {}


class LeadMerge(Tenant, Base):
    __tablename__ = "lead_merges"
    kept_id: Mapped[int]
    merged_id: Mapped[int]
    # What the kept lead was and became, its consents that changed, and which rows of which table moved:
    # {"lead": {field: [before, after]}, "consents": [...], "moved": {table: [ids]}}.
    before: Mapped[dict[str, Any]]
    merged_by: Mapped[int | None]
    undone_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("leads", "kept_id"),
        child_of("leads", "merged_id"),
        child_of("users", "merged_by", "SET NULL"),
        Index(None, "org_id", "kept_id"),
        Index(None, "org_id", "merged_id"),
    )


def follows(table: str, column: str = "lead_id") -> None:
    """Says that the rows of a table go where their lead goes; said once, by the module that has the table. A row that
    the kept lead has already, by a unique key of the table, stays."""
    _followers[table] = column


for _table in (
    "policies", "lead_events", "consents", "segment_members", "whatsapp_group_members", "lead_scores", "persona_scores",
):  # fmt: skip
    follows(_table)


def filled(kept: Lead, merged: Lead) -> set[str]:
    """Returns the fields that the kept lead lacks and the other one has."""
    return {field for field in CHOSEN if getattr(kept, field) is None and getattr(merged, field) is not None}


def merge(
    kept_id: int, merged_id: int, taken: Collection[str] | None = None, merged_by: int | None = None
) -> LeadMerge:
    """Makes one lead of two: the history of the second goes to the first, and the second is deleted. taken: fields whose
    value comes from the second (those the first lacks, if not given). Raises NotFound, Refused or Invalid."""
    kept, merged = _pair(kept_id, merged_id)
    taken = filled(kept, merged) if taken is None else set(taken) & set(CHOSEN)
    values = {field: getattr(merged, field) for field in taken}
    values["tags"] = list(dict.fromkeys([*kept.tags, *merged.tags]))
    values["attributes"] = {**merged.attributes, **kept.attributes}
    shared = _shared_segments(kept_id, merged_id)
    moved = {table: ids for table in _followers if (ids := _move(table, kept_id, merged_id, shared))}
    consents = _be_strict(kept_id, merged_id)
    merged.deleted_at = now()
    # Before the other takes its address.
    db.session.flush()
    changed = leads.put(kept, values)
    activity = max((at for at in (kept.last_activity_at, merged.last_activity_at) if at), default=None)
    if activity != kept.last_activity_at:
        changed["last_activity_at"] = [plain(kept.last_activity_at), plain(activity)]
        kept.last_activity_at = activity
    timeline.record(kept_id, "lead_merged", {"from": merged_id})
    timeline.record(merged_id, "lead_merged", {"into": kept_id})
    audit.record("leads.merged", "lead", kept_id, after={"from": merged_id})
    before = {"lead": changed, "consents": consents, "moved": moved}
    done = LeadMerge(kept_id=kept_id, merged_id=merged_id, before=before, merged_by=merged_by)
    db.session.add(done)
    db.session.flush()
    return done


def _pair(kept_id: int, merged_id: int) -> tuple[Lead, Lead]:
    if kept_id == merged_id:
        raise Invalid({"other": "Choose another lead: this is the same one."}, "This is the same lead.")
    found = {id: leads.get(id, lock=True) for id in sorted((kept_id, merged_id))}
    if any(lead.anonymized_at for lead in found.values()):
        raise Refused("One of them has been anonymised, so they cannot be merged.")
    return found[kept_id], found[merged_id]


def _shared_segments(kept_id: int, merged_id: int) -> list[int]:
    """Returns the segments both are in. What is kept about the second there stays with it, rows and facts alike, so that
    for each of them the facts of coming and going still balance."""
    return [row.segment_id for row in rows(
        "SELECT segment_id FROM segment_members WHERE exited_at IS NULL AND lead_id IN (:kept, :merged)"
        " GROUP BY segment_id HAVING count(*) > 1",
        kept=kept_id, merged=merged_id,
    )]  # fmt: skip


STAYING = {
    "segment_members": " AND NOT segment_id = ANY(CAST(CAST(:shared AS text[]) AS bigint[]))",
    "lead_events": " AND NOT (type IN ('segment_entered', 'segment_exited')"
    " AND payload ->> 'segment_id' = ANY(CAST(:shared AS text[])))",
}


def _move(table: str, kept_id: int, merged_id: int, shared: list[int]) -> list[int]:
    """Gives a table's rows to the kept lead, but those it has already. Returns their ids."""
    column, staying = _followers[table], STAYING.get(table, "")
    clashes = "".join(f" AND id NOT IN ({_clashing(key, table, column)})" for key in _keys(table, column))
    moved = rows(
        f"UPDATE {table} SET {column} = :kept WHERE {column} = :merged{clashes}{staying} RETURNING id",
        kept=kept_id, merged=merged_id, **({"shared": list(map(str, shared))} if staying else {}),
    )  # fmt: skip
    return sorted(row.id for row in moved)


def _keys(table: str, column: str) -> list[Index]:
    indexes = Base.metadata.tables[table].indexes
    return [index for index in indexes if index.unique and column in [part.name for part in index.columns]]


def _clashing(key: Index, table: str, column: str) -> str:
    """Returns the SELECT of the merged lead's rows that the kept lead has an equal of, by a unique key."""
    where = key.dialect_options["postgresql"]["where"]
    only = f" AND {where.text}" if where is not None else ""
    same = " AND ".join(f"k.{part.name} = m.{part.name}" for part in key.columns if part.name != column)
    side = f"(SELECT * FROM {table} WHERE {column} = :{{}}{only})"
    return f"SELECT m.id FROM {side.format('merged')} m JOIN {side.format('kept')} k ON {same}"


def stricter(*statuses: str | None) -> str | None:
    """Returns the strictest of some consents; one that was never asked for does not count."""
    return max((status for status in statuses if status), key=STRICTNESS.index, default=None)


def _be_strict(kept_id: int, merged_id: int) -> list[dict[str, Any]]:
    """Brings the kept lead's consents to the other's where that is stricter. Returns what they were and became."""
    found = rows(
        "SELECT k.id, k.channel, to_jsonb(k) AS was, to_jsonb(m) AS becomes FROM consents k JOIN consents m"
        " ON m.org_id = k.org_id AND m.channel = k.channel AND m.lead_id = :merged"
        " WHERE k.lead_id = :kept AND array_position(:strictness, m.status) > array_position(:strictness, k.status)"
        " ORDER BY k.id",
        kept=kept_id, merged=merged_id, strictness=list(STRICTNESS),
    )  # fmt: skip
    kept = []
    for row in found:
        was, becomes = ({name: side[name] for name in _CONSENT} for side in (row.was, row.becomes))
        _set_consent(row.id, becomes)
        about = {"channel": row.channel, "from": was["status"], "to": becomes["status"], "source": "merge"}
        timeline.record(kept_id, "consent_changed", about)
        kept.append({"id": row.id, "channel": row.channel, "was": was, "became": becomes})
    return kept


_CONSENT = ("status", "source", "evidence", "changed_at")


def _set_consent(consent_id: int, values: dict[str, Any]) -> None:
    run(
        "UPDATE consents SET status = :status, source = :source, evidence = :evidence,"
        " changed_at = CAST(:changed_at AS timestamptz), updated_at = now() WHERE id = :id",
        id=consent_id,
        **values,
    )


def get(merge_id: int) -> LeadMerge:
    """Returns a merge of the organisation in scope. Raises NotFound."""
    found = db.session.scalar(select(LeadMerge).where(LeadMerge.id == merge_id))
    if found is None:
        raise NotFound("That merge does not exist any more.")
    return found


def of_lead(lead_id: int) -> list[Any]:
    """Returns the merges into a lead that stand, the latest first: (merge, name of the merged lead, what forbids taking
    it back or None)."""
    found = db.session.execute(
        select(LeadMerge, Lead)
        .join(Lead, (Lead.org_id == LeadMerge.org_id) & (Lead.id == LeadMerge.merged_id))
        .where(LeadMerge.kept_id == lead_id, LeadMerge.undone_at.is_(None))
        .order_by(LeadMerge.id.desc())
    )
    return [(merge_, lead.name, hindrance(merge_)) for merge_, lead in found]


def kept_for(lead_id: int) -> int | None:
    """Returns the id of the living lead that a lead was merged into, over several merges where there were."""
    seen = set()
    while lead_id not in seen:
        seen.add(lead_id)
        into = value("SELECT kept_id FROM lead_merges WHERE merged_id = :id AND undone_at IS NULL", id=lead_id)
        if into is None:
            return None if len(seen) == 1 else db.session.scalar(select(Lead.id).where(Lead.id == lead_id, ALIVE))
        lead_id = into
    return None


def hindrance(merge_: LeadMerge) -> str | None:
    """Returns why a merge cannot be taken back (any more), in words, or None."""
    if merge_.undone_at:
        return "This merge has been taken back already."
    kept, merged = (db.session.scalar(select(Lead).where(Lead.id == id)) for id in (merge_.kept_id, merge_.merged_id))
    if kept is None or kept.deleted_at:
        return "The lead that was kept has been deleted or merged since."
    if merged is None or merged.deleted_at is None:
        return "The lead that was merged is not as the merge left it."
    if kept.anonymized_at or merged.anonymized_at:
        return "It has been anonymised since, and nobody can be told apart again."
    later = select(func.count()).where(
        LeadMerge.kept_id == kept.id, LeadMerge.id > merge_.id, LeadMerge.undone_at.is_(None)
    )
    if db.session.scalar(later):
        return "Another lead has been merged into this one since. Take that merge back first."
    return _taken(merged, kept.id)


def _taken(merged: Lead, kept_id: int) -> str | None:
    for field, column in (("email", "email_key"), ("phone", "phone"), ("external_id", "external_id")):
        other = one(
            f"SELECT o.id FROM leads m JOIN leads o ON o.org_id = m.org_id AND o.{column} = m.{column}"
            " WHERE m.id = :merged AND o.id NOT IN (:merged, :kept) AND o.deleted_at IS NULL",
            merged=merged.id,
            kept=kept_id,
        )
        if other:
            return f"Another lead uses {getattr(merged, field)} now, which the merged one had."
    return None


def undo(merge_: LeadMerge) -> None:
    """Takes a merge back: what moved goes back, and what the kept lead had, where it has not been changed since. What
    came after the merge stays with the kept lead. Raises Refused with what forbids it."""
    db.session.refresh(merge_, with_for_update=True)
    locked = select(Lead.id).where(Lead.id.in_((merge_.kept_id, merge_.merged_id))).order_by(Lead.id)
    db.session.execute(locked.with_for_update(key_share=True))
    if said := hindrance(merge_):
        raise Refused(said)
    kept = leads.get(merge_.kept_id)
    _give_back(kept, merge_.before["lead"])
    for consent in merge_.before["consents"]:
        _loosen(kept.id, consent)
    for table, ids in merge_.before["moved"].items():
        column = _followers[table]
        run(
            f"UPDATE {table} SET {column} = :merged WHERE id = ANY(:ids) AND {column} = :kept",
            merged=merge_.merged_id, kept=kept.id, ids=ids,
        )  # fmt: skip
    leads.revive(db.session.scalar(select(Lead).where(Lead.id == merge_.merged_id)))
    timeline.record(kept.id, "lead_unmerged", {"from": merge_.merged_id})
    timeline.record(merge_.merged_id, "lead_unmerged", {"into": kept.id})
    audit.record("leads.unmerged", "lead", kept.id, after={"from": merge_.merged_id})
    merge_.undone_at = now()
    db.session.flush()


def _give_back(kept: Lead, changed: dict[str, list[Any]]) -> None:
    still = {
        field: from_plain(field, before)
        for field, (before, after) in changed.items()
        if plain(getattr(kept, field)) == after
    }
    if "last_activity_at" in still:
        kept.last_activity_at = still.pop("last_activity_at")
    try:
        leads.put(kept, still)
    except Invalid:
        raise Refused("Another lead uses an address now that this one had before the merge.") from None


def _loosen(kept_id: int, consent: dict[str, Any]) -> None:
    present = value("SELECT to_jsonb(c) FROM consents c WHERE id = :id", id=consent["id"])
    if present is None or {name: present[name] for name in _CONSENT} != consent["became"]:
        return
    _set_consent(consent["id"], consent["was"])
    moved = {"from": consent["became"]["status"], "to": consent["was"]["status"], "source": "merge taken back"}
    timeline.record(kept_id, "consent_changed", {"channel": consent["channel"], **moved})
