"""Finds out in the staging table which rows are which leads, and makes one row of the rows of one person."""

from webapp.audience.imports.coercing import Problem
from webapp.audience.imports.identity import KEYS, Entry, judge
from webapp.audience.imports.staging import note
from webapp.platform.db import driver_connection, rows, run

NOT_KEPT = {
    "external_id": "Another lead has this number already, so it was left out.",
    "email": "Another lead has this address already, so it was left out.",
    "phone": "Another lead has this phone number already, so it was left out.",
}
# Which living leads have a row's values. A condition on `leads` that is to use an index under row-level security must
# be a plain comparison, hence email_key.
HITS = (
    'CREATE TEMP TABLE import_hits ON COMMIT DROP AS SELECT s."row", x.id AS x, e.id AS e, p.id AS p,'
    " (x.id IS NULL AND e.id IS NULL AND (p.email_key <> s.email_key OR p.external_id <> s.external_id)) IS TRUE"
    " AS only_phone FROM import_rows s"
    " LEFT JOIN leads x ON x.external_id = s.external_id AND x.deleted_at IS NULL"
    " LEFT JOIN leads e ON e.email_key = s.email_key AND e.deleted_at IS NULL"
    " LEFT JOIN leads p ON p.phone = s.phone AND p.deleted_at IS NULL"
    " WHERE COALESCE(x.id, e.id, p.id) IS NOT NULL"
)
# Rows that share a value or a lead with another row, or whose own values lead to different leads. All others are who
# their only hit is, or new.
TANGLED = (
    'CREATE TEMP TABLE import_tangled ON COMMIT DROP AS WITH hits AS (SELECT DISTINCT "row", unnest(ARRAY[x, e, p])'
    ' AS lead_id FROM import_hits) SELECT "row" FROM import_hits'
    " WHERE only_phone OR x <> e OR x <> p OR e <> p"
    ' UNION SELECT h."row" FROM hits h JOIN (SELECT lead_id FROM hits WHERE lead_id IS NOT NULL GROUP BY lead_id'
    " HAVING count(*) > 1) several USING (lead_id)"
) + "".join(
    f' UNION SELECT s."row" FROM import_rows s JOIN (SELECT {key} FROM import_rows WHERE {key} IS NOT NULL'
    f" GROUP BY {key} HAVING count(*) > 1) several USING ({key})"
    for key in ("external_id", "email_key", "phone")
)


def match(columns: dict[str, str], *, merge_phones: bool) -> None:
    """Writes lead_id and leader into the staging table and takes out of it what belongs to other leads.

    columns: field -> its name in the file, for the notes. merge_phones: one phone number means one person.
    """
    run(HITS)
    run("ANALYZE import_hits")
    run(TANGLED)
    run("ANALYZE import_tangled")
    _untangle(columns, merge_phones)
    run(
        "UPDATE import_rows s SET lead_id = COALESCE(h.x, h.e, h.p) FROM import_hits h"
        ' WHERE h."row" = s."row" AND NOT EXISTS (SELECT FROM import_tangled t WHERE t."row" = s."row")'
    )
    run("ANALYZE import_rows (lead_id)")


def _untangle(columns: dict[str, str], merge_phones: bool) -> None:
    found = rows(
        'SELECT s."row", s.external_id, s.email, s.email_key, s.phone, h.x, h.e, h.p FROM import_tangled'
        ' JOIN import_rows s USING ("row") LEFT JOIN import_hits h USING ("row") ORDER BY s."row"'
    )
    if not found:
        return
    hit = {lead for row in found for lead in (row.x, row.e, row.p) if lead}
    known = rows("SELECT id, external_id, email_key FROM leads WHERE id = ANY(:ids)", ids=list(hit))
    entries = [Entry(r.row, r.external_id, r.email_key, r.phone, (r.x, r.e, r.p)) for r in found]
    leads = {lead.id: (lead.external_id, lead.email_key) for lead in known}
    verdicts = list(judge(entries, leads, merge=merge_phones))
    note([
        Problem(row.row, columns.get(key, key), getattr(row, key), NOT_KEPT[key])
        for row, verdict in zip(found, verdicts, strict=True)
        for key in verdict.lost
    ])  # fmt: skip
    run('CREATE TEMP TABLE import_verdicts ("row" integer, leader integer, lead_id bigint, lost text[]) ON COMMIT DROP')
    with driver_connection().cursor() as cursor, cursor.copy("COPY import_verdicts FROM STDIN") as copy:
        for verdict in verdicts:
            copy.write_row(verdict)
    run("ANALYZE import_verdicts")
    kept = ", ".join(f"{key} = CASE WHEN '{key}' = ANY(v.lost) THEN NULL ELSE s.{key} END" for key in KEYS)
    run(
        f"UPDATE import_rows s SET leader = v.leader, lead_id = v.lead_id, {kept} FROM import_verdicts v"
        ' WHERE v."row" = s."row"'
    )


def collapse(fields: list[str], rule: str) -> int:
    """Makes one row of the rows of one person by the chosen rule. Returns how many rows went into others.

    update: what a later row says counts; fill: what an earlier one says; skip: only the first row counts.
    """
    if rule != "skip":
        _gather(fields, "DESC" if rule == "update" else "ASC")
    return run('DELETE FROM import_rows WHERE leader IS NOT NULL AND leader <> "row"')


def _gather(fields: list[str], order: str) -> None:
    several = "SELECT leader FROM import_rows WHERE leader IS NOT NULL GROUP BY leader HAVING count(*) > 1"
    gathered = {field: _gathered(field, order) for field in dict.fromkeys([*KEYS, *fields]) if field != "attributes"}
    run(
        f"UPDATE import_rows s SET {', '.join(f'{field} = g.{field}' for field in gathered)} FROM (SELECT leader,"
        f" {', '.join(f'{sql} AS {field}' for field, sql in gathered.items())} FROM import_rows"
        f' WHERE leader IN ({several}) GROUP BY leader) g WHERE g.leader = s."row"'
    )
    if "attributes" in fields:
        # Of several members of one name the last one stays.
        last = "ASC" if order == "DESC" else "DESC"
        run(
            "UPDATE import_rows s SET attributes = g.attributes FROM (SELECT leader,"
            f' jsonb_object_agg(a.key, a.value ORDER BY "row" {last}) AS attributes FROM import_rows,'
            f" jsonb_each(attributes) a WHERE leader IN ({several}) GROUP BY leader) g"
            ' WHERE g.leader = s."row"'
        )


def _gathered(field: str, order: str) -> str:
    if field.startswith("consent_"):
        # Whoever said no in any of their rows said no.
        return f"bool_and({field})"
    if field == "tags":
        # By way of text, because arrays of different lengths cannot be put together; no tag has a comma in it.
        together = "string_to_array(string_agg(array_to_string(tags, ','), ',' ORDER BY \"row\"), ',')"
        return distinct_tags(together)
    return f'(array_agg({field} ORDER BY "row" {order}) FILTER (WHERE {field} IS NOT NULL))[1]'


def distinct_tags(tags: str) -> str:
    """Returns the SQL of an array's different members in their order, or NULL where it has none."""
    first = f"SELECT tag, min(place) AS place FROM unnest({tags}) WITH ORDINALITY u (tag, place) GROUP BY tag"
    return f"(SELECT array_agg(tag ORDER BY place) FROM ({first}) t)"
