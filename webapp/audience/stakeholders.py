"""The eleven stakeholder segments an insurer starts from: who they are, what moves them, and the rules that find them.
An organisation gets them once and makes them its own; nothing here is looked at again."""

from typing import Any

from sqlalchemy import select

from webapp.audience import segments
from webapp.audience.segments import Segment
from webapp.platform.db import db


def _all(*rules: tuple[str, str, Any]) -> dict[str, Any]:
    return {"match": "all", "rules": [{"field": f, "operator": o, "value": v} for f, o, v in rules]}


def _any(*rules: tuple[str, str, Any]) -> dict[str, Any]:
    return _all(*rules) | {"match": "any"}


def _segment(
    name: str, kind: str, priority: int, look: tuple[str, str], words: str, pains: list[str], goals: list[str],
    channels: list[str], market: int, target: int, criteria: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": name, "segment_type": kind, "priority_score": priority, "icon": look[0], "color": look[1], "description": words,
        "pain_points": pains, "goals": goals, "preferred_channels": channels, "estimated_market_size": market,
        "target_reach": target, "criteria": criteria,
    }  # fmt: skip


STAKEHOLDERS = (
    _segment("Young professionals", "primary", 8, ("briefcase", "#2f5bd0"), "Born 1991 to 2004, first own car or flat",
        ["Insurance is a thing of their parents", "No time for paper"], ["Covered in ten minutes", "Cancel when life changes"],
        ["whatsapp", "email"], 420_000, 25_000, _all(("date_of_birth", "between", ["1991-01-01", "2004-12-31"]))),
    _segment("Families with children", "primary", 10, ("users", "#12805c"), "Born 1975 to 1990, asking for home, life or health",
        ["One income would not be enough", "Cover scattered over many insurers"], ["Everybody covered by one hand", "A fixed monthly sum"],
        ["email", "call"], 610_000, 40_000,
        _all(("date_of_birth", "between", ["1975-01-01", "1990-12-31"]), ("insurance_type", "in", ["home", "life", "health"]))),
    _segment("Homeowners", "primary", 9, ("home", "#b3540b"), "Asking for home insurance or holding it",
        ["Storm and water damage", "Underinsured after rebuilding"], ["A claim settled within days"], ["email"], 380_000, 30_000,
        _any(("insurance_type", "equals", "home"), ("policies", "has", {"type": "home", "status": "active"}))),
    _segment("Small business owners", "primary", 9, ("building-store", "#6b46c1"), "Run a business of their own",
        ["One lawsuit ends it", "Nobody to ask"], ["One person to call", "Cover that grows along"], ["call", "email"], 95_000, 6_000,
        _all(("insurance_type", "equals", "business"))),
    _segment("Retirees", "secondary", 6, ("armchair", "#0c8599"), "Born before 1961",
        ["Premiums rise with age", "Forms too small to read"], ["Security for those they leave behind"], ["call", "email"], 290_000, 12_000,
        _all(("date_of_birth", "before", "1961-01-01"))),
    _segment("Frequent travellers", "secondary", 5, ("plane", "#2a7fc9"), "Asking for travel insurance",
        ["Cover ends at the border"], ["Bought from the airport"], ["whatsapp", "sms"], 150_000, 9_000,
        _all(("insurance_type", "equals", "travel"))),
    _segment("Policyholders up for renewal", "secondary", 10, ("refresh", "#1a8f5f"), "A policy renews within 60 days",
        ["The new premium is a surprise"], ["Renew without a phone call"], ["email", "whatsapp"], 5_000, 5_000,
        _all(("policies", "has", {"status": "active", "renews_within": "60 days"}))),
    _segment("High-value households", "secondary", 8, ("diamond", "#8250c4"), "Gold and platinum, or worth over 5,000",
        ["Art and jewels not covered"], ["A personal adviser"], ["call"], 22_000, 2_500,
        _any(("customer_tier", "in", ["gold", "platinum"]), ("value_estimate", "greater_than", 5000))),
    _segment("Lapsed policyholders", "niche", 7, ("file-off", "#cf3434"), "Held a policy that lapsed, and none is active",
        ["Felt forgotten after buying"], ["A fair way back"], ["email", "call"], 8_000, 4_000,
        _all(("policies", "has", {"status": "lapsed"}), ("policies", "has_none", {"status": "active"}))),
    _segment("First-time buyers", "niche", 6, ("seedling", "#4f7a28"), "No policy yet, and not talked to for long",
        ["Do not know what they need"], ["Plain words, no pressure"], ["email", "whatsapp"], 240_000, 15_000,
        _all(("policy_count", "equals", 0), ("status", "in", ["new", "contacted"]))),
    _segment("Referred by others", "niche", 7, ("affiliate", "#b4540a"), "Came by referral or a partner",
        ["Trust the friend, not the insurer"], ["Treated as a friend too"], ["call", "whatsapp"], 30_000, 3_000,
        _any(("source", "contains", "referral"), ("source", "contains", "partner"))),
)  # fmt: skip


def ensure() -> list[Segment]:
    """Makes the stakeholder segments that are not there by name yet. Returns those it made."""
    there = set(db.session.scalars(select(Segment.name)))
    return [segments.save(None, dict(values)) for values in STAKEHOLDERS if values["name"] not in there]
