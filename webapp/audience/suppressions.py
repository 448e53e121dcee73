"""The suppression list as people work with it: looked up, added to by hand or from a file, and lifted with a reason.

Which addresses are barred, and what that means for a message, is said in `consents`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import phonenumbers
from sqlalchemy import delete, or_, select

from webapp.audience import timeline
from webapp.audience.consents import CHANNELS, Suppression
from webapp.audience.imports import reading
from webapp.audience.imports.addresses import read_email
from webapp.audience.imports.phones import read_phone
from webapp.audience.leads import Lead
from webapp.platform import audit
from webapp.platform.db import db, driver_connection, run
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.organizations import current as current_organization

REASON_WORDS = {
    "hard_bounce": "Bounced", "complaint": "Marked as spam", "unsubscribe": "Unsubscribed", "stop": "Answered STOP",
    "manual": "Added by hand", "invalid": "Not a valid address",
}  # fmt: skip
BY_HAND = ("manual", "invalid")
NOTE_LIMIT = 500  # characters
LINES_LIMIT = 2000  # lines pasted at once; more come as a file
FILE_LIMIT = 1_000_000  # rows
SHOWN = 200  # refused rows that are told one by one
SAMPLE = 200  # rows that tell which column holds the addresses
GONE = "This address is not on the list any more."


@dataclass(frozen=True)
class Refused:
    """A line that is no address. row: counted from 1, as a person sees it."""

    row: int
    text: str
    why: str


@dataclass(frozen=True)
class Outcome:
    """What became of a list. already: barred before, or twice in it. refused: the first SHOWN of refused_count."""

    added: int
    already: int
    refused_count: int = 0
    refused: tuple[Refused, ...] = ()


def read_address(channel: str, text: str, country: str) -> str | None:
    """Returns an address as leads' are kept (lower-case e-mail, E.164), or None if the text is none."""
    text = text.replace("\0", "").strip()
    if not text or len(text) > 320:
        return None
    # In lower case from the start: what is plainly an address is then seen to be one.
    found = read_email(text.lower()) if channel == "email" else read_phone(text, country)
    return found.lower() if found else None


def _read(
    channel: str, country: str, lines: Iterable[tuple[int, str]], refused: list[Refused], counts: Counter[str]
) -> Iterator[str]:
    """Yields the addresses; notes and counts what is none."""
    what = "an e-mail address" if channel == "email" else "a phone number"
    for row, text in lines:
        address = read_address(channel, text, country)
        if address:
            counts["good"] += 1
            yield address
            continue
        counts["refused"] += 1
        if len(refused) < SHOWN:
            why = f"This is not {what}." if text.strip() else f"There is no {what.split(maxsplit=1)[1]} in this row."
            refused.append(Refused(row, text.replace("\0", "").strip()[:100], why))


def _checked(channel: str, reason: str, note: str | None) -> dict[str, str]:
    errors = {}
    if channel not in CHANNELS:
        errors["channel"] = "Choose one of the list."
    if reason not in BY_HAND:
        errors["reason"] = "Choose one of the list."
    if len(note or "") > NOTE_LIMIT:
        errors["note"] = f"Use at most {NOTE_LIMIT} characters."
    return errors


def add(channel: str, text: str, reason: str, note: str | None = None) -> Outcome:
    """Bars the addresses of a text, one a line: all of them, or none where a line is no address.

    reason: one of BY_HAND. Raises Invalid; its errors may hold "addresses", a line of words for each refused line.
    """
    errors = _checked(channel, reason, note)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        errors["addresses"] = "Write the addresses, one a line."
    elif len(lines) > LINES_LIMIT:
        errors["addresses"] = (
            f"These are {len(lines):,} lines; {LINES_LIMIT:,} are the most at once. Bring them as a file."
        )
    if errors:
        raise Invalid(errors)
    refused: list[Refused] = []
    good = list(_read(channel, current_organization().country, lines, refused, Counter()))
    if refused:
        raise Invalid({"addresses": "\n".join(f"Line {r.row}, {r.text}: {r.why}" for r in refused)})
    return _keep(channel, good, reason, note)


def bring(content: bytes, channel: str, reason: str, note: str | None = None) -> Outcome:
    """Bars the addresses in a CSV, text or Excel file; rows without one are refused and the others taken.

    The column is the one that holds most addresses of the channel. Raises Invalid.
    """
    errors = _checked(channel, reason, note)
    if errors:
        raise Invalid(errors)
    table = reading.read(content)
    column = _column(channel, table)
    refused: list[Refused] = []
    counts: Counter[str] = Counter()
    lines = ((row, cells[column]) for row, cells in islice(table.rows(), FILE_LIMIT + 1))
    addresses = _read(channel, current_organization().country, lines, refused, counts)
    outcome = _keep(channel, addresses, reason, note, counts)
    return Outcome(outcome.added, outcome.already, counts["refused"], tuple(refused))


def _column(channel: str, table: reading.Table) -> int:
    country = current_organization().country
    found = Counter(
        place
        for _, cells in islice(table.rows(), SAMPLE)
        for place, cell in enumerate(cells[: len(table.header)])
        if read_address(channel, cell, country)
    )
    if not found:
        what = "e-mail addresses" if channel == "email" else "phone numbers"
        raise Invalid({"file": f"No column of this file holds {what}."})
    return found.most_common(1)[0][0]


