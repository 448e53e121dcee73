"""The operators a rule may use: one line each, with the kinds of field they work on and the SQL they become.

A missing value (NULL) is not equal to anything and contains nothing: the positive operators leave such leads out,
their opposites keep them in. Text compares without regard to case. Dates compare by UTC day.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Date,
    Numeric,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
)

from webapp.audience.leads import Lead
from webapp.audience.rules.fields import CHOICE, DATE, NUMBER, TAGS, TEXT, Field, Kind

LIST_LIMIT = 10_000
DAYS_APART = 20  # so many days are looked up one by one, which an index serves; more are compared as one list


@dataclass(frozen=True)
class Operator:
    """One operator. words: as read on screen, by kind name where they differ. many: takes a list of values."""

    name: str
    words: dict[str, str]
    kinds: tuple[Kind, ...]
    compile: Callable[[Field, Any], ColumnElement[bool]]
    many: bool = False

    def label(self, kind: Kind) -> str:
        return self.words.get(kind.name, self.words["*"])


def _day(value: Any) -> tuple[datetime, datetime]:
    start = datetime.combine(value, time(), UTC)
    return start, start + timedelta(days=1) if value < date.max else datetime.max.replace(tzinfo=UTC)


def _folded(field: Field) -> Any:
    # Choices are stored in lower case already: comparing the bare column lets an index serve.
    return field.column if field.kind is CHOICE else func.lower(field.column)


def _lowered(field: Field, value: str) -> Any:
    # By the database where it matters: it and Python do not agree on the lower case of every letter.
    if field.kind is not TEXT:
        return value
    return value.lower() if value.isascii() else func.lower(value)


def _lowered_array(values: list[str]) -> Any:
    if all(value.isascii() for value in values):
        return _array([value.lower() for value in values])
    parted = "\x1f".join(value.replace("\x1f", " ") for value in values)
    return func.string_to_array(func.lower(parted), "\x1f", type_=ARRAY(Text()))


def _array(values: list[Any]) -> Any:
    # One array parameter, whatever its length: a list of 10,000 neither bloats the statement nor its plan cache.
    return bindparam(None, values, type_=ARRAY(Text()), expanding=False, unique=True)


def _in(field: Field, values: list[Any]) -> ColumnElement[bool]:
    if field.kind is TAGS:
        return field.column.overlap(_array(values))
    if field.kind is DATE:
        if len(values) <= DAYS_APART:
            return or_(*(_equals(field, value) for value in values))
        return cast(func.timezone("UTC", field.column), Date) == any_(
            bindparam(None, values, type_=ARRAY(Date()), unique=True)
        )
    if field.kind is NUMBER:
        # Without the column's scale: a value is compared as it is and not rounded to cents.
        return field.column == any_(bindparam(None, values, type_=ARRAY(Numeric()), unique=True))
    return _folded(field) == any_(_lowered_array(values) if field.kind is TEXT else _array(values))


def _equals(field: Field, value: Any) -> ColumnElement[bool]:
    if field.kind is TAGS:
        return and_(field.column.contains(_array([value])), func.cardinality(field.column) == 1)
    if field.kind is DATE:
        start, end = _day(value)
        return and_(field.column >= start, field.column < end)
    return field.column == value if field.kind is NUMBER else _folded(field) == _lowered(field, value)


def _contains(field: Field, value: Any) -> ColumnElement[bool]:
    if field.kind is TAGS:
        return field.column.contains(_array([value]))
    return func.strpos(_folded(field), _lowered(field, value)) > 0


def _starts_with(field: Field, value: Any) -> ColumnElement[bool]:
    if field.kind is TAGS:
        tag = func.unnest(field.column).column_valued("tag")
        return select(literal(1)).where(func.starts_with(tag, value)).correlate(Lead).exists()
    return func.starts_with(_folded(field), _lowered(field, value))


def _ends_with(field: Field, value: Any) -> ColumnElement[bool]:
    if field.kind is TAGS:
        tag = func.unnest(field.column).column_valued("tag")
        return select(literal(1)).where(func.right(tag, len(value)) == value).correlate(Lead).exists()
    end = _lowered(field, value)
    return func.right(_folded(field), len(value) if isinstance(end, str) else func.length(end)) == end


def _greater_than(field: Field, value: Any) -> ColumnElement[bool]:
    return field.column >= _day(value)[1] if field.kind is DATE else field.column > value


def _less_than(field: Field, value: Any) -> ColumnElement[bool]:
    return field.column < _day(value)[0] if field.kind is DATE else field.column < value


def _unless(positive: Callable[[Field, Any], ColumnElement[bool]]) -> Callable[[Field, Any], ColumnElement[bool]]:
    return lambda field, value: not_(func.coalesce(positive(field, value), False))


ALL = (TEXT, CHOICE, NUMBER, DATE, TAGS)
WORDY = (TEXT, CHOICE, TAGS)
ORDERED = (NUMBER, DATE)

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator("equals", {"*": "is", "date": "is on", "tags": "are just"}, ALL, _equals),
        Operator("not_equals", {"*": "is not", "date": "is not on", "tags": "are not just"}, ALL, _unless(_equals)),
        Operator("contains", {"*": "contains", "tags": "include"}, WORDY, _contains),
        Operator("not_contains", {"*": "does not contain", "tags": "do not include"}, WORDY, _unless(_contains)),
        Operator("starts_with", {"*": "starts with", "tags": "include one starting with"}, WORDY, _starts_with),
        Operator("ends_with", {"*": "ends with", "tags": "include one ending with"}, WORDY, _ends_with),
        Operator("greater_than", {"*": "is over", "date": "is after"}, ORDERED, _greater_than),
        Operator("less_than", {"*": "is under", "date": "is before"}, ORDERED, _less_than),
        Operator("in", {"*": "is any of", "tags": "include any of"}, ALL, _in, many=True),
        Operator("not_in", {"*": "is none of", "tags": "include none of"}, ALL, _unless(_in), many=True),
    )
}


def for_kind(kind: Kind) -> list[Operator]:
    """Returns the operators that work on a kind of field, in their order on screen."""
    return [operator for operator in OPERATORS.values() if kind in operator.kinds]
