"""The rule builder's form: what a browser posts as a rule tree, and a rule tree as what the page shows.

The page is a sequence: every rule and the two ends of every group post a `node` in the order they stand in, so that
moving a part of the page moves it in the tree.
"""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from werkzeug.datastructures import MultiDict

from webapp.audience.rules.field import Field
from webapp.audience.rules.fields import FIELDS, field_named
from webapp.audience.rules.operators import Operator

CHIPS = 40  # so many values are shown one by one; more as lines of text
SPANS = ("hours", "days", "weeks")
POLICY_WORDS = ("type", "status", "payment_status", "premium_over", "premium_under")
# What a kind of field is mostly asked with, where that is not the first of its operators.
USUAL = {"tags": "has_any", "date": "in_last", "number": "greater_than"}
FIRST = {"field": "status", "operator": "equals", "value": ""}


@dataclass
class Node:
    """A rule or group as the page shows it. rules: of a group, None of a rule; raw: the rule's value as typed or stored."""

    key: str
    match: str = "all"
    rules: "list[Node] | None" = None
    field: Field = field(default_factory=lambda: FIELDS["status"])
    operator: Operator | None = None
    raw: Any = None
    error: str = ""
    count: int | None = None
    # What was posted as field and operator where there is none of that name: refused at its place, not made another.
    odd: dict[str, str] | None = None

    @property
    def operators(self) -> list[Operator]:
        """The operators offered; the one in use also where it is not offered to new rules."""
        offered = self.field.operators(with_quiet=False)
        return offered if self.operator in offered or self.operator is None else [self.operator, *offered]

    @property
    def widget(self) -> str:
        return self.field.widget(self.operator) if self.operator else "text"

    @property
    def values(self) -> list[str]:
        """The value as a list of texts."""
        listed = self.raw if isinstance(self.raw, list) else [] if self.raw in (None, "") else [self.raw]
        return [str(value) for value in listed if not isinstance(value, dict)]

    @property
    def parts(self) -> dict[str, Any]:
        """The value of a rule that has several parts."""
        return self.raw if isinstance(self.raw, dict) else {}

    def span(self, text: Any = None) -> tuple[str, str]:
        """Returns (amount, unit) of "30 days"."""
        amount, _, unit = str(self.raw if text is None else text or "").partition(" ")
        unit = f"{unit.rstrip('s')}s" if unit else "days"
        return amount if amount != "None" else "", unit if unit in SPANS else "days"

    @property
    def is_finished(self) -> bool:
        """False for a rule whose value is still to be typed."""
        return (
            self.rules is not None
            or self.widget in ("none", "deed", "policy")
            or any(str(v).strip() for v in self.values)
        )

    def finished(self) -> "Node":
        """Returns the tree without the rules still being typed, its other rules being the very same objects."""
        if self.rules is None:
            return self
        kept = [node if node.rules is None else node.finished() for node in self.rules if node.is_finished]
        # A group that has nothing finished in it yet says nothing yet, neither that everybody matches.
        return replace(self, rules=[node for node in kept if node.rules != []])

    def empty_groups(self) -> "list[Node]":
        """Returns the groups in it that have no rule: what they would mean, nobody has said yet."""
        inner = [node for node in self.rules or [] if node.rules is not None]
        return [node for node in inner if not node.rules] + [e for node in inner for e in node.empty_groups()]

    def size(self) -> int:
        """Returns the number of rules in it."""
        return 1 if self.rules is None else sum(node.size() for node in self.rules)

    def to_json(self) -> dict[str, Any]:
        """Returns the tree as rules have it, unchecked."""
        if self.rules is not None:
            return {"match": self.match, "rules": [node.to_json() for node in self.rules]}
        said = {"field": self.field.name, "operator": self.operator.name if self.operator else ""} | (self.odd or {})
        return said if self.operator and self.operator.shape == "none" else said | {"value": self.raw}


def fresh_key() -> str:
    """Returns a name for a new part of the page."""
    return uuid4().hex[:10]


