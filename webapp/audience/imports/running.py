"""Works off waiting imports: claims one, does it in one transaction, and says so only if the claim still stands.

A process that is killed leaves a transaction that PostgreSQL rolls back and a lease that runs out; then the next one
simply does the import again, from the file that is kept in the database.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from psycopg import errors as pg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webapp.audience import policy_values
from webapp.audience.imports import joining, merging, options, policy_merging, policy_rows, reading, staging
from webapp.audience.imports.coercing import STAGED, Coercion
from webapp.audience.imports.kinds import KINDS, POLICIES, POLICY_COLUMNS
from webapp.audience.imports.merging import Merge
from webapp.audience.imports.staging import MANY
from webapp.audience.imports.tables import Import, ImportFile
from webapp.platform import audit, tenancy, work
from webapp.platform.db import db, one, refresh_statistics, run, take_time, transaction, value
from webapp.platform.errors import Invalid, Refused
from webapp.platform.logs import log
from webapp.platform.organizations import current as current_organization

WORK = "imports"
LEASE_SECONDS = 60
BEAT_SECONDS = 1.0
MAX_ATTEMPTS = 3  # claims of one import, killed processes included: a file that kills its process stops doing so
MAX_CLASHES = 5  # times a merge is begun again because somebody made the same lead meanwhile
CLASHES = (pg.UniqueViolation, pg.DeadlockDetected, pg.SerializationFailure, pg.ForeignKeyViolation)
SORRY = "Something went wrong on our side, and nothing was changed. Try it again; if it happens again, tell us."
logger = log(__name__)


class Stopped(Exception):
    """Raised inside the work where the claim is gone: cancelled by a person, or taken over after a long silence."""


class Claim:
    """The right to do an import. token: a new one each time, so that a process that was given up cannot finish."""

    def __init__(self, import_id: int, token: str):
        self.import_id, self.token = import_id, token
        self.org_id = tenancy.current_org()
        self.read, self.beaten_at = 0, time.monotonic()

    def beat(self, read: int | None = None) -> None:
        """Shows how many rows have been read and keeps the lease, at most every BEAT_SECONDS. Raises Stopped.

        In a transaction of its own, so that others see it before the work is done.
        """
        self.read = self.read if read is None else read
        if time.monotonic() - self.beaten_at < BEAT_SECONDS:
            return
        with db.engine.begin() as connection:
            connection.execute(text("SELECT set_config('app.org_id', :org, true)"), {"org": str(self.org_id)})
            held = connection.execute(
                text(
                    "UPDATE imports SET progress = :read, lease_until = now() + :lease * interval '1 second'"
                    " WHERE id = :id AND claim_token = :token AND status = 'running'"
                ),
                {"read": self.read, "lease": LEASE_SECONDS, "id": self.import_id, "token": self.token},
            ).rowcount
        self.beaten_at = time.monotonic()
        if not held:
            raise Stopped


def run_next(node: str) -> bool:
    """Does one waiting import of the organisation in scope, or one whose process is gone. Returns False if there is
    none. node: who claims it."""
    with transaction():
        claim = _claim(node)
        work.settle(WORK, _next_due)
    if claim is None:
        return False
    try:
        _attempt(claim)
    except Stopped:
        logger.info("import stopped", import_id=claim.import_id)
    except Refused as problem:
        said = next(iter(problem.errors.values()), problem.message) if isinstance(problem, Invalid) else problem.message
        _fail(claim, said)
    except DBAPIError as problem:
        if problem.connection_invalidated:
            # The database went away: the lease runs out and somebody does it again.
            raise
        logger.exception("import failed", import_id=claim.import_id)
        _fail(claim, SORRY)
    except Exception:
        logger.exception("import failed", import_id=claim.import_id)
        _fail(claim, SORRY)
    return True


def _claim(node: str) -> Claim | None:
    token = f"{node}:{uuid.uuid4().hex}"
    while True:
        found = one(
            "UPDATE imports SET status = 'running', claim_token = :token, attempts = attempts + 1, progress = 0,"
            " started_at = now(), lease_until = now() + :lease * interval '1 second', message = NULL"
            " WHERE id = (SELECT id FROM imports WHERE status = 'queued'"
            " OR (status = 'running' AND lease_until < now()) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
            " RETURNING id, attempts",
            token=token,
            lease=LEASE_SECONDS,
        )
        if found is None:
            return None
        claim = Claim(found.id, token)
        if found.attempts <= MAX_ATTEMPTS:
            return claim
        _write_failure(claim, f"This import was begun {MAX_ATTEMPTS} times and cut off each time. Nothing was changed.")


def _next_due() -> datetime | None:
    return value(
        "SELECT min(CASE WHEN status = 'queued' THEN now() ELSE lease_until END) FROM imports"
        " WHERE status IN ('queued', 'running')"
    )


def _attempt(claim: Claim) -> None:
    for clash in range(1, MAX_CLASHES + 1):
        try:
            with transaction(), _acting_for(claim):
                take_time()  # to open a large workbook, for one
                touched = _work(claim)
            if touched > MANY:
                refresh_statistics("leads", "consents", "lead_events", "policies")
            return
        except DBAPIError as problem:
            if not isinstance(problem.orig, CLASHES) or clash == MAX_CLASHES:
                raise
            logger.info("import begun again", import_id=claim.import_id, reason=str(problem.orig)[:200])


@contextmanager
def _acting_for(claim: Claim) -> Iterator[None]:
    """Facts and audit entries name the person who asked for the import."""
    asked = value("SELECT created_by FROM imports WHERE id = :id", id=claim.import_id)
    token = audit.context.set({"actor_id": asked} if asked else None)
    try:
        yield
    finally:
        audit.context.reset(token)


def _work(claim: Claim) -> int:
    """Does the import and closes it. Returns how many leads or policies it made or changed."""
    import_ = db.session.get_one(Import, (claim.org_id, claim.import_id))
    content = db.session.query(ImportFile.content).filter_by(import_id=claim.import_id).scalar()
    if content is None:
        raise Invalid({"file": "The file of this import is not kept any more. Upload it again."})
    kind = KINDS[import_.kind]
    coercion = Coercion(import_.header, import_.mapping, options.readers(import_, current_organization()), kind)
    staging.create(coercion.fields)
    table = reading.read(content, import_.dialect)
    total = staging.fill(coercion, table.rows(), claim.beat)
    merge = _merge_policies if kind is POLICIES else _merge_leads
    counts = merge(_wanted(import_, coercion), claim, table)
    joining.join(import_)
    failed = staging.keep_notes(claim.import_id)
    _finish(claim, counts | {"total": total, "failed": failed})
    return counts["created"] + counts["updated"]


def _merge_leads(wanted: Merge, claim: Claim, _table: reading.Table) -> dict[str, int]:
    return merging.merge(wanted, claim.beat)


def _merge_policies(wanted: Merge, claim: Claim, table: reading.Table) -> dict[str, int]:
    day = policy_values.today()
    about_leads = replace(wanted, fields=[field for field in wanted.fields if field not in POLICY_COLUMNS])
    merging.merge(about_leads, claim.beat, lambda: policy_rows.place(wanted, day, table.rows))
    claim.beat()
    return policy_merging.write(wanted.import_id, day)


def _wanted(import_: Import, coercion: Coercion) -> Merge:
    columns = {
        field: import_.header[int(place)]
        for place, target in import_.mapping.items()
        for field in STAGED.get(target, (target,))
    }
    return Merge(import_.id, coercion.fields, columns, import_.options, import_.file_name)


def _finish(claim: Claim, counts: dict[str, int]) -> None:
    """Closes the import in the transaction that did it, if it is still this claim's. Raises Stopped."""
    skipped = counts["total"] - counts["created"] - counts["updated"] - counts["failed"]
    audit.record("leads.imported", "import", claim.import_id, after=counts | {"skipped": skipped})
    closed = run(
        "UPDATE imports SET status = 'done', total = :total, progress = :total, created = :created,"
        " updated = :updated, skipped = :skipped, failed = :failed, finished_at = now(), updated_at = now(),"
        " created_ids = COALESCE((SELECT array_agg(lead_id ORDER BY lead_id) FROM import_made), '{}'),"
        " claim_token = NULL, lease_until = NULL WHERE id = :id AND claim_token = :token AND status = 'running'",
        id=claim.import_id, token=claim.token, skipped=skipped, **counts,
    )  # fmt: skip
    if not closed:
        raise Stopped


def _fail(claim: Claim, message: str) -> None:
    with transaction():
        _write_failure(claim, message)


def _write_failure(claim: Claim, message: str) -> None:
    run(
        "UPDATE imports SET status = 'failed', message = :message, finished_at = now(), updated_at = now(),"
        " claim_token = NULL, lease_until = NULL WHERE id = :id AND claim_token = :token AND status = 'running'",
        id=claim.import_id,
        token=claim.token,
        message=message,
    )
