"""What a bulk action does to some leads: set-based, with the facts of it, only where it changes something."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from webapp.audience import membership, segments, timeline
from webapp.audience.lead_values import PRIORITIES, STATUSES, clean_tags
from webapp.platform import users
from webapp.platform.db import rows, run
from webapp.platform.errors import Invalid, NotFound

# Of each lead that a deed changed, what stood there before.
Before = dict[int, Any]
TEXT, NUMBER = "CAST(:given AS text)", "CAST(:given AS bigint)"


@dataclass(frozen=True)
class Column:
    """A deed on one column of leads. differs: SQL that is true where it changes something; becomes: the new value."""

    field: str
    differs: str
    becomes: str

    def __call__(self, given: Any, lead_ids: list[int]) -> Before:
        found = rows(
            f"SELECT id, to_jsonb({self.field}) AS was FROM leads WHERE id = ANY(:ids) AND deleted_at IS NULL"
            f" AND anonymized_at IS NULL AND {self.differs} ORDER BY id FOR NO KEY UPDATE",
            ids=lead_ids,
            given=given,
        )
        before = {row.id: row.was for row in found}
        params = {"ids": list(before), "given": given}
        pair = f"to_jsonb({self.field}), to_jsonb({self.becomes})"
        if self.field == "status":
            kind, payload = "status_changed", "jsonb_build_object('from', status, 'to', {becomes})"
        else:
            kind, payload = "lead_updated", "jsonb_build_object('changes', jsonb_build_object('{field}', {pair}))"
            pair = f"jsonb_build_array({pair})"
        payload = payload.format(field=self.field, becomes=self.becomes, pair=pair)
        timeline.record_select(kind, f"SELECT id, {payload} FROM leads WHERE id = ANY(:ids)", **params)
        run(f"UPDATE leads SET {self.field} = {self.becomes}, updated_at = now() WHERE id = ANY(:ids)", **params)
        return before


def _delete(_given: Any, lead_ids: list[int]) -> Before:
    gone = rows(
        "WITH doomed AS (SELECT id FROM leads WHERE id = ANY(:ids) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE)"
        " UPDATE leads SET deleted_at = now(), updated_at = now() FROM doomed WHERE leads.id = doomed.id"
        " RETURNING leads.id",
        ids=lead_ids,
    )
    ids = [row.id for row in gone]
    timeline.record_select("lead_deleted", "SELECT id, '{}'::jsonb FROM leads WHERE id = ANY(:ids)", ids=ids)
    return dict.fromkeys(ids)


def _membership(enter: bool) -> Callable[[Any, list[int]], Before]:
    def move(segment_id: Any, lead_ids: list[int]) -> Before:
        segment = segments.get(segment_id)
        membership.lock(segment.id)
        found = rows(
            "SELECT l.id FROM leads l WHERE l.id = ANY(:ids) AND l.deleted_at IS NULL AND CAST(:enter AS boolean) <> EXISTS (SELECT FROM"
            " segment_members m WHERE m.org_id = l.org_id AND m.segment_id = :segment AND m.lead_id = l.id"
            " AND m.exited_at IS NULL)",
            ids=lead_ids,
            enter=enter,
            segment=segment.id,
        )
        ids = [row.id for row in found]
        if ids:
            membership.add(segment, ids, source="manual") if enter else membership.remove(segment, ids)
        return dict.fromkeys(ids)

    return move


HAS_TAG = f"tags @> ARRAY[{TEXT}]"
DEEDS: dict[str, Callable[[Any, list[int]], Before]] = {
    "add_tag": Column("tags", f"NOT {HAS_TAG}", f"(tags || {TEXT})"),
    "remove_tag": Column("tags", HAS_TAG, f"array_remove(tags, {TEXT})"),
    "assign": Column("owner_id", f"owner_id IS DISTINCT FROM {NUMBER}", NUMBER),
    "status": Column("status", f"status <> {TEXT}", TEXT),
    "priority": Column("priority", f"priority <> {TEXT}", TEXT),
    "add_to_segment": _membership(True),
    "remove_from_segment": _membership(False),
    "delete": _delete,
}
OPPOSITE = {
    "add_tag": "remove_tag",
    "remove_tag": "add_tag",
    "add_to_segment": "remove_from_segment",
    "remove_from_segment": "add_to_segment",
}
# The name of what an action needs to know.
ARGUMENTS = {
    "add_tag": "tag", "remove_tag": "tag", "assign": "owner_id", "status": "status", "priority": "priority",
    "add_to_segment": "segment_id", "remove_from_segment": "segment_id",
}  # fmt: skip


def check(action: str, argument: dict[str, Any]) -> dict[str, Any]:
    """Returns what an action needs to know as it is kept, with the words for it on screen (`named`). Raises Invalid at
    the field that does not do."""
    if action not in DEEDS:
        raise Invalid({"action": "Choose what to do with them."}, "Choose what to do with them.")
    name = ARGUMENTS.get(action)
    if name is None:
        return {}
    given = argument.get(name)
    try:
        kept, named = CHECKS[name](given)
    except (NotFound, ValueError, TypeError):
        raise Invalid({name: "Choose one of the list."}, "Choose one of the list.") from None
    return {name: kept, "named": named}


def _tag(given: Any) -> tuple[str, str]:
    tags = clean_tags([given] if isinstance(given, str) else None)
    if not tags:
        raise Invalid({"tag": "Type the tag."}, "Type the tag.")
    return tags[0], tags[0]


def _owner(given: Any) -> tuple[int | None, str]:
    if given in (None, ""):
        return None, "nobody"
    user = users.get(_id(given))
    if not user.is_active:
        raise NotFound()
    return user.id, user.name


def _segment(given: Any) -> tuple[int, str]:
    segment = segments.get(_id(given))
    if segment.is_dynamic:
        words = "Rules decide who is in this segment, so nobody can be put in it by hand. Choose a static one."
        raise Invalid({"segment_id": words}, words)
    return segment.id, segment.name


def _one_of(words: tuple[str, ...]) -> Callable[[Any], tuple[str, str]]:
    return lambda given: (words[words.index(given)], given)


def _id(given: Any) -> int:
    number = int(given)
    if not 0 < number < 2**63:
        raise ValueError(given)
    return number


CHECKS: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "tag": _tag,
    "owner_id": _owner,
    "status": _one_of(STATUSES),
    "priority": _one_of(PRIORITIES),
    "segment_id": _segment,
}


def do(action: str, argument: dict[str, Any], lead_ids: list[int]) -> Before:
    """Does an action to some leads. Returns what stood there before, of each lead that it changed. Raises NotFound where
    the segment or the like is gone meanwhile."""
    return DEEDS[action](argument.get(ARGUMENTS.get(action, "")), lead_ids)


def undo(action: str, argument: dict[str, Any], before: Before) -> int:
    """Takes an action back where its outcome still stands. Returns of how many leads."""
    given = argument.get(ARGUMENTS.get(action, ""))
    if action in OPPOSITE:
        return len(DEEDS[OPPOSITE[action]](given, list(before)))
    field = DEEDS[action].field
    same = f"{field} IS NOT DISTINCT FROM {NUMBER if field == 'owner_id' else TEXT}"
    still = {
        row.id
        for row in rows(
            f"SELECT id FROM leads WHERE id = ANY(:ids) AND {same} ORDER BY id FOR NO KEY UPDATE",
            ids=list(before),
            given=given,
        )
    }
    by_value: dict[Any, list[int]] = {}
    for lead_id, was in before.items():
        by_value.setdefault(was, []).append(lead_id)
    return sum(len(DEEDS[action](was, [id for id in ids if id in still])) for was, ids in by_value.items())
