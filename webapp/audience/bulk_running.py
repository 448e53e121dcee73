"""Works off bulk actions: chunk by chunk, each a transaction that also notes how far it came, so that whoever goes on
after a killed process does nothing twice and leaves nobody out."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import Any

from psycopg import errors as pg
from sqlalchemy import func
from sqlalchemy.exc import DBAPIError

from webapp.audience import bulk_deeds
from webapp.audience.bulk import WORK, chosen
from webapp.audience.leads import Lead
from webapp.platform import audit, work
from webapp.platform.db import db, one, run, transaction, value
from webapp.platform.errors import Invalid, Refused
from webapp.platform.logs import log

CHUNK = 2000
LEASE_SECONDS = 60
MAX_CLASHES = 5  # times a chunk is begun again because somebody held the same leads
CLASHES = (pg.DeadlockDetected, pg.SerializationFailure)
SORRY = "Something went wrong on our side. The leads changed so far stay changed."
logger = log(__name__)


class Stopped(Exception):
    """Raised inside the work where the claim is gone: cancelled by a person, or taken over after a long silence."""


def run_slice(node: str, seconds: float, stopping: Event | None = None) -> bool:
    """Works for some seconds on one action of the organisation in scope. Returns False if there is none waiting, nor one
    whose process is gone. node: who claims it."""
    with transaction():
        claim = _claim(f"{node}:{uuid.uuid4().hex}")
        work.settle(WORK, _next_due)
    if claim is None:
        return False
    until = time.monotonic() + seconds
    try:
        while _attempt(claim):
            if time.monotonic() > until or (stopping and stopping.is_set()):
                _pause(claim)
                break
    except Stopped:
        logger.info("bulk action stopped", action_id=claim.id)
    except Refused as problem:
        said = next(iter(problem.errors.values()), problem.message) if isinstance(problem, Invalid) else problem.message
        _fail(claim, said)
    except Exception as problem:
        if isinstance(problem, DBAPIError) and problem.connection_invalidated:
            # The database went away: the lease runs out and somebody goes on.
            raise
        logger.exception("bulk action failed", action_id=claim.id)
        _fail(claim, SORRY)
    return True


def _claim(token: str) -> Any:
    return one(
        "UPDATE bulk_actions SET status = 'running', node = :token, started_at = COALESCE(started_at, now()),"
        " lease_until = now() + :lease * interval '1 second' WHERE id = (SELECT id FROM bulk_actions"
        " WHERE status = 'queued' OR (status = 'running' AND lease_until <= now()) ORDER BY id LIMIT 1"
        " FOR UPDATE SKIP LOCKED) RETURNING id, node, action, argument, selection, created_by",
        token=token,
        lease=LEASE_SECONDS,
    )


def _next_due() -> datetime | None:
    return value(
        "SELECT min(CASE WHEN status = 'queued' THEN now() ELSE lease_until END) FROM bulk_actions"
        " WHERE status IN ('queued', 'running')"
    )


def _attempt(claim: Any) -> bool:
    for clash in range(1, MAX_CLASHES + 1):
        try:
            with transaction(), _acting_for(claim):
                return _chunk(claim)
        except DBAPIError as problem:
            if not isinstance(problem.orig, CLASHES) or clash == MAX_CLASHES:
                raise
            logger.info("chunk begun again", action_id=claim.id, reason=str(problem.orig)[:200])
    return False


@contextmanager
def _acting_for(claim: Any) -> Iterator[None]:
    """Facts name the person who asked for the action."""
    token = audit.context.set({"actor_id": claim.created_by} if claim.created_by else None)
    try:
        yield
    finally:
        audit.context.reset(token)


def _chunk(claim: Any) -> bool:
    """Changes the next leads and notes it. Returns False when there are no more. Raises Stopped."""
    # Locks the action for the transaction: a cancellation waits for this chunk, and none follows it.
    stand = one(
        "UPDATE bulk_actions SET lease_until = now() + :lease * interval '1 second', updated_at = now()"
        " WHERE id = :id AND node = :node AND status = 'running' RETURNING COALESCE(last_lead_id, 0) AS last, total",
        id=claim.id, node=claim.node, lease=LEASE_SECONDS,
    )  # fmt: skip
    if stand is None:
        raise Stopped
    if stand.total is None:
        total = db.session.scalar(chosen(claim.selection, func.count()))
        run("UPDATE bulk_actions SET total = :total WHERE id = :id", id=claim.id, total=total)
        return True
    wanted = chosen(claim.selection, Lead.id).where(Lead.id > stand.last).order_by(Lead.id).limit(CHUNK)
    ids = list(db.session.scalars(wanted))
    before = bulk_deeds.do(claim.action, claim.argument, ids) if ids else {}
    run(
        "UPDATE bulk_actions SET done = done + :done, changed = changed + :changed,"
        " last_lead_id = COALESCE(:last, last_lead_id), status = CASE WHEN :over THEN 'done' ELSE status END,"
        " finished_at = CASE WHEN :over THEN now() END WHERE id = :id",
        id=claim.id, done=len(ids), changed=len(before), last=ids[-1] if ids else None, over=len(ids) < CHUNK,
    )  # fmt: skip
    return len(ids) == CHUNK


def _pause(claim: Any) -> None:
    """Lets the next one go on at once, wherever that is."""
    with transaction():
        run("UPDATE bulk_actions SET lease_until = now() WHERE id = :id AND node = :node", id=claim.id, node=claim.node)
        work.announce(WORK)


def _fail(claim: Any, message: str) -> None:
    with transaction():
        run(
            "UPDATE bulk_actions SET status = 'failed', error = :message, finished_at = now(), updated_at = now()"
            " WHERE id = :id AND node = :node AND status = 'running'",
            id=claim.id, node=claim.node, message=message,
        )  # fmt: skip
