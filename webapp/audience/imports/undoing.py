"""Takes an import back: what it made goes, what it changed is as before, and what happened since is left alone."""

import json
from dataclasses import dataclass

from webapp.audience import timeline
from webapp.audience.imports import joining, merging, permissions, policy_undoing
from webapp.audience.imports.policy_undoing import PoliciesUndone
from webapp.audience.imports.staging import MANY, join_by_hashing
from webapp.audience.imports.tables import Import
from webapp.platform import audit
from webapp.platform.db import db, rows, run, value
from webapp.platform.errors import Refused

# Facts the house derives by itself. A lead that only entered a segment has not been touched by anybody.
DERIVED = ("segment_entered", "segment_exited", "score_threshold_crossed")


@dataclass(frozen=True)
class Undone:
    """removed: leads that were made and are gone; restored: leads changed back; kept: leads left (partly) as they are
    because something happened to them since; consents: consents taken back; policies: what became of those, where the
    rows were policies."""

    removed: int
    restored: int
    kept: int
    consents: int
    policies: PoliciesUndone | None = None

    def __str__(self) -> str:
        of_policies = f"{self.policies}; " if self.policies else ""
        said = f"Taken back: {of_policies}{self.removed:,} leads removed, {self.restored:,} changed back."
        if self.kept:
            said += f" {self.kept:,} kept, because something has happened to them since."
        return said


def undo(import_: Import) -> Undone:
    """Takes a finished import back. Raises Refused where there is nothing to take back, a second time included."""
    status = value("SELECT status FROM imports WHERE id = :id FOR UPDATE", id=import_.id)
    if status == "undone":
        raise Refused("This import has been taken back already.")
    if status != "done":
        raise Refused("Only a finished import can be taken back.")
    if not merging.alone():
        raise Refused("Another import is changing leads right now. Try again when it is done.")
    if import_.created + import_.updated > MANY:
        join_by_hashing()
    held = policy_undoing.take_back(import_.id) if import_.kind == "policies" else None
    joining.part(import_)
    removed, kept = _remove(import_.id)
    restored, changed_since = _restore(import_.id)
    undone = Undone(removed, restored, kept + changed_since, _withdraw(import_.id), held)
    # Gone at the commit by themselves, but another import may be taken back before that.
    run("DROP TABLE undo_made, undo_values, undo_keys, undo_diff, undo_consents")
    run(
        "UPDATE imports SET status = 'undone', message = :message, updated_at = now() WHERE id = :id",
        id=import_.id,
        message=str(undone),
    )
    audit.record("leads.import_undone", "import", import_.id, after=vars(undone))
    db.session.flush()
    db.session.refresh(import_)
    return undone


def _remove(import_id: int) -> tuple[int, int]:
    """Deletes the leads it made that nobody touched. Returns how many went and how many stayed."""
    run(
        "CREATE TEMP TABLE undo_made ON COMMIT DROP AS SELECT l.id FROM imports i CROSS JOIN unnest(i.created_ids) made"
        " JOIN leads l ON l.id = made WHERE i.id = :id AND l.deleted_at IS NULL",
        id=import_id,
    )
    run("ANALYZE undo_made")
    # What a later import did and has been taken back as well counts as never having happened.
    own = [str(import_id), *(str(row.id) for row in rows("SELECT id FROM imports WHERE status = 'undone'"))]
    # `sends` stands on a floor above and is asked by name: a message planned for a lead keeps the lead too.
    kept = run("DELETE FROM undo_made m WHERE EXISTS (SELECT FROM sends s WHERE s.lead_id = m.id)")
    kept += run(
        "DELETE FROM undo_made m WHERE EXISTS (SELECT FROM lead_events e WHERE e.lead_id = m.id"
        " AND NOT e.type = ANY(:derived) AND NOT COALESCE(e.payload ->> 'import' = ANY(:own), false))",
        derived=list(DERIVED),
        own=own,
    )
    run("UPDATE leads l SET deleted_at = now(), updated_at = now() FROM undo_made m WHERE l.id = m.id")
    facts = "SELECT id, CAST(:about AS jsonb) FROM undo_made"
    return timeline.record_select("lead_deleted", facts, about=_about(import_id)), kept


