"""Inbound messages: what people write back, kept with the send it answers, and what follows from it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, select, text
from sqlalchemy.orm import Mapped

from webapp.audience import merges, timeline
from webapp.audience.leads import one_of
from webapp.messaging import intents, status_receipts, wishes
from webapp.messaging.intents import INTENTS
from webapp.messaging.notices import TEXT_LIMIT, Status
from webapp.messaging.senders import CHANNELS, Sender
from webapp.messaging.sends import reached
from webapp.platform import audit, organizations, tenancy
from webapp.platform.clock import now
from webapp.platform.db import Base, Tenant, child_of, db, of_organization, one, run, value
from webapp.platform.errors import Invalid, NotFound

SERVICE_WINDOW = timedelta(hours=24)  # in which WhatsApp lets us answer freely
ANSWERS_WITHIN = timedelta(days=30)
TOLD = 1_000  # characters of a reply that stand on the timeline
EVIDENCE = 300  # characters of it that are kept as the proof of a wish


class InboundMessage(Tenant, Base):
    __tablename__ = "inbound_messages"
    channel: Mapped[str]
    sender_id: Mapped[int | None]
    from_address: Mapped[str]
    to_address: Mapped[str | None]
    body: Mapped[str]
    lead_id: Mapped[int | None]
    send_id: Mapped[int | None]
    intent: Mapped[str]
    provider_message_id: Mapped[str]
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    __table_args__ = (
        of_organization(),
        child_of("senders", "sender_id", "SET NULL"),
        child_of("leads", "lead_id", "SET NULL"),
        child_of("sends", "send_id", "SET NULL"),
        one_of("channel", CHANNELS),
        one_of("intent", INTENTS),
        # Told twice, kept once.
        Index(None, "org_id", "channel", "provider_message_id", unique=True),
        # Whether somebody's service window is open.
        Index(None, "org_id", "channel", "from_address", "received_at"),
        Index(None, "org_id", "lead_id", "id"),
        Index(None, "org_id", "received_at", "id"),
        # Where a campaign is deleted with a hundred thousand sends, each looks here for itself.
        Index("ix_inbound_messages_send", "org_id", "send_id", postgresql_where=text("send_id IS NOT NULL")),
    )


merges.follows("inbound_messages")


def get(message_id: int, *, lock: bool = False) -> InboundMessage:
    """Returns a message of the organisation in scope. lock: until the transaction ends. Raises NotFound."""
    wanted = select(InboundMessage).where(InboundMessage.id == message_id).execution_options(populate_existing=lock)
    found = db.session.scalar(wanted.with_for_update() if lock else wanted)
    if found is None:
        raise NotFound("That reply is not there any more.")
    return found


def receive(
    sender: Sender, channel: str, from_address: str, to_address: str | None, body: str, provider_message_id: str,
    answers: str | None, received_at: datetime,
) -> InboundMessage | None:  # fmt: skip
    """Takes a message somebody wrote to us. Returns it as it is kept, or None where it was told before.

    from_address: as leads' are kept (E.164; an e-mail's case does not matter). answers: the provider's id, or the
    Message-ID, of the message it answers. received_at: UTC. Does what was asked: a stop bars the address before the next
    claim, a start lifts that.
    """
    intents.ensure_defaults()
    address, body = _clean(from_address).lower(), _clean(body)[:TEXT_LIMIT]
    received_at = min(received_at, now())
    send = _answered(sender, channel, address, _clean(answers or ""), received_at)
    lead = _lead(channel, address, send)
    intent = intents.classify(channel, lead.language if lead else None, body)
    kept = value(
        "INSERT INTO inbound_messages (channel, sender_id, from_address, to_address, body, lead_id, send_id, intent,"
        " provider_message_id, received_at) VALUES (:channel, :sender, :from, :to, :body, :lead, :send, :intent, :message,"
        " :at) ON CONFLICT (org_id, channel, provider_message_id) DO NOTHING RETURNING id",
        **{"channel": channel, "sender": sender.id, "from": address, "to": _clean(to_address or "") or None,
           "body": body, "lead": lead.id if lead else None, "send": send.id if send else None, "intent": intent,
           "message": _clean(provider_message_id)[:500], "at": received_at},
    )  # fmt: skip
    if kept is None:
        return None
    message = get(kept)
    if send is not None:
        _replied(send, message)
    if lead is not None:
        _tell(lead.id, send, message)
    # Who writes an e-mail is whoever it says: to come back on takes the answer to a message that only they had.
    vouched = channel != "email" or bool(answers and send is not None and send.recipient_address == address)
    if vouched or intent != "start":
        _act(message, send)
    return message


def _clean(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode().strip()


def _answered(sender: Sender, channel: str, address: str, answers: str, at: datetime) -> Any:
    """Returns the send a message answers, locked: the one it names, else the latest to its address; or None."""
    named = status_receipts.send_of(answers.strip("<>").partition("@")[0]) if channel == "email" and answers else None
    if answers and channel == "whatsapp":
        # Who answers a message has read it, whatever their phone says of that.
        read = Status(answers, "read", f"whatsapp_cloud:{answers}:read", at)
        status_receipts.record(sender, [read])
    return one(
        "SELECT * FROM sends WHERE org_id = :org AND id = (SELECT id FROM (SELECT id, 0 AS place, created_at FROM sends"
        " WHERE org_id = :org AND id = :named AND channel = :channel UNION ALL SELECT id, 1, created_at FROM sends"
        " WHERE org_id = :org AND channel = :channel AND channel <> 'email' AND provider_message_id = NULLIF(:answers, '')"
        " UNION ALL (SELECT s.id, 2, s.sent_at FROM sends s WHERE s.org_id = :org AND s.lead_id = ANY(ARRAY(SELECT id"
        " FROM leads WHERE org_id = :org AND deleted_at IS NULL AND CASE WHEN :channel = 'email' THEN email_key ELSE phone"
        " END = :address)) AND s.channel = :channel AND s.recipient_address = :address AND s.sent_at > :since"
        " ORDER BY s.sent_at DESC LIMIT 1)) found ORDER BY place, created_at DESC LIMIT 1) FOR UPDATE",
        org=tenancy.current_org(), named=named, channel=channel, answers=answers, address=address,
        since=at - ANSWERS_WITHIN,
    )  # fmt: skip


def _lead(channel: str, address: str, send: Any) -> Any:
    """Returns id and language of whoever wrote: who has the address, else who got what they answer; or None."""
    column = "email_key" if channel == "email" else "phone"
    found = one(
        f"SELECT id, language FROM leads WHERE org_id = :org AND {column} = :address AND deleted_at IS NULL",
        org=tenancy.current_org(), address=address,
    )  # fmt: skip
    if found is None and send is not None and send.lead_id:
        found = one("SELECT id, language FROM leads WHERE id = :id AND anonymized_at IS NULL", id=send.lead_id)
    return found


def _replied(send: Any, message: InboundMessage) -> None:
    run(
        "INSERT INTO engagement_events (send_id, kind, at, provider_event_id) VALUES (:send, 'replied', :at, :key)"
        " ON CONFLICT (org_id, provider_event_id) DO NOTHING",
        send=send.id, at=message.received_at, key=f"{message.channel}:{message.provider_message_id}:replied",
    )  # fmt: skip
    # One whose outcome is unknown is not guessed at: only what names it shows that it went out (see `mail_taking`).
    run(
        f"UPDATE sends SET status = 'replied', updated_at = now() WHERE id = :id AND {reached('replied')}"
        " AND status <> 'unknown'",
        id=send.id,
    )


def _tell(lead_id: int, send: Any, message: InboundMessage) -> None:
    payload = {"text": message.body[:TOLD], "intent": message.intent, "message_id": message.id}
    if send is not None:
        payload |= {"send_id": send.id, "campaign_id": send.campaign_id}
    timeline.record(lead_id, f"{message.channel}_replied", payload, at=message.received_at)
    run("UPDATE leads SET last_activity_at = GREATEST(last_activity_at, :at) WHERE id = :id",
        id=lead_id, at=message.received_at)  # fmt: skip


def _act(message: InboundMessage, send: Any) -> None:
    """Does what a message asks for by itself."""
    said = {"send": send, "source": "reply", "at": message.received_at,
            "evidence": f"{message.from_address} wrote: {message.body[:EVIDENCE]}"}  # fmt: skip
    if message.intent == "stop":
        if message.channel == "email":
            # A Date is what somebody's clock said, and a wrong one must not make their word an old one.
            said["at"] = now()
        # Their number and the one we wrote to may be written differently; neither is used any more.
        both = send is not None and send.recipient_address and send.lead_id == message.lead_id
        if both and not wishes.came_back_after(message.channel, message.lead_id, said["at"]):
            wishes.stop(message.channel, send.recipient_address, None, **said)
        wishes.stop(message.channel, message.from_address, message.lead_id, **said)
    elif message.intent == "start":
        wishes.start(
            message.channel, message.from_address, message.lead_id, agrees=intents.agrees(message.body), **said
        )
    # For help an SMS is answered at once (see `help_words`); elsewhere a person does.
    if message.intent in ("stop", "start") or message.intent == "help" and message.channel == "sms":
        message.handled_at = now()
        db.session.flush()


def handle(message: InboundMessage, is_handled: bool) -> None:
    """Notes that somebody has seen to a message, or has to again."""
    message.handled_at = now() if is_handled else None
    db.session.flush()
    audit.record("reply.handled" if is_handled else "reply.opened", "inbound_message", message.id)


def change_intent(message: InboundMessage, intent: str) -> None:
    """Says what a message really meant, and does what that asks for. Raises Invalid."""
    if intent not in INTENTS:
        raise Invalid({"intent": "Choose one of the list."})
    before = message.intent
    if before == intent:
        return
    message.intent = intent
    db.session.flush()
    audit.record(
        "reply.intent_changed", "inbound_message", message.id, before={"intent": before}, after={"intent": intent}
    )
    send = one("SELECT * FROM sends WHERE id = :id FOR UPDATE", id=message.send_id) if message.send_id else None
    _act(message, send)


def window_open_until(channel: str, address: str) -> datetime | None:
    """Returns until when somebody may be answered freely (UTC): SERVICE_WINDOW after they last wrote to us over WhatsApp;
    None where it is not open."""
    if channel != "whatsapp":
        return None
    latest = value(
        "SELECT max(received_at) FROM inbound_messages WHERE org_id = :org AND channel = :channel"
        " AND from_address = :address",
        org=tenancy.current_org(), channel=channel, address=address,
    )  # fmt: skip
    until = latest + SERVICE_WINDOW if latest else None
    return until if until and until > now() else None


def help_words() -> str:
    """Returns what somebody is told who asks for help by SMS."""
    return (
        f"This is {organizations.current().name}. Reply STOP to get no more messages from us, START to get them again."
    )


def waiting() -> int:
    """Returns how many messages wait for somebody to see to them."""
    return value(
        "SELECT count(*) FROM inbound_messages WHERE org_id = :org AND handled_at IS NULL", org=tenancy.current_org()
    )
