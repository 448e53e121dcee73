"""Every minute of a year in every time zone: nobody is written to outside the hours, and nobody is kept from it inside.

What is asked is the engine's own answer; what it is held against reads the wall clock of the zone and nothing else. Zones
whose clocks agree for the whole year are asked minute by minute once; each other name of such a clock is asked around
every change of its clock by the minute, and at random.
"""

import multiprocessing
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import time_machine

from webapp.messaging import windows
from webapp.messaging.windows import Hours
from webapp.platform.clock import ZONES

IsOpen = Callable[[str, datetime], bool]
QUARTER, LOOK = 15 * 60, 12 * 3600  # seconds
FROM, TO = "08:00", "21:00"
NEAR = 3 * 60  # minutes before and after a change of a clock


@dataclass(frozen=True)
class Scale:
    """minutes: of a year, at random, for each zone. all: every minute of every clock as well. moments: of what a claim reads."""

    minutes: int
    all: bool
    moments: int


SCALES = {"full": Scale(2_000, True, 400), "quick": Scale(40, False, 4)}


HOURS = Hours(((8 * 60, 21 * 60),))


def run(seed: int, scale: str, made: object = None) -> None:
    """See the module. Raises AssertionError."""
    size, began = SCALES[scale], time.monotonic()
    year = random.Random(seed).choice(range(2025, 2035))
    n = check(engine, year, seed, size)
    looked = check_clocks(year, seed, size.moments)
    print(f"hours: seed {seed}, year {year}, {len(ZONES)} zones, {n:,} minutes asked and {looked:,} openings foretold: none"
          f" open outside {FROM} to {TO}, none shut inside; {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def engine(zone: str, moment: datetime) -> bool:
    """The engine's answer for one zone and moment (UTC), with the hours FROM to TO."""
    return windows.is_open(HOURS, zone, "US", moment)


def check_clocks(year: int, seed: int, moments: int) -> int:
    """Holds what a claim reads, every zone at one moment and when it opens next, against the wall clocks. Returns how many
    openings were looked at. Raises AssertionError."""
    chance, start, n = random.Random(seed), datetime(year, 1, 2, tzinfo=UTC), 0
    for _ in range(moments):
        moment = start + timedelta(minutes=chance.randrange(363 * 1440))
        with time_machine.travel(moment, tick=False):
            clocks = windows.clocks(HOURS)
        for zone, is_open, opens_at in zip(clocks.keys, clocks.is_open, clocks.opens_at, strict=True):
            if zone.startswith("country:"):
                continue
            who = f"seed {seed}: {zone} at {moment}"
            # What is claimed in this minute may leave in the next one, so the last minute is shut.
            expected = by_wall_clock(zone, moment) and by_wall_clock(zone, moment + timedelta(minutes=1))
            assert is_open == expected, f"{who}: {'open' if is_open else 'shut'}"
            assert by_wall_clock(zone, opens_at), f"{who}: sent at {opens_at}, outside the hours"
            assert is_open or not by_wall_clock(zone, opens_at - timedelta(minutes=1)), f"{who}: opens late, {opens_at}"
            n += 1
    return n


def check(asked: IsOpen, year: int, seed: int, size: Scale) -> int:
    """Asks for every zone and holds the answers against its wall clock. asked: of a module, so that other processes know
    it too. Returns how many minutes were asked. Raises AssertionError."""
    first = [(zone, True) for zone in distinct(year)] if size.all else []
    tasks = first + [(zone, False) for zone in ZONES]
    part = partial(_zone, asked, year, seed, size.minutes)
    with multiprocessing.get_context("fork").Pool() as pool:
        return sum(pool.imap_unordered(part, tasks, chunksize=1 if size.all else 32))


def check_here(asked: IsOpen, zones: Iterable[str], year: int, seed: int, size: Scale) -> int:
    """As `check`, in this process and for some zones."""
    return sum(_zone(asked, year, seed, size.minutes, (zone, size.all)) for zone in zones)


def _zone(asked: IsOpen, year: int, seed: int, minutes: int, task: tuple[str, bool]) -> int:
    zone, whole = task
    offsets = offsets_of(zone, year)
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    low, high = (int(text[:2]) * 60 + int(text[3:]) for text in (FROM, TO))
    n = 0
    chosen = [*_edges(offsets, f"{seed} {zone}"), *_chosen(offsets, minutes, f"{seed} {zone}")]
    for minute in range(len(offsets) * 15) if whole else chosen:
        wall = (minute + offsets[minute // 15] // 60) % 1440
        moment = datetime.fromtimestamp(start + minute * 60, UTC)
        answer = asked(zone, moment)
        assert answer == (low <= wall < high), (
            f"seed {seed}: {zone} at {moment:%Y-%m-%d %H:%M} UTC, {wall // 60:02}:{wall % 60:02} there, is"
            f" {'open' if answer else 'shut'}"
        )
        n += 1
    return n


def _edges(offsets: list[int], key: str) -> list[int]:
    """Returns the minutes of the year just before and at the opening and the closing, on a dozen days."""
    edges = [int(text[:2]) * 60 + int(text[3:]) for text in (FROM, TO)]
    days = random.Random(key).sample(range(2, 363), 12)
    return [day * 1440 + edge + near - offsets[day * 96] // 60 for day in days for edge in edges for near in (-1, 0)]


def offsets_of(zone: str, year: int) -> list[int]:
    """Returns the seconds a zone is ahead of UTC, for each quarter of an hour of a year: no clock changes in between, and
    none changes there and back within the hours between two looks."""
    start = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    known = ZoneInfo(zone)

    def ahead(at: int) -> int:
        return int(datetime.fromtimestamp(at, known).utcoffset().total_seconds())  # type: ignore[union-attr]

    found: list[int] = []
    for at in range(start, end, LOOK):
        before, after = ahead(at), ahead(at + LOOK)
        same = before == after
        found += [before if same else ahead(quarter) for quarter in range(at, at + LOOK, QUARTER)]
    return found


def _chosen(offsets: list[int], n: int, seed: str) -> Iterator[int]:
    """Yields the minutes around each change, and n others."""
    chance, last = random.Random(seed), len(offsets) * 15
    for quarter in range(1, len(offsets)):
        if offsets[quarter] != offsets[quarter - 1]:
            yield from range(max(0, quarter * 15 - NEAR), min(last, quarter * 15 + NEAR))
    yield from (chance.randrange(last) for _ in range(n))


def distinct(year: int) -> list[str]:
    """Returns one zone of each kind of clock there is that year."""
    kinds: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for zone in ZONES:
        kinds[tuple(offsets_of(zone, year))].append(zone)
    return [names[0] for names in kinds.values()]


def by_wall_clock(zone: str, moment: datetime, wrong: timedelta = timedelta()) -> bool:
    """Whether it is inside the hours on the wall there. wrong: by how much the clock is off, for the proof's own test."""
    there = (moment + wrong).astimezone(ZoneInfo(zone))
    return FROM <= f"{there:%H:%M}" < TO
