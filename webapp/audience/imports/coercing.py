"""Rows of a file to lines of COPY, a batch at a time and column by column: the loop an import spends its time in."""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from webapp.audience.imports.cells import Cell
from webapp.audience.imports.kinds import LEADS, Kind

NULL = "\\N"
REMEMBERED = 50_000  # different cells of one column kept in mind
# target -> columns it is staged in; the others are staged under their own name
STAGED = {"name": ("first_name", "last_name"), "owner": ("owner_id",)}


class Problem(NamedTuple):
    """A line of import_errors. raw: the row's cells if it is refused, else None."""

    row: int
    column: str | None
    value: str | None
    message: str
    raw: list[str] | None = None


class Batch(NamedTuple):
    """lines: text for COPY into the staging table. problems: cells dropped and rows refused."""

    lines: str
    problems: list[Problem]


class Remembering(dict):
    """Cell text -> its text for COPY. What was read once is not read again, and most cells of most columns repeat."""

    def __init__(self, read: Callable[[str], Cell], encode: Callable[[Any], str], nothing: str = NULL):
        self.read, self.encode, self.nothing = read, encode, nothing
        self.problems: dict[str, str] = {}

    def __missing__(self, raw: str) -> str:
        value, problem = self.read(raw)
        if problem:
            self.problems[raw] = problem
        text = self[raw] = self.nothing if value is None else self.encode(value)
        return text

    def forget(self) -> None:
        """Starts over where too much has gathered."""
        if len(self) > REMEMBERED:
            self.clear()
            self.problems.clear()


class Coercion:
    """Turns rows into staged lines. readers: target -> function of a cell; mapping: column index as text -> target."""

    def __init__(
        self,
        header: list[str],
        mapping: dict[str, str],
        readers: dict[int, Callable[[str], Cell]],
        kind: Kind = LEADS,
    ):
        self.kind = kind
        self.header = header
        self.width = len(header)
        self.plain: list[tuple[int, Remembering]] = []
        self.attributes: list[tuple[int, Remembering]] = []
        self.tags: list[int] = []
        self.fields: list[str] = []
        self.identifying: list[int] = []
        for place, target in sorted((int(place), target) for place, target in mapping.items() if target):
            self._add(place, target, readers[place])
        if self.tags:
            self.tag_memory = Remembering(readers[self.tags[0]], _array)
            self.fields.append("tags")
        if self.attributes:
            self.fields.append("attributes")

    def _add(self, place: int, target: str, read: Callable[[str], Cell]) -> None:
        if target == "tags":
            self.tags.append(place)
        elif target.startswith("attributes."):
            key = target.partition(".")[2]
            self.attributes.append((place, Remembering(read, lambda value: _text(_member(key, value)))))
        else:
            if target in self.kind.needs:
                self.identifying.append(len(self.plain))
            fields = STAGED.get(target, (target,))
            self.plain.append((place, Remembering(read, _encoder(target), "\t".join([NULL] * len(fields)))))
            self.fields.extend(fields)

    def batch(self, rows: list[tuple[int, list[str]]]) -> Batch:
        """Returns the lines of the rows that can be taken, and what is wrong with the others."""
        problems = [self._misfit(*row) for row in rows if len(row[1]) != self.width]
        if problems:
            rows = [row for row in rows if len(row[1]) == self.width]
        if not rows:
            return Batch("", problems)
        numbers = [number for number, _ in rows]
        columns = list(zip(*[cells for _, cells in rows], strict=True))
        parts = [list(map(memory.__getitem__, columns[place])) for place, memory in self.plain]
        nobody = self._nobody(parts)
        problems += self._problems(rows, columns, nobody)
        lines = list(map("\t".join, zip(map(str, numbers), *parts, *self._collected(columns), strict=True)))
        if nobody:
            lines = [line for place, line in enumerate(lines) if place not in nobody]
        self._forget()
        return Batch("\n".join(lines) + "\n" if lines else "", problems)

    def _collected(self, columns: list[tuple[str, ...]]) -> list[list[str]]:
        """The staged columns that come from any number of the file's."""
        collected = []
        if self.tags:
            cells = columns[self.tags[0]]
            if len(self.tags) > 1:
                cells = map(";".join, zip(*(columns[place] for place in self.tags), strict=True))
            collected.append(list(map(self.tag_memory.__getitem__, cells)))
        if self.attributes:
            pairs = [map(memory.__getitem__, columns[place]) for place, memory in self.attributes]
            collected.append([_object(row) for row in zip(*pairs, strict=True)])
        return collected

    def _nobody(self, parts: list[list[str]]) -> set[int]:
        """Places of the rows without a single value of those a row cannot do without."""
        keys = [parts[place] for place in self.identifying]
        empty = (NULL,) * len(keys)
        return {place for place, row in enumerate(zip(*keys, strict=True)) if row == empty}

    def _problems(self, rows: list, columns: list[tuple[str, ...]], nobody: set[int]) -> list[Problem]:
        told: list[Problem] = []
        why: dict[int, list[str]] = {place: [] for place in nobody}
        for place, memory in self.plain + self.attributes:
            # Mostly nothing is wrong with anything, and then this costs one look at the set.
            if memory.problems and not memory.problems.keys().isdisjoint(columns[place]):
                name = self.header[place]
                for index, raw in enumerate(columns[place]):
                    if raw in memory.problems:
                        if index in nobody:
                            why[index].append(f"{name}: {memory.problems[raw]}")
                        else:
                            told.append(Problem(rows[index][0], name, raw[:200], memory.problems[raw]))
        for index in sorted(nobody):
            number, cells = rows[index]
            told.append(Problem(number, None, None, " ".join([*why[index], self.kind.missing]), cells))
        return told

    def _misfit(self, number: int, cells: list[str]) -> Problem:
        message = (
            f"This row has {len(cells)} cells and the header {self.width} names, so nobody knows which is which."
            " A comma or a quotation mark may be missing or too many."
        )
        return Problem(number, None, None, message, cells)

    def _forget(self) -> None:
        for _, memory in self.plain + self.attributes:
            memory.forget()
        if self.tags:
            self.tag_memory.forget()


def _text(value: str) -> str:
    if "\\" in value or "\n" in value or "\t" in value or "\r" in value:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return value


def _array(values: list[str]) -> str:
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return _text("{" + ",".join(f'"{value}"' for value in quoted) + "}")


def _member(key: str, value: str) -> str:
    return f'"{key}":{json.dumps(value, ensure_ascii=False)}'


def _object(pairs: tuple[str, ...]) -> str:
    return "{" + ",".join([pair for pair in pairs if pair != NULL]) + "}"


def _pair(value: tuple[str | None, str | None]) -> str:
    return "\t".join(NULL if part is None else _text(part) for part in value)


def _encoder(target: str) -> Callable[[Any], str]:
    if target == "name":
        return _pair
    if target.startswith("consent_"):
        return lambda value: "t" if value else "f"
    return _plain


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)
