"""Messages that come in by webhook: from a mail server or a relay that posts what it got for the return path."""

import base64
import binascii
import hashlib
import hmac
import json

from webapp.messaging import bounce_reading, mail_taking, senders
from webapp.platform.db import transaction
from webapp.platform.errors import Forbidden, Invalid, NotFound
from webapp.platform.signing import signer

LIMIT = 30_000_000  # bytes; what is read of a message is far less, but it may carry what it returns
RAW = ("message/rfc822", "application/octet-stream")


def signature_of(secret: str, body: bytes) -> str:
    """Returns what X-Canvass-Signature must say for a body."""
    return "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def receive(token: str, body: bytes, signature: str, media_type: str) -> str:
    """Takes the message in a body. token: of the webhook's address. signature: as it stands in the header. media_type:
    message/rfc822, or application/json of {"raw": base64, "recipient": the envelope's, if known}.

    Returns one of mail_taking.OUTCOMES. Raises NotFound (no such address), Forbidden (the signature is not that of the
    body), Invalid (the body is no message), NotYet. Runs its own transactions.
    """
    org_id, sender_id = signer().unpack("webhook", token)
    with transaction(org_id):
        sender = senders.get(sender_id)
        secret = senders.secret(sender, "webhook_secret")
        if sender.channel != "email" or not secret:
            raise NotFound
    # Over the body as it came: whatever reads it first may write it differently.
    if not hmac.compare_digest(signature_of(secret, body).encode(), signature.strip().encode("utf-8", "replace")):
        raise Forbidden("The signature does not belong to this body.")
    raw, recipient = _message(body, media_type)
    report = bounce_reading.read(raw, recipient)
    with transaction(org_id):
        return mail_taking.take(report, mail_taking.whose(report, org_id), senders.get(sender_id))


def _message(body: bytes, media_type: str) -> tuple[bytes, str]:
    if media_type in RAW:
        raw, recipient = body, ""
    elif media_type == "application/json":
        raw, recipient = _unwrapped(body)
    else:
        raise Invalid({"content_type": "Post message/rfc822, or application/json with the message in raw as base64."})
    if not raw.strip():
        raise Invalid({"raw": "This message is empty."})
    return raw, recipient


def _unwrapped(body: bytes) -> tuple[bytes, str]:
    try:
        given = json.loads(body)
        raw = base64.b64decode(given["raw"], validate=True)
        recipient = given.get("recipient") or ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise Invalid({"raw": "Give the message as base64 in raw."}) from None
    if not isinstance(recipient, str):
        raise Invalid({"recipient": "The recipient is a text."})
    return raw, recipient
