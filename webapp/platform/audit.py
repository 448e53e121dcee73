"""The audit log: who did what to which thing. Insert and select only; the app's role may do nothing else to it."""

from contextvars import ContextVar
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from webapp.platform.db import Base, Tenant, db, of_organization

# Set by a face at the start of a request: actor_id, ip, request_id.
context: ContextVar[dict[str, Any] | None] = ContextVar("audit", default=None)


class AuditEntry(Tenant, Base):
    __tablename__ = "audit_log"
    actor_id: Mapped[int | None]
    action: Mapped[str]
    entity: Mapped[str | None]
    entity_id: Mapped[int | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    ip: Mapped[str | None]
    request_id: Mapped[str | None]
    __table_args__ = (of_organization(), Index(None, "org_id", "created_at", "id"))


def actor_name() -> str | None:
    """Returns "user:ID" for the person acting in this context, or None for the house itself."""
    actor = (context.get() or {}).get("actor_id")
    return f"user:{actor}" if actor else None


def record(
    action: str,
    entity: str | None = None,
    entity_id: int | None = None,
    *,
    before: dict | None = None,
    after: dict | None = None,
) -> None:
    """Adds one entry in the transaction of the act itself. Never give it a password or a secret."""
    entry = AuditEntry(
        action=action, entity=entity, entity_id=entity_id, before=before, after=after, **(context.get() or {})
    )
    db.session.add(entry)
