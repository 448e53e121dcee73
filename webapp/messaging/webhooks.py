"""Webhooks: what one body of a provider told is taken, all of it in the transaction of whoever calls."""

from typing import Any

from sqlalchemy import select

from webapp.messaging import inbound, portfolios, senders, status_receipts, template_states, wishes
from webapp.messaging.inbound import InboundMessage
from webapp.messaging.notices import Notices, Preference, Reply
from webapp.messaging.senders import Sender
from webapp.platform.db import db, one
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer

SPEAKS = {"twilio": ("sms", ("twilio", "local")), "whatsapp_cloud": ("whatsapp", ("whatsapp_cloud", "local"))}


def address(token: str) -> tuple[int, int]:
    """Returns (organisation id, sender id) of a webhook's address. Raises NotFound."""
    try:
        org_id, sender_id = signer().unpack("webhook", token)
    except (ValueError, IndexError):
        raise NotFound() from None
    if max(org_id, sender_id) >= 2**63:
        raise NotFound()
    return org_id, sender_id


def sender_of(provider: str, sender_id: int) -> Sender:
    """Returns the sender whose provider speaks this way. Raises NotFound."""
    channel, providers = SPEAKS[provider]
    sender = senders.get(sender_id)
    if sender.channel != channel or sender.provider not in providers:
        raise NotFound()
    return sender


def take(sender: Sender, notices: Notices) -> list[InboundMessage]:
    """Takes everything a body told. Returns the messages of people that were not known before."""
    # In the order in which everybody locks: sends and their counters, then people, then the house's own things.
    status_receipts.record(sender, notices.statuses)
    found = [_receive(sender, reply) for reply in sorted(notices.replies, key=lambda reply: reply.at)]
    for preference in sorted(notices.preferences, key=lambda preference: preference.at):
        _prefer(sender, preference)
    for state in notices.template_states:
        template_states.told(state)
    for tier in notices.tiers if sender.portfolio_id else ():
        portfolios.set_tier(sender.portfolio_id, tier.people, "webhook", tier.at)
    return [message for message in found if message is not None]


def _receive(sender: Sender, reply: Reply) -> InboundMessage | None:
    return inbound.receive(
        _number(sender, reply.number_id), sender.channel, reply.from_address, reply.to_address, reply.body,
        reply.message_id, reply.answers or None, reply.at,
    )  # fmt: skip


def _number(sender: Sender, number_id: str) -> Sender:
    """Returns the sender with the number a message came to: one address may be told of all numbers of a business."""
    if not number_id or sender.config.get("phone_number_id") == number_id:
        return sender
    wanted = select(Sender).where(
        Sender.channel == sender.channel, Sender.config["phone_number_id"].astext == number_id
    )
    return db.session.scalars(wanted.order_by(Sender.id).limit(1)).first() or sender


def _prefer(sender: Sender, preference: Preference) -> None:
    lead: Any = one("SELECT id FROM leads WHERE phone = :phone AND deleted_at IS NULL", phone=preference.address)
    lead_id = lead.id if lead else None
    evidence = "chosen in WhatsApp's own settings"
    if preference.wants:
        wishes.start(sender.channel, preference.address, lead_id, agrees=False, source="provider", evidence=evidence,
                     at=preference.at)  # fmt: skip
    else:
        wishes.stop(sender.channel, preference.address, lead_id, source="provider", evidence=evidence, at=preference.at)
