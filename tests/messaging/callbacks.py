"""What WhatsApp and Twilio post to us, signed as they sign it; and sends over both to tell of."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from tests.messaging import desk
from webapp.audience import consents, leads
from webapp.messaging import senders, tallies
from webapp.messaging.providers.twilio import signature as by_twilio
from webapp.messaging.providers.whatsapp_cloud import signature as by_whatsapp
from webapp.messaging.senders import Sender
from webapp.messaging.tallies import MEASURES
from webapp.platform import secrets
from webapp.platform.db import db, one, rows, transaction, value
from webapp.platform.signing import signer

APP_SECRET, AUTH_TOKEN, VERIFY_TOKEN = "app secret", "auth token", "verify me"
SAID_AT = 1_760_000_000
RECOUNTED = desk.COUNTED | {"bounced": "count(bounced_at)"}
TABLES = (
    "sends", "engagement_events", "lead_events", "consents", "suppressions", "campaign_daily", "campaign_analytics", "leads",
    "inbound_messages", "senders", "sender_minutes", "templates", "portfolios", "audit_log", "work_due",
)  # fmt: skip


def add_sender(channel: str, provider: str | None = None, **changed: Any) -> Sender:
    """Adds a sender of a channel with its secrets, in the transaction of the caller."""
    kept = {"whatsapp": {"app_secret": APP_SECRET, "verify_token": VERIFY_TOKEN, "access_token": "t"},
            "sms": {"auth_token": AUTH_TOKEN}}[channel]  # fmt: skip
    config = {"whatsapp": {"phone_number_id": "106540352242922"}, "sms": {"account_sid": "AC1"}}[channel]
    made = {"name": f"Test {channel}", "address": "+15550783881", "config": config, "secrets": secrets.seal(kept)}
    sender = Sender(
        channel=channel, provider=provider or {"whatsapp": "whatsapp_cloud", "sms": "twilio"}[channel], **made | changed
    )
    db.session.add(sender)
    db.session.flush()
    return sender


@dataclass
class Post:
    """Sends of a campaign over one channel. paths: where its sender's provider tells of them."""

    org: int
    channel: str
    campaign_id: int
    sender_id: int
    path: str
    ids: list[int]
    leads: list[int]

    def opaque(self, n: int) -> str:
        return signer().pack("message", self.org, self.ids[n])


def posted(org: int, channel: str = "whatsapp", states: tuple[str, ...] = ("sent",) * 3, first: int = 0) -> Post:
    """Lays sends in some states, each with the provider's id wamid.N where it is known, and counts them."""
    with transaction(org):
        sender = add_sender(channel)
        campaign_id = desk.draft(f"Over {channel} {first}").id
        ids, people = [], []
        for n, state in enumerate(states, first):
            phone = f"+1415200{n:04d}"
            lead = leads.create({"first_name": f"Lead{n}", "phone": phone, "email": f"lead{n}@example.com"})
            consents.set_consent(lead.id, channel, "subscribed", source="test")
            known = f"wamid.{n}" if state not in ("pending", "sending", "unknown") else None
            ids.append(value(
                "INSERT INTO sends (campaign_id, kind, lead_id, channel, sender_id, recipient_address, dedup_key, status,"
                " provider_message_id, attempts, sent_at, claim_token, template_version_id) VALUES (:campaign, 'campaign',"
                " :lead, :channel, :sender, :phone, :key, CAST(:state AS text), :message, 1,"
                " CASE WHEN :state = 'sent' THEN now() - interval '1 hour' END,"
                " CASE WHEN :state = 'sending' THEN 'token' END, (SELECT max(id) FROM template_versions)) RETURNING id",
                campaign=campaign_id, lead=lead.id, channel=channel, sender=sender.id, phone=phone, state=state,
                key=f"{channel}:{n}", message=known,
            ))  # fmt: skip
            people.append(lead.id)
            tallies.add(campaign_id, channel, Counter({state: 1} if state in MEASURES else {}))
        path = urlsplit(senders.webhook_address(sender, "")).path
        return Post(org, channel, campaign_id, sender.id, path, ids, people)


def status(
    n: int | str, word: str, *, at: int = 0, code: int | None = None, opaque: str | None = None
) -> dict[str, Any]:
    """Returns one status as WhatsApp tells it."""
    told: dict[str, Any] = {
        "id": f"wamid.{n}", "status": word, "timestamp": str(SAID_AT + at), "recipient_id": "14152000000",
    }  # fmt: skip
    if code is not None:
        told["errors"] = [{"code": code, "title": "Whatever they say", "message": "..."}]
    return told | ({"biz_opaque_callback_data": opaque} if opaque else {})


def said(n: int | str, text: str, *, sender: str = "14152000000", answers: str = "", at: int = 0) -> dict[str, Any]:
    """Returns one message of a person as WhatsApp tells it."""
    told: dict[str, Any] = {
        "from": sender, "id": f"wamid.in.{n}", "timestamp": str(SAID_AT + at), "type": "text", "text": {"body": text},
    }  # fmt: skip
    return told | ({"context": {"id": answers}} if answers else {})


def change(field: str, value_: dict[str, Any]) -> bytes:
    """Returns a body with one change."""
    entry = {"id": "1", "changes": [{"field": field, "value": value_}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def told(statuses: list[dict[str, Any]] | None = None, messages: list[dict[str, Any]] | None = None) -> bytes:
    number = {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"}
    return change("messages", {"metadata": number, "statuses": statuses or [], "messages": messages or []})


def whatsapp(app: Flask, path: str, body: bytes, signature: str | None = None) -> TestResponse:
    """Posts a body as WhatsApp does."""
    given = by_whatsapp.sign(APP_SECRET, body) if signature is None else signature
    client = app.test_client()
    return client.post(path, data=body, headers={by_whatsapp.HEADER: given}, content_type="application/json")


def twilio(
    app: Flask, path: str, form: dict[str, str], signature: str | None = None, body: bytes | None = None
) -> TestResponse:
    """Posts a form as Twilio does."""
    given = by_twilio.sign(AUTH_TOKEN, app.config["BASE_URL"] + path, form.items()) if signature is None else signature
    sent = urlencode(form).encode() if body is None else body
    kind = "application/x-www-form-urlencoded"
    return app.test_client().post(path, data=sent, headers={by_twilio.HEADER: given}, content_type=kind)


def state(org: int) -> dict[str, list[str]]:
    """Returns everything a webhook could change."""
    with transaction(org):
        return {table: sorted(str(row) for row in rows(f"SELECT * FROM {table}")) for table in TABLES}


def recount(campaign_id: int) -> dict[str, int]:
    """Returns what the counters must be, counted over the sends."""
    asked = ", ".join(f"COALESCE({sql}, 0)::int AS {name}" for name, sql in RECOUNTED.items())
    found = one(f"SELECT {asked} FROM sends WHERE campaign_id = :id", id=campaign_id)._asdict()
    return dict.fromkeys(MEASURES, 0) | found
