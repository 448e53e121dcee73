"""Rules that can never be true together, said as such: what a count of 0 does not explain."""

from collections import defaultdict
from typing import Any

from webapp.audience.rules.field import ColumnField
from webapp.audience.rules.operators import TAGS
from webapp.audience.rules.tree import Group, Rule

LOWER, UPPER = {"greater_than", "after"}, {"less_than", "before"}


def find(group: Group) -> list[str]:
    """Returns what contradicts itself in a tree, in words; only what is certain, whatever the leads are like."""
    found = [words for part in group.rules if isinstance(part, Group) for words in find(part)]
    if group.match != "all":
        return found
    by_field: dict[str, list[Rule]] = defaultdict(list)
    for rule in _together(group):
        by_field[rule.field.name].append(rule)
    for rules in by_field.values():
        if words := _clash(rules):
            found.append(words)
    return found


def _together(group: Group) -> list[Rule]:
    """Returns the rules that have to be true at once."""
    found: list[Rule] = []
    for part in group.rules:
        if isinstance(part, Rule):
            found.append(part)
        elif part.match == "all" or len(part.rules) == 1 and part.match == "any":
            found.extend(_together(part))
    return found


def _clash(rules: list[Rule]) -> str | None:
    label = rules[0].field.label
    said = [(rule.operator.name, rule.value) for rule in rules]
    names = {name for name, _ in said}
    for positive, negative in (("did", "did_not"), ("has", "has_none")):
        both = [value for name, value in said if name == positive and (negative, value) in said]
        if both:
            return f"{label}: asked for, and asked not to be, at once."
    if not isinstance(rules[0].field, ColumnField) or rules[0].field.kind == TAGS:
        return None
    if "is_not_set" in names and len(names - {"is_not_set", "not_equals", "not_in", "not_contains"}):
        return f"{label} cannot be unknown and have a value."
    allowed = _allowed(said)
    if allowed is not None and not allowed:
        return f"{label} cannot be all of these at once."
    low, high = _bounds(said)
    if low is not None and high is not None and low >= high:
        return f"{label} cannot be over {low} and under {high}."
    if allowed and not any((low is None or value > low) and (high is None or value < high) for value in allowed):
        return f"{label} cannot be that and outside of it."
    return None


def _allowed(said: list[tuple[str, Any]]) -> set[Any] | None:
    """Returns the only values that are left, or None where there is no such limit."""
    if any(isinstance(value, str) and not value.isascii() for value in _listed(said)):
        return None  # the database compares them, and it and Python do not agree on the lower case of every letter
    left: set[Any] | None = None
    for name, value in said:
        if name in ("equals", "in"):
            values = {_folded(item) for item in (value if name == "in" else [value])}
            left = values if left is None else left & values
    if left is not None:
        for name, value in said:
            if name in ("not_equals", "not_in"):
                left -= {_folded(item) for item in (value if name == "not_in" else [value])}
    return left


def _listed(said: list[tuple[str, Any]]) -> list[Any]:
    return [item for _, value in said for item in (value if isinstance(value, list) else [value])]


def _bounds(said: list[tuple[str, Any]]) -> tuple[Any, Any]:
    low = max((value for name, value in said if name in LOWER), default=None)
    high = min((value for name, value in said if name in UPPER), default=None)
    return low, high


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
