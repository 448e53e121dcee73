"""Forecast: the plan of a campaign before it is launched, made by the very code that plans, and written nowhere."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from webapp.campaigns import lanes, plan
from webapp.campaigns.allocation import Plan, allocate
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.lanes import Lane
from webapp.messaging import portfolios, windows
from webapp.messaging.portfolios import TIERS
from webapp.messaging.warming import daily_limit_on
from webapp.platform.clock import local, now
from webapp.platform.db import rows
from webapp.platform.organizations import current

Wanted = Counter[tuple[str, date | None]]  # (channel, the first day it may go; None for any) -> people
# A portfolio that uses half of its limit and keeps its quality is let up one tier: at best within two days, as a rule
# within a week; at worst it stays where it is.
TIER_DAYS = {"slow": None, "likely": 7, "fast": 2}


@dataclass(frozen=True)
class Day:
    """on: the organisation's local day. n: messages."""

    on: date
    n: int


@dataclass(frozen=True)
class Forecast:
    """days: with every limit as it stands now, as would be written. ends: the last day if tiers stay ("slow"), grow as a
    rule ("likely") or at best ("fast"); None where nobody is reached. skipped: reason -> people. notes: who goes first,
    and what stands in the way, in sentences."""

    days: list[Day]
    recipients: int
    skipped: dict[str, int]
    ends: dict[str, date | None]
    notes: list[str] = field(default_factory=list)

    @property
    def sending_days(self) -> int:
        return len(self.days)


def forecast(campaign: Campaign, start: date | None = None) -> Forecast:
    """Returns how a campaign would go out beside the others. start: its first day, its own (or today) if not given. The
    campaign may be one that was never saved."""
    judged = [] if campaign.started_at else plan.by_channel(campaign)
    skipped = Counter({reason: n for reason, _, n in judged if reason})
    wanted = _left(campaign) if campaign.started_at else _wanted(campaign, judged)
    own = [_lane(campaign, channel, n, start, day) for (channel, day), n in wanted.items()]
    every = [*lanes.live(but=campaign.id), *own]
    mine = [lane.demand.key for lane in own]
    made = {growth: _allocated(every, mine, growth) for growth in TIER_DAYS}
    days: Counter[date] = Counter()
    for lane_plan in made["slow"].values():
        days.update(dict(lane_plan.days))
    notes = [*_turns(wanted), *_behind(every, made["slow"]), *_pace(own, made["slow"]), *_obstacles(own, made["slow"])]
    if campaign.end_at and (campaign.late_action or "skip") == "skip":
        last = local(campaign.end_at, current().timezone).date()
        if late := sum(n for on, n in days.items() if on > last):
            skipped["too_late"] += late
            days = Counter({on: n for on, n in days.items() if on <= last})
            made = {growth: {key: _until(each, last) for key, each in plans.items()} for growth, plans in made.items()}
    return Forecast(
        [Day(on, n) for on, n in sorted(days.items())],
        sum(lane.demand.n for lane in own) - skipped["too_late"],
        dict(skipped.most_common()),
        {growth: _end(plans) for growth, plans in made.items()},
        notes,
    )


def _wanted(campaign: Campaign, judged: list[tuple[str | None, str | None, int]]) -> Wanted:
    """Returns whom a draft will reach: those whose turn it is not by the frequency cap, on the day it is."""
    wanted: Wanted = Counter({(channel, None): n for _, channel, n in judged if channel})
    if cap := lanes.frequency_of(current()):
        for channel, day, n in plan.turns(campaign, *cap):
            wanted += {(channel, day): n}
            wanted[channel, None] -= n
    return +wanted


def _left(campaign: Campaign) -> Wanted:
    """Returns what a campaign under way has still to send: what waits for a moment that is known, on its day."""
    found = rows(
        f"SELECT channel, CASE WHEN NOT {lanes.MOVABLE} THEN planned_on END AS day, count(*)::int AS n FROM sends s"
        " WHERE org_id = :org AND campaign_id = :c AND status = 'pending' GROUP BY 1, 2 ORDER BY 2 NULLS FIRST, 1",
        org=campaign.org_id, c=campaign.id,
    )  # fmt: skip
    return Counter({(row.channel, row.day): row.n for row in found})


def _until(made: Plan, last: date) -> Plan:
    return Plan([(on, n) for on, n in made.days if on <= last], 0, made.behind)


def _lane(campaign: Campaign, channel: str, n: int, start: date | None, not_before: date | None) -> Lane:
    begins = start or (local(campaign.scheduled_at, current().timezone).date() if campaign.scheduled_at else None)
    days = [day for day in (begins, not_before, lanes.today()) if day]
    own = lanes.lane(campaign, channel, n, max(days))
    return replace(own, demand=replace(own.demand, key=(*own.demand.key, not_before)))


