"""WhatsApp's signature: who may tell us of WhatsApp messages."""

import hmac

HEADER = "X-Hub-Signature-256"


def sign(app_secret: str, body: bytes) -> str:
    """Returns the header's value for a body as it goes over the wire."""
    return "sha256=" + hmac.digest(app_secret.encode(), body, "sha256").hex()


def holds(app_secret: str, body: bytes, given: str) -> bool:
    """True if a signature is that of the app. body: as it came, before anything was read out of it.

    An empty secret signs nothing: a sender whose secret is missing takes no webhook.
    """
    same = hmac.compare_digest(sign(app_secret, body).encode(), given.encode("utf-8", "surrogatepass"))
    return bool(app_secret) and same


def shakes(verify_token: str, mode: str, given: str) -> bool:
    """True if the handshake of a new subscription carries the token we chose."""
    same = hmac.compare_digest(verify_token.encode(), given.encode("utf-8", "surrogatepass"))
    return bool(verify_token) and mode == "subscribe" and same
