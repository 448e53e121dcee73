"""The operators on what stands in a lead's own columns: one line each, with the kinds of field they work on and the SQL
they become.

A missing value (NULL) is not equal to anything and contains nothing: the positive operators leave such leads out,
their opposites keep them in. Text compares without regard to case. Dates compare by UTC day, spans to the second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
from webapp.audience.rules.asking import Asking

TEXT, CHOICE, NUMBER, DATE, DAY, TAGS, REF, ATTRIBUTE = (
    "text", "choice", "number", "date", "day", "tags", "ref", "attribute",
)  # fmt: skip
DAYS_APART = 20  # so many days are looked up one by one, which an index serves; more are compared as one list
Compiled = Callable[[Any, Any, Asking], ColumnElement[bool]]


@dataclass(frozen=True)
class Operator:
    """One operator. words: as read on screen, by kind where they differ. shape: what its value looks like: one, many
    (a list), pair (from and to), span (30 days) or none. quiet: kinds it works on without being offered."""

    name: str
    words: dict[str, str]
    kinds: tuple[str, ...]
    compile: Compiled
    shape: str = "one"
    quiet: tuple[str, ...] = ()

    def label(self, kind: str) -> str:
        return self.words.get(kind, self.words["*"])


def _day(value: Any) -> tuple[datetime, datetime]:
    start = datetime.combine(value, time(), UTC)
    return start, start + timedelta(days=1) if value < date.max else datetime.max.replace(tzinfo=UTC)


def _folded(field: Any) -> Any:
    # Choices are stored in lower case already: comparing the bare column lets an index serve.
    return field.column if field.kind == CHOICE else func.lower(field.column)


def _lowered(field: Any, value: str) -> Any:
    # By the database where it matters: it and Python do not agree on the lower case of every letter.
    if field.kind not in (TEXT, ATTRIBUTE):
        return value
    return value.lower() if value.isascii() else func.lower(value)


def _lowered_array(values: list[str]) -> Any:
    if all(value.isascii() for value in values):
        return _array([value.lower() for value in values])
    parted = "\x1f".join(value.replace("\x1f", " ") for value in values)
    return func.string_to_array(func.lower(parted), "\x1f", type_=ARRAY(Text()))


def _array(values: list[Any], of: Any = None) -> Any:
    # One array parameter, whatever its length: a list of 10,000 neither bloats the statement nor its plan cache.
    return bindparam(None, values, type_=ARRAY(of or Text()), expanding=False, unique=True)


def _in(field: Any, values: list[Any], asking: Asking) -> ColumnElement[bool]:
    if field.kind == TAGS:
        return field.column.overlap(_array(values))
    if field.kind == DATE:
        if len(values) <= DAYS_APART:
            return or_(*(_equals(field, value, asking) for value in values))
        return cast(func.timezone("UTC", field.column), Date) == any_(_array(values, Date()))
    if field.kind in (DAY, REF):
        return field.column == any_(_array(values, Date() if field.kind == DAY else BigInteger()))
    if field.kind == NUMBER:
        # Without the column's scale: a value is compared as it is and not rounded to cents.
        return field.column == any_(_array(values, Numeric()))
    return _folded(field) == any_(_array(values) if field.kind == CHOICE else _lowered_array(values))


def _all_of(field: Any, values: list[Any], asking: Asking) -> ColumnElement[bool]:
    return field.column.contains(_array(values))


def _equals(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    if field.kind == TAGS:
        return and_(field.column.contains(_array([value])), func.cardinality(field.column) == 1)
    if field.kind == DATE:
        start, end = _day(value)
        return and_(field.column >= start, field.column < end)
    if field.kind in (NUMBER, DAY, REF):
        return field.column == value
    return _folded(field) == _lowered(field, value)


def _contains(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    if field.kind == TAGS:
        return field.column.contains(_array([value]))
    return func.strpos(_folded(field), _lowered(field, value)) > 0


def _starts_with(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    if field.kind == TAGS:
        tag = func.unnest(field.column).column_valued("tag")
        return select(literal(1)).where(func.starts_with(tag, value)).correlate(Lead).exists()
    return func.starts_with(_folded(field), _lowered(field, value))


def _ends_with(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    if field.kind == TAGS:
        tag = func.unnest(field.column).column_valued("tag")
        return select(literal(1)).where(func.right(tag, len(value)) == value).correlate(Lead).exists()
    end = _lowered(field, value)
    return func.right(_folded(field), len(value) if isinstance(end, str) else func.length(end)) == end


def _measured(field: Any) -> Any:
    # An attribute holds what somebody wrote; what is no number is neither over nor under one.
    return field.as_number if field.kind == ATTRIBUTE else field.column


def _greater_than(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    return field.column >= _day(value)[1] if field.kind == DATE else _measured(field) > value


def _less_than(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    return field.column < _day(value)[0] if field.kind == DATE else _measured(field) < value


def _between(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    low, high = value
    if field.kind == DATE:
        return and_(field.column >= _day(low)[0], field.column < _day(high)[1])
    return _measured(field).between(low, high)


def _since(field: Any, value: Any, asking: Asking) -> Any:
    moment = asking.now - value.delta
    return moment.date() if field.kind == DAY else moment


def _in_last(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    end = asking.now.date() if field.kind == DAY else asking.now
    return and_(field.column >= _since(field, value, asking), field.column <= end)


def _older_than(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    return field.column < _since(field, value, asking)


def _is_set(field: Any, value: Any, asking: Asking) -> ColumnElement[bool]:
    if field.kind == TAGS:
        return func.cardinality(field.column) > 0
    return field.column != "" if field.kind in (TEXT, ATTRIBUTE) else field.column.is_not(None)


def _unless(positive: Compiled) -> Compiled:
    return lambda field, value, asking: not_(func.coalesce(positive(field, value, asking), False))


ALL = (TEXT, CHOICE, NUMBER, DATE, DAY, TAGS, REF, ATTRIBUTE)
WORDY = (TEXT, CHOICE, TAGS, ATTRIBUTE)
ORDERED = (NUMBER, DATE, DAY, ATTRIBUTE)
DATED = (DATE, DAY)
ON = {"date": "is on", "day": "is on", "tags": "are just"}
NOT_ON = {"date": "is not on", "day": "is not on", "tags": "are not just"}

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator("equals", {"*": "is"} | ON, ALL, _equals),
        Operator("not_equals", {"*": "is not"} | NOT_ON, ALL, _unless(_equals)),
        Operator("contains", {"*": "contains", "tags": "include"}, WORDY, _contains, quiet=(CHOICE,)),
        Operator("not_contains", {"*": "does not contain", "tags": "do not include"}, WORDY, _unless(_contains), quiet=(CHOICE,)),
        Operator("starts_with", {"*": "starts with", "tags": "include one starting with"}, WORDY, _starts_with, quiet=(CHOICE,)),
        Operator("ends_with", {"*": "ends with", "tags": "include one ending with"}, WORDY, _ends_with, quiet=(CHOICE,)),
        Operator("greater_than", {"*": "is over"} | dict.fromkeys(DATED, "is after"), ORDERED, _greater_than, quiet=DATED),
        Operator("less_than", {"*": "is under"} | dict.fromkeys(DATED, "is before"), ORDERED, _less_than, quiet=DATED),
        Operator("after", {"*": "is after"}, DATED, _greater_than),
        Operator("before", {"*": "is before"}, DATED, _less_than),
        Operator("between", {"*": "is between"}, ORDERED, _between, "pair"),
        Operator("in_last", {"*": "is in the last"}, DATED, _in_last, "span"),
        Operator("older_than", {"*": "is longer ago than"}, DATED, _older_than, "span"),
        Operator("in", {"*": "is any of", "tags": "include any of"}, ALL, _in, "many", quiet=(TAGS,)),
        Operator("not_in", {"*": "is none of", "tags": "include none of"}, ALL, _unless(_in), "many", quiet=(TAGS,)),
        Operator("has_any", {"*": "include any of"}, (TAGS,), _in, "many"),
        Operator("has_all", {"*": "include all of"}, (TAGS,), _all_of, "many"),
        Operator("has_none", {"*": "include none of"}, (TAGS,), _unless(_in), "many"),
        Operator("is_set", {"*": "is known", "tags": "are there at all"}, ALL, _is_set, "none"),
        Operator("is_not_set", {"*": "is not known", "tags": "are not there at all"}, ALL, _unless(_is_set), "none"),
    )
}  # fmt: skip


def for_kind(kind: str, with_quiet: bool = True) -> list[Operator]:
    """Returns the operators that work on a kind of field, in their order on screen."""
    return [o for o in OPERATORS.values() if kind in o.kinds and (with_quiet or kind not in o.quiet)]
