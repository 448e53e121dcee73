"""What a field of a rule is: the few functions each kind of field has, and the kind that reads a column of leads."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Numeric, case, cast

from webapp.audience.leads import Lead
from webapp.audience.rules import values
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.operators import (
    ATTRIBUTE,
    CHOICE,
    DATE,
    DAY,
    NUMBER,
    REF,
    TAGS,
    TEXT,
    Operator,
    for_kind,
)
from webapp.audience.rules.values import BadValue

PARSERS = {
    TEXT: values.text, CHOICE: values.word, NUMBER: values.number, DATE: values.day, DAY: values.day,
    TAGS: values.word, REF: values.row_id, ATTRIBUTE: values.text,
}  # fmt: skip
# kind and shape -> what a form shows for the value
WIDGETS = {
    TEXT: "text", CHOICE: "choice", NUMBER: "number", DATE: "date", DAY: "date", TAGS: "text", REF: "ref",
    ATTRIBUTE: "text",
}  # fmt: skip
Names = dict[str, dict[int, str]]


@dataclass(frozen=True)
class Field:
    """One field a rule may name. group: where it stands among the others on screen; choices: the words it may hold, if
    they are fixed; refers: what its ids are ids of (owners, segments, campaigns)."""

    name: str
    label: str
    group: str
    kind: str = TEXT
    choices: tuple[str, ...] = ()
    refers: str = ""

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        """Returns the operators it can be asked with, in their order on screen."""
        return for_kind(self.kind, with_quiet)

    def parse(self, operator: Operator, value: Any) -> Any:
        """Returns the value as it is compared. Raises BadValue in words for the person who typed it."""
        if operator.shape == "none":
            return None
        if operator.shape == "span":
            return values.span(value)
        if operator.shape == "many":
            return values.many(value, self._parse_one)
        if operator.shape == "pair":
            return values.pair(value, self._measure)
        return self._measure(value) if operator.name in ("greater_than", "less_than") else self._parse_one(value)

    def _measure(self, value: Any) -> Any:
        return values.number(value) if self.kind == ATTRIBUTE else self._parse_one(value)

    def _parse_one(self, value: Any) -> Any:
        parsed = PARSERS[self.kind](value)
        if self.choices and parsed not in self.choices:
            raise BadValue(f"{self.label} is one of {', '.join(self.choices)}.")
        return parsed

    def compile(self, operator: Operator, value: Any, asking: Asking) -> ColumnElement[bool]:
        """Returns the SQL condition over `leads`; it may be NULL where a lead's value is missing."""
        return operator.compile(self, value, asking)

    def reads(self, value: Any) -> frozenset[str]:
        """Returns what it reads of a lead, in the words of `following.touched`: a change of none of it changes nothing."""
        return frozenset({self.name})

    def is_clocked(self, operator: Operator, value: Any) -> bool:
        """True if the answer changes by itself as time goes by."""
        return operator.shape == "span"

    def widget(self, operator: Operator) -> str:
        """Returns what a form asks the value with."""
        if operator.shape in ("none", "span"):
            return operator.shape
        ordered = operator.name in ("greater_than", "less_than", "between")
        one = "number" if self.kind == ATTRIBUTE and ordered else WIDGETS[self.kind]
        if self.kind == CHOICE and operator.name in ("contains", "not_contains", "starts_with", "ends_with"):
            one = "text"
        return f"{one}_{operator.shape}" if operator.shape != "one" else one

    def words(self, operator: Operator, value: Any, names: Names) -> str:
        """Returns the rule as said on screen."""
        label = self.label[:1].lower() + self.label[1:] if self.label[1:2].islower() else self.label
        return f"{label} {operator.label(self.kind)} {self.shown(operator, value, names)}".strip()

    def shown(self, operator: Operator, value: Any, names: Names) -> str:
        """Returns the value as said on screen."""
        if operator.shape == "none":
            return ""
        if operator.shape == "pair":
            return " and ".join(self._show(end, names) for end in value)
        listed = value if isinstance(value, list) else [value]
        joiner = " and " if operator.name == "has_all" else " or "
        more = f"{joiner}{len(listed) - 5:,} more" if len(listed) > 5 else ""
        return joiner.join(self._show(item, names) for item in listed[:5]) + more

    def _show(self, value: Any, names: Names) -> str:
        if self.refers:
            return names.get(self.refers, {}).get(value, f"number {value} (gone)")
        return f"{value:,f}" if self.kind == NUMBER else str(value)

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        """Returns what of a lead decided, in words; nothing where nothing is known."""
        raise NotImplementedError


@dataclass(frozen=True)
class ColumnField(Field):
    """A field that is a column of leads."""

    @property
    def column(self) -> Any:
        return getattr(Lead, self.name)

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        held = getattr(lead, self.name)
        if held is None or held == []:
            return ""
        if self.kind == DATE:
            return f"{held:%Y-%m-%d %H:%M} UTC"
        return ", ".join(held) if isinstance(held, list) else f"{held:,f}" if self.kind == NUMBER else str(held)

    def reads(self, value: Any) -> frozenset[str]:
        # Any change moves it, whichever it was.
        return frozenset({"*"}) if self.name == "updated_at" else frozenset({self.name})


@dataclass(frozen=True)
class AttributeField(Field):
    """One of the attributes an organisation keeps beside the columns; what is not text compares as it is written."""

    kind: str = ATTRIBUTE

    @property
    def key(self) -> str:
        return self.name.partition(".")[2]

    @property
    def column(self) -> Any:
        return Lead.attributes[self.key].astext

    @property
    def as_number(self) -> Any:
        # Spelled out: \d and \s are also digits and spaces of other scripts, which the cast would fall over.
        return case(
            (self.column.regexp_match(r"^[ \t\n]*-?[0-9]{1,15}(\.[0-9]{1,10})?[ \t\n]*$"), cast(self.column, Numeric))
        )

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset({"attributes"})

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        held = lead.attributes.get(self.key)
        return "" if held is None else str(held)
