"""Bulk actions: one change for many leads, done in the background, seen and left at will."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

ACTIONS = ("add_tag", "remove_tag", "assign", "status", "priority", "add_to_segment", "remove_from_segment", "delete")
STATUSES = ("queued", "running", "done", "failed", "cancelled")


class BulkAction(Tenant, Changing, Base):
    __tablename__ = "bulk_actions"
    action: Mapped[str]
    argument: Mapped[dict[str, Any]]  # {"tag": ...} | {"owner_id": ...} | {"status": ...} | {"segment_id": ...}
    # Whom: {"ids": [...]} or {"filter": {...}} as the list page has it; the leads are named when it starts.
    selection: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default="queued")
    total: Mapped[int | None]
    done: Mapped[int] = mapped_column(server_default="0")
    changed: Mapped[int] = mapped_column(server_default="0")
    last_lead_id: Mapped[int | None]  # leads are worked off by id; a restart goes on behind this one
    node: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_by: Mapped[int | None]
    __table_args__ = (
        of_organization(),
        child_of("users", "created_by", "SET NULL"),
        one_of("action", ACTIONS),
        one_of("status", STATUSES),
        Index(None, "org_id", "created_at", "id"),
    )
