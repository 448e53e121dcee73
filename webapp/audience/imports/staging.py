"""The staging table of an import: what the file says, in the database, before any lead is touched."""

import json
from collections.abc import Callable, Iterator
from itertools import islice

from webapp.audience.imports.coercing import Coercion, Problem
from webapp.platform.db import db, driver_connection, run, value

BATCH = 2000  # rows read, coerced and copied at once
MANY = 5000  # rows from which on a set is large
TYPES = {
    "tags": "text[]", "attributes": "jsonb", "value_estimate": "numeric(12,2)", "date_of_birth": "date",
    "created_at": "timestamptz", "owner_id": "bigint", "consent_email": "boolean", "consent_sms": "boolean",
    "consent_whatsapp": "boolean", "premium": "numeric(12,2)", "coverage": "numeric(12,2)", "started_on": "date",
    "renews_on": "date", "lapsed_on": "date", "next_due_on": "date",
}  # fmt: skip
KEYS = ("external_id", "email", "phone")
# email_key is made by the very expression of leads.email_key, so that the two compare alike in every script.
COMMON = 'email_key text COLLATE "C" GENERATED ALWAYS AS (lower(email)) STORED, leader integer, lead_id bigint'
NOTES = '"row", "column", value, message, refused, raw'


def create(fields: list[str]) -> None:
    """Makes the empty staging tables of this transaction: import_rows and import_notes."""
    columns = [f"{field} {TYPES.get(field, 'text')}" for field in dict.fromkeys([*KEYS, *fields])]
    # Sorting and hashing a large file in memory; the statement that needs it most takes this a few times over.
    run("SET LOCAL work_mem = '64MB'")
    run(f'CREATE TEMP TABLE import_rows ("row" integer, {", ".join(columns)}, {COMMON}) ON COMMIT DROP')
    run(
        'CREATE TEMP TABLE import_notes ("row" integer, "column" text, value text, message text, refused boolean,'
        " raw jsonb) ON COMMIT DROP"
    )


def fill(coercion: Coercion, rows: Iterator[tuple[int, list[str]]], beat: Callable[[int], None]) -> int:
    """Copies all rows of a file into the staging tables. Returns how many there were. beat: told after each batch how
    many have been read; it may raise to stop."""
    into_rows = f'COPY import_rows ("row", {", ".join(coercion.fields)}) FROM STDIN'
    total = 0
    while batch := list(islice(rows, BATCH)):
        lines, problems = coercion.batch(batch)
        if lines:
            with driver_connection().cursor() as cursor, cursor.copy(into_rows) as copy:
                copy.write(lines)
        note(problems)
        total += len(batch)
        beat(total)
    run('ANALYZE import_rows ("row", external_id, email_key, phone)')
    if total > MANY:
        join_by_hashing()
    return total


def join_by_hashing() -> None:
    """Keeps PostgreSQL, for the rest of the transaction, from joining large sets by looping over one for each row of
    the other. Under row-level security it cannot know how many rows an organisation has, and it may expect a single
    one of a hundred thousand leads that came in a minute ago."""
    run("SET LOCAL enable_nestloop = off")


def note(problems: list[Problem]) -> None:
    """Keeps problems until the import is done."""
    if not problems:
        return
    with driver_connection().cursor() as cursor, cursor.copy(f"COPY import_notes ({NOTES}) FROM STDIN") as copy:
        for problem in problems:
            copy.write_row(_noted(problem))


def _noted(problem: Problem) -> tuple:
    # Cells are shown as they stood in the file, but for what PostgreSQL cannot hold.
    clean = [cell.replace("\0", "") for cell in problem.raw] if problem.raw is not None else None
    return (
        problem.row,
        problem.column,
        problem.value and problem.value.replace("\0", ""),
        problem.message,
        clean is not None,
        json.dumps(clean) if clean is not None else None,
    )


def keep_notes(import_id: int) -> int:
    """Makes the notes the import's problems. Returns the number of refused rows."""
    run(
        f"INSERT INTO import_errors (import_id, {NOTES}) SELECT :id, {NOTES} FROM import_notes"
        ' ORDER BY "row", "column"',
        id=import_id,
    )
    db.session.flush()
    return value("SELECT count(*) FROM import_notes WHERE refused")
