"""Who is in a segment, who was on a past day, how it grew; and members put in and taken out by hand."""

from datetime import date, datetime, time, timedelta
from typing import Any

from flask import request, url_for
from flask_login import current_user
from sqlalchemy import and_, or_, select

from webapp.audience import explaining, leads, membership, segments
from webapp.audience.leads import ALIVE, Lead
from webapp.audience.membership import SegmentMember
from webapp.audience.segments import Segment
from webapp.platform import clock
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.segments.room import segment_pages
from webapp.web.shell import go, needs, render, row_id, say
from webapp.web.table import Column, Table

DAYS = 90


def _table(segment: Segment, moment: datetime | None) -> Table:
    then = membership.OPEN if moment is None else and_(
        SegmentMember.entered_at <= moment, or_(membership.OPEN, SegmentMember.exited_at > moment)
    )  # fmt: skip
    joined = and_(Lead.org_id == SegmentMember.org_id, Lead.id == SegmentMember.lead_id)
    by_hand = not segment.is_dynamic and moment is None and can(current_user, "segments.edit")
    remove = ("Take out", url_for("segments.take_out", segment_id=segment.id), "x", "")
    return Table(
        name="members",
        noun=("lead", "leads"),
        query=select(Lead, SegmentMember).join(SegmentMember, joined).where(
            SegmentMember.segment_id == segment.id, then, ALIVE
        ),
        key=SegmentMember.id,
        columns=(
            Column("name", "Name", lambda row: row.Lead.name, Lead.name_key),
            Column("email", "E-mail", lambda row: row.Lead.email or "–", wide=True, export=lambda row: row.Lead.email),
            Column("status", "Status", lambda row: filters.status(row.Lead.status), export=lambda row: row.Lead.status),
            Column("place", "Place", lambda row: ", ".join(filter(None, (row.Lead.city, row.Lead.state))) or "–", wide=True,
                   export=lambda row: ", ".join(filter(None, (row.Lead.city, row.Lead.state)))),
            Column("value", "Est. value", lambda row: filters.money(row.Lead.value_estimate), wide=True,
                   export=lambda row: row.Lead.value_estimate, numeric=True),
            Column("since", "Member since", lambda row: filters.day(row.SegmentMember.entered_at), SegmentMember.entered_at,
                   lambda row: row.SegmentMember.entered_at.date().isoformat(), wide=True),
        ),
        default_sort="-since",
        empty=_empty(segment, moment),
        url_of=lambda row: url_for("segments.why", segment_id=segment.id, lead_id=row.Lead.id),
        search=leads.search,
        search_label="Name, e-mail or phone",
        bulk=(remove,) if by_hand else (),
        id_of=lambda row: row.Lead.id,
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _empty(segment: Segment, moment: datetime | None) -> str:
    if moment is not None:
        return "Nobody was in it on that day."
    if segment.is_dynamic and segment.last_calculated_at is None:
        return "Being counted. Its members appear here in a moment."
    return (
        "Nobody is in it now."
        if segment.is_dynamic
        else "Nobody is in it yet. Add leads here, or from the list of leads."
    )


@segment_pages.get("/<int:segment_id>/members")
@segment_pages.get("/<int:segment_id>/members/<on>")
@needs("segments.view")
def members(segment_id: int, on: str = "") -> Any:
    segment = segments.get(segment_id)
    if asked := request.args.get("on"):
        return go("segments.members", segment_id=segment.id, on=asked)
    moment = _end_of(on) if on else None
    return _table(segment, moment).respond(
        "segments/members.html", segment=segment, on=on, today=_today().isoformat(), day=_day(on) if on else None
    )


def _today() -> date:
    return clock.local(clock.now(), filters.zone()).date()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid({"on": "Give a date, like 2026-01-31."}, "Give a date, like 2026-01-31.") from None


def _end_of(text: str) -> datetime:
    """Returns the last moment of a day where the organisation is (UTC)."""
    day = _day(text)
    if not date(1970, 1, 1) <= day <= date(2200, 1, 1):
        raise Invalid({"on": "Give a date, like 2026-01-31."}, "Give a date, like 2026-01-31.")
    return clock.from_local(datetime.combine(day + timedelta(days=1), time()), filters.zone()) - timedelta(
        microseconds=1
    )


@segment_pages.get("/<int:segment_id>/history")
@needs("segments.view")
def history(segment_id: int) -> Any:
    segment = segments.get(segment_id)
    days = _days(segment)
    return render("segments/history.html", segment=segment, days=days, today=_today().isoformat(), span=DAYS,
                  entered=sum(day["entered"] for day in days), exited=sum(day["exited"] for day in days))  # fmt: skip


def _days(segment: Segment) -> list[dict[str, Any]]:
    """Returns each day's size and flows, days on which nothing was kept filled from the one before."""
    today = _today()
    start = max(today - timedelta(days=DAYS - 1), clock.local(segment.created_at, filters.zone()).date())
    kept = {row.on_date: row for row in membership.flows(segment.id, start)}
    size = next((row.size for day, row in sorted(kept.items()) if day < start), 0)
    days = []
    for n in range((today - start).days + 1):
        day = start + timedelta(days=n)
        row = kept.get(day)
        size = row.size if row else size
        days.append(
            {"day": day, "size": size, "entered": row.entered if row else 0, "exited": row.exited if row else 0}
        )
    return days


@segment_pages.get("/<int:segment_id>/leads/<int:lead_id>")
@needs("segments.view")
def why(segment_id: int, lead_id: int) -> Any:
    segment, lead = segments.get(segment_id), leads.get(lead_id)
    return render("segments/why.html", segment=segment, lead=lead, why=explaining.explain(segment, lead))


@segment_pages.post("/<int:segment_id>/members")
@needs("segments.edit")
def put_in(segment_id: int) -> Any:
    segment = segments.picked_by_hand(segment_id)
    added = membership.add(segment, request.form.getlist("ids", type=row_id)[:10_000])
    say(f"{added:,} {'lead' if added == 1 else 'leads'} put in." if added else "They were in it already.")
    return go("segments.members", segment_id=segment.id)


@segment_pages.post("/<int:segment_id>/members/remove")
@needs("segments.edit")
def take_out(segment_id: int) -> Any:
    segment = segments.picked_by_hand(segment_id)
    removed = membership.remove(segment, request.form.getlist("ids", type=row_id)[:10_000])
    say(f"{removed:,} {'lead' if removed == 1 else 'leads'} taken out.")
    return go("segments.members", segment_id=segment.id)


@segment_pages.get("/<int:segment_id>/candidates")
@needs("segments.edit")
def candidates(segment_id: int) -> Any:
    segment = segments.get(segment_id)
    term = request.args.get("q", "").strip()[:200]
    found = (
        select(Lead).where(ALIVE, ~membership.inside(segment.id), leads.search(term)).order_by(Lead.name_key).limit(8)
    )
    shown = db.session.scalars(found).all() if term and not segment.is_dynamic else []
    return render("segments/_candidates.html", segment=segment, found=shown, term=term)
