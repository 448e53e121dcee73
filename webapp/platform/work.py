"""Which organisations have work due: the only thing a job may read across all of them, so that a thousand idle
organisations cost one index look-up a second."""

from collections.abc import Callable
from datetime import datetime
from threading import Lock

from sqlalchemy import Index, Text, event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.platform import tenancy
from webapp.platform.db import Base, Tenant, db, of_organization, rows, run, transaction
from webapp.platform.logs import log

logger = log(__name__)


class WorkDue(Tenant, Base):
    __tablename__ = "work_due"
    id = None
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime]
    __table_args__ = (of_organization(), Index(None, "kind", "due_at"))


def announce(kind: str, at: datetime | None = None) -> None:
    """Says that the organisation in scope has work of a kind, now or at a time. The earliest time said stands."""
    run(
        "INSERT INTO work_due (kind, due_at) VALUES (:kind, COALESCE(:at, now()))"
        " ON CONFLICT (org_id, kind) DO UPDATE SET due_at = LEAST(work_due.due_at, EXCLUDED.due_at)",
        kind=kind,
        at=at,
    )


# What transactions of this process that have committed have woken since `tell`: (organisation, kind).
_woken: set[tuple[int, str]] = set()
_guard = Lock()


def wake(kind: str) -> None:
    """Says that there is work of a kind once the transaction commits, without a row of it being locked until then.

    The announcement follows within a second (`tell`). A process that dies in between takes it along: whoever relies
    on this looks by the clock too.
    """
    org_id = tenancy.current_org()
    if org_id is not None:
        db.session().info.setdefault("woken", set()).add((org_id, kind))


@event.listens_for(Session, "after_commit")
def _keep_woken(session: Session) -> None:
    # Savepoints end here too: what was woken waits for the transaction around them.
    if not session.in_nested_transaction() and (woken := session.info.pop("woken", None)):
        with _guard:
            _woken.update(woken)


@event.listens_for(Session, "after_rollback")
def _forget_woken(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("woken", None)


def tell() -> int:
    """Announces what this process's transactions have woken. Returns how many announcements it made."""
    with _guard:
        woken = list(_woken)
        _woken.clear()
    for org_id, kind in woken:
        try:
            with transaction(org_id):
                announce(kind)
        except IntegrityError:
            logger.info("an organisation is gone", org_id=org_id)
    return len(woken)


def due(kind: str) -> list[int]:
    """Returns the ids of organisations with work of a kind due now, longest waiting first."""
    with tenancy.runner_scope(), transaction(None):
        found = rows("SELECT org_id FROM work_due WHERE kind = :kind AND due_at <= now() ORDER BY due_at", kind=kind)
    return [row.org_id for row in found]


def settle(kind: str, next_at: Callable[[], datetime | None]) -> None:
    """Notes when the organisation in scope has its next work of a kind; None: when somebody announces it.

    The row goes first and `next_at` looks afterwards: work announced before the delete is then visible to the look,
    and an announcement after it waits for this transaction and puts the row back.
    """
    run("DELETE FROM work_due WHERE kind = :kind", kind=kind)
    at = next_at()
    if at is not None:
        announce(kind, at)
