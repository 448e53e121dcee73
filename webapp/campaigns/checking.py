"""What keeps a campaign from being saved, and what from being launched."""

from typing import Any

from webapp.audience import segments
from webapp.campaigns.words import CATEGORIES, GOALS, SCHEDULES
from webapp.messaging import senders, templates, tokens
from webapp.platform.clock import now
from webapp.platform.errors import NotFound


def problems(values: dict[str, Any]) -> dict[str, str]:
    """Returns what is wrong with what a draft is to become: field -> message."""
    errors: dict[str, str] = {}
    for field, getter in (("segment_id", segments.get), ("template_id", templates.get), ("sender_id", senders.get)):
        if values.get(field) is not None:
            try:
                known = isinstance(values[field], int) and 0 < values[field] < 2**63
                chosen = getter(values[field] if known else 0)
            except NotFound:
                chosen = None
            if chosen is None or (field == "template_id" and chosen.is_system):
                errors[field] = "Choose one from the list."
    for field, words in (("schedule_type", SCHEDULES[:2]), ("category", CATEGORIES), ("goal", GOALS)):
        if values.get(field) and values[field] not in words:
            errors[field] = f"Choose one of {', '.join(words)}."
    if "priority" in values and values["priority"] not in range(1, 11):
        errors["priority"] = "A priority is a number from 1 (first) to 10."
    for field in ("subject_line", "preview_text"):
        if problem := tokens.problem(values.get(field) or ""):
            errors[field] = problem
        elif len(values.get(field) or "") > 500:
            errors[field] = "Use at most 500 characters."
    return errors


def missing(campaign: Any) -> dict[str, str]:
    """Returns what keeps a draft from being launched: field -> message. Empty if it can go."""
    errors: dict[str, str] = {}
    for field, what in (("template_id", "a template"), ("segment_id", "a segment"), ("sender_id", "a sender")):
        if not getattr(campaign, field):
            errors[field] = f"Choose {what}."
    if campaign.template_id and not templates.get(campaign.template_id).is_active:
        errors["template_id"] = "This template is not active."
    if campaign.segment_id and not segments.get(campaign.segment_id).is_active:
        errors["segment_id"] = "This segment is not active."
    if campaign.sender_id and senders.get(campaign.sender_id).status not in ("active", "warming"):
        errors["sender_id"] = "This sender is not active."
    if campaign.schedule_type == "scheduled" and campaign.scheduled_at is None:
        errors["scheduled_at"] = "Say when it should go out."
    elif campaign.schedule_type == "scheduled" and campaign.scheduled_at <= now():
        errors["scheduled_at"] = "This time has passed. Choose a later one, or send now."
    return errors
