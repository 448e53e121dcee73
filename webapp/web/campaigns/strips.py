"""The strip of a forecast: a bar for each day, month by month."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

MONTHS = 12  # drawn at most; the table has them all
STEP, HEIGHT = 7, 40  # units of the drawing


@dataclass(frozen=True)
class Bar:
    on: date
    n: int
    x: int
    y: int
    height: int


@dataclass
class Month:
    """A month of a strip. n: people on all of its days together."""

    first: date
    bars: list[Bar] = field(default_factory=list)

    @property
    def n(self) -> int:
        return sum(bar.n for bar in self.bars)


def months(days: list[Any]) -> list[Month]:
    """Returns the strip of a forecast's days (each with `on` and `n`); nothing for none."""
    most = max((day.n for day in days), default=0)
    found: dict[tuple[int, int], Month] = {}
    for day in days:
        key = (day.on.year, day.on.month)
        if key not in found and len(found) == MONTHS:
            break
        month = found.setdefault(key, Month(day.on.replace(day=1)))
        height = max(round(day.n / most * HEIGHT), 2) if day.n else 0
        month.bars.append(Bar(day.on, day.n, (day.on.day - 1) * STEP, HEIGHT - height, height))
    return list(found.values())
