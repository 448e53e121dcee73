"""A rule tree as a person would say it: "Auto leads in Texas, worth over 1,000, that are new"."""

from typing import Any

from webapp.audience.rules.calendar import BirthdayField
from webapp.audience.rules.deeds import DID, DeedField
from webapp.audience.rules.field import AttributeField, ColumnField, Names
from webapp.audience.rules.holdings import PolicyCountField, PolicyField
from webapp.audience.rules.tree import Group, Rule

# (field, operator) -> how it is said of leads. What stands before the word "leads", and what behind it.
BEFORE = {
    ("status", "equals"): "{}", ("priority", "equals"): "{}-priority", ("customer_tier", "equals"): "{}",
    ("insurance_type", "equals"): "{}",
}  # fmt: skip
BEHIND = {
    ("state", "equals"): "in {}", ("city", "equals"): "in {}", ("country", "equals"): "in {}",
    ("region", "equals"): "in {}", ("state", "in"): "in {}", ("city", "in"): "in {}", ("state", "not_equals"): "not in {}",
    ("source", "equals"): "from {}", ("owner_id", "equals"): "of {}",
    ("value_estimate", "greater_than"): "worth over {}", ("value_estimate", "less_than"): "worth under {}",
    ("value_estimate", "between"): "worth between {}", ("tags", "contains"): "tagged {}", ("tags", "has_any"): "tagged {}",
    ("created_at", "in_last"): "who came in the last {}", ("created_at", "older_than"): "who came more than {} ago",
    ("status", "not_equals"): "not {}", ("status", "in"): "that are {}",
    ("insurance_type", "in"): "with {} insurance",
    ("consent.email", "equals"): "{} to e-mail", ("consent.sms", "equals"): "{} to SMS",
    ("consent.whatsapp", "equals"): "{} to WhatsApp",
}  # fmt: skip
# kind of fact -> (of those who did, of those who did not)
DEEDS = {
    "email_sent": ("sent an e-mail", "not sent an e-mail"), "email_opened": ("who opened an e-mail", "who opened no e-mail"),
    "email_clicked": ("who clicked in an e-mail", "who clicked in no e-mail"),
    "email_replied": ("who replied", "who did not reply"), "converted": ("who bought", "who did not buy"),
    "page_visited": ("who visited the website", "who did not visit the website"),
    "call_logged": ("spoken to on the phone", "not spoken to on the phone"),
}  # fmt: skip
# Fields that are something a lead has, and not something they did.
HELD = (ColumnField, AttributeField, PolicyCountField, BirthdayField)


def say(group: Group, names: Names | None = None) -> str:
    """Returns the tree in words, a sentence without its full stop. names: what ids are called."""
    names = names or {}
    if not group.rules:
        return "Every lead"
    if group.match != "all":
        parts = [_inner(part, names) for part in group.rules]
        joined = " or ".join(parts)
        return f"Leads {joined}" if group.match == "any" else f"All leads but those {joined}"
    # In the order they are said in, whatever order they were written in: new auto leads.
    rules = [part for part in group.rules if isinstance(part, Rule)]
    before = [
        said for said_as in BEFORE for part in rules if _key(part) == said_as and (said := _styled(part, BEFORE, names))
    ]
    behind = [_behind(part, names) for part in group.rules if not _styled(part, BEFORE, names)]
    return _capital(f"{' '.join([*before, 'leads'])} {', '.join(behind)}".strip())


def _behind(part: Rule | Group, names: Names) -> str:
    if isinstance(part, Group):
        return _inner(part, names)
    return _styled(part, BEHIND, names) or _clause(part, names)


def _clause(rule: Rule, names: Names) -> str:
    """Returns a rule as it is said behind "leads"."""
    said = rule.words(names)
    if isinstance(rule.field, DeedField):
        did, did_not = DEEDS.get(rule.field.type, (f"with “{rule.field.label}”", f"without “{rule.field.label}”"))
        return f"{did if rule.operator is DID else did_not} {rule.field.circumstances(rule.value, names)}".strip()
    if isinstance(rule.field, PolicyField):
        return said.replace("holds", "holding", 1)
    return f"whose {said}" if isinstance(rule.field, HELD) else said


def _inner(part: Rule | Group, names: Names) -> str:
    if isinstance(part, Rule):
        return _styled(part, BEHIND, names) or _clause(part, names)
    said = {"all": " and ", "any": " or ", "none": " or "}[part.match].join(
        _inner(inner, names) for inner in part.rules
    )
    if not part.rules:
        return "that are anybody"
    return f"not ({said})" if part.match == "none" else f"({said})" if len(part.rules) > 1 else said


def _styled(part: Rule | Group, styles: dict[tuple[str, str], str], names: Names) -> str | None:
    if isinstance(part, Group):
        return None
    style = styles.get(_key(part))
    return style.format(part.field.shown(part.operator, part.value, names)) if style else None


def _key(rule: Rule) -> tuple[str, str]:
    return rule.field.name, rule.operator.name


def _capital(text: Any) -> str:
    return text[:1].upper() + text[1:]
