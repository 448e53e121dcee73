"""Notices: what a provider tells us by webhook, in the house's own words. Each provider's folder reads its own."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from webapp.platform.clock import now

STATUSES = ("sent", "delivered", "read", "failed")
ID_LIMIT = 255  # characters; providers' ids are far shorter
TEXT_LIMIT = 20_000  # characters of a reply that are kept
OLDEST = datetime(2009, 1, 1, tzinfo=UTC)  # nobody sent a message over WhatsApp before


class Garbled(Exception):
    """Raised where a body is not what its provider sends."""


@dataclass(frozen=True)
class Status:
    """What became of one message. status: one of STATUSES. key: the same for the same event however often it is told.
    opaque: our own token, where the provider gave it back. code: why it failed. at: UTC, never in the future."""

    message_id: str
    status: str
    key: str
    at: datetime
    opaque: str = ""
    code: str = ""


@dataclass(frozen=True)
class Reply:
    """One message from a person. answers: id of the message it answers, or "". number_id: the provider's id of the
    number it came to, or ""."""

    message_id: str
    from_address: str
    to_address: str
    body: str
    at: datetime
    answers: str = ""
    number_id: str = ""


@dataclass(frozen=True)
class TemplateState:
    """What the provider now thinks of a template. event: APPROVED, PAUSED, ... at: UTC."""

    name: str
    language: str
    event: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Tier:
    """How many people a portfolio may write to in a moving 24 hours, None for no limit. at: UTC."""

    people: int | None
    at: datetime


@dataclass(frozen=True)
class Preference:
    """What a person chose in the provider's own settings. at: UTC."""

    address: str
    wants: bool
    at: datetime


@dataclass
class Notices:
    """Everything one body told."""

    statuses: list[Status] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    tiers: list[Tier] = field(default_factory=list)
    template_states: list[TemplateState] = field(default_factory=list)
    preferences: list[Preference] = field(default_factory=list)


def words(value: Any, limit: int = ID_LIMIT) -> str:
    """Returns what PostgreSQL can keep of a value that should be text; "" for anything else than text and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    if isinstance(value, int) and abs(value) >= 10**20:
        return ""
    text = str(value).replace("\0", "")
    return text.encode("utf-8", "replace").decode()[:limit]


def moment(value: Any) -> datetime:
    """Returns the time of a Unix timestamp; now for what is none, or lies in the future or in another age."""
    text = words(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        return now()
    seconds = int(text)
    return now() if not OLDEST.timestamp() <= seconds <= now().timestamp() else datetime.fromtimestamp(seconds, UTC)


def phone(value: Any) -> str:
    """Returns a phone number as leads' are kept; a short code or a name stays as it came."""
    text = words(value).removeprefix("whatsapp:").strip()
    digits = "".join(c for c in text if c.isascii() and c.isdigit())
    return f"+{digits}" if 7 <= len(digits) <= 15 and not any(c.isalpha() for c in text) else text
