"""Allocation: which campaign sends how many messages on which day, where they share what is limited.

Pure arithmetic over days, the same for what is planned and what is forecast. A day's room goes first to who would
otherwise miss their date, then by priority, then by date. Nobody starves: every WAIT_DAYS days without a place raise a
campaign by one priority until it has one.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import date, timedelta

WAIT_DAYS = 3
HORIZON_DAYS = 4_000  # a million people at 250 a day
NO_LIMIT = 10**9

# (resource, day) -> how many messages it takes on that day; None for no limit.
Rooms = Callable[[Hashable, date], int | None]


@dataclass(frozen=True)
class Demand:
    """What one campaign wants to send over one channel. n: messages. priority: 1 (first) to 10. start: the first day.
    due: the day by which all should have gone. resources: what it shares with others (its own daily limit among them).
    days: ISO weekdays on which it sends, None for all."""

    key: Hashable
    n: int
    priority: int
    start: date
    due: date | None = None
    resources: tuple[Hashable, ...] = ()
    days: frozenset[int] | None = None


@dataclass
class Plan:
    """days: (day, how many) of one demand, in order, none of them empty. left: what found no place at all. behind: the
    days on which others went first, and who: day -> key of the one that took most."""

    days: list[tuple[date, int]] = field(default_factory=list)
    left: int = 0
    behind: dict[date, Hashable] = field(default_factory=dict)


@dataclass
class _Turn:
    demand: Demand
    left: int
    waited: int = 0


def allocate(
    demands: list[Demand], today: date, rooms: Rooms, closed: frozenset[date] = frozenset()
) -> dict[Hashable, Plan]:
    """Returns a plan for each demand. closed: days on which nobody sends. The order of the demands breaks ties."""
    plans = {demand.key: Plan() for demand in demands}
    turns = [_Turn(demand, demand.n) for demand in demands if demand.n > 0]
    day = min((turn.demand.start for turn in turns), default=today)
    day = max(day, today)
    last = day + timedelta(days=HORIZON_DAYS)
    while turns and day < last:
        if day not in closed:
            _serve(turns, day, rooms, plans)
            turns = [turn for turn in turns if turn.left]
        day += timedelta(days=1)
    for turn in turns:
        plans[turn.demand.key].left = turn.left
    return plans


def _serve(turns: list[_Turn], day: date, rooms: Rooms, plans: dict[Hashable, Plan]) -> None:
    wanting = [turn for turn in turns if _sends_on(turn.demand, day)]
    free: dict[Hashable, int] = {}
    for turn in wanting:
        for resource in turn.demand.resources:
            if resource not in free:
                limit = rooms(resource, day)
                free[resource] = NO_LIMIT if limit is None else max(limit, 0)
    whole = dict(free)
    taken: dict[Hashable, dict[Hashable, int]] = {}
    for turn in sorted(wanting, key=lambda turn: _rank(turn, day, whole)):
        demand, plan = turn.demand, plans[turn.demand.key]
        n = min([turn.left, *(free[resource] for resource in demand.resources)])
        for resource in demand.resources:
            if free[resource] < turn.left and (others := taken.get(resource)):
                plan.behind[day] = max(others, key=lambda key: others[key])
        if not n:
            turn.waited += 1
            continue
        turn.left, turn.waited = turn.left - n, 0
        plan.days.append((day, n))
        for resource in demand.resources:
            free[resource] -= n
            taken.setdefault(resource, {})[demand.key] = n


def _sends_on(demand: Demand, day: date) -> bool:
    return day >= demand.start and (demand.days is None or day.isoweekday() in demand.days)


def _rank(turn: _Turn, day: date, rooms: dict[Hashable, int]) -> tuple[int, int, date, int]:
    demand = turn.demand
    most = min([NO_LIMIT, *(rooms[resource] for resource in demand.resources)])
    # Days it needs if it had all the room there is; on the last of those it may not wait any longer.
    needs = -(-turn.left // most) if most else 0
    urgent = demand.due is not None and day <= demand.due and (demand.due - day).days < needs
    priority = max(1, demand.priority - turn.waited // WAIT_DAYS)
    return (0 if urgent else 1), priority, demand.due or date.max, -turn.waited
