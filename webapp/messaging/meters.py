"""Meters of senders: what each did minute by minute, and when its next message may leave."""

from collections import Counter
from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform import work
from webapp.platform.db import Base, Tenant, child_of, run

HEALTH = "health"  # the kind of work by which scores of senders are brought up to date
MEASURES = ("sent", "failed", "unknown", "bounced", "complaints")


class SenderMeter(Tenant, Base):
    """Locked by whoever claims for a sender with a cap. next_free_at: when the next message may leave at the sender's
    rate per second; a claim moves it ahead by what it takes, so that any number of processes share one rate."""

    __tablename__ = "sender_meters"
    sender_id: Mapped[int]
    next_free_at: Mapped[datetime | None]
    __table_args__ = (child_of("senders", "sender_id"), Index(None, "org_id", "sender_id", unique=True))


class SenderMinute(Tenant, Base):
    """claimed: taken out of the daily limit (given back where provably nothing went out). The others: how it went, in the
    minute in which it was told."""

    __tablename__ = "sender_minutes"
    sender_id: Mapped[int]
    minute: Mapped[datetime]
    claimed: Mapped[int] = mapped_column(server_default="0")
    sent: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    unknown: Mapped[int] = mapped_column(server_default="0")
    bounced: Mapped[int] = mapped_column(server_default="0")
    complaints: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (child_of("senders", "sender_id"), Index(None, "org_id", "sender_id", "minute", unique=True))


def count(sender_id: int | None, moved: Counter[str]) -> None:
    """Notes how sends of a sender went, in this minute. moved: measure (MEASURES) -> how many more."""
    measures = [name for name in MEASURES if moved[name]]
    if sender_id is None or not measures:
        return
    sets = ", ".join(f"{name} = sender_minutes.{name} + EXCLUDED.{name}" for name in measures)
    run(
        f"INSERT INTO sender_minutes (sender_id, minute, {', '.join(measures)})"
        f" VALUES (:sender, date_trunc('minute', now()), {', '.join(f':{name}' for name in measures)})"
        f" ON CONFLICT (org_id, sender_id, minute) DO UPDATE SET {sets}",
        sender=sender_id, **{name: moved[name] for name in measures},
    )  # fmt: skip
    work.wake(HEALTH)
