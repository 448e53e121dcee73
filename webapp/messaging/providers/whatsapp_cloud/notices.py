"""What WhatsApp's Cloud API tells by webhook: many notices of many kinds in one JSON body."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from webapp.messaging.notices import (
    TEXT_LIMIT,
    Garbled,
    Notices,
    Preference,
    Reply,
    Status,
    TemplateState,
    Tier,
    moment,
    phone,
    words,
)

STATUSES = {"sent": "sent", "delivered": "delivered", "read": "read", "played": "read", "failed": "failed"}
TIERS: dict[str, int | None] = {
    "TIER_50": 50, "TIER_250": 250, "TIER_1K": 1_000, "TIER_2K": 2_000, "TIER_10K": 10_000, "TIER_100K": 100_000,
    "TIER_UNLIMITED": None, "-1": None,
}  # fmt: skip


def read(body: bytes) -> Notices:
    """Returns what a body tells; what in it is of no known kind is left out. Raises Garbled."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        raise Garbled("This is no JSON.") from None
    if not isinstance(whole, dict) or not isinstance(whole.get("entry"), list):
        raise Garbled("There is no entry.")
    found = Notices()
    for entry in _dicts(whole, "entry"):
        for change in _dicts(entry, "changes"):
            value = change.get("value")
            if isinstance(value, dict):
                READERS.get(words(change.get("field")), _nothing)(value, found, moment(entry.get("time")))
    return found


def _dicts(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    listed = holder.get(name)
    return (each for each in listed if isinstance(each, dict)) if isinstance(listed, list) else iter(())


def _dict(holder: dict[str, Any], name: str) -> dict[str, Any]:
    held = holder.get(name)
    return held if isinstance(held, dict) else {}


def _nothing(value: dict[str, Any], found: Notices, at: datetime) -> None:
    """Of a kind nobody here asked for."""


def _messages(value: dict[str, Any], found: Notices, at: datetime) -> None:
    for told in _dicts(value, "statuses"):
        message_id, status = words(told.get("id")), STATUSES.get(words(told.get("status")))
        if not message_id or not status:
            continue
        code = next((words(error.get("code")) for error in _dicts(told, "errors")), "")
        key = ":".join(part for part in ("whatsapp_cloud", message_id, status, code) if part)
        then = moment(told.get("timestamp"))
        found.statuses.append(Status(message_id, status, key, then, words(told.get("biz_opaque_callback_data")), code))
    number = _dict(value, "metadata")
    for told in _dicts(value, "messages"):
        message_id, sender = words(told.get("id")), phone(told.get("from"))
        if not message_id or not sender:
            continue
        if told.get("type") == "system":
            _prefer(sender, _dict(told, "system").get("marketing"), moment(told.get("timestamp")), found)
            continue
        answers = words(_dict(told, "context").get("id")) or words(_dict(told, "reaction").get("message_id"))
        found.replies.append(Reply(
            message_id, sender, phone(number.get("display_phone_number")), _said(told), moment(told.get("timestamp")),
            answers, words(number.get("phone_number_id")),
        ))  # fmt: skip


def _said(told: dict[str, Any]) -> str:
    """Returns what a person wrote or pressed; for a picture its caption, or what it is."""
    kind = words(told.get("type")) or "message"
    part = _dict(told, kind)
    pressed = _dict(part, words(part.get("type"))) if kind == "interactive" else {}
    for text in (part.get("body"), part.get("text"), pressed.get("title"), part.get("caption"), part.get("emoji")):
        if said := words(text, TEXT_LIMIT):
            return said
    return f"[{kind}]"


def _preferences(value: dict[str, Any], found: Notices, at: datetime) -> None:
    for told in _dicts(value, "user_preferences"):
        if words(told.get("category")) in ("", "marketing_messages"):
            _prefer(phone(told.get("wa_id")), told.get("value"), moment(told.get("timestamp")), found)


def _prefer(address: str, wish: Any, at: datetime, found: Notices) -> None:
    if address and wish in ("stop", "resume"):
        found.preferences.append(Preference(address, wish == "resume", at))


def _capability(value: dict[str, Any], found: Notices, at: datetime) -> None:
    for name in ("max_daily_conversations_per_business", "max_daily_conversation_per_phone",
                 "max_daily_conversations_per_phone"):  # fmt: skip
        said = words(value.get(name)).upper()
        if said in TIERS:
            return found.tiers.append(Tier(TIERS[said], at))
        if said.isascii() and said.isdigit() and 0 < int(said) < 10**9:
            return found.tiers.append(Tier(int(said), at))
    return None


def _template(value: dict[str, Any], found: Notices, at: datetime) -> None:
    name, event = words(value.get("message_template_name")), words(value.get("event")).upper()
    if name and event:
        language, reason = words(value.get("message_template_language")), words(value.get("reason"), 500)
        found.template_states.append(TemplateState(name, language, event, "" if reason == "NONE" else reason, at))


READERS = {
    "messages": _messages,
    "user_preferences": _preferences,
    "business_capability_update": _capability,
    "message_template_status_update": _template,
}
