"""Idempotency keys: a mutating API call repeated under one key is carried out once and answered the same."""

import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, select
from sqlalchemy.orm import Mapped

from webapp.platform.db import Base, Tenant, db, of_organization, run
from webapp.platform.errors import Invalid, Refused

KEEP_HOURS = 24


class IdempotencyKey(Tenant, Base):
    __tablename__ = "idempotency_keys"
    user_id: Mapped[int]
    key: Mapped[str]
    request_hash: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[dict[str, Any] | None]
    answered_at: Mapped[datetime | None]
    __table_args__ = (of_organization(), Index(None, "org_id", "user_id", "key", unique=True))


def begin(user_id: int, key: str, *request: str) -> IdempotencyKey | None:
    """Claims a key for a request. Returns its row if the call was answered before, None if it is to be carried out.

    Two calls at once: the second waits here for the first one's transaction. Raises Refused where the key was used
    for another request, Invalid where it is too long.
    """
    if len(key) > 200:
        raise Invalid({"Idempotency-Key": "Use at most 200 characters."})
    digest = hashlib.sha256("\0".join(request).encode()).hexdigest()
    added = run(
        "INSERT INTO idempotency_keys (user_id, key, request_hash) VALUES (:user, :key, :hash)"
        " ON CONFLICT (org_id, user_id, key) DO NOTHING",
        user=user_id, key=key, hash=digest,
    )  # fmt: skip
    if added:
        return None
    kept = db.session.scalars(select(IdempotencyKey).filter_by(user_id=user_id, key=key)).one()
    if kept.request_hash != digest:
        raise Refused("This Idempotency-Key was used for a different request.")
    return kept


def finish(user_id: int, key: str, status: int, body: Any) -> None:
    """Keeps the answer, in the transaction of the call itself: a call that fails leaves no key behind."""
    kept = db.session.scalars(select(IdempotencyKey).filter_by(user_id=user_id, key=key)).one()
    kept.status, kept.body, kept.answered_at = status, {"json": body}, func.now()
    db.session.flush()


def prune() -> None:
    """Forgets keys of the organisation in scope older than KEEP_HOURS."""
    run("DELETE FROM idempotency_keys WHERE created_at < now() - :hours * interval '1 hour'", hours=KEEP_HOURS)
