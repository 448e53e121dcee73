"""The built-in mailbox: a real SMTP server that takes this house's messages and no others, and shows them as they came."""

import smtplib
import time

import pytest

from tests.messaging import desk
from tests.messaging.letters import SIGNER, composer, row
from webapp.campaigns import dispatch
from webapp.messaging import delivery, mailbox, senders
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import local
from webapp.platform import tenancy
from webapp.platform.db import db, run, transaction, value
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer


def deliver(cast, messages: list) -> list[Outcome]:
    with transaction(cast.org):
        sender = senders.ensure_local("Lone Star", "hello@lone.example")
        db.session.expunge(sender)
    return list(local.deliver(sender, iter(messages), time.monotonic() + 20))


def letter(cast, send_id: int = 1, **changed):
    made = composer(
        subject="Grüße, {{ first_name }}", org_id=cast.org, html="<p>Hi {{ first_name }}</p>", text="Hi\n.\n..x\n"
    )
    made.signer = signer()
    return made.build(row(id=send_id, **changed))


def test_what_is_delivered_is_kept_byte_for_byte(cast, tx):
    message = letter(cast, 5, first_name="Åda")
    (outcome,) = deliver(cast, [message])
    assert (outcome.kind, outcome.provider_id) == ("accepted", message.message_id)
    with tx():
        kept = mailbox.get(value("SELECT id FROM mailbox_messages"))
        assert (kept.recipient, kept.subject, kept.send_id) == ("ada@example.com", "Grüße, Åda", 5)
        assert kept.raw.rstrip(b"\r\n") == message.data.replace(b"\r\n..", b"\r\n.").rstrip(b"\r\n")
        parts = mailbox.parts(kept)
        assert parts["text"].replace("\r\n", "\n").startswith("Hi\n.\n..x\n") and "<p>Hi Åda</p>" in parts["html"]
        assert dict(parts["headers"])["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        kept_id = kept.id
    with transaction(cast.other_org):
        assert mailbox.count() == 0
        with pytest.raises(NotFound):
            mailbox.get(kept_id)


@pytest.mark.parametrize(
    "mail_from",
    ["somebody@elsewhere.example", "bounce-00@x.example", f"bounce-{SIGNER.pack('bounce', 1, 1)}@x.example"],
)
def test_what_this_house_did_not_send_is_refused(cast, tx, mail_from):
    with tx():
        host, port = mailbox.address_of_server()
    with smtplib.SMTP(host, port, timeout=5) as stranger, pytest.raises(smtplib.SMTPDataError, match="only this house"):
        stranger.sendmail(mail_from, ["ada@example.com"], "Subject: x\r\n\r\nx")
    with tx():
        assert mailbox.count() == 0


def test_checking_the_local_sender_says_what_the_mailbox_offers(cast, tx):
    with tx():
        assert local.check(senders.ensure_local("A", "a@b.example")).startswith("250 OK (offers ")


def test_the_oldest_messages_are_forgotten(cast, tx, monkeypatch):
    monkeypatch.setattr(mailbox, "KEEP", 3)
    with tx():
        ids = [mailbox.keep(f"lead{n}@example.com", b"Subject: x\r\n\r\nx").id for n in range(5)]
        mailbox.prune()
        assert value("SELECT array_agg(id ORDER BY id) FROM mailbox_messages") == ids[2:]
        mailbox.prune()
        assert mailbox.count() == 3


def test_messages_of_any_making_can_be_shown(cast, tx):
    with tx():
        for raw in (
            b"",
            b"no headers at all",
            b"Subject: =?utf-8?q?=FF?=\r\n\r\n\xff\xfe",
            b"Content-Type: image/png\r\n\r\nx",
        ):
            parts = mailbox.parts(mailbox.keep("ada@example.com", raw))
            assert set(parts) == {"html", "text", "headers"}


def test_a_campaign_arrives_and_one_odd_address_fails_alone(cast, tx):
    with tx():
        for n, email in enumerate(("lead0@example.com", "jörg@example.com", "ada@exämple.de")):
            desk.add_lead(n, email=email)
        campaign_id = desk.draft().id
    desk.start(cast.org, campaign_id)
    with tenancy.scope(cast.org):
        assert delivery.send_batch(lambda: dispatch.order_of(campaign_id), "test") == {"sent": 2, "failed": 1}
        assert delivery.send_batch(lambda: dispatch.order_of(campaign_id), "test") is None
    with tx():
        failed = "SELECT error_message FROM sends WHERE status = 'failed'"
        assert value(failed) == "The message could not be built: e-mail cannot carry the address 'jörg@example.com'"
        arrived = value("SELECT array_agg(recipient ORDER BY recipient) FROM mailbox_messages")
        assert arrived == ["ada@xn--exmple-cua.de", "lead0@example.com"]
        assert desk.counters(campaign_id) == desk.recount(campaign_id)


def test_a_sender_that_cannot_be_reached_rests_and_nobody_loses_an_attempt(cast, tx):
    with tx():
        values = {"name": "A", "address": "a@b.example", "host": "127.0.0.1", "port": 1, "tls": "none"}
        sender_id = senders.save_smtp(None, values).id
        desk.add_lead(1)
        campaign_id = desk.draft(sender_id=sender_id).id
    desk.start(cast.org, campaign_id)
    with tenancy.scope(cast.org):
        assert delivery.send_batch(lambda: dispatch.order_of(campaign_id), "test") == {"pending": 1}
        assert delivery.send_batch(lambda: dispatch.order_of(campaign_id), "test") is None
    with tx():
        assert "Connection refused" in senders.get(sender_id).last_error
        assert value("SELECT attempts FROM sends") == 0
        run("UPDATE senders SET rate_limited_until = NULL")
        assert dispatch.order_of(campaign_id).sender_id == sender_id
