"""Targeting: the rules of a campaign's own, beside its segment: `audience` holds {"rules": a rule tree}."""

from typing import Any

from webapp.audience.rules.asking import Asking
from webapp.audience.rules.tree import Group, parse


def tree(campaign: Any) -> Group | None:
    """Returns a campaign's own rules, or None where it has none."""
    rules = (campaign.audience or {}).get("rules")
    return parse(rules) if rules else None


def condition(campaign: Any) -> Any:
    """Returns the SQL condition of a campaign's own rules, or None where it has none."""
    rules = tree(campaign)
    return rules.compile(Asking()) if rules is not None else None
