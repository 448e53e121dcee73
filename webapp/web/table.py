"""The one table: search, filters, sort, keyset paging, bulk selection, empty state and CSV export."""

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from sqlalchemy import Select, func, select, tuple_
from werkzeug.datastructures import MultiDict

from webapp.platform.db import db
from webapp.web.shell import render, stream_csv

PAGE = 50
COUNT_LIMIT = 10_000
EXPORT_CHUNK = 2000
# What a spreadsheet runs; in some countries also the wide forms of = + - @.
FORMULA = ("=", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True)
class Column:
    """One column. cell: row -> what stands in it; export: row -> text for CSV (cell if not given). sort: the SQL
    expression to order by, never NULL."""

    name: str
    label: str
    cell: Callable[[Any], Any]
    sort: Any = None
    export: Callable[[Any], Any] | None = None
    numeric: bool = False
    wide: bool = False  # left out on a phone
    wraps: bool = False  # long text goes over several lines


@dataclass(frozen=True)
class Filter:
    """A choice above the table, or a field to type in where there are no choices. apply: what was chosen -> SQL
    condition. more: it stands behind "More filters"."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...]
    apply: Callable[[str], Any]
    more: bool = False

    def takes(self, given: str) -> bool:
        """True if this can be asked for."""
        return given in dict(self.choices) if self.choices else bool(given)


@dataclass
class Table:
    """A list of rows: entities of one mapped class, or named tuples where the query joins several.

    url_of: row -> address it opens. bulk: (label, address, icon, question). panel: the template of what else may be done
    with the selected rows, which may then be all that match."""

    name: str
    query: Select
    key: Any
    columns: tuple[Column, ...]
    default_sort: str
    empty: str
    url_of: Callable[[Any], str] | None = None
    search: Callable[[str], Any] | None = None
    search_label: str = "Search"
    filters: tuple[Filter, ...] = ()
    bulk: tuple[tuple[str, str, str, str], ...] = ()
    panel: str = ""
    # row -> the id that its check box posts; its own if not given.
    id_of: Callable[[Any], int] = lambda row: row.id
    can_export: bool = False
    noun: tuple[str, str] = ("row", "rows")
    args: MultiDict = field(default_factory=lambda: request.args)

    def __post_init__(self) -> None:
        sortable = {column.name: column for column in self.columns if column.sort is not None}
        asked = self.args.get("sort", self.default_sort)
        name = asked.lstrip("-")
        self.sort = asked if name in sortable else self.default_sort
        self.descending = self.sort.startswith("-")
        self.sort_column = sortable[self.sort.lstrip("-")]
        self.narrowed = narrowed(self.filters, self.args)
        self.term = self.narrowed.get("q", "")
        self.chosen = {name: chosen for name, chosen in self.narrowed.items() if name != "q"}
        self._load()

    @property
    def narrowed_query(self) -> str:
        """The search and the filters as a query string, to be read by `narrowed` again."""
        return urlencode(self.narrowed)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.term or self.chosen)

    def _filtered(self) -> Select:
        query = self.query
        if self.term and self.search:
            query = query.where(self.search(self.term))
        for f in self.filters:
            if f.name in self.chosen:
                query = query.where(f.apply(self.chosen[f.name]))
        return query

    def _load(self) -> None:
        backwards = "before" in self.args
        cursor = _decode(self.args.get("before") or self.args.get("after"), self.sort_column.sort)
        query = self._page(self._filtered(), cursor, backwards).limit(PAGE + 1)
        found = db.session.execute(query).all()
        more, found = len(found) > PAGE, found[:PAGE]
        if backwards:
            found.reverse()
        # One entity is the row itself; several come as they were asked for, by name.
        self.rows = [row[0] if len(row) == 3 else row for row in found]
        self.next = _encode(found[-1]) if found and (more or backwards) else None
        self.previous = _encode(found[0]) if found and cursor and (more or not backwards) else None
        self.total, self.total_is_more = self._count()

    def _page(self, query: Select, cursor: tuple | None, backwards: bool) -> Select:
        expression = self.sort_column.sort
        down = self.descending != backwards
        place = tuple_(expression, self.key)
        if cursor:
            query = query.where(place < cursor if down else place > cursor)
        order = (expression.desc(), self.key.desc()) if down else (expression.asc(), self.key.asc())
        return query.add_columns(expression.label("sort_value"), self.key.label("sort_key")).order_by(*order)

    def _count(self) -> tuple[int, bool]:
        n = self.count(COUNT_LIMIT + 1)
        return min(n, COUNT_LIMIT), n > COUNT_LIMIT

    def count(self, limit: int | None = None) -> int:
        """Returns how many rows match, counting at most to the limit."""
        counted = self._filtered().with_only_columns(self.key).order_by(None).limit(limit).subquery()
        return db.session.scalar(select(func.count()).select_from(counted))

    def address(self, **changes: str | None) -> str:
        """Returns this table's address with some parameters changed (None leaves one out) and the page forgotten."""
        kept = {"q": self.term, **self.chosen, "sort": self.sort} | changes
        query = urlencode({name: value for name, value in kept.items() if value})
        return f"{request.path}?{query}" if query else request.path

    def sort_address(self, column: Column) -> str:
        """Returns the address that sorts by a column, the other way round if it does already."""
        return self.address(sort=column.name if self.sort != column.name else f"-{column.name}")

    def respond(self, page: str, **values: Any) -> Response:
        """Returns the page with the table, to htmx the table alone, or the CSV export."""
        if self.can_export and self.args.get("export") == "csv":
            return self.csv()
        if self.panel and self.args.get("count") == "all":
            return Response(f"{self.count():,}", mimetype="text/plain")
        return render(page, "_table.html", table=self, **values)

    def csv(self) -> Response:
        """Streams every row of the filtered list, in its own transaction, a chunk at a time."""
        query = self._filtered()

        def lines() -> Iterator[str]:
            yield "\ufeff" + _csv_line([column.label for column in self.columns])
            asked = query.order_by(self.key).execution_options(yield_per=EXPORT_CHUNK)
            for found in db.session.execute(asked):
                row = found[0] if len(found) == 1 else found
                yield _csv_line([_exported((c.export or c.cell)(row)) for c in self.columns])

        return stream_csv(f"{self.name}.csv", lines)


