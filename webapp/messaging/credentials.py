"""Credentials of senders: sealed in their row, opened only where they are used, never shown again."""

import secrets as chance
from typing import Any

from webapp.platform import secrets
from webapp.platform.errors import Refused


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


def of_own_phone(channel: str) -> tuple[dict[str, str], dict[str, str]]:
    """Returns (config, secrets) of a built-in sender of SMS or WhatsApp: such as its provider would have given out."""
    digits = [str(chance.randbelow(9 * 10**14) + 10**14) for _ in range(2)]
    if channel == "sms":
        return {"account_sid": f"AC{chance.token_hex(16)}"}, {"auth_token": chance.token_hex(16)}
    return (
        {"phone_number_id": digits[0], "business_account_id": digits[1]},
        {"access_token": random(), "app_secret": chance.token_hex(16), "verify_token": random()},
    )
