"""Personas: an ideal lead (segment, region, attributes), and how sure we are that somebody is one."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

LEVELS = ("low", "medium", "high", "very_high")


class Persona(Tenant, Changing, Base):
    __tablename__ = "personas"
    name: Mapped[str]
    description: Mapped[str | None]
    primary_segment_id: Mapped[int | None]
    region: Mapped[str | None]
    state: Mapped[str | None]
    persona_type: Mapped[str]
    # What its groups have in common: a group matches that carries one of these segment tags (and is of its region).
    segment_tags: Mapped[list[str]] = mapped_column(server_default="{}")
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    __table_args__ = (
        of_organization(),
        child_of("segments", "primary_segment_id", "SET NULL"),
        Index(None, "org_id", "persona_type", unique=True),
    )


class PersonaScore(Tenant, Changing, Base):
    __tablename__ = "persona_scores"
    lead_id: Mapped[int]
    persona_id: Mapped[int]
    confidence_score: Mapped[Decimal]
    confidence_level: Mapped[str]
    matching_groups_count: Mapped[int]
    total_groups_count: Mapped[int]
    method: Mapped[str] = mapped_column(server_default="groups")
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", server_default="{}")
    is_approved: Mapped[bool | None]  # nothing: nobody has looked; false: refused
    approved_by: Mapped[int | None]
    approved_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("leads", "lead_id"),
        child_of("personas", "persona_id"),
        child_of("users", "approved_by", "SET NULL"),
        one_of("confidence_level", LEVELS),
        CheckConstraint("confidence_score BETWEEN 0 AND 100", name="confidence_score"),
        Index(None, "org_id", "lead_id", "persona_id", unique=True),
        Index(None, "org_id", "persona_id", "confidence_score"),
    )


class PersonaAttribute(Tenant, Base):
    __tablename__ = "persona_attributes"
    persona_id: Mapped[int]
    type: Mapped[str]
    name: Mapped[str]
    value: Mapped[str]
    source: Mapped[str | None]
    confidence: Mapped[Decimal] = mapped_column(server_default="1")
    __table_args__ = (
        child_of("personas", "persona_id"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index(None, "org_id", "persona_id", "type", "name"),
    )
