"""The staging table into the leads: set by set, in the transaction that staged it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from webapp.audience import timeline
from webapp.audience.imports import matching, permissions
from webapp.platform.db import run, value

LEAD_FIELDS = (
    "external_id", "first_name", "last_name", "email", "phone", "status", "priority", "source", "insurance_type",
    "state", "city", "country", "timezone", "language", "value_estimate", "customer_tier", "date_of_birth", "tags",
    "attributes", "owner_id",
)  # fmt: skip
TURN_SECONDS = 0.2  # between two looks whether it is this import's turn
# What a new lead gets where the file says nothing. The value is SQL over a staged row.
NEW = {
    "status": "COALESCE({}, 'new')",
    "priority": "COALESCE({}, 'medium')",
    "source": "COALESCE({}, 'import')",
    "tags": "COALESCE({}, '{{}}')",
    "attributes": "COALESCE({}, '{{}}')",
}
# A row's strongest value: each staged row of a new lead and the lead made of it agree in it, and no others do.
KEY = "COALESCE('x' || {0}.external_id, 'e' || {0}.email_key, 'p' || {0}.phone)"


@dataclass(frozen=True)
class Merge:
    """What is to be merged. fields: staged columns; columns: field -> its name in the file; options: see `options`."""

    import_id: int
    fields: list[str]
    columns: dict[str, str]
    options: dict[str, Any]
    file_name: str

    @property
    def lead_fields(self) -> list[str]:
        return [field for field in LEAD_FIELDS if field in {*self.fields, "external_id", "email", "phone"}]


def merge(wanted: Merge, beat: Callable[[], None], matched: Callable[[], None] = lambda: None) -> dict[str, int]:
    """Brings the staged rows into the leads. Returns how many leads were created and updated. beat: called between
    the steps; it may raise to stop. matched: called when it is known which rows are which leads."""
    rule = wanted.options["duplicates"]
    while not alone():
        beat()
        time.sleep(TURN_SECONDS)
    matching.match(wanted.columns, merge_phones=wanted.options["shared_phone"] == "merge")
    matched()
    beat()
    matching.collapse(wanted.fields, rule)
    if rule == "skip":
        run("DELETE FROM import_rows WHERE lead_id IS NOT NULL")
    beat()
    changed = _update(wanted, rule)
    beat()
    created = _create(wanted)
    beat()
    permitted = permissions.add(wanted.import_id, wanted.file_name, wanted.fields, wanted.options)
    _record_changes(wanted.import_id)
    return {"created": created, "updated": _touched() if permitted else changed}


def alone() -> bool:
    """Takes the turn of this organisation's imports until the end of the transaction. Returns False if another has it:
    two at once could each make a lead of the same person, and one of them would fail."""
    return value("SELECT pg_try_advisory_xact_lock(hashtextextended('imports', current_setting('app.org_id')::bigint))")


def _update(wanted: Merge, rule: str) -> int:
    """Changes the leads there are. Fills import_diff with (lead_id, before, after) of those that differ after it."""
    fields = [field for field in wanted.lead_fields if rule == "update" or field not in ("status", "priority")]
    values = {field: _merged(field, rule) for field in fields}
    # Locked first, so that what is compared is what is changed.
    run(
        "SELECT l.id FROM leads l WHERE l.id IN (SELECT lead_id FROM import_rows WHERE lead_id IS NOT NULL)"
        " ORDER BY l.id FOR NO KEY UPDATE"
    )
    before = " || ".join(f"CASE WHEN n.{f} IS DISTINCT FROM l.{f} THEN jsonb_build_object('{f}', l.{f}) ELSE '{{}}' END"
                         for f in fields)  # fmt: skip
    run(
        f"CREATE TEMP TABLE import_diff ON COMMIT DROP AS SELECT l.id AS lead_id, {before} AS before,"
        f" {before.replace(', l.', ', n.')} AS after FROM import_rows s JOIN leads l ON l.id = s.lead_id"
        f" CROSS JOIN LATERAL (SELECT {', '.join(f'{sql} AS {field}' for field, sql in values.items())}) n"
        f" WHERE ({', '.join(f'n.{f}' for f in fields)}) IS DISTINCT FROM ({', '.join(f'l.{f}' for f in fields)})"
    )
    run("ANALYZE import_diff")
    return run(
        f"UPDATE leads l SET {', '.join(f'{field} = {sql}' for field, sql in values.items())}, updated_at = now()"
        " FROM import_rows s JOIN import_diff d USING (lead_id) WHERE l.id = s.lead_id"
    )


def _merged(field: str, rule: str) -> str:
    """Returns the SQL of a field after the merge: `l` is the lead and `s` the staged row."""
    if field == "tags":
        new = "NOT tag = ANY(l.tags)"
        return f"l.tags || ARRAY(SELECT tag FROM unnest(s.tags) WITH ORDINALITY u (tag, o) WHERE {new} ORDER BY o)"
    if field == "attributes":
        pair = ("l", "s") if rule == "update" else ("s", "l")
        return " || ".join(f"COALESCE({side}.attributes, '{{}}')" for side in pair)
    if field == "email" and rule == "update":
        # Capitals make no other address.
        return "CASE WHEN s.email_key = l.email_key THEN l.email ELSE COALESCE(s.email, l.email) END"
    first, second = ("s", "l") if rule == "update" else ("l", "s")
    return f"COALESCE({first}.{field}, {second}.{field})"


def _create(wanted: Merge) -> int:
    """Makes leads of the rows nobody was found for. Fills import_made with (row, lead_id)."""
    fields = list(dict.fromkeys([*wanted.lead_fields, "source"]))
    said = {field: f"s.{field}" if field in wanted.lead_fields else "NULL" for field in fields}
    values = [NEW.get(field, "{}").format(said[field]) for field in fields]
    since = "COALESCE(s.created_at, now())" if "created_at" in wanted.fields else "now()"
    run('CREATE TEMP TABLE import_made ("row" integer, lead_id bigint, source text) ON COMMIT DROP')
    created = run(
        f"WITH made AS (INSERT INTO leads ({', '.join(fields)}, created_at, last_activity_at)"
        f" SELECT {', '.join(values)}, {since}, {since} FROM import_rows s WHERE s.lead_id IS NULL"
        ' ORDER BY s."row" RETURNING id, external_id, email_key, phone, source)'
        ' INSERT INTO import_made SELECT s."row", made.id, made.source FROM made JOIN import_rows s'
        f" ON s.lead_id IS NULL AND {KEY.format('s')} = {KEY.format('made')}"
    )
    run("ANALYZE import_made")
    return created


def _record_changes(import_id: int) -> None:
    """Writes what can be taken back, and the facts."""
    run(
        "INSERT INTO import_changes (import_id, lead_id, before, after, consent_added)"
        " SELECT :id, lead_id, COALESCE(d.before, '{}'), COALESCE(d.after, '{}'), c.lead_id IS NOT NULL"
        " FROM import_diff d FULL JOIN (SELECT lead_id FROM import_consents EXCEPT SELECT lead_id FROM import_made) c"
        " USING (lead_id)",
        id=import_id,
    )
    timeline.record_select(
        "lead_created",
        "SELECT lead_id, jsonb_build_object('source', source, 'import', CAST(:import_id AS bigint)) FROM import_made",
        import_id=import_id,
    )
    record_differences("SELECT lead_id, before, after FROM import_diff", {"import": import_id})
    permissions.record(import_id)


def record_differences(source: str, about: dict[str, Any]) -> None:
    """Writes the facts of changed leads as leads.update does. source: SQL of (lead_id, before, after); about: added to
    each fact."""
    pairs = (
        "SELECT jsonb_object_agg(key, jsonb_build_array(d.before -> key, d.after -> key))"
        " FROM jsonb_object_keys(d.after - 'status') key"
    )
    timeline.record_select(
        "lead_updated",
        f"SELECT d.lead_id, jsonb_build_object('changes', ({pairs})) || CAST(:about AS jsonb) FROM ({source}) d"
        " WHERE d.after - 'status' <> '{}'",
        about=json.dumps(about),
    )
    timeline.record_select(
        "status_changed",
        "SELECT d.lead_id, jsonb_build_object('from', d.before -> 'status', 'to', d.after -> 'status')"
        f" || CAST(:about AS jsonb) FROM ({source}) d WHERE d.after ? 'status'",
        about=json.dumps(about),
    )


def _touched() -> int:
    """The number of known leads that something changed about: a field, or a consent they did not have."""
    return value(
        "SELECT count(*) FROM (SELECT lead_id FROM import_diff UNION SELECT lead_id FROM import_consents"
        " EXCEPT SELECT lead_id FROM import_made) t"
    )
