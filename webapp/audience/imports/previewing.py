"""What an import would make of the first rows, cell by cell."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from webapp.audience.imports import options
from webapp.audience.imports.kinds import KINDS
from webapp.audience.imports.reading import Table
from webapp.audience.imports.tables import Import
from webapp.platform.clock import local
from webapp.platform.organizations import Organization

LOOK = 2000  # rows the problems are counted in


@dataclass(frozen=True)
class PreviewCell:
    """column: its name in the file; target: see `columns`; shown: what would be stored, in words; problem or None."""

    column: str
    target: str
    raw: str
    shown: str
    problem: str | None


@dataclass(frozen=True)
class PreviewRow:
    """number: as in the file. refused: why the row would not be taken, or None."""

    number: int
    cells: list[PreviewCell]
    refused: str | None


@dataclass(frozen=True)
class Preview:
    """columns: (name in the file, target) of each mapped column, as the cells of a row stand. rows: the first ones.
    problems: column -> number of cells that would be left out or cut. checked, refused: rows looked at, and how many of
    them would be refused. total: rows in the file."""

    columns: list[tuple[str, str]]
    rows: list[PreviewRow]
    problems: dict[str, int]
    checked: int
    refused: int
    total: int


def preview(import_: Import, table: Table, organization: Organization, limit: int) -> Preview:
    """Returns the preview of the first `limit` rows and the problems of the first LOOK."""
    readers = options.readers(import_, organization)
    places = sorted(readers)
    shown: list[PreviewRow] = []
    problems: Counter[str] = Counter()
    checked = refused = 0
    for number, cells in islice(table.rows(), LOOK):
        row = _row(import_, number, cells, places, readers, organization.timezone)
        checked += 1
        refused += row.refused is not None
        problems.update(cell.column for cell in row.cells if cell.problem)
        if len(shown) < limit:
            shown.append(row)
    columns = [(import_.header[place], import_.mapping[str(place)]) for place in places]
    return Preview(columns, shown, dict(problems), checked, refused, import_.total)


def _row(import_: Import, number: int, cells: list[str], places: list[int], readers: dict, zone: str) -> PreviewRow:
    if len(cells) != len(import_.header):
        raw = [PreviewCell(import_.header[place], "", cells[place], "", None) for place in places]
        return PreviewRow(number, raw, f"This row has {len(cells)} cells and the header {len(import_.header)} names.")
    made, known, kind = [], False, KINDS[import_.kind]
    for place in places:
        target = import_.mapping[str(place)]
        value, problem = readers[place](cells[place])
        known = known or (target in kind.needs and value is not None)
        made.append(PreviewCell(import_.header[place], target, cells[place], _shown(value, zone), problem))
    return PreviewRow(number, made, None if known else kind.missing)


def _shown(value: Any, zone: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " · ".join(part for part in value if part)
    if isinstance(value, list):
        return ", ".join(value)
    return f"{local(value, zone):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else str(value)