def narrowed(filters: tuple[Filter, ...], args: MultiDict) -> dict[str, str]:
    """Returns what is asked of a list, as data: filter -> what was chosen of it, and `q` for what is searched."""
    term = args.get("q", "").strip()[:200]
    asked = {f.name: args.get(f.name, "").strip()[:200] for f in filters}
    return ({"q": term} if term else {}) | {f.name: asked[f.name] for f in filters if f.takes(asked[f.name])}


def _exported(value: Any) -> str:
    text = "" if value is None or value == "–" else str(value)
    # Phone numbers begin with + and are no formula.
    runs = text.startswith(FORMULA) or (text.startswith("+") and not text[1:].isdigit())
    return f"'{text}" if runs else text


def _csv_line(cells: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _encode(row: Any) -> str:
    value = row.sort_value
    plain = value.isoformat() if isinstance(value, date | datetime) else str(value)
    return base64.urlsafe_b64encode(json.dumps([plain, row.sort_key]).encode()).decode().rstrip("=")


def _decode(text: str | None, expression: Any) -> tuple | None:
    if not text:
        return None
    try:
        plain, key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        kind = expression.type.python_type
        if kind is datetime:
            value = datetime.fromisoformat(plain).astimezone(UTC)
        else:
            value = date.fromisoformat(plain) if kind is date else kind(plain)
        return (value, int(key)) if _can_be_compared(value) and _can_be_compared(int(key)) else None
    except (ValueError, TypeError, KeyError, InvalidOperation, OverflowError, RecursionError):
        return None  # a cursor somebody wrote by hand starts at the beginning


def _can_be_compared(value: Any) -> bool:
    """True if PostgreSQL can hold the value at all."""
    if isinstance(value, str):
        value.encode()  # which half a surrogate pair cannot be: a ValueError
        return "\0" not in value
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value.adjusted()) < 100
    return not isinstance(value, int) or abs(value) < 2**63
