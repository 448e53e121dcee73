"""Merging two leads that are one person: all history follows, and it can be taken back."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from webapp.platform.db import Base, Tenant, child_of


class LeadMerge(Tenant, Base):
    __tablename__ = "lead_merges"
    kept_id: Mapped[int]
    merged_id: Mapped[int]
    # What the kept lead was, and which rows of which table moved: {"lead": {...}, "moved": {table: [ids]}}.
    before: Mapped[dict[str, Any]]
    merged_by: Mapped[int | None]
    undone_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("leads", "kept_id"),
        child_of("leads", "merged_id"),
        child_of("users", "merged_by", "SET NULL"),
        Index(None, "org_id", "kept_id"),
        Index(None, "org_id", "merged_id"),
    )
