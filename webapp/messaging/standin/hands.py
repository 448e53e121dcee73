"""Hands: what a person does with a built-in phone: looks at it, and answers."""

import secrets

from flask import current_app

from webapp.messaging import phones, senders
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin import accounts, as_twilio, as_whatsapp, telling
from webapp.messaging.standin.accounts import Account
from webapp.platform.db import db
from webapp.platform.errors import Invalid, Refused

REPLY_LIMIT = 1600  # characters


def look(message: PhoneMessage) -> int:
    """Reads what is on the phone that has this message. Returns how many messages that were new. WhatsApp tells."""
    fresh = phones.read(message.channel, message.phone)
    # A text message tells nobody that it was read.
    told = fresh if message.channel == "whatsapp" else []
    by_sender = {sender_id: _account(sender_id) for sender_id in {kept.sender_id for kept in told}}
    telling.tell([as_whatsapp.state(by_sender[m.sender_id], m, "read") for m in told if by_sender[m.sender_id]])
    return len(fresh)


def _account(sender_id: int | None) -> Account | None:
    """Returns the account of a sender; None where it is gone, or none of the built-in ones any more."""
    try:
        sender = senders.get(sender_id or 0)
        return accounts.of(sender) if sender.provider == "local" else None
    except Refused:
        return None


def reply(message: PhoneMessage, text: str) -> PhoneMessage:
    """Answers from the phone that has this message, to the number that wrote to it last. Raises Invalid, and Refused
    where that number is gone."""
    text = "\n".join(line.rstrip() for line in text.replace("\0", "").splitlines()).strip()
    if not text or len(text) > REPLY_LIMIT:
        raise Invalid({"text": f"Write an answer of at most {REPLY_LIMIT:,} characters."})
    answered = phones.last_to(message.channel, message.phone)
    account = _account(answered.sender_id) if answered else None
    if answered is None or account is None:
        raise Refused("The sender that wrote to this phone is gone, so an answer would reach nobody.")
    sender = account.sender
    prefix = "SM" if message.channel == "sms" else "wamid."
    written = PhoneMessage(
        channel=message.channel, direction="from_phone", sender_id=sender.id, phone=message.phone, number=sender.address,
        body=text, provider_message_id=prefix + secrets.token_hex(16), status="sent",
        payload={"answers": answered.provider_message_id},
    )  # fmt: skip
    db.session.add(written)
    db.session.flush()
    if message.channel == "sms":
        address = senders.webhook_address(sender, current_app.config["BASE_URL"])
        telling.tell([as_twilio.inbound(account, written, address)])
    else:
        telling.tell([as_whatsapp.inbound(account, written)])
    return written
