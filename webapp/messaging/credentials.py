"""Credentials of senders: sealed in their row, opened only where they are used, never shown again."""

import secrets as chance
from typing import Any

from webapp.platform import secrets
from webapp.platform.errors import Refused
from webapp.platform.signing import signer


def opened(sealed: str | None) -> dict[str, Any]:
    """Returns what is sealed. Raises Refused where SECRET_KEY has changed since."""
    return secrets.unseal(sealed) if sealed else {}


def still_good(sealed: str | None) -> dict[str, Any]:
    """Returns what is sealed; nothing where it can be opened no more, so that it is asked for again."""
    try:
        return opened(sealed)
    except Refused:
        return {}


def added(sealed: str | None, fresh: dict[str, Any]) -> str | None:
    """Returns the sealed credentials with some more, or others, among them."""
    return secrets.seal(still_good(sealed) | fresh) if fresh else sealed


def without(sealed: str | None, name: str) -> str | None:
    """Returns the sealed credentials without one of them."""
    left = {kept: value for kept, value in still_good(sealed).items() if kept != name}
    return secrets.seal(left) if left else None


def random() -> str:
    """Returns a new secret nobody can guess."""
    return chance.token_urlsafe(24)


def sid_of(org_id: int, sender_id: int) -> str:
    """Returns the Twilio-like account SID of a built-in sender; organisation and sender can be read from it again."""
    return "AC" + signer().pack("local", org_id, sender_id)


def number_id_of(org_id: int, sender_id: int) -> str:
    """Returns the WhatsApp-like phone number id of a built-in sender: digits alone."""
    return str(int("1" + signer().pack("local", org_id, sender_id), 16))


def of_own_phone(channel: str, org_id: int, sender_id: int) -> tuple[dict[str, str], dict[str, str]]:
    """Returns (config, secrets) of a built-in sender of SMS or WhatsApp: such as its provider would have given out."""
    if channel == "sms":
        return {"account_sid": sid_of(org_id, sender_id)}, {"auth_token": chance.token_hex(16)}
    number_id = number_id_of(org_id, sender_id)
    return (
        {"phone_number_id": number_id, "business_account_id": f"9{number_id}"},
        {name: chance.token_hex(16) for name in ("access_token", "app_secret", "verify_token")},
    )
