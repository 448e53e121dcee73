"""What Twilio tells by webhook: one form a message, either a status of ours or a message of somebody's."""

from collections.abc import Iterable
from urllib.parse import parse_qsl

from webapp.messaging.notices import TEXT_LIMIT, Garbled, Notices, Reply, Status, phone, words
from webapp.platform.clock import now

FIELDS = 200
# Before it is sent it is on its way: what Twilio took it has.
MEANS = {
    "accepted": "sent", "scheduled": "sent", "queued": "sent", "sending": "sent", "sent": "sent",
    "delivered": "delivered", "read": "read", "undelivered": "failed", "failed": "failed", "canceled": "failed",
}  # fmt: skip
ARRIVED = ("", "received", "receiving")


def fields(body: bytes) -> list[tuple[str, str]]:
    """Returns the fields of a form as they were signed. Raises Garbled."""
    try:
        text = body.decode("utf-8", "surrogateescape")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS, errors="surrogateescape")
    except ValueError:
        raise Garbled("This is no form.") from None


def read(pairs: Iterable[tuple[str, str]], opaque: str = "") -> Notices:
    """Returns what a form tells. opaque: our own token in the callback's address. Raises Garbled."""
    form = dict(pairs)
    message_id = words(form.get("MessageSid") or form.get("SmsSid") or "")
    if not message_id:
        raise Garbled("There is no MessageSid.")
    status = words(form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
    if status in ARRIVED:
        return Notices(replies=[_reply(message_id, form)])
    if status not in MEANS:
        return Notices()
    code = words(form.get("ErrorCode") or "")
    key = ":".join(part for part in ("twilio", message_id, status, code) if part)
    return Notices(statuses=[Status(message_id, MEANS[status], key, now(), opaque, code)])


def _reply(message_id: str, form: dict[str, str]) -> Reply:
    sender = phone(form.get("From"))
    if not sender:
        raise Garbled("There is no From.")
    media = words(form.get("NumMedia") or "")
    body = words(form.get("Body") or "", TEXT_LIMIT) or ("[picture or file]" if media not in ("", "0") else "")
    return Reply(
        message_id, sender, phone(form.get("To")), body, now(), words(form.get("OriginalRepliedMessageSid") or "")
    )
