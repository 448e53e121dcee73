"""Takes back what an import did to policies: those it made go, those it changed are as before, where nobody has changed
them since."""

import json
from typing import NamedTuple

from webapp.audience import timeline
from webapp.audience.imports.policy_merging import KEPT
from webapp.platform.db import run, value


class PoliciesUndone(NamedTuple):
    """removed: policies that were made and are gone; restored: policies changed back; kept: policies left as they
    are."""

    removed: int
    restored: int
    kept: int

    def __str__(self) -> str:
        said = f"{self.removed:,} policies removed, {self.restored:,} changed back"
        return said + (f", {self.kept:,} left because they were changed since" if self.kept else "")


def take_back(import_id: int) -> PoliciesUndone:
    """Takes the policies of an import back, with facts about their leads."""
    about = json.dumps({"import": import_id, "undone": True})
    run(
        "CREATE TEMP TABLE undo_policies ON COMMIT DROP AS SELECT c.policy_id, p.lead_id, p.number, c.before, c.after,"
        " NOT EXISTS (SELECT FROM jsonb_each_text(c.after) a WHERE a.value IS DISTINCT FROM"
        " (SELECT q.value FROM jsonb_each_text(to_jsonb(p)) q WHERE q.key = a.key)) AS unchanged"
        " FROM import_policy_changes c JOIN policies p ON p.id = c.policy_id WHERE c.import_id = :id",
        id=import_id,
    )
    run("ANALYZE undo_policies")
    kept = value("SELECT count(*) FROM undo_policies WHERE NOT unchanged")
    removed = timeline.record_select(
        "policy_removed",
        "SELECT lead_id, jsonb_build_object('policy_id', policy_id, 'number', number) || CAST(:about AS jsonb)"
        " FROM undo_policies WHERE unchanged AND before IS NULL",
        about=about,
    )
    restored = timeline.record_select(
        "policy_updated",
        "SELECT u.lead_id, jsonb_build_object('policy_id', policy_id, 'number', number, 'changes',"
        " (SELECT jsonb_object_agg(key, jsonb_build_array(u.after -> key, u.before -> key))"
        " FROM jsonb_object_keys(u.after) key WHERE key <> 'lead_id')) || CAST(:about AS jsonb)"
        " FROM undo_policies u WHERE unchanged AND before IS NOT NULL",
        about=about,
    )
    back = ", ".join(f"{f} = CASE WHEN u.before ? '{f}' THEN f.{f} ELSE p.{f} END" for f in KEPT)
    run(
        f"UPDATE policies p SET {back}, updated_at = now() FROM undo_policies u"
        " CROSS JOIN LATERAL jsonb_populate_record(NULL::policies, u.before) f"
        " WHERE p.id = u.policy_id AND u.unchanged AND u.before IS NOT NULL"
    )
    run("DELETE FROM policies p USING undo_policies u WHERE p.id = u.policy_id AND u.unchanged AND u.before IS NULL")
    run("DROP TABLE undo_policies")
    return PoliciesUndone(removed, restored, kept)
