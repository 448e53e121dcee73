"""Whose policy a row of a file is. The rows' people are told by the same rules as leads; beyond that a policy that is
known leads to the lead who holds it."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from webapp.audience.imports.coercing import Problem
from webapp.audience.imports.kinds import POLICY_COLUMNS
from webapp.audience.imports.merging import Merge
from webapp.audience.imports.staging import TYPES, note
from webapp.platform.db import rows, run

Rows = Callable[[], Iterable[tuple[int, list[str]]]]
NOBODY = (
    "This policy is not known, and there is nothing here to find its lead by: no e-mail address, phone number or own"
    " number."
)
NO_LEAD = "No lead has this number, address or phone, and no new leads were to be made."
OTHER_LEAD = "This policy belongs to another lead. Change its number, or bring the two leads together first."
TWO_PEOPLE = "An earlier row of this file has this policy for somebody else."
# condition -> (field, words). `p` is the staged policy, `k` the policy that is known by its number.
REFUSALS = {
    "p.lead_id IS NULL AND NOT EXISTS (SELECT FROM import_rows s WHERE s.\"row\" = p.\"row\""
    " AND COALESCE(s.external_id, s.email, s.phone) IS NOT NULL)": (None, NOBODY),
    "p.holder IS NOT NULL AND p.holder IS DISTINCT FROM p.lead_id": ("policy_number", OTHER_LEAD),
    "p.lead_id IS NULL AND NOT CAST(:new_leads AS boolean)": (None, NO_LEAD),
    "COALESCE(p.renews_on, k.renews_on) < COALESCE(p.started_on, k.started_on)"
    " AND COALESCE(p.renews_on, p.started_on) IS NOT NULL": ("renews_on", "It cannot renew before it began."),
    "COALESCE(p.lapsed_on, k.lapsed_on) < COALESCE(p.started_on, k.started_on)"
    " AND COALESCE(p.lapsed_on, p.started_on) IS NOT NULL": ("lapsed_on", "It cannot lapse before it began."),
    "COALESCE(p.status, k.status) = 'lapsed' AND p.lapsed_on > CAST(:today AS date)": (
        "lapsed_on", "A policy that has lapsed did so today or earlier."),
}  # fmt: skip
# Asked when all others are gone: of what is refused nobody need know.
TWICE = {"p.first_leader <> p.leader": ("policy_number", TWO_PEOPLE)}


def place(wanted: Merge, today: date, again: Rows) -> None:
    """Fills import_policies with the staged policies and their people, and takes out of the staging table the rows
    that are refused. To be called once it is known which rows are which leads. again: reads the rows of the file once
    more, asked only where one is refused."""
    _stage(wanted)
    _follow_policies()
    _refuse(REFUSALS, wanted, today, again)
    run(
        "UPDATE import_policies p SET first_leader = f.leader FROM (SELECT DISTINCT ON (number) number, leader"
        ' FROM import_policies ORDER BY number, "row") f WHERE f.number = p.number'
    )
    _refuse(TWICE, wanted, today, again)


def _stage(wanted: Merge) -> None:
    columns = ", ".join(
        f"{target if target in wanted.columns else 'NULL'}::{TYPES.get(target, 'text')} AS {column}"
        for target, column in POLICY_COLUMNS.items()
    )
    # first_leader: whose the number is by the first row that has it.
    run(
        f'CREATE TEMP TABLE import_policies ON COMMIT DROP AS SELECT "row", {columns}, COALESCE(leader, "row") AS leader,'
        " lead_id, NULL::bigint AS policy_id, NULL::bigint AS holder, NULL::integer AS first_leader FROM import_rows"
    )
    run('ANALYZE import_policies ("row", number, leader)')
    # Of a lead who is deleted a policy belongs to nobody: whoever brings it has it.
    run(
        "UPDATE import_policies p SET policy_id = k.id, holder = l.id FROM policies k"
        " LEFT JOIN leads l ON l.id = k.lead_id AND l.deleted_at IS NULL WHERE k.number = p.number"
    )


def _follow_policies() -> None:
    """Gives the rows nobody was found for to whoever holds their policies, unless they say that it is somebody else,
    and makes one person of the rows of one lead again."""
    contradicted = "r.external_id <> l.external_id OR r.email_key <> l.email_key OR r.phone <> l.phone"
    run(
        "UPDATE import_rows s SET lead_id = h.holder FROM (SELECT p.leader, min(p.holder) AS holder"
        ' FROM import_policies p JOIN import_rows r ON r."row" = p."row" JOIN leads l ON l.id = p.holder'
        f" WHERE p.lead_id IS NULL AND ({contradicted}) IS NOT TRUE GROUP BY p.leader) h"
        ' WHERE COALESCE(s.leader, s."row") = h.leader'
    )
    run(
        'UPDATE import_rows s SET leader = f.leader FROM (SELECT lead_id, min("row") AS leader FROM import_rows'
        " WHERE lead_id IS NOT NULL GROUP BY lead_id HAVING count(*) > 1) f WHERE f.lead_id = s.lead_id"
    )
    _tell_leaders()


def _tell_leaders() -> None:
    run(
        'UPDATE import_policies p SET leader = COALESCE(s.leader, s."row"), lead_id = s.lead_id FROM import_rows s'
        ' WHERE s."row" = p."row"'
    )


def _refuse(refusals: dict[str, tuple[str | None, str]], wanted: Merge, today: date, again: Rows) -> None:
    params = {"new_leads": wanted.options["new_leads"], "today": today}
    whens = " ".join(f"WHEN {condition} THEN {n}" for n, condition in enumerate(refusals))
    run(
        f'CREATE TEMP TABLE import_refused ON COMMIT DROP AS SELECT * FROM (SELECT p."row", CASE {whens} END AS why,'
        " p.number, p.renews_on, p.lapsed_on FROM import_policies p LEFT JOIN policies k ON k.id = p.policy_id) r"
        " WHERE why IS NOT NULL",
        **{name: value for name, value in params.items() if f":{name}" in whens},
    )  # fmt: skip
    found = {row.row: row for row in rows("SELECT * FROM import_refused")}
    if found:
        _tell(found, list(refusals.values()), wanted, again)
    run("DROP TABLE import_refused")


def _tell(found: dict[int, Any], reasons: list[tuple[str | None, str]], wanted: Merge, again: Rows) -> None:
    """Notes the refused rows as they stand in the file and takes them out."""
    note([
        Problem(number, wanted.columns.get(reasons[row.why][0] or ""), _said(row, reasons[row.why][0]),
                reasons[row.why][1], cells)
        for number, cells in again()
        if (row := found.get(number)) is not None
    ])  # fmt: skip
    for table in ("import_rows", "import_policies"):
        run(f'DELETE FROM {table} t USING import_refused r WHERE r."row" = t."row"')
    _lead_anew()


def _said(row: Any, field: str | None) -> str | None:
    said = getattr(row, POLICY_COLUMNS.get(field or "", ""), None)
    return None if said is None else str(said)


def _lead_anew() -> None:
    """Those whose first row was refused are led by their next one."""
    run(
        'UPDATE import_rows s SET leader = f.leader FROM (SELECT leader AS before, min("row") AS leader FROM import_rows'
        " WHERE leader IS NOT NULL GROUP BY leader) f WHERE s.leader = f.before AND f.leader <> f.before"
    )
    _tell_leaders()
