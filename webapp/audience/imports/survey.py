"""One look through the whole file before anything is decided: how many rows, and what each column is like."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

from webapp.audience.imports import amounts, dates
from webapp.audience.imports.reading import Table
from webapp.platform.errors import Invalid

MAX_ROWS = 1_000_000
SAMPLE_ROWS = 300
DISTINCT = 20_000  # values a column is judged by
CHUNK = 2000


@dataclass(frozen=True)
class Survey:
    """total: data rows. sample: the first of them. columns: for each {"samples": up to three different cells,
    "order": "mdy" | "dmy" | None, "decimals": "point" | "comma" | None}, see `dates` and `amounts`."""

    total: int
    sample: list[list[str]]
    columns: list[dict[str, Any]]


def survey(table: Table) -> Survey:
    """Reads the whole table once. Raises Invalid at `file` where it cannot be read or is no table after all."""
    width = len(table.header)
    distinct: list[dict[str, None]] = [{} for _ in range(width)]
    sample: list[list[str]] = []
    total = ragged = 0
    rows = table.rows()
    while chunk := [cells for _, cells in islice(rows, CHUNK)]:
        fitting = [cells for cells in chunk if len(cells) == width]
        total, ragged = total + len(chunk), ragged + len(chunk) - len(fitting)
        sample.extend(fitting[: SAMPLE_ROWS - len(sample)])
        _note(distinct, fitting)
        if total > MAX_ROWS:
            raise Invalid({"file": f"There are more than {MAX_ROWS:,} rows in this file. Split it."})
    if not total:
        raise Invalid({"file": "There is a header in this file, but no row below it."})
    if ragged * 2 > total:
        raise Invalid({"file": "Most rows have more cells than the header has names. Check the delimiter."})
    return Survey(total, sample, [_describe(list(values)) for values in distinct])


def _note(distinct: list[dict[str, None]], rows: list[list[str]]) -> None:
    for values, column in zip(distinct, zip(*rows, strict=True), strict=False):
        if len(values) < DISTINCT:
            values.update(dict.fromkeys(column))


def _describe(values: list[str]) -> dict[str, Any]:
    filled = [value.strip() for value in values if value.strip()]
    return {
        "samples": [value[:80] for value in filled[:3]],
        "order": dates.order_of(filled),
        "decimals": amounts.decimals_of([value for value in filled[:2000] if len(value) < 30]),
    }
