"""A file to a header and rows: CSV in any dialect, or an Excel workbook."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

from webapp.audience.imports import workbook
from webapp.audience.imports.decoding import NOT_TEXT, decode
from webapp.platform.errors import Invalid

MAX_BYTES = 100 * 2**20
MAX_COLUMNS = 300
LOOK = 60  # records looked at to find the delimiter and the header
HEAD = 300_000  # characters in which they are looked for
DELIMITERS = (",", ";", "\t", "|")
NOT_TABLES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf", b"{\\rtf")
# A header that holds one of these is no header but the first of the data.
DATA = re.compile(r"^\s*([^@\s]+@[^@\s]+\.[a-z]{2,}|\+?\d[\d ()./-]{5,}\d)\s*$", re.IGNORECASE)
Records = Callable[[], Iterator[list[str]]]


@dataclass(frozen=True)
class Table:
    """header: distinct names. dialect: how the file was read, as kept with the import and given to `read` again."""

    header: list[str]
    dialect: dict[str, Any]
    records: Records

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yields (row number as a person sees it, cells) of every row that is not blank. Raises Invalid at `file`.

        There are as many cells as names in the header, or more where the row does not fit it.
        """
        width, first = len(self.header), self.dialect["header_row"]
        for number, cells in enumerate(islice(self.records(), first, None), start=first + 1):
            if len(cells) != width:
                cells = _fitted(cells, width)
            together = "".join(cells)
            if together and not together.isspace():
                yield number, cells


def read(content: bytes, dialect: dict[str, Any] | None = None) -> Table:
    """Returns the table in a file's bytes. dialect: what an earlier reading found. Raises Invalid at `file`."""
    if not content:
        raise Invalid({"file": "The file is empty."})
    if len(content) > MAX_BYTES:
        raise Invalid({"file": f"The file is larger than {MAX_BYTES // 2**20} MB. Split it."})
    if content.startswith(NOT_TABLES):
        raise Invalid({"file": NOT_TEXT})
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06", workbook.OLE)):
        return _read_workbook(content, dialect or {})
    return _read_text(content, dialect or {})


def _read_workbook(content: bytes, dialect: dict[str, Any]) -> Table:
    spare = None
    for name, records in workbook.sheets(content, dialect.get("sheet")):
        widths = [_used(record) for record in records]
        if sum(width > 1 for width in widths) > 1:
            return _table(partial(iter, records), {"kind": "xlsx", "sheet": name}, dialect)
        if any(widths) and spare is None:
            # A cover sheet, or a list of one column: taken only where no sheet holds more.
            spare = name, records
    if spare is None:
        raise Invalid({"file": "There is no table in this workbook."})
    return _table(partial(iter, spare[1]), {"kind": "xlsx", "sheet": spare[0]}, dialect)


def _read_text(content: bytes, dialect: dict[str, Any]) -> Table:
    text, encoding = decode(content, dialect.get("encoding"))
    declared = re.match(r'"?sep=(.)"?\r?\n', text)
    start = declared.end() if declared else 0
    delimiter = dialect.get("delimiter") or (declared and declared[1]) or _delimiter_of(text[start : start + HEAD])

    def records() -> Iterator[list[str]]:
        if declared:
            yield []
        yield from _parse(text, start, delimiter)

    return _table(records, {"kind": "csv", "encoding": encoding, "delimiter": delimiter}, dialect)


def _table(records: Records, found: dict[str, Any], dialect: dict[str, Any]) -> Table:
    head = list(_while_readable(records()))
    row = dialect["header_row"] if "header_row" in dialect else _header_row(head)
    names = _distinct(head[row - 1] if row else [], _width(head, row))
    if not names:
        raise Invalid({"file": "There are no columns in this file."})
    if len(names) > MAX_COLUMNS:
        raise Invalid({"file": f"There are {len(names)} columns in this file; {MAX_COLUMNS} are the most we take."})
    return Table(names, found | {"header_row": row}, records)


def _while_readable(records: Iterator[list[str]]) -> Iterator[list[str]]:
    # What is broken further down is told when the rows are read, with its row number.
    try:
        yield from islice(records, LOOK)
    except Invalid:
        return


def _parse(text: str, start: int, delimiter: str) -> Iterator[list[str]]:
    source = io.StringIO(text, newline="")
    source.seek(start)
    reader = csv.reader(source, delimiter=delimiter)
    number, before, lines = 0, 0, 0
    try:
        for record in reader:
            number, before, lines = number + 1, lines, reader.line_num
            yield record
    except csv.Error:
        raise Invalid(
            {
                "file": f"Row {number + 1} cannot be read: a quotation mark is opened and not closed, or a cell is far too long."
            }
        ) from None
    if lines - before > 1:
        _refuse_open_quote(text, start, before, number)


def _refuse_open_quote(text: str, start: int, lines_before: int, number: int) -> None:
    # The csv module closes a quote left open at the end of the file by itself, and the rest of the file is one cell.
    source = io.StringIO(text, newline="")
    source.seek(start)
    if sum(line.count('"') for line in islice(source, lines_before, None)) % 2:
        raise Invalid({"file": f"A quotation mark opened in row {number} is never closed."})


def _delimiter_of(text: str) -> str:
    """The one that cuts most of the first records into the same number of cells, and into the most."""

    def merit(delimiter: str) -> tuple[float, int]:
        head = [record for record in _while_readable(_parse(text, 0, delimiter)) if record]
        widths = [len(record) for record in head]
        usual = max(set(widths), key=lambda width: (widths.count(width), width), default=1)
        return (widths.count(usual) / len(widths) if usual > 1 else 0.0), usual

    merits = {delimiter: merit(delimiter) for delimiter in DELIMITERS}
    best = max(share for share, _ in merits.values())
    # Prose in the cells cuts well by commas too, but not into so many.
    near = [delimiter for delimiter in DELIMITERS if merits[delimiter][0] >= best * 0.9]
    return max(near, key=lambda delimiter: merits[delimiter][1]) if best else ","


def _header_row(head: list[list[str]]) -> int:
    """Returns the number of the header's record from 1, or 0 where the first record is data already."""
    filled = [sum(1 for cell in record if cell.strip()) for record in head]
    usual = median([count for count in filled if count] or [0])
    for number, count in enumerate(filled, start=1):
        # Titles stand above the header in a cell or two.
        if count and count > usual / 2:
            return 0 if number == 1 and any(DATA.match(cell) for cell in head[0]) else number
    return 1


def _width(head: list[list[str]], header_row: int) -> int:
    """The header's width, or that of most rows where they go beyond it (columns that were given no name)."""
    widths = [_used(record) for record in head[header_row:]]
    most = [width for width in set(widths) if widths.count(width) > len(widths) / 2]
    named = _used(head[header_row - 1]) if header_row else max(widths, default=0)
    return max([named, *most])


def _used(record: list[str]) -> int:
    return max((place for place, cell in enumerate(record, start=1) if cell.strip()), default=0)


def _distinct(names: list[str], width: int) -> list[str]:
    cleaned = [" ".join(name.replace("\0", "").split()) for name in names[:width]]
    cleaned += [""] * (width - len(cleaned))
    taken: set[str] = set()
    for place, name in enumerate(cleaned):
        name = name or f"Column {place + 1}"
        candidate, turn = name, 2
        while candidate in taken:
            candidate, turn = f"{name} ({turn})", turn + 1
        taken.add(candidate)
        cleaned[place] = candidate
    return cleaned


def _fitted(cells: list[str], width: int) -> list[str]:
    if len(cells) < width:
        return cells + [""] * (width - len(cells))
    return cells[: max(width, _used(cells))]
