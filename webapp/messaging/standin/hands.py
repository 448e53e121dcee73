"""Hands: what a person does with a built-in phone: looks at it, and answers."""

import secrets

from flask import current_app

from webapp.messaging import phones, senders
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin import accounts, as_twilio, as_whatsapp, telling
from webapp.platform.db import db
from webapp.platform.errors import Invalid, NotFound, Refused

REPLY_LIMIT = 1600  # characters


def look(message: PhoneMessage) -> int:
    """Reads what is on the phone that has this message. Returns how many messages that were new. WhatsApp tells."""
    fresh = phones.read(message.channel, message.phone)
    for kept in fresh:
        # A text message tells nobody that it was read.
        if kept.channel == "whatsapp" and kept.sender_id is not None:
            telling.tell([as_whatsapp.state(accounts.of(senders.get(kept.sender_id)), kept, "read")])
    return len(fresh)


def reply(message: PhoneMessage, text: str) -> PhoneMessage:
    """Answers from the phone that has this message, to the number that wrote to it last. Raises Invalid, and Refused
    where that number is gone."""
    text = "\n".join(line.rstrip() for line in text.replace("\0", "").splitlines()).strip()
    if not text or len(text) > REPLY_LIMIT:
        raise Invalid({"text": f"Write an answer of at most {REPLY_LIMIT:,} characters."})
    answered = phones.last_to(message.channel, message.phone)
    if answered is None or answered.sender_id is None:
        raise Refused("The sender that wrote to this phone is gone, so an answer would reach nobody.")
    sender = _sender(answered.sender_id)
    prefix = "SM" if message.channel == "sms" else "wamid."
    written = PhoneMessage(
        channel=message.channel, direction="from_phone", sender_id=sender.id, phone=message.phone, number=sender.address,
        body=text, provider_message_id=prefix + secrets.token_hex(16), status="sent",
        payload={"answers": answered.provider_message_id},
    )  # fmt: skip
    db.session.add(written)
    db.session.flush()
    account = accounts.of(sender)
    if message.channel == "sms":
        address = senders.webhook_address(sender, current_app.config["BASE_URL"])
        telling.tell([as_twilio.inbound(account, written, address)])
    else:
        telling.tell([as_whatsapp.inbound(account, written)])
    return written


def _sender(sender_id: int) -> senders.Sender:
    try:
        sender = senders.get(sender_id)
    except NotFound:
        raise Refused("The sender that wrote to this phone is gone, so an answer would reach nobody.") from None
    if sender.provider != "local":
        raise Refused("The sender is not a built-in one any more, so an answer would reach nobody.")
    return sender
