"""Rules over the calendar: birthdays, and how long nothing has happened."""

from calendar import isleap
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, extract, func

from webapp.audience.leads import Lead
from webapp.audience.rules import values
from webapp.audience.rules.asking import Asking
from webapp.audience.rules.field import Field, Names
from webapp.audience.rules.operators import Operator
from webapp.audience.rules.values import BadValue

YEAR = 366
BIRTHDAY_OPERATORS = [
    Operator("is_today", {"*": "is today"}, ("birthday",), lambda f, v, asking: f.on(asking, 1), "none"),
    Operator("this_month", {"*": "is this month"}, ("birthday",), lambda f, v, asking: f.in_month(asking), "none"),
    Operator("within", {"*": "is within the next"}, ("birthday",), lambda f, v, a: f.on(a, v.delta.days + 1), "span"),
]
FOR = Operator("for", {"*": "for at least"}, ("inactive",), lambda f, value, asking: f.since(value, asking), "span")


@dataclass(frozen=True)
class BirthdayField(Field):
    """The day of the year a lead was born on, by the organisation's calendar; who was born on 29 February has it on
    the 28th where the year has no 29th."""

    kind: str = "birthday"

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return BIRTHDAY_OPERATORS

    def parse(self, operator: Operator, value: Any) -> Any:
        if operator.shape == "none":
            return None
        span = values.span(value)
        if span.unit == "hours" or span.delta.days > YEAR - 1:
            raise BadValue("Give days or weeks, at most a year.")
        return span

    def on(self, asking: Asking, days: int) -> ColumnElement[bool]:
        """Returns the condition that the birthday is on one of so many days from today."""
        wanted = set()
        for n in range(min(days, YEAR)):
            day = asking.today + timedelta(days=n)
            wanted.add(day.month * 100 + day.day)
            if (day.month, day.day) == (2, 28) and not isleap(day.year):
                wanted.add(229)
        born = extract("month", Lead.date_of_birth) * 100 + extract("day", Lead.date_of_birth)
        return and_(Lead.date_of_birth.is_not(None), born.in_(sorted(wanted)))

    def in_month(self, asking: Asking) -> ColumnElement[bool]:
        """Returns the condition that the birthday is in the present month."""
        return extract("month", Lead.date_of_birth) == asking.today.month

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset({"date_of_birth"})

    def is_clocked(self, operator: Operator, value: Any) -> bool:
        return True

    def words(self, operator: Operator, value: Any, names: Names) -> str:
        return f"birthday {operator.label(self.kind)} {value or ''}".strip()

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        return f"born on {lead.date_of_birth:%-d %B}" if lead.date_of_birth else ""


@dataclass(frozen=True)
class InactiveField(Field):
    """How long a lead has done nothing; who never did anything counts from the day they came."""

    kind: str = "inactive"

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return [FOR]

    def since(self, value: Any, asking: Asking) -> ColumnElement[bool]:
        """Returns the condition that nothing happened for so long."""
        return func.coalesce(Lead.last_activity_at, Lead.created_at) <= asking.now - value.delta

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset({"last_activity_at"})

    def words(self, operator: Operator, value: Any, names: Names) -> str:
        return f"inactive for {value}"

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        return f"last active on {lead.last_activity_at or lead.created_at:%Y-%m-%d}"