def _restore(import_id: int) -> tuple[int, int]:
    """Gives the leads it changed their former values, where the present ones are still its own. Returns how many were
    changed back and how many of them not, or not in everything."""
    run(
        "CREATE TEMP TABLE undo_values ON COMMIT DROP AS SELECT c.lead_id, key AS field, c.before -> key AS before,"
        " c.after -> key AS after, to_jsonb(l) -> key IS NOT DISTINCT FROM c.after -> key AS unchanged"
        " FROM import_changes c JOIN leads l ON l.id = c.lead_id CROSS JOIN jsonb_object_keys(c.after) key"
        " WHERE c.import_id = :id AND l.deleted_at IS NULL",
        id=import_id,
    )
    run("ANALYZE undo_values")
    _leave_what_others_have()
    run(
        "CREATE TEMP TABLE undo_diff ON COMMIT DROP AS SELECT lead_id, jsonb_object_agg(field, after) AS before,"
        " jsonb_object_agg(field, before) AS after FROM undo_values WHERE unchanged GROUP BY lead_id"
    )
    run("ANALYZE undo_diff")
    restored = run(
        f"UPDATE leads l SET {', '.join(_given_back(field) for field in merging.LEAD_FIELDS)}, updated_at = now()"
        " FROM undo_diff d CROSS JOIN LATERAL jsonb_populate_record(NULL::leads, d.after) f WHERE l.id = d.lead_id"
    )
    merging.record_differences("SELECT lead_id, before, after FROM undo_diff", {"import": import_id, "undone": True})
    return restored, value("SELECT count(DISTINCT lead_id) FROM undo_values WHERE NOT unchanged")


def _leave_what_others_have() -> None:
    """A former address, number or external id that another lead has by now is not given back."""
    run(
        "CREATE TEMP TABLE undo_keys ON COMMIT DROP AS SELECT lead_id, field,"
        " CASE WHEN field = 'email' THEN lower(before #>> '{}') ELSE before #>> '{}' END COLLATE \"C\" AS key"
        " FROM undo_values WHERE unchanged AND field IN ('external_id', 'email', 'phone')"
    )
    run("ANALYZE undo_keys")
    for field, column in (("external_id", "external_id"), ("email", "email_key"), ("phone", "phone")):
        run(
            "UPDATE undo_values u SET unchanged = false FROM undo_keys k JOIN leads o"
            f" ON o.{column} = k.key AND o.id <> k.lead_id AND o.deleted_at IS NULL"
            " WHERE k.field = :field AND u.lead_id = k.lead_id AND u.field = :field",
            field=field,
        )


def _given_back(field: str) -> str:
    return f"{field} = CASE WHEN d.after ? '{field}' THEN f.{field} ELSE l.{field} END"


def _withdraw(import_id: int) -> int:
    """Takes back the consents it added, where nobody has changed them since. Returns how many."""
    run("CREATE TEMP TABLE undo_consents (lead_id bigint, payload jsonb) ON COMMIT DROP")
    run(
        "WITH touched AS (SELECT unnest(created_ids) AS lead_id FROM imports WHERE id = :id"
        " UNION ALL SELECT lead_id FROM import_changes WHERE import_id = :id AND consent_added),"
        " gone AS (DELETE FROM consents USING touched t WHERE consents.lead_id = t.lead_id"
        " AND consents.source = :source RETURNING consents.lead_id, consents.channel, consents.status)"
        " INSERT INTO undo_consents SELECT lead_id,"
        " jsonb_build_object('channel', channel, 'from', status, 'to', NULL, 'source', CAST(:source AS text))"
        " || CAST(:about AS jsonb) FROM gone",
        id=import_id,
        source=permissions.source_of(import_id),
        about=_about(import_id),
    )
    return timeline.record_select("consent_changed", "SELECT lead_id, payload FROM undo_consents")


def _about(import_id: int) -> str:
    return json.dumps({"import": import_id, "undone": True})
