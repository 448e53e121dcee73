"""The verbs of an import: start, configure, preview, queue, cancel, run, undo."""

from itertools import islice
from typing import Any

from sqlalchemy import select

from webapp.audience.imports import columns, options, previewing, reading
from webapp.audience.imports.kinds import KINDS, Kind, likely
from webapp.audience.imports.previewing import Preview
from webapp.audience.imports.refusals import problems_csv, refused_csv
from webapp.audience.imports.running import WORK, run_next
from webapp.audience.imports.survey import survey
from webapp.audience.imports.tables import Import, ImportFile, ImportProblem
from webapp.audience.imports.undoing import undo
from webapp.platform import work
from webapp.platform.db import db, run, value
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import current as current_organization

__all__ = [
    "cancel", "choose_kind", "configure", "first_rows", "get", "leads_made", "preview", "problems", "prune", "problems_csv", "queue",
    "recent", "refused_csv", "run_next", "start", "undo",
]  # fmt: skip
KEEP_DAYS = 7  # for running a failed one again, or looking at what came in
OPEN = ("uploaded", "failed", "cancelled")  # nothing of it is in the leads, so it may be changed and run (again)


def start(file_name: str, content: bytes, created_by: int | None = None, kind: str | None = "leads") -> Import:
    """Takes in a file: reads it once, guesses or remembers what its columns are, and keeps it. kind: one of KINDS, or
    None where the names of the columns are to tell. Raises Invalid at `file`."""
    table = reading.read(content)
    found = survey(table)
    organization = current_organization()
    key = columns.header_key(table.header)
    chosen = KINDS[kind or _last_kind(key) or likely(table.header)]
    mapping = _guessed(table.header, found.sample, chosen)
    country = columns.likely_country(table.header, found.sample, mapping, organization.country)
    import_ = Import(
        file_name=_safe_name(file_name),
        kind=chosen.name,
        dialect=table.dialect | {"columns": found.columns},
        header=table.header,
        header_key=key,
        mapping=mapping,
        options=options.DEFAULTS | options.OF_KIND[chosen.name] | {"country": country},
        total=found.total,
        created_by=created_by,
    )
    db.session.add(import_)
    db.session.flush()
    db.session.add(ImportFile(import_id=import_.id, content=content))
    db.session.flush()
    return import_


def _last_kind(header_key: str) -> str | None:
    """What the rows of such a file were the last time one was imported."""
    return value(
        "SELECT kind FROM imports WHERE header_key = :key AND status = 'done' ORDER BY id DESC LIMIT 1", key=header_key
    )


def _guessed(header: list[str], sample: list[list[str]], kind: Kind) -> dict[str, str]:
    guessed = columns.guess(header, sample, options.owners(), kind)
    return columns.settled(guessed, columns.remembered(columns.header_key(header), kind))


def choose_kind(import_: Import, kind: str) -> None:
    """Decides what the rows are; the columns are guessed again for it. Raises Invalid at `kind`, Refused where it runs
    already."""
    _still_open(import_)
    if kind not in KINDS:
        raise Invalid({"kind": "Choose what the rows are."})
    if kind != import_.kind:
        import_.kind = kind
        import_.mapping = _guessed(import_.header, survey(_table(import_)).sample, KINDS[kind])
        import_.options = options.DEFAULTS | options.OF_KIND[kind] | {"country": import_.options["country"]}
        db.session.flush()


def leads_made(import_: Import) -> int:
    """Returns how many leads a finished import made."""
    return value("SELECT cardinality(created_ids) FROM imports WHERE id = :id", id=import_.id)


def _safe_name(file_name: str) -> str:
    return file_name.replace("\0", "").replace("\\", "/").rpartition("/")[2].strip()[:200] or "leads"


def get(import_id: int) -> Import:
    """Returns an import of the organisation in scope. Raises NotFound."""
    found = db.session.scalar(select(Import).where(Import.id == import_id))
    if found is None:
        raise NotFound("That import does not exist.")
    return found


def recent(limit: int = 50) -> list[Import]:
    """Returns the latest imports, newest first."""
    return list(db.session.scalars(select(Import).order_by(Import.created_at.desc(), Import.id.desc()).limit(limit)))


def configure(import_: Import, mapping: dict[str, str], given: dict[str, Any] | None = None) -> None:
    """Decides what the columns are and what happens to known leads. Raises Invalid at the column's index or the option,
    Refused where it runs already."""
    _still_open(import_)
    errors: dict[str, str] = {}
    for field, check in (
        ("mapping", lambda: columns.check(mapping, import_.header, KINDS[import_.kind])),
        ("options", lambda: options.check(given or {}, import_.options)),
    ):
        try:
            setattr(import_, field, check())
        except Invalid as problem:
            errors |= problem.errors
    if errors:
        db.session.refresh(import_)
        raise Invalid(errors)
    db.session.flush()


def preview(import_: Import, limit: int = 20) -> Preview:
    """Returns what would become of the first rows, and the problems by column in the first 2,000."""
    return previewing.preview(import_, _table(import_), current_organization(), limit)


def first_rows(import_: Import, limit: int = 5) -> list[list[str]]:
    """Returns the cells of the first rows as they stand in the file."""
    return [cells for _, cells in islice(_table(import_).rows(), limit)]


def _table(import_: Import) -> reading.Table:
    content = db.session.query(ImportFile.content).filter_by(import_id=import_.id).scalar()
    if content is None:
        raise NotFound("The file of this import is not kept any more. Upload it again.")
    return reading.read(content, import_.dialect)


def queue(import_: Import) -> None:
    """Sets it going. Raises Refused where it went already, Invalid where the columns do not do."""
    _still_open(import_)
    columns.check(import_.mapping, import_.header, KINDS[import_.kind])
    import_.status, import_.message, import_.attempts, import_.progress = "queued", None, 0, 0
    import_.finished_at = None
    db.session.flush()
    work.announce(WORK)


def _still_open(import_: Import) -> None:
    db.session.refresh(import_, with_for_update=True)
    if import_.status not in OPEN:
        raise Refused("This import is on its way or done already.")


def cancel(import_: Import) -> None:
    """Stops an import that is not done yet; nothing of it stays. Raises Refused where it is over."""
    stopped = run(
        "UPDATE imports SET status = 'cancelled', message = 'Cancelled. Nothing was changed.', claim_token = NULL,"
        " lease_until = NULL, finished_at = now(), updated_at = now()"
        " WHERE id = :id AND status IN ('uploaded', 'queued', 'running')",
        id=import_.id,
    )
    db.session.refresh(import_)
    if not stopped:
        raise Refused("This import is over already. A finished one can be taken back.")


def prune() -> int:
    """Forgets the uploaded bytes of the organisation in scope's imports that ended KEEP_DAYS ago. Returns how many."""
    return run(
        "DELETE FROM import_files USING imports WHERE imports.org_id = import_files.org_id"
        " AND imports.id = import_files.import_id AND imports.updated_at < now() - :days * interval '1 day'"
        " AND imports.status NOT IN ('queued', 'running')",
        days=KEEP_DAYS,
    )


def problems(import_: Import, *, limit: int = 100) -> list[ImportProblem]:
    """Returns the first cells dropped and rows refused, in the order of the file."""
    found = select(ImportProblem).where(ImportProblem.import_id == import_.id)
    return list(db.session.scalars(found.order_by(ImportProblem.row, ImportProblem.id).limit(limit)))
