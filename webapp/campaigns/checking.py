"""What keeps a campaign from being saved, and what from being launched."""

from collections.abc import Callable
from typing import Any

from webapp.audience import segments
from webapp.audience.consents import CHANNEL_WORDS
from webapp.campaigns import limits, recipients
from webapp.campaigns.words import CATEGORIES, DEADLINES, GOALS, SCHEDULES
from webapp.messaging import senders, templates, tokens, windows
from webapp.messaging.senders import CHANNELS, Sender
from webapp.platform.clock import now
from webapp.platform.errors import NotFound
from webapp.platform.organizations import current as current_organization


def problems(values: dict[str, Any], standing: list[str] | None = None) -> dict[str, str]:
    """Returns what is wrong with what a draft is to become: field -> message. standing: the channels it has already."""
    errors: dict[str, str] = {}
    if "channels" in values and (said := _of_channels(values["channels"])):
        errors["channels"] = said
    channels = standing or ["email"] if errors or "channels" not in values else values["channels"]
    _chosen(values, "segment_id", segments.get, errors)
    template = _chosen(values, "template_id", templates.get, errors)
    sender = _chosen(values, "sender_id", senders.get, errors)
    if template is not None and template.is_system:
        errors["template_id"] = "Choose one from the list."
    elif template is not None and "channels" not in errors and (said := _unsaid(template, channels)):
        errors["template_id"] = said
    if sender is not None and "channels" not in errors and sender.channel != channels[0]:
        errors["sender_id"] = _other_channel(sender, channels[0])
    for field, words in (
        ("schedule_type", SCHEDULES[:2]), ("category", CATEGORIES), ("goal", GOALS), ("deadline_field", DEADLINES),
    ):  # fmt: skip
        if values.get(field) and values[field] not in words:
            errors[field] = f"Choose one of {', '.join(words)}."
    if not isinstance(values.get("paced_by_callbacks", False), bool):
        errors["paced_by_callbacks"] = "Say yes or no."
    for field in ("subject_line", "preview_text"):
        if problem := tokens.problem(values.get(field) or ""):
            errors[field] = problem
        elif len(values.get(field) or "") > 500:
            errors[field] = "Use at most 500 characters."
    return errors | limits.problems(values, channels)


def _of_channels(given: Any) -> str | None:
    if not isinstance(given, list) or not given:
        return "Choose at least one channel."
    if any(channel not in CHANNELS for channel in given):
        return f"Choose among {', '.join(CHANNELS)}."
    return "Name each channel once." if len(set(given)) < len(given) else None


def _chosen(values: dict[str, Any], field: str, getter: Callable[[int], Any], errors: dict[str, str]) -> Any:
    if values.get(field) is None:
        return None
    try:
        known = isinstance(values[field], int) and 0 < values[field] < 2**63
        return getter(values[field] if known else 0)
    except NotFound:
        errors[field] = "Choose one from the list."
        return None


def _unsaid(template: Any, channels: list[str]) -> str | None:
    left = [CHANNEL_WORDS[channel] for channel in channels if channel not in templates.channels_of(template)]
    return f"This template has no message for {' and '.join(left)}." if left else None


def _other_channel(sender: Sender, first: str) -> str:
    return f"This sender is for {CHANNEL_WORDS[sender.channel]}; the campaign begins with {CHANNEL_WORDS[first]}."


def missing(campaign: Any) -> dict[str, str]:
    """Returns what keeps a draft from being launched: field -> message. Empty if it can go."""
    errors: dict[str, str] = {}
    for field, what in (("template_id", "a template"), ("segment_id", "a segment"), ("sender_id", "a sender")):
        if not getattr(campaign, field):
            errors[field] = f"Choose {what}."
    if (campaign.audience or {}).get("rules") or recipients.count(campaign.id):
        errors.pop("segment_id", None)  # it says in another way whom it is for
    if campaign.template_id and (
        said := templates.hindrance(templates.get(campaign.template_id), list(campaign.channels))
    ):
        errors["template_id"] = said
    if campaign.segment_id and not segments.get(campaign.segment_id).is_active:
        errors["segment_id"] = "This segment is not active."
    if campaign.sender_id and (said := _unready(senders.get(campaign.sender_id), campaign.channels[0])):
        errors["sender_id"] = said
    if said := closed(campaign.channels, campaign.send_window):
        errors["send_window"] = said
    without = [CHANNEL_WORDS[channel] for channel in campaign.channels[1:] if not senders.usable(channel)]
    if without:
        errors["channels"] = f"There is no active sender for {' and '.join(without)}. Add one, or take the channel out."
    return errors | _untimely(campaign)


def closed(channels: list[str], send_window: dict[str, Any] | None) -> str | None:
    """Returns what is wrong where a campaign's window and the organisation's hours never meet."""
    organization = current_organization()
    for channel in channels:
        hours = windows.hours_of(organization, channel, send_window)
        if windows.next_open(hours, organization.timezone, organization.country, now()) is None:
            return f"Its window and the quiet hours of {CHANNEL_WORDS[channel]} leave no time in which it may go out."
    return None


def _unready(sender: Sender, first: str) -> str | None:
    if sender.channel != first:
        return _other_channel(sender, first)
    if sender.status not in ("active", "warming"):
        return "This sender is not active."
    return f"This sender is held: {sender.hold_reason}" if sender.held_at else None


def _untimely(campaign: Any) -> dict[str, str]:
    errors: dict[str, str] = {}
    if campaign.schedule_type == "scheduled" and campaign.scheduled_at is None:
        errors["scheduled_at"] = "Say when it should go out."
    elif campaign.schedule_type == "scheduled" and campaign.scheduled_at <= now():
        errors["scheduled_at"] = "This time has passed. Choose a later one, or send now."
    if campaign.end_at and campaign.end_at <= max(now(), campaign.scheduled_at or now()):
        errors["end_at"] = "It would end before it begins. Choose a later time, or none."
    return errors
