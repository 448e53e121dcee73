"""The staged policies into the policies: set by set, after their leads are there."""

from datetime import date

from webapp.audience import timeline
from webapp.audience.imports.kinds import POLICY_COLUMNS
from webapp.platform.db import run

FIELDS = tuple(column for column in POLICY_COLUMNS.values() if column != "number")
NEW = {"status": "COALESCE({}, 'active')", "payment_status": "COALESCE({}, 'paid')"}
# A field after the merge: `s` is what the file says and `l` the policy. As policy_values.completed does it.
MERGED = {
    "lapsed_on": "CASE WHEN COALESCE(s.status, l.status) = 'lapsed' THEN COALESCE(s.lapsed_on, l.lapsed_on, :today)"
    " WHEN s.status = 'active' AND l.status <> 'active' THEN s.lapsed_on ELSE COALESCE(s.lapsed_on, l.lapsed_on) END",
    "lead_id": "s.lead_id",
}
KEPT = (*FIELDS, "lead_id")
# fact -> (when, the fields it tells of); what none of them tells is in policy_updated.
FACTS = {
    "policy_renewed": ("(d.after ->> 'renews_on')::date > (d.before ->> 'renews_on')::date", ("renews_on",)),
    "policy_lapsed": ("d.after ->> 'status' = 'lapsed'", ("status", "lapsed_on")),
    "payment_overdue": ("d.after ->> 'payment_status' = 'overdue'", ("payment_status",)),
}


def write(import_id: int, today: date) -> dict[str, int]:
    """Brings the staged policies into the policies. Returns how many were created and updated."""
    _gather()
    updated = _update(today)
    created = _create(today)
    _record(import_id)
    return {"created": created, "updated": updated}


def _gather() -> None:
    """Makes one of the rows of one number: of several values the last one stays."""
    run(
        'UPDATE import_policies p SET lead_id = m.lead_id FROM import_made m WHERE m."row" = p.leader'
        " AND p.lead_id IS NULL"
    )
    last = ", ".join(f'(array_agg({f} ORDER BY "row" DESC) FILTER (WHERE {f} IS NOT NULL))[1] AS {f}' for f in FIELDS)
    run(
        f'CREATE TEMP TABLE import_held ON COMMIT DROP AS SELECT number, min("row") AS "row", min(policy_id) AS policy_id,'
        f" min(lead_id) AS lead_id, {last} FROM import_policies GROUP BY number"
    )
    run("ANALYZE import_held")


def _update(today: date) -> int:
    """Changes the policies there are. Fills import_policy_diff with (policy_id, lead_id, number, before, after)."""
    values = {field: MERGED.get(field, f"COALESCE(s.{field}, l.{field})") for field in KEPT}
    # Locked first, so that what is compared is what is changed.
    run(
        "SELECT k.id FROM policies k WHERE k.id IN (SELECT policy_id FROM import_held) ORDER BY k.id"
        " FOR NO KEY UPDATE"
    )  # fmt: skip
    before = " || ".join(
        f"CASE WHEN n.{f} IS DISTINCT FROM l.{f} THEN jsonb_build_object('{f}', l.{f}::text) ELSE '{{}}' END"
        for f in KEPT
    )
    run(
        f"CREATE TEMP TABLE import_policy_diff ON COMMIT DROP AS SELECT l.id AS policy_id, s.lead_id, l.number,"
        f" {before} AS before, {before.replace(', l.', ', n.')} AS after FROM import_held s"
        " JOIN policies l ON l.id = s.policy_id CROSS JOIN LATERAL"
        f" (SELECT {', '.join(f'{sql} AS {field}' for field, sql in values.items())}) n"
        f" WHERE ({', '.join(f'n.{f}' for f in KEPT)}) IS DISTINCT FROM ({', '.join(f'l.{f}' for f in KEPT)})",
        today=today,
    )
    run("ANALYZE import_policy_diff")
    return run(
        f"UPDATE policies l SET {', '.join(f'{field} = {sql}' for field, sql in values.items())}, updated_at = now()"
        " FROM import_held s JOIN import_policy_diff d USING (policy_id) WHERE l.id = s.policy_id",
        today=today,
    )


def _create(today: date) -> int:
    """Makes policies of the numbers nobody had. Fills import_policies_made with (policy_id, lead_id, ...)."""
    values = {field: NEW.get(field, "{}").format(f"s.{field}") for field in FIELDS}
    values["lapsed_on"] = "CASE WHEN s.status = 'lapsed' THEN COALESCE(s.lapsed_on, :today) ELSE s.lapsed_on END"
    run(
        "CREATE TEMP TABLE import_policies_made (policy_id bigint, lead_id bigint, number text, type text,"
        " premium numeric) ON COMMIT DROP"
    )
    return run(
        f"WITH made AS (INSERT INTO policies (lead_id, number, {', '.join(values)})"
        f" SELECT s.lead_id, s.number, {', '.join(values.values())} FROM import_held s WHERE s.policy_id IS NULL"
        ' ORDER BY s."row" RETURNING id, lead_id, number, type, premium) INSERT INTO import_policies_made SELECT * FROM made',
        today=today,
    )


def _record(import_id: int) -> None:
    """Writes what can be taken back, and the facts."""
    kept = ", ".join(f"'{f}', p.{f}::text" for f in KEPT)
    run(
        "INSERT INTO import_policy_changes (import_id, policy_id, before, after)"
        " SELECT :id, policy_id, before, after FROM import_policy_diff UNION ALL"
        f" SELECT :id, p.id, NULL, jsonb_build_object({kept}) FROM import_policies_made m JOIN policies p"
        " ON p.id = m.policy_id",
        id=import_id,
    )
    timeline.record_select(
        "policy_added",
        "SELECT lead_id, jsonb_build_object('policy_id', policy_id, 'number', number, 'type', type, 'premium',"
        " premium::text, 'import', CAST(:import_id AS bigint)) FROM import_policies_made",
        import_id=import_id,
    )
    record_differences("SELECT * FROM import_policy_diff", import_id)


def record_differences(source: str, import_id: int) -> None:
    """Writes the facts of changed policies as policies.update does. source: SQL of (policy_id, lead_id, number, before,
    after)."""
    about = (
        "jsonb_build_object('policy_id', d.policy_id, 'number', d.number, 'import', CAST(:import_id AS bigint),"
        " 'changes', (SELECT jsonb_object_agg(key, jsonb_build_array(d.before -> key, d.after -> key))"
        " FROM jsonb_object_keys({}) key))"
    )
    rest = "d.after - 'lead_id'"
    for kind, (when, fields) in FACTS.items():
        listed = ", ".join(f"'{field}'" for field in fields)
        others = f"d.after - ARRAY(SELECT key FROM jsonb_object_keys(d.after) key WHERE key NOT IN ({listed}))"
        timeline.record_select(
            kind, f"SELECT d.lead_id, {about.format(others)} FROM ({source}) d WHERE {when}", import_id=import_id
        )
        rest += f" - CASE WHEN {when} THEN ARRAY[{listed}] ELSE '{{}}'::text[] END"
    timeline.record_select(
        "policy_updated",
        f"SELECT d.lead_id, {about.format(rest)} FROM ({source}) d WHERE {rest} <> '{{}}'",
        import_id=import_id,
    )