def rule_node(rule: dict[str, Any] | None = None, key: str | None = None) -> Node:
    """Returns a rule as shown; an unknown field becomes the first, an operator the field does not have its first."""
    rule = rule or FIRST
    chosen = field_named(str(rule.get("field") or "")) or FIELDS["status"]
    operators = chosen.operators()
    operator = next((o for o in operators if o.name == rule.get("operator")), None)
    offered = chosen.operators(with_quiet=False)
    usual = next((o for o in offered if o.name == USUAL.get(chosen.kind)), offered[0])
    return Node(key or fresh_key(), field=chosen, operator=operator or usual, raw=rule.get("value"))


def of_tree(tree: dict[str, Any]) -> Node:
    """Returns a stored tree as shown."""
    rules = [of_tree(rule) if "rules" in rule else rule_node(rule) for rule in tree["rules"]]
    return Node(fresh_key(), match=tree["match"], rules=rules)


def posted(form: MultiDict) -> Node:
    """Returns the tree of a posted form as it was typed."""
    root = Node("root", match=_match(form.get("match")), rules=[])
    path = [root]
    for said in form.getlist("node")[:1000]:
        sort, _, key = said.partition(":")
        if sort == "close":
            if len(path) > 1:
                path.pop()
        elif not key.isalnum() or len(key) > 20:
            continue
        elif sort == "open":
            group = Node(key, match=_match(form.get(f"{key}-match")), rules=[])
            path[-1].rules.append(group)
            path.append(group)
        elif sort == "rule":
            path[-1].rules.append(posted_rule(form, key))
    return root


def posted_rule(form: MultiDict, key: str) -> Node:
    """Returns one rule of a form as it was typed."""
    said = {"field": form.get(f"{key}-field", ""), "operator": form.get(f"{key}-operator", "")}
    node = rule_node(said, key)
    node.raw = _value(form, key, node.widget)
    known = {"field": node.field.name, "operator": node.operator.name if node.operator else ""}
    node.odd = {name: word[:100] for name, word in said.items() if word != known[name]} or None
    return node


def _match(said: str | None) -> str:
    return (said or "all")[:20]


def _value(form: MultiDict, key: str, widget: str) -> Any:
    typed = form.getlist(f"{key}-value")
    if widget == "none":
        return None
    if widget == "span":
        return _span(form, key)
    if widget == "deed":
        return _deed(form, key)
    if widget == "policy":
        parts = {name: form.get(f"{key}-{name}", "").strip() for name in POLICY_WORDS}
        return {k: v for k, v in parts.items() if v} | _spans(form, key, "renews_within", "lapsed_within")
    if widget.endswith("_many"):
        lines = form.get(f"{key}-lines", "")
        values = [*typed, *lines.replace("\r", "").split("\n")]
        return [value.strip() for value in values if value.strip()]
    return typed if widget.endswith("_pair") else typed[0] if typed else ""


def _span(form: MultiDict, key: str, name: str = "") -> str:
    at = f"{key}-{name}-" if name else f"{key}-"
    amount, unit = form.get(f"{at}amount", "").strip(), form.get(f"{at}unit", "days")
    return f"{amount} {unit}" if amount else ""


def _spans(form: MultiDict, key: str, *names: str) -> dict[str, str]:
    return {name: said for name in names if (said := _span(form, key, name))}


def _deed(form: MultiDict, key: str) -> dict[str, Any]:
    parts: dict[str, Any] = {"times": form.get(f"{key}-times", "").strip() or "1"}
    when = form.get(f"{key}-when", "any")
    wanted = {"any": (), "within": ("within",), "before": ("before",)}.get(when, ("within", "before"))
    for name in wanted:
        # An empty amount stays, so that the rule says that one is missing.
        parts[name] = _span(form, key, name) or " "
    if campaign := form.get(f"{key}-campaign_id"):
        parts["campaign_id"] = campaign
    return parts


def show_errors_in(root: Node, errors: dict[str, str]) -> None:
    """Puts the messages of a refused tree at its rules and groups."""
    for place, words in errors.items():
        steps = place.split(".")
        node: Node | None = root
        for step in steps[1::2]:
            inner = node.rules or [] if node else []
            node = inner[int(step)] if step.isdigit() and int(step) < len(inner) else None
        if node is not None and steps[0] == "rules":
            node.error = words
