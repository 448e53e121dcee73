"""Audiences: the demo's segments, and a judge of them for people who are not in the database yet."""

from typing import Any

from webapp.demo.people import Person


def _all(name: str, description: str, *rules: tuple[str, str, Any]) -> dict[str, Any]:
    listed = [{"field": field, "operator": operator, "value": value} for field, operator, value in rules]
    return {"name": name, "description": description, "criteria": {"match": "all", "rules": listed}}


HIGH_VALUE_AUTO = _all(
    "High-value auto leads", "Leads interested in auto insurance with high estimated value",
    ("insurance_type", "equals", "auto"), ("value_estimate", "greater_than", "1000"), ("status", "equals", "new"),
)  # fmt: skip
NEW = _all("New leads", "Nobody has talked to them yet", ("status", "equals", "new"))
TEXAS = _all("Texas", "Everybody who lives in Texas", ("state", "equals", "TX"))
MOST_VALUABLE = _all(
    "Gold and platinum by value", "Estimated value above 3,000, policyholders or not",
    ("value_estimate", "greater_than", "3000"), ("status", "not_equals", "lost"),
)  # fmt: skip
READERS = _all("Newsletter readers", "Asked for the newsletter", ("tags", "contains", "newsletter"))
AUTO_HOLDERS = _all(
    "Auto policyholders", "Hold a policy with us and drive",
    ("insurance_type", "equals", "auto"), ("tags", "contains", "policyholder"),
)  # fmt: skip
RENEWING = _all("Renewals due", "A policy of theirs renews within 60 days", ("tags", "contains", "renewal-due"))
HOT = _all(
    "Hot prospects", "Qualified or holding a proposal, and not to be kept waiting",
    ("status", "in", ["qualified", "proposal"]), ("priority", "in", ["high", "urgent"]),
)  # fmt: skip
SEGMENTS = (HIGH_VALUE_AUTO, NEW, TEXAS, MOST_VALUABLE, READERS, AUTO_HOLDERS, RENEWING, HOT)


def holds(segment: dict[str, Any], person: Person) -> bool:
    """True if a segment of "equals" and "contains" rules is true for somebody. The database judges the same way."""
    return all(_true(rule, person.lead[rule["field"]]) for rule in segment["criteria"]["rules"])


def _true(rule: dict[str, Any], found: Any) -> bool:
    return rule["value"] in found if rule["operator"] == "contains" else rule["value"] == found
