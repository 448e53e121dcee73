"""Files for the import tests: the defects of real exports in small, made here."""

import csv
import io
import zipfile
from datetime import date, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from flask import Flask

from webapp.audience.imports import imports
from webapp.platform import tenancy
from webapp.platform.db import one, rows, transaction

HEADER = ["First Name", "Last Name", "E-Mail", "Phone"]


def csv_of(
    header: list[str], *lines: list[str], delimiter: str = ",", encoding: str = "utf-8", end: str = "\r\n"
) -> bytes:
    """Returns a CSV as a spreadsheet writes it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows([header, *lines])
    return out.getvalue().encode(encoding)


def many(n: int) -> bytes:
    """Returns a CSV of n clean leads."""
    lines = [[f"First{k}", f"Last{k % 900}", f"person{k}@example.com", f"+1415{2_000_000 + k}"] for k in range(n)]
    return csv_of(HEADER, *lines)


def xlsx_of(**sheets: list[list[Any]]) -> bytes:
    """Returns a workbook: sheet name -> rows of str, int, float, bool, date, datetime or None."""
    names = list(sheets)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        kinds = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="application/vnd.openxmlformats-officedocument'
            '.spreadsheetml.worksheet+xml"/>'
            for n in range(1, len(names) + 1)
        )
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels"'
            ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override'
            ' PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml'
            f'.sheet.main+xml"/>{kinds}</Types>',
        )
        office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        package = "http://schemas.openxmlformats.org/package/2006/relationships"
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(f'<sheet name={quoteattr(x)} sheetId="{n}" r:id="s{n}"/>' for n, x in enumerate(names, 1))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>'
        )
        linked = "".join(
            f'<Relationship Id="s{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(names) + 1)
        )
        styled = f'<Relationship Id="st" Type="{office}/styles" Target="styles.xml"/>'
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{package}">{linked}{styled}</Relationships>'
        )
        archive.writestr(
            "xl/styles.xml",
            f'<styleSheet xmlns="{main}"><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/>'
            "</cellXfs></styleSheet>",
        )
        for number, cells in enumerate(sheets.values(), 1):
            body = "".join(
                f'<row r="{r}">' + "".join(_cell(f"{chr(64 + c)}{r}", v) for c, v in enumerate(row, 1)) + "</row>"
                for r, row in enumerate(cells, 1)
            )
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
            )
    return out.getvalue()


def _cell(place: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, (date, datetime)):
        moment = value if isinstance(value, datetime) else datetime.combine(value, datetime.min.time())
        days = (moment - datetime(1899, 12, 30)).total_seconds() / 86400
        return f'<c r="{place}" s="{2 if isinstance(value, datetime) else 1}"><v>{days!r}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'


class Desk:
    """Imports files for one organisation, each verb in its own transaction, as the web face and the runner do."""

    def __init__(self, app: Flask, org: int, user: int):
        self.app, self.org, self.user = app, org, user

    def bring(
        self, content: bytes, mapping: dict[str, str] | None = None, name: str = "leads.csv", **options: Any
    ) -> int:
        """Uploads, configures and queues a file. Returns the import's id."""
        with transaction(self.org):
            started = imports.start(name, content, self.user)
            imports.configure(started, started.mapping | (mapping or {}), options)
            imports.queue(started)
            return started.id

    def work(self) -> int:
        """Does what is waiting. Returns how many imports that were."""
        done = 0
        with tenancy.scope(self.org):
            while imports.run_next("test"):
                done += 1
        return done

    def take(
        self, content: bytes, mapping: dict[str, str] | None = None, name: str = "leads.csv", **options: Any
    ) -> Any:
        """Imports a file from beginning to end. Returns its row of imports."""
        import_id = self.bring(content, mapping, name, **options)
        self.work()
        return self.row(import_id)

    def row(self, import_id: int) -> Any:
        with transaction(self.org):
            return one("SELECT * FROM imports WHERE id = :id", id=import_id)

    def counts(self, import_id: int) -> tuple[int, int, int, int, int]:
        """Returns (total, created, updated, skipped, failed)."""
        row = self.row(import_id)
        assert row.created + row.updated + row.skipped + row.failed == row.total
        return row.total, row.created, row.updated, row.skipped, row.failed

    def leads(self) -> list[Any]:
        with transaction(self.org):
            return rows("SELECT * FROM leads WHERE deleted_at IS NULL ORDER BY id")

    def lead(self, email: str) -> Any:
        with transaction(self.org):
            return one("SELECT * FROM leads WHERE email_key = lower(:email) AND deleted_at IS NULL", email=email)

    def problems(self, import_id: int) -> list[tuple]:
        """Returns (row, column, refused) of each problem."""
        with transaction(self.org):
            found = imports.problems(imports.get(import_id))
            return [(p.row, p.column, p.refused) for p in found]

    def facts(self, lead_id: int) -> list[tuple[str, dict]]:
        with transaction(self.org):
            found = rows("SELECT type, payload FROM lead_events WHERE lead_id = :id ORDER BY id", id=lead_id)
            return [(fact.type, fact.payload) for fact in found]

    def consents(self, lead_id: int) -> dict[str, str]:
        with transaction(self.org):
            found = rows("SELECT channel, status FROM consents WHERE lead_id = :id", id=lead_id)
            return {consent.channel: consent.status for consent in found}
