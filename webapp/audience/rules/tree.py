"""The rule tree: parsed from JSON, checked rule by rule, compiled to one condition of bound parameters.

JSON: {"match": "all" | "any" | "none", "rules": [rule or group, ...]}, where a rule is
{"field": name, "operator": name, "value": what the operator takes}. A group without rules matches every lead.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, true

from webapp.audience.rules.asking import Asking
from webapp.audience.rules.field import Field, Names
from webapp.audience.rules.fields import field_named
from webapp.audience.rules.operators import OPERATORS, Operator
from webapp.audience.rules.values import BadValue, plain
from webapp.platform.errors import Invalid

MATCHES = ("all", "any", "none")
DEPTH_LIMIT = 3
RULE_LIMIT = 100


@dataclass(frozen=True)
class Rule:
    """One checked rule. value: parsed, as its field compares it."""

    field: Field
    operator: Operator
    value: Any

    def compile(self, asking: Asking) -> ColumnElement[bool]:
        """Returns the SQL condition. It may be NULL where a lead's value is missing."""
        return self.field.compile(self.operator, self.value, asking)

    def to_json(self) -> dict[str, Any]:
        said = {"field": self.field.name, "operator": self.operator.name}
        return said if self.operator.shape == "none" else said | {"value": plain(self.value)}

    def words(self, names: Names) -> str:
        """Returns the rule in words. names: what ids are called, by what they are ids of."""
        return self.field.words(self.operator, self.value, names)

    @property
    def is_clocked(self) -> bool:
        """True if its answer changes as time goes by."""
        return self.field.is_clocked(self.operator, self.value)


@dataclass(frozen=True)
class Group:
    """Rules and groups under all, any or none."""

    match: str
    rules: tuple["Rule | Group", ...]

    def compile(self, asking: Asking) -> ColumnElement[bool]:
        """Returns the SQL condition. It may be NULL where a lead's value is missing: put it in WHERE only."""
        if not self.rules:
            return true()
        parts = [rule.compile(asking) for rule in self.rules]
        if self.match == "all":
            return and_(*parts)
        return or_(*parts) if self.match == "any" else not_(func.coalesce(or_(*parts), False))

    def to_json(self) -> dict[str, Any]:
        return {"match": self.match, "rules": [rule.to_json() for rule in self.rules]}

    def words(self, names: Names | None = None) -> str:
        """Returns the group in words. names: what ids are called, by what they are ids of."""
        if not self.rules:
            return "every lead"
        joined = {"all": ", ", "any": " or ", "none": " or "}[self.match].join(
            f"({rule.words(names)})" if isinstance(rule, Group) else rule.words(names or {}) for rule in self.rules
        )
        return f"none of: {joined}" if self.match == "none" else joined

    def leaves(self) -> Iterator[Rule]:
        """Yields the rules of the tree, groups opened."""
        for rule in self.rules:
            if isinstance(rule, Group):
                yield from rule.leaves()
            else:
                yield rule

    def reads(self) -> frozenset[str]:
        """Returns what the tree reads of a lead (see `Field.reads`)."""
        return frozenset().union(*(rule.field.reads(rule.value) for rule in self.leaves()))

    @property
    def is_clocked(self) -> bool:
        """True if its answer changes as time goes by."""
        return any(rule.is_clocked for rule in self.leaves())

    def refers_to(self, what: str) -> set[int]:
        """Returns the ids it names of segments, owners or campaigns."""
        found: set[int] = set()
        for rule in self.leaves():
            if rule.field.refers == what and rule.value is not None:
                found.update(rule.value if isinstance(rule.value, list) else [rule.value])
            if what == "campaigns" and isinstance(rule.value, dict) and "campaign_id" in rule.value:
                found.add(rule.value["campaign_id"])
        return found


def parse(tree: Any) -> Group:
    """Returns the checked tree. Raises Invalid whose keys are the places: "rules.0", "rules.1.rules.2"."""
    errors: dict[str, str] = {}
    group = _group(tree, "", 1, errors)
    if sum(1 for _ in group.leaves()) > RULE_LIMIT:
        errors["rules"] = f"Use at most {RULE_LIMIT} rules."
    if errors:
        raise Invalid(errors, "Some rules need another look.")
    return group


def parse_flat(rules: Any, match_all: bool) -> Group:
    """Returns the checked tree of a flat list of rules. Raises Invalid like `parse`."""
    return parse({"match": "all" if match_all else "any", "rules": rules})


def _group(tree: Any, place: str, depth: int, errors: dict[str, str]) -> Group:
    if not isinstance(tree, dict) or not isinstance(tree.get("rules"), list) or tree.get("match") not in MATCHES:
        errors[place or "rules"] = "A group needs a match (all, any or none) and a list of rules."
        return Group("all", ())
    if depth > DEPTH_LIMIT:
        errors[place] = f"Groups go at most {DEPTH_LIMIT} deep."
        return Group("all", ())
    parsed = []
    for n, item in enumerate(tree["rules"]):
        at = f"{place}.rules.{n}".lstrip(".")
        if isinstance(item, dict) and "rules" in item:
            parsed.append(_group(item, at, depth + 1, errors))
            continue
        try:
            parsed.append(_rule(item))
        except BadValue as problem:
            errors[at] = str(problem)
    return Group(tree["match"], tuple(parsed))


def _rule(item: Any) -> Rule:
    if not isinstance(item, dict) or set(item) - {"field", "operator", "value"}:
        raise BadValue("A rule has a field, an operator and a value.")
    field, name = field_named(str(item.get("field"))), str(item.get("operator"))
    if field is None:
        raise BadValue(f"There is no field called {str(item.get('field'))[:60]!r}.")
    operator = next((o for o in field.operators() if o.name == name), None)
    if operator is None and name in OPERATORS:
        raise BadValue(f"{field.label} cannot be compared with “{OPERATORS[name].label(field.kind)}”.")
    if operator is None:
        raise BadValue(f"There is no operator called {name[:60]!r} for {field.label.lower()}.")
    return Rule(field, operator, field.parse(operator, item.get("value")))