def _allocated(every: list[Lane], mine: list[Any], growth: str) -> dict[Any, Plan]:
    rooms = lanes.rooms(every, lambda people, days: grown(people, days, TIER_DAYS[growth]))
    plans = allocate([lane.demand for lane in every], lanes.today(), rooms, lanes.closed_days())
    return {key: plans[key] for key in mine}


def grown(people: int | None, days: int, every: int | None) -> int | None:
    """Returns how many people a portfolio may write to after some days, let up one tier every so many. None: no limit."""
    if people is None or every is None:
        return people
    higher = [tier for tier in TIERS if tier > people]
    steps = days // every
    if steps == 0:
        return people
    return higher[steps - 1] if steps <= len(higher) else None


def _end(plans: dict[Any, Plan]) -> date | None:
    if any(lane_plan.left for lane_plan in plans.values()):
        return None
    return max((lane_plan.days[-1][0] for lane_plan in plans.values() if lane_plan.days), default=None)


def _pace(own: list[Lane], plans: dict[Any, Plan]) -> list[str]:
    """Returns what sets the pace where that is not the campaign's own limit: to raise that one changes nothing then."""
    return list(dict.fromkeys(
        f"{words}: that sets the pace." for lane in own if len(plans[lane.demand.key].days) > 1
        if (words := min(_limits(lane), default=(0, ""))[1])
    ))  # fmt: skip


def _limits(lane: Lane) -> Iterator[tuple[int, str]]:
    """Yields (messages a day, in words) of each limit of a lane; no words for the campaign's own."""
    if lane.daily is not None:
        yield lane.daily, ""
    if lane.sender is None:
        return
    if (limit := lanes.sender_room(lane, lanes.today())) is not None:
        by_rate = "" if limit == daily_limit_on(lane.sender, lanes.today()) else " at its rate"
        yield limit, f"{lane.sender.name} may send {limit:,} messages a day{by_rate}"
    if ("portfolio", lane.sender.portfolio_id) in lane.demand.resources:
        portfolio = portfolios.get(lane.sender.portfolio_id)
        if portfolio.daily_people is not None:
            people = portfolio.daily_people
            yield people, f"{portfolio.name} may write to {people:,} different people in 24 hours"


def _turns(wanted: Wanted) -> list[str]:
    waits = sum(n for (_, day), n in wanted.items() if day and day > lanes.today())
    first = min((day for _, day in wanted if day and day > lanes.today()), default=None)
    if not waits or not first:
        return []
    who = "1 person had" if waits == 1 else f"{waits:,} people had"
    return [f"{who} as many messages lately as one may get: their turn is from {first.day} {first:%b} on."]


def _behind(every: list[Lane], plans: dict[Any, Plan]) -> list[str]:
    # Its own channels share its limits too, and are nobody it competes with.
    names = {lane.demand.key: (lane.name, lane.demand.priority) for lane in every if lane.demand.key not in plans}
    ahead: dict[Any, list[date]] = {}
    for lane_plan in plans.values():
        for day, key in sorted(lane_plan.behind.items()):
            if key not in names:
                continue
            ahead.setdefault(key, []).append(day)
    return [
        f"{names[key][0]} (priority {names[key][1]}) goes first {spans(sorted(days))}; raise the priority or add a sender."
        for key, days in ahead.items()
    ]


def spans(days: list[date]) -> str:
    """Returns days as words: "on 7 to 9 Jan", at most three spans of them."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    said = [f"{run[0]:%-d %b}" if len(run) == 1 else f"{run[0]:%-d %b} to {run[-1]:%-d %b}" for run in runs[:3]]
    return "on " + ", ".join(said) + (" and on later days" if len(runs) > 3 else "")


def _obstacles(own: list[Lane], plans: dict[Any, Plan]) -> list[str]:
    without = dict.fromkeys(lane.demand.key[1] for lane in own if lane.sender is None)
    notes = [f"There is no sender for {channel}." for channel in without]
    organization = current()
    if any(windows.next_open(lane.hours, organization.timezone, organization.country, now()) is None for lane in own):
        notes.append("Its window and the quiet hours leave no time in which it may go out.")
    if left := sum(made.left for made in plans.values()):
        notes.append(f"{left:,} messages find no day at all: there is no room for them under these limits.")
    due = own[0].demand.due if own else None
    if late := sum(n for made in plans.values() for day, n in made.days if due and day > due):
        notes.append(f"{late:,} messages would come after the end of the campaign.")
    return notes
