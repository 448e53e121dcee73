"""Batches: the sends of one campaign planned for one day, and how many of them have been claimed and have gone.

The day is the organisation's local one. `claimed` is the campaign's daily cap at work: it is raised under the row's lock
in the transaction that claims, and lowered only by what provably did not go out.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import Computed, Index
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.platform import tenancy
from webapp.platform.db import Base, Changing, Tenant, child_of, run

STATUSES = ("pending", "processing", "completed", "failed")


class CampaignBatch(Tenant, Changing, Base):
    """batch_size: how many are planned for the day. done: sent, failed or unknown."""

    __tablename__ = "campaign_batches"
    campaign_id: Mapped[int]
    send_date: Mapped[date]
    batch_number: Mapped[int]
    batch_size: Mapped[int] = mapped_column(server_default="0")
    claimed: Mapped[int] = mapped_column(server_default="0")
    sent: Mapped[int] = mapped_column(server_default="0")
    done: Mapped[int] = mapped_column(server_default="0")
    remaining: Mapped[int] = mapped_column(Computed("GREATEST(batch_size - done, 0)", persisted=True))
    status: Mapped[str] = mapped_column(server_default="pending")
    # When the campaign last got somewhere on this day: what a silence is measured from.
    moved_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("campaigns", "campaign_id"),
        one_of("status", STATUSES),
        Index(None, "org_id", "campaign_id", "send_date", unique=True),
        Index(None, "org_id", "send_date"),
    )


def came_out(sends: Iterable[Any]) -> None:
    """Counts sends that turned out to have gone in the batches of the days they were claimed on. sends: rows with
    campaign_id, claimed_at and their status until now: what was unknown or failed was done with already."""
    moved: Counter[tuple[int, datetime, int]] = Counter()
    for send in sends:
        if send.campaign_id and send.claimed_at:
            moved[send.campaign_id, send.claimed_at, int(send.status in ("pending", "skipped"))] += 1
    for campaign_id, claimed_at, undone in sorted(moved):
        n = moved[campaign_id, claimed_at, undone]
        run(
            "UPDATE campaign_batches b SET sent = sent + :n, done = done + :done, updated_at = now() FROM organizations o"
            " WHERE b.org_id = :org AND o.id = b.org_id AND b.campaign_id = :c"
            " AND b.send_date = (CAST(:at AS timestamptz) AT TIME ZONE o.timezone)::date",
            n=n, done=n * undone, org=tenancy.current_org(), c=campaign_id, at=claimed_at,
        )  # fmt: skip


def ran_out(counted: Iterable[Any]) -> None:
    """Counts sends whose lease ran out as done with, in the batches of the days they were claimed on. counted: rows with
    campaign_id, on_date, outcome and n (how many)."""
    moved: dict[tuple[int, date], Counter[str]] = defaultdict(Counter)
    for row in counted:
        if row.campaign_id and row.on_date:
            moved[row.campaign_id, row.on_date].update({"done": row.n, "sent": row.n if row.outcome == "sent" else 0})
    for campaign_id, on_date in sorted(moved):
        run(
            "UPDATE campaign_batches SET done = done + :done, sent = sent + :sent, updated_at = now(),"
            " status = CASE WHEN done + :done >= batch_size THEN 'completed' ELSE status END"
            " WHERE org_id = :org AND campaign_id = :c AND send_date = :on",
            org=tenancy.current_org(), c=campaign_id, on=on_date, **moved[campaign_id, on_date],
        )  # fmt: skip


def resolved(of_days: Counter[tuple[int, date]], *, as_sent: bool) -> None:
    """Counts unknown sends of which somebody said what became of them. of_days: (campaign id, day they were claimed on) ->
    how many. Unknown ones are done with; what is sent again is not."""
    sets = "sent = sent + :n" if as_sent else "done = GREATEST(done - :n, 0), status = 'processing'"
    for campaign_id, on_date in sorted(of_days):
        run(
            f"UPDATE campaign_batches SET {sets}, updated_at = now() WHERE org_id = :org AND campaign_id = :c"
            " AND send_date = :on",
            org=tenancy.current_org(), c=campaign_id, on=on_date, n=of_days[campaign_id, on_date],
        )  # fmt: skip