def _keep(
    channel: str, addresses: Iterable[str], reason: str, note: str | None, counts: Counter[str] | None = None
) -> Outcome:
    """Writes them in one statement. counts: told while they are read, to refuse a file that is too long."""
    for table in ("given", "new"):
        run(f"DROP TABLE IF EXISTS pg_temp.{table}_bars")
        run(f'CREATE TEMP TABLE {table}_bars (address text COLLATE "C") ON COMMIT DROP')
    total = 0
    with driver_connection().cursor() as cursor, cursor.copy("COPY given_bars FROM STDIN") as copy:
        for total, address in enumerate(addresses, 1):  # noqa: B007 - the count is wanted
            copy.write_row((address,))
    if counts and counts.total() > FILE_LIMIT:
        raise Invalid({"file": f"There are more than {FILE_LIMIT:,} rows in this file. Split it."})
    run("ANALYZE given_bars")
    added = run(
        "WITH added AS (INSERT INTO suppressions (channel, address, reason, note)"
        " SELECT :channel, g.address, :reason, :note FROM (SELECT DISTINCT lower(address) AS address FROM given_bars) g"
        " ON CONFLICT (org_id, channel, address) DO NOTHING RETURNING address)"
        " INSERT INTO new_bars SELECT address FROM added",
        channel=channel, reason=reason, note=(note or "").replace("\0", "").strip() or None,
    )  # fmt: skip
    run("ANALYZE new_bars")
    _tell("suppressed", channel, "'reason', CAST(:reason AS text)", "new_bars", reason=reason)
    audit.record("suppressions.added", "suppression", after={"channel": channel, "reason": reason, "added": added})
    return Outcome(added, total - added)


def _tell(fact: str, channel: str, members: str, table: str, **params: Any) -> None:
    key = "email_key" if channel == "email" else "phone"
    timeline.record_select(
        fact,
        f"SELECT l.id, jsonb_strip_nulls(jsonb_build_object('channel', CAST(:channel AS text), {members}))"
        f" FROM {table} b JOIN leads l ON l.{key} = b.address AND l.deleted_at IS NULL",
        channel=channel, **params,
    )  # fmt: skip


def get(suppression_id: int) -> Suppression:
    """Returns one entry of the organisation in scope. Raises NotFound."""
    return some([suppression_id])[0]


def some(ids: list[int]) -> list[Suppression]:
    """Returns those of some entries that are there, by address. Raises NotFound where none is."""
    found = db.session.scalars(select(Suppression).where(Suppression.id.in_(ids)).order_by(Suppression.address)).all()
    if not found:
        raise NotFound(GONE)
    return list(found)


def _locked(ids: list[int]) -> list[Suppression]:
    # In one order: whoever lifts the same ones meanwhile waits, and finds them gone.
    wanted = select(Suppression).where(Suppression.id.in_(ids)).order_by(Suppression.id).with_for_update()
    found = db.session.scalars(wanted.execution_options(populate_existing=True)).all()
    if not found:
        raise NotFound(GONE)
    return list(found)


def lead_of(entry: Suppression) -> Lead | None:
    """Returns the lead who has a barred address, or None."""
    column = Lead.email_key if entry.channel == "email" else Lead.phone
    return db.session.scalar(select(Lead).where(column == entry.address, Lead.deleted_at.is_(None)))


def wants_why(entries: Iterable[Suppression]) -> bool:
    """True where making one of them reachable again has to be explained: somebody, or their server, said no."""
    return any(entry.reason not in BY_HAND for entry in entries)


def lift(ids: list[int], why: str = "") -> int:
    """Makes addresses reachable again. why: words kept with it. Returns how many. What their owners agreed to stays.

    Raises NotFound where none is on the list, Invalid at `why` where a reason is missing.
    """
    entries, why = _locked(ids), why.replace("\0", "").strip()
    if len(why) > NOTE_LIMIT:
        raise Invalid({"why": f"Use at most {NOTE_LIMIT} characters."})
    if wants_why(entries) and not why:
        raise Invalid({"why": "Say why this address may be used again."})
    columns = Suppression.id, Suppression.channel, Suppression.address, Suppression.reason
    doomed = delete(Suppression).where(Suppression.id.in_([entry.id for entry in entries])).returning(*columns)
    lifted = db.session.execute(doomed).all()
    for entry in lifted:
        told = {"was": entry.reason, "evidence": why or None, "address": entry.address}
        row = "(SELECT CAST(:address AS text) AS address)"
        _tell("suppression_lifted", entry.channel, "'reason', CAST(:was AS text), 'evidence', CAST(:evidence AS text)",
              row, **told)  # fmt: skip
        # Not in full: what stands in the audit log stays there for good.
        shown = {"channel": entry.channel, "address": veiled(entry.address), "reason": entry.reason}
        audit.record("suppression.lifted", "suppression", entry.id, before=shown, after={"why": why})
    db.session.flush()
    return len(lifted)


def veiled(address: str) -> str:
    """Returns an address in part: enough to recognise one that is known, too little to learn another."""
    local, at, domain = address.partition("@")
    return f"{local[:2]}•••@{domain}" if at else f"{address[:2]}•••{address[-2:]}"


def search(term: str) -> Any:
    """Returns the condition that an address begins with the term; a phone number may be written as at home."""
    term = term.replace("\0", "").strip().lower()
    digits = "".join(letter for letter in term if letter.isdigit() and letter.isascii())
    prefixes = {term}
    if digits and not any(letter.isalpha() or letter == "@" for letter in term):
        prefixes = {f"+{digits}", digits}
        if not term.startswith("+"):
            calling_code = phonenumbers.country_code_for_region(current_organization().country)
            # Most countries drop the national 0 behind their code, some (Italy) keep it.
            prefixes |= {f"+{calling_code}{national}" for national in (digits, digits.lstrip("0"))}
    # Ranges and not LIKE: row-level security would keep it from using the index.
    column = Suppression.address
    return or_(*((column >= prefix) & (column < prefix + "\U0010ffff") for prefix in sorted(prefixes)))
