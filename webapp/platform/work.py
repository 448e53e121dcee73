"""Which organisations have work due: the only thing a job may read across all of them, so that a thousand idle
organisations cost one index look-up a second."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform import tenancy
from webapp.platform.db import Base, Tenant, of_organization, rows, run, transaction


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
