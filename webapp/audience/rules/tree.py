"""The rule tree: parsed from JSON, checked rule by rule, compiled to one condition of bound parameters.

JSON: {"match": "all" | "any" | "none", "rules": [rule or group, ...]}, where a rule is
{"field": name, "operator": name, "value": one value or a list}. A group without rules matches every lead.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, not_, or_, true

from webapp.audience.rules.fields import FIELDS, BadValue, Field
from webapp.audience.rules.operators import LIST_LIMIT, OPERATORS, Operator
from webapp.platform.errors import Invalid

MATCHES = ("all", "any", "none")
DEPTH_LIMIT = 3
RULE_LIMIT = 100


@dataclass(frozen=True)
class Rule:
    """One checked rule. value: parsed; for an operator over many, a list."""

    field: Field
    operator: Operator
    value: Any

    def compile(self) -> ColumnElement[bool]:
        return self.operator.compile(self.field, self.value)

    def to_json(self) -> dict[str, Any]:
        value = [_plain(v) for v in self.value] if self.operator.many else _plain(self.value)
        return {"field": self.field.name, "operator": self.operator.name, "value": value}

    def words(self) -> str:
        values = self.value if self.operator.many else [self.value]
        shown = " or ".join(str(v) for v in values[:5]) + (f" or {len(values) - 5} more" if len(values) > 5 else "")
        return f"{self.field.label.lower()} {self.operator.label(self.field.kind)} {shown}"


@dataclass(frozen=True)
class Group:
    """Rules and groups under all, any or none."""

    match: str
    rules: tuple["Rule | Group", ...]

    def compile(self) -> ColumnElement[bool]:
        """Returns the SQL condition. It may be NULL where a lead's value is missing: put it in WHERE only."""
        if not self.rules:
            return true()
        parts = [rule.compile() for rule in self.rules]
        if self.match == "all":
            return and_(*parts)
        return or_(*parts) if self.match == "any" else not_(func.coalesce(or_(*parts), False))

    def to_json(self) -> dict[str, Any]:
        return {"match": self.match, "rules": [rule.to_json() for rule in self.rules]}

    def words(self) -> str:
        if not self.rules:
            return "every lead"
        joined = {"all": " and ", "any": " or ", "none": " or "}[self.match].join(
            f"({rule.words()})" if isinstance(rule, Group) else rule.words() for rule in self.rules
        )
        return f"none of: {joined}" if self.match == "none" else joined

    def fields(self) -> set[str]:
        """Returns the names of the fields the tree reads."""
        return set().union(*({r.field.name} if isinstance(r, Rule) else r.fields() for r in self.rules), set())


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else str(value)


def parse(tree: Any) -> Group:
    """Returns the checked tree. Raises Invalid whose keys are the places: "rules.0", "rules.1.rules.2"."""
    errors: dict[str, str] = {}
    group = _group(tree, "", 1, errors)
    if len(_flat(group)) > RULE_LIMIT:
        errors["rules"] = f"Use at most {RULE_LIMIT} rules."
    if errors:
        raise Invalid(errors, "Some rules need another look.")
    return group


def parse_flat(rules: Any, match_all: bool) -> Group:
    """Returns the checked tree of a flat list of rules. Raises Invalid like `parse`."""
    return parse({"match": "all" if match_all else "any", "rules": rules})


def _flat(group: Group) -> list[Rule]:
    return [leaf for rule in group.rules for leaf in (_flat(rule) if isinstance(rule, Group) else [rule])]


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
    field, operator = FIELDS.get(str(item.get("field"))), OPERATORS.get(str(item.get("operator")))
    if field is None:
        raise BadValue(f"There is no field called {str(item.get('field'))[:60]!r}.")
    if operator is None:
        raise BadValue(f"There is no operator called {str(item.get('operator'))[:60]!r}.")
    if field.kind not in operator.kinds:
        raise BadValue(f"{field.label} cannot be compared with “{operator.label(field.kind)}”.")
    value = item.get("value")
    if not operator.many:
        return Rule(field, operator, field.parse(value))
    values = [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise BadValue("Give at least one value.")
    if len(values) > LIST_LIMIT:
        raise BadValue(f"Give at most {LIST_LIMIT:,} values.")
    return Rule(field, operator, list(dict.fromkeys(field.parse(part) for part in values)))
