"""What an import refused or dropped, as files to put right and to import again."""

import csv
import io
from collections.abc import Iterable, Iterator

from sqlalchemy import select

from webapp.audience.imports.tables import Import, ImportProblem
from webapp.platform.db import db

FORMULA = ("=", "+", "-", "@", "\t", "\r")
BOM = "\ufeff"  # without it Excel reads the file in the encoding of its country


def safe(cell: str) -> str:
    """Returns the cell so that no spreadsheet takes it for a formula."""
    return "'" + cell if cell.startswith(FORMULA) else cell


def refused_csv(import_: Import) -> Iterator[str]:
    """Yields the lines of a CSV with the refused rows as they stood in the file, and the reason behind each."""
    found = db.session.execute(
        select(ImportProblem.raw, ImportProblem.message)
        .where(ImportProblem.import_id == import_.id, ImportProblem.refused)
        .order_by(ImportProblem.row)
        .execution_options(yield_per=1000)
    )
    # A row that was too long has more cells than there are names: the reason stands before what is too much.
    width = len(import_.header)
    rows = ([*(row.raw or [])[:width], row.message, *(row.raw or [])[width:]] for row in found)
    return _lines([*import_.header, "Problem"], rows)


def problems_csv(import_: Import) -> Iterator[str]:
    """Yields the lines of a CSV with every problem: row, column, value, what is wrong, whether the row was refused."""
    found = db.session.execute(
        select(ImportProblem)
        .where(ImportProblem.import_id == import_.id)
        .order_by(ImportProblem.row, ImportProblem.id)
        .execution_options(yield_per=1000)
    ).scalars()
    rows = (
        [str(p.row), p.column or "", p.value or "", p.message, "Row refused" if p.refused else "Cell left out"]
        for p in found
    )
    return _lines(["Row", "Column", "Value", "Problem", "Outcome"], rows)


def _lines(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield BOM + _line(header)
    for row in rows:
        yield _line(row)


def _line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([safe(cell) for cell in cells])
    return buffer.getvalue()
