"""Receipts of WhatsApp taken by webhook, against the bare statements somebody would write by hand for the same rows."""

import json
import time
from collections import Counter
from typing import Any

from flask import Flask

from tests.bench.desk import add_leads, house, settle
from webapp.messaging import senders, tallies
from webapp.messaging.providers.whatsapp_cloud import signature
from webapp.messaging.senders import Sender
from webapp.platform import secrets
from webapp.platform.db import db, one, run, transaction, value

BODY = 100  # statuses WhatsApp tells at once
SECRET = "bench app secret"
WORDS = ("delivered", "read")


def lay(org: int, prefix: str) -> int:
    """Lays a campaign whose WhatsApp messages have gone to all leads, an hour ago. Returns its id."""
    with transaction(org):
        campaign = value(
            "INSERT INTO campaigns (name, slug, category, goal) VALUES (:name, :name, 'acquisition', 'engagement') RETURNING id",
            name=prefix,
        )
        sender = value("SELECT id FROM senders WHERE channel = 'whatsapp'")
        n = run(
            "INSERT INTO sends (campaign_id, kind, lead_id, channel, sender_id, recipient_address, dedup_key, status, attempts,"
            " provider_message_id, sent_at) SELECT :campaign, 'campaign', id, 'whatsapp', :sender, phone, :prefix || id, 'sent',"
            " 1, :prefix || row_number() OVER (ORDER BY id), now() - interval '1 hour' FROM leads",
            campaign=campaign, sender=sender, prefix=prefix,
        )  # fmt: skip
        tallies.add(campaign, "whatsapp", Counter(sent=n))
    return campaign


def bodies(prefix: str, n: int) -> list[bytes]:
    """Returns what WhatsApp posts: of each message that it was delivered, then that it was read."""
    told = []
    for word in WORDS:
        for first in range(1, n + 1, BODY):
            statuses = [
                {"id": f"{prefix}{m}", "status": word, "timestamp": str(int(time.time()) - 60), "recipient_id": "1"}
                for m in range(first, min(first + BODY, n + 1))
            ]
            value_ = {"metadata": {"phone_number_id": "1"}, "statuses": statuses}
            told.append(json.dumps({"entry": [{"changes": [{"field": "messages", "value": value_}]}]}).encode())
    return told


def by_webhook(app: Flask, path: str, told: list[bytes]) -> float:
    """Posts bodies one after the other. Returns seconds."""
    client = app.test_client()
    signed = [(body, signature.sign(SECRET, body)) for body in told]
    started = time.perf_counter()
    for body, given in signed:
        answer = client.post(path, data=body, headers={signature.HEADER: given}, content_type="application/json")
        assert answer.status_code == 200, answer.text
    return time.perf_counter() - started


def by_hand(org: int, campaign: int, told: list[bytes]) -> float:
    """Writes the same rows with a statement or two for each table of a body. Returns seconds."""
    parsed = [json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"] for body in told]
    started = time.perf_counter()
    for statuses in parsed:
        ids, word = [each["id"] for each in statuses], statuses[0]["status"]
        with transaction(org):
            run(
                "INSERT INTO engagement_events (send_id, kind, at, provider_event_id) SELECT id, :word, now(),"
                " provider_message_id || :word FROM sends WHERE org_id = :org AND channel <> 'email'"
                " AND provider_message_id = ANY(:ids)",
                org=org, ids=ids, word=word,
            )  # fmt: skip
            run(
                "UPDATE sends SET status = CASE :word WHEN 'read' THEN 'opened' ELSE 'delivered' END,"
                " delivered_at = COALESCE(delivered_at, now()), opened_at = CASE :word WHEN 'read' THEN now() END,"
                " read_at = CASE :word WHEN 'read' THEN now() END, updated_at = now() WHERE org_id = :org"
                " AND channel <> 'email' AND provider_message_id = ANY(:ids)",
                org=org, ids=ids, word=word,
            )  # fmt: skip
            run(
                "UPDATE campaign_analytics SET total_delivered = total_delivered + :n WHERE campaign_id = :c",
                c=campaign, n=len(ids),
            )  # fmt: skip
            if word == "read":
                _read_by_hand(org, ids)
    return time.perf_counter() - started


def _read_by_hand(org: int, ids: list[str]) -> None:
    theirs = "FROM sends s WHERE s.org_id = :org AND s.channel <> 'email' AND s.provider_message_id = ANY(:ids)"
    run(
        "INSERT INTO lead_events (lead_id, type, payload) SELECT s.lead_id, 'whatsapp_opened',"
        f" jsonb_build_object('send_id', s.id, 'campaign_id', s.campaign_id) {theirs}",
        org=org, ids=ids,
    )  # fmt: skip
    run(
        f"UPDATE leads l SET last_activity_at = now() {theirs} AND l.org_id = :org AND l.id = s.lead_id",
        org=org,
        ids=ids,
    )


def add_sender(org: int) -> str:
    """Adds the number that is told of. Returns where."""
    with transaction(org):
        made: dict[str, Any] = {"channel": "whatsapp", "provider": "whatsapp_cloud", "name": "Bench", "address": "+1"}
        sender = Sender(**made, config={"phone_number_id": "1"}, secrets=secrets.seal({"app_secret": SECRET}))
        db.session.add(sender)
        db.session.flush()
        return senders.webhook_address(sender, "")


def main(n: int = 20_000) -> None:
    with house() as (app, org):
        add_leads(org, n)
        path = add_sender(org)
        campaign = lay(org, "ours-")
        their_campaign = lay(org, "hand-")
        settle(app)
        ours_told, hand_told = bodies("ours-", n), bodies("hand-", n)
        half = len(ours_told) // 2
        ours = hand = 0.0
        # In turns, so that neither has the quieter machine.
        for part in (slice(0, half), slice(half, None)):
            hand += by_hand(org, their_campaign, hand_told[part])
            ours += by_webhook(app, path, ours_told[part])
        with transaction(org):
            found = one(
                "SELECT total_delivered, unique_opened FROM campaign_analytics WHERE campaign_id = :c", c=campaign
            )
            assert tuple(found) == (n, n), found
        again = by_webhook(app, path, ours_told[-half:])
        events = n * len(WORDS)
        print(f"receipts of WhatsApp, {BODY} a body: {events / ours:,.0f} a second, the same rows by hand"
              f" {events / hand:,.0f} a second, ratio {hand / ours:.2f}; told again {n / again:,.0f} a second")  # fmt: skip


if __name__ == "__main__":
    main()
