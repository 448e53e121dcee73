"""Membership: who is in a segment, since when, and who was.

A dynamic segment's members are stored as well as found: what joins rules together, what the past looked like and what
automations follow is the stored membership; `sync` brings it to what the rules say now and writes only the difference.
"""

from datetime import date, datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Tenant, child_of

SOURCES = ("rule", "manual", "import")


class SegmentMember(Tenant, Base):
    __tablename__ = "segment_members"
    segment_id: Mapped[int]
    lead_id: Mapped[int]
    entered_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    exited_at: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(server_default="rule")
    __table_args__ = (
        child_of("segments", "segment_id"),
        child_of("leads", "lead_id"),
        one_of("source", SOURCES),
        # One open row a pair; who is in it now is read from this index alone.
        Index(
            "ix_segment_members_open", "org_id", "segment_id", "lead_id", unique=True,
            postgresql_where=text("exited_at IS NULL"),
        ),
        Index(None, "org_id", "lead_id"),
        Index(None, "org_id", "segment_id", "entered_at"),
    )  # fmt: skip


class SegmentSize(Tenant, Base):
    """How large a segment was at the end of a day (of the organisation), and how many came and went on it."""

    __tablename__ = "segment_sizes"
    id = None
    segment_id: Mapped[int] = mapped_column(primary_key=True)
    on_date: Mapped[date] = mapped_column(primary_key=True)
    size: Mapped[int]
    entered: Mapped[int] = mapped_column(server_default="0")
    exited: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (child_of("segments", "segment_id"),)
