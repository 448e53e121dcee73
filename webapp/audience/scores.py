"""Scores: points for what leads do and are, fading with time, recomputed for everybody at once."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform.db import Base, Changing, Tenant, child_of, of_organization

MODELS = ("score", "engagement_score")  # the column of leads that a rule adds to
KINDS = ("event", "attribute")


class ScoreRule(Tenant, Changing, Base):
    __tablename__ = "score_rules"
    model: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    # event: {"type": "email_clicked", "within_days": 90}; attribute: a segment rule {"field", "operator", "value"}.
    condition: Mapped[dict[str, Any]]
    points: Mapped[int]
    # After so many days an event's points are worth half; nothing: they do not fade.
    half_life_days: Mapped[Decimal | None]
    limit: Mapped[int | None]  # at most so many points from this rule
    position: Mapped[int] = mapped_column(server_default="0")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    __table_args__ = (
        of_organization(),
        one_of("model", MODELS),
        one_of("kind", KINDS),
        Index(None, "org_id", "model", "position"),
    )


class LeadScore(Tenant, Base):
    """A score a lead came to have. Written when it changed, so the history is as short as it can be."""

    __tablename__ = "lead_scores"
    lead_id: Mapped[int]
    model: Mapped[str]
    score: Mapped[int]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    __table_args__ = (child_of("leads", "lead_id"), one_of("model", MODELS), Index(None, "org_id", "lead_id", "at"))


class ScoreThreshold(Tenant, Base):
    """A line whose crossing is a fact on the timeline: score_threshold_crossed."""

    __tablename__ = "score_thresholds"
    model: Mapped[str]
    value: Mapped[int]
    name: Mapped[str]
    __table_args__ = (
        of_organization(),
        one_of("model", MODELS),
        Index(None, "org_id", "model", "value", unique=True),
    )
