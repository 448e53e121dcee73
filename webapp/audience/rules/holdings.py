"""Rules over policies: whether a lead holds one like this, and how many."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Numeric, any_, bindparam, func, not_, or_, select

from webapp.audience.lead_values import INSURANCE_TYPES
from webapp.audience.leads import Lead
from webapp.audience.policies import PAYMENT_STATUSES, STATUSES, Policy
from webapp.audience.rules import values
from webapp.audience.rules.asking import Asking, one_of_these
from webapp.audience.rules.field import Field, Names
from webapp.audience.rules.operators import NUMBER, Operator
from webapp.audience.rules.values import BadValue
from webapp.platform.db import db

HAS = Operator("has", {"*": "has one"}, ("policy",), lambda field, value, asking: field.found(value, asking), "policy")
HAS_NONE = Operator(
    "has_none", {"*": "has none"}, ("policy",), lambda field, value, asking: not_(field.found(value, asking)), "policy"
)
CHOICES = {"type": INSURANCE_TYPES, "status": STATUSES, "payment_status": PAYMENT_STATUSES}
SPANS = ("renews_within", "lapsed_within")
AMOUNTS = ("premium_over", "premium_under")
WORDS = {
    "premium_over": "premium over {}", "premium_under": "premium under {}", "renews_within": "renewing within {}",
    "lapsed_within": "lapsed within the last {}", "payment_status": "payment {}",
}  # fmt: skip


@dataclass(frozen=True)
class PolicyField(Field):
    """A policy of the lead. Its value says which, all optional: {"type", "status", "payment_status", "premium_over",
    "premium_under", "renews_within": "30 days", "lapsed_within": "90 days"}."""

    kind: str = "policy"

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return [HAS, HAS_NONE]

    def parse(self, operator: Operator, value: Any) -> dict[str, Any]:
        if not isinstance(value := value or {}, dict) or set(value) - {*CHOICES, *SPANS, *AMOUNTS}:
            raise BadValue("Say which policies: type, status, payment, premium, renewal or lapse.")
        given = {name: part for name, part in value.items() if part not in (None, "")}
        parsed: dict[str, Any] = {}
        for name, part in given.items():
            if name in CHOICES:
                if part not in CHOICES[name]:
                    raise BadValue(f"{name.replace('_', ' ').capitalize()} is one of {', '.join(CHOICES[name])}.")
                parsed[name] = part
            else:
                parsed[name] = values.span(part) if name in SPANS else values.number(part)
        return parsed

    def found(self, value: dict[str, Any], asking: Asking) -> ColumnElement[bool]:
        """Returns the condition that a lead holds such a policy."""
        return one_of_these(asking.leads_with(Policy, *self._which(value, asking)))

    def _which(self, value: dict[str, Any], asking: Asking) -> list[ColumnElement[bool]]:
        today = asking.today if set(value) & set(SPANS) else None
        built: dict[str, Callable[[Any], Any]] = {
            "premium_over": lambda amount: Policy.premium > amount,
            "premium_under": lambda amount: Policy.premium < amount,
            "renews_within": lambda span: Policy.renews_on.between(today, today + span.delta),
            "lapsed_within": lambda span: Policy.lapsed_on.between(today - span.delta, today),
        }
        return [built[name](part) if name in built else getattr(Policy, name) == part for name, part in value.items()]

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset({"policies"})

    def is_clocked(self, operator: Operator, value: dict[str, Any]) -> bool:
        return bool(set(value) & set(SPANS))

    def widget(self, operator: Operator) -> str:
        return "policy"

    def words(self, operator: Operator, value: dict[str, Any], names: Names) -> str:
        said = [str(value[name]) for name in ("status", "type") if name in value]
        rest = [
            WORDS[name].format(f"{part:,f}" if name in AMOUNTS else part)
            for name, part in value.items()
            if name in WORDS
        ]
        holds = "holds no" if operator is HAS_NONE else "holds an" if said and said[0][0] in "aeio" else "holds a"
        return " ".join([holds, *said, "policy", ", ".join(rest)]).strip()

    def evidence(self, lead: Lead, value: dict[str, Any], asking: Asking) -> str:
        wanted = select(Policy.number).where(
            Policy.org_id == asking.org_id, Policy.lead_id == lead.id, *self._which(value, asking)
        )
        return ", ".join(db.session.scalars(wanted.order_by(Policy.number).limit(3))) or "none like it"


@dataclass(frozen=True)
class PolicyCountField(Field):
    """The number of policies a lead has or had."""

    kind: str = NUMBER

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return [o for o in super().operators(with_quiet) if o.name not in ("is_set", "is_not_set")]

    def compile(self, operator: Operator, value: Any, asking: Asking) -> ColumnElement[bool]:
        if operator.name.startswith("not_"):
            return not_(self.compile(_positive(operator), value, asking))
        held = asking.leads_with(Policy)
        counted = held.group_by(Policy.lead_id).having(_compared(operator.name, func.count(), value))
        # Who holds none has no row to be counted.
        if _holds(operator.name, 0, value):
            return or_(one_of_these(counted), not_(one_of_these(held)))
        return one_of_these(counted)

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset({"policies"})

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        held = select(func.count()).where(Policy.org_id == asking.org_id, Policy.lead_id == lead.id)
        return str(db.session.scalar(held))


def _positive(operator: Operator) -> Operator:
    return Operator(
        operator.name.removeprefix("not_"), operator.words, operator.kinds, operator.compile, operator.shape
    )


def _compared(name: str, counted: Any, value: Any) -> Any:
    return {
        "equals": lambda: counted == value,
        "greater_than": lambda: counted > value,
        "less_than": lambda: counted < value,
        "between": lambda: counted.between(*value),
        "in": lambda: counted == any_(bindparam(None, value, type_=ARRAY(Numeric()), unique=True)),
    }[name]()


def _holds(name: str, n: int, value: Any) -> bool:
    return {
        "equals": lambda: n == value,
        "greater_than": lambda: n > value,
        "less_than": lambda: n < value,
        "between": lambda: value[0] <= n <= value[1],
        "in": lambda: n in value,
    }[name]()
