"""Excel workbooks to records of text cells."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineWorkbook

from webapp.platform.errors import Invalid

MAX_UNPACKED = 300_000_000  # bytes: a workbook that unpacks to more is a bomb or a mistake
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how old .xls files and locked .xlsx files begin
BROKEN = "This workbook is damaged. Open it in Excel, save it again as .xlsx and try that."


def refuse_unreadable(content: bytes) -> None:
    """Raises Invalid at `file` for what looks like an Office file but is none that can be read."""
    if content.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in content:
            raise Invalid({"file": "This workbook is locked with a password. Save it without one and try again."})
        raise Invalid({"file": "This is an old Excel file (.xls). Save it as .xlsx or CSV and try again."})
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception as problem:
        raise Invalid({"file": BROKEN}) from problem
    if "xl/workbook.xml" not in names:
        raise Invalid({"file": "This is an archive and not a workbook. Save the table as .xlsx or CSV."})
    if unpacked > MAX_UNPACKED:
        raise Invalid({"file": "This workbook is too large. Split it, or save the table as CSV."})


def sheets(content: bytes, wanted: str | None = None) -> Iterator[tuple[str, list[list[str]]]]:
    """Yields (name, records) of each sheet, or of the one wanted. Raises Invalid at `file`.

    The first record is the sheet's first row, so that a record's place is the row a person sees.
    """
    refuse_unreadable(content)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        for name in book.sheet_names:
            if wanted in (None, name):
                table = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                yield name, [[cell_text(cell) for cell in row] for row in table]
    except (Invalid, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:
        # The reader is written in Rust, whose panics arrive as BaseException.
        raise Invalid({"file": BROKEN}) from problem


def cell_text(value: Any) -> str:
    """Returns a cell as somebody would have typed it into a CSV."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        # Excel knows no whole numbers: a phone number arrives as 12122000037.0.
        return f"{value:.0f}" if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        midnight = value.time() == time.min
        return value.date().isoformat() if midnight else value.replace(microsecond=0).isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return "" if value is None else str(value)
