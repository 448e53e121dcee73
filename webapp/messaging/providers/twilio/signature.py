"""Twilio's signature: who may tell us of SMS."""

import base64
import hmac
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

HEADER = "X-Twilio-Signature"
PORTS = {"https": 443, "http": 80}


def sign(auth_token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """Returns the base64 HMAC-SHA1 of the full public address followed by each field's name and value, sorted by name."""
    values: dict[str, set[str]] = {}
    for name, value in fields:
        values.setdefault(name, set()).add(value)
    told = url + "".join(name + value for name in sorted(values) for value in sorted(values[name]))
    # Bytes that were no UTF-8 are signed as they came.
    digest = hmac.digest(auth_token.encode(), told.encode("utf-8", "surrogateescape"), "sha1")
    return base64.b64encode(digest).decode()


def holds(auth_token: str, url: str, fields: Iterable[tuple[str, str]], given: str) -> bool:
    """True if a signature is that of the account. url: the address as the account was told it, with its query.

    An empty token signs nothing: a sender whose token is missing takes no webhook.
    """
    pairs = list(fields)
    found = [hmac.compare_digest(sign(auth_token, way, pairs).encode(), _bytes(given)) for way in _written(url)]
    return bool(auth_token) and any(found)


def _bytes(given: str) -> bytes:
    return given.encode("utf-8", "surrogatepass")


def _written(url: str) -> list[str]:
    """Returns the ways an address is written with its port or without: which of them is signed has changed over time."""
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 443)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    ways = [urlunsplit(parts._replace(netloc=place)) for place in (host, f"{host}:{port}")]
    return list(dict.fromkeys([url, *ways]))
