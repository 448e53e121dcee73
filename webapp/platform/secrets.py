"""Credentials at rest: sealed with a key made from SECRET_KEY, opened only where they are used."""

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from webapp.platform.errors import Refused

_fernet: Fernet | None = None


def configure(secret: str) -> None:
    """Sets the house's key."""
    global _fernet
    _fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"canvass secrets" + secret.encode()).digest()))


def seal(values: dict[str, Any]) -> str:
    """Returns the values encrypted as text."""
    assert _fernet is not None, "secrets.configure was not called"
    return _fernet.encrypt(json.dumps(values).encode()).decode()


def unseal(sealed: str) -> dict[str, Any]:
    """Returns sealed values. Raises Refused where SECRET_KEY has changed since."""
    assert _fernet is not None, "secrets.configure was not called"
    try:
        return json.loads(_fernet.decrypt(sealed.encode()))
    except InvalidToken:
        raise Refused("These credentials were sealed under another SECRET_KEY. Enter them again.") from None
