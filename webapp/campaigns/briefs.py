"""Campaigns as one line of words: a template by its name, and an audience of fields and the values they hold."""

from typing import Any

from sqlalchemy import func, or_, select

from webapp.audience import references
from webapp.audience.rules.tree import parse
from webapp.campaigns import campaigns
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.limits import WHATSAPP_DAILY
from webapp.messaging import senders
from webapp.messaging.templates import Template
from webapp.platform.db import db
from webapp.platform.errors import Invalid

DAILY_LIMIT = 10_000_000
FIELD_LIMIT = 20


def template_named(name: str) -> Template:
    """Returns the active template of a name, a slug, or a name at WhatsApp. Raises Invalid at `template_name`."""
    wanted = name.strip()
    known = or_(Template.slug == wanted, func.lower(Template.name) == func.lower(wanted),
                Template.whatsapp["name"].astext == wanted)  # fmt: skip
    first = (Template.slug == wanted).desc(), (func.lower(Template.name) == func.lower(wanted)).desc(), Template.id
    found = db.session.scalar(
        select(Template).where(known, Template.is_active, ~Template.is_system).order_by(*first).limit(1)
    )
    if found is None:
        raise Invalid({"template_name": f"There is no active template called {wanted[:60]!r}."})
    return found


def rules_of(audience: dict[str, Any]) -> dict[str, Any]:
    """Returns the rule tree of field -> value (a list: any of them), all of which must hold. Raises Invalid at the fields
    ("target_audience.state")."""
    if len(audience) > FIELD_LIMIT:
        raise Invalid({"target_audience": f"Name at most {FIELD_LIMIT} fields."})
    fields = list(audience)
    rules = [
        {"field": name, "operator": "in" if isinstance(held, list) else "equals", "value": held}
        for name, held in audience.items()
    ]
    try:
        group = parse({"match": "all", "rules": rules})
        references.check(group)
    except Invalid as problem:
        named = {place: f"target_audience.{fields[int(place.split('.')[1])]}" for place in problem.errors}
        raise Invalid({named[place]: words for place, words in problem.errors.items()}) from None
    return group.to_json()


def audience_of(campaign: Campaign) -> dict[str, Any]:
    """Returns a campaign's audience as field -> value, as far as it can be said so."""
    rules = ((campaign.audience or {}).get("rules") or {}).get("rules", [])
    return {rule["field"]: rule.get("value") for rule in rules if rule.get("operator") in ("equals", "in")}


def create(values: dict[str, Any], created_by: int | None = None) -> Campaign:
    """Makes a draft whose channel is its template's. values: name, template_name, daily_send_limit, priority,
    target_audience. Raises Invalid."""
    errors: dict[str, str] = {}
    template, rules, limit = None, None, values.get("daily_send_limit")
    try:
        template = template_named(values.get("template_name") or "")
    except Invalid as problem:
        errors |= problem.errors
    try:
        rules = rules_of(values["target_audience"]) if values.get("target_audience") else None
    except Invalid as problem:
        errors |= problem.errors
    if limit is not None and not 0 < limit <= DAILY_LIMIT:
        errors["daily_send_limit"] = f"Give a number from 1 to {DAILY_LIMIT:,}."
    if errors or template is None:
        raise Invalid(errors)
    channel = template.template_type if template.template_type in senders.CHANNELS else "email"
    sender = next(iter(senders.usable(channel)), None)
    asked = {
        "name": values.get("name"),
        "template_id": template.id,
        "sender_id": sender.id if sender else None,
        "channels": [channel],
        "daily_send_limit": limit or (WHATSAPP_DAILY if channel == "whatsapp" else None),
    }
    if values.get("priority") is not None:
        asked["priority"] = values["priority"]
    campaign = campaigns.save(None, asked, created_by)
    if rules:
        campaign.audience = {"rules": rules}
    db.session.flush()
    return campaign
