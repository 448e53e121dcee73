"""Whose data this is. The organisation in scope is told to PostgreSQL at the start of every transaction,
where row-level security holds it; no query names an organisation by hand to stay inside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_org: ContextVar[int | None] = ContextVar("org_id", default=None)
_runner: ContextVar[bool] = ContextVar("runner", default=False)


def current_org() -> int | None:
    """Returns the id of the organisation in scope, or None (then no tenant row is visible)."""
    return _org.get()


def is_runner() -> bool:
    """True while the job runner asks which organisations have work due."""
    return _runner.get()


def enter(org_id: int | None) -> None:
    """Sets the scope for the rest of this context (a request). Prefer `scope` anywhere else."""
    _org.set(org_id)


@contextmanager
def scope(org_id: int | None) -> Iterator[None]:
    """Runs the block in the scope of one organisation. A transaction already begun keeps its own."""
    token = _org.set(org_id)
    try:
        yield
    finally:
        _org.reset(token)


@contextmanager
def runner_scope() -> Iterator[None]:
    """Lets the block read `work_due` across organisations, and nothing else."""
    token = _runner.set(True)
    try:
        yield
    finally:
        _runner.reset(token)
