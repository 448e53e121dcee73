"""The webhook of mail servers: signed over the body as it came, for one sender of one organisation, and nothing else."""

import base64
import json

import pytest

from tests.messaging import desk
from tests.messaging.desk import send_of
from tests.messaging.reports import dsn, message_id, return_path
from webapp import create_app
from webapp.messaging import mail_webhook, outbox, senders
from webapp.messaging.mail_webhook import signature_of
from webapp.platform import secrets
from webapp.platform.db import transaction, value
from webapp.platform.signing import signer

SECRET = "the webhook's secret"
RFC822 = "message/rfc822"


@pytest.fixture
def sent(cast):
    """Two sends that went out over a sender with a secret: their ids."""
    campaign_id = desk.started(cast.org, 2)
    ids = desk.settle(cast.org, campaign_id, ["accepted"] * 2)
    with transaction(cast.org):
        senders.usable()[0].secrets = secrets.seal({"webhook_secret": SECRET})
    return ids


def address(org: int, sender_id: int) -> str:
    return f"/webhooks/smtp/{signer().pack('webhook', org, sender_id)}"


def post(app, org: int, body: bytes, *, signature: str | None = None, kind: str = RFC822, path: str = ""):
    with transaction(org):
        path = path or senders.webhook_address(senders.usable()[0], "").replace("//", "/")
    signature = signature_of(SECRET, body) if signature is None else signature
    return app.test_client().post(path, data=body, content_type=kind, headers={"X-Canvass-Signature": signature})


def test_a_signed_message_is_taken(app, cast, sent, tx):
    answer = post(app, cast.org, dsn(return_path(cast.org, sent[0])))
    assert (answer.status_code, answer.json) == (200, {"outcome": "bounced"})
    assert post(app, cast.org, dsn(return_path(cast.org, sent[0]))).json == {"outcome": "repeated"}
    with tx():
        assert send_of(sent[0]).status == "bounced"


def test_json_carries_the_message_and_whom_it_was_for(app, cast, sent, tx):
    raw = base64.b64encode(dsn("list@lone.example")).decode()
    body = json.dumps({"raw": raw, "recipient": return_path(cast.org, sent[1])}).encode()
    answer = post(app, cast.org, body, kind="application/json")
    assert (answer.status_code, answer.json) == (200, {"outcome": "bounced"})
    with tx():
        assert send_of(sent[1]).status == "bounced"


def test_a_single_changed_bit_is_refused(app, cast, sent, tx):
    body = dsn(return_path(cast.org, sent[0]))
    good = signature_of(SECRET, body)
    for bit in range(0, len(body) * 8, 401):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        assert post(app, cast.org, bytes(changed), signature=good).status_code == 403
    hexdigits = good.removeprefix("sha256=")
    for wrong in ("", "sha256=", hexdigits, good[:-1], good.upper(), signature_of("", body), signature_of("x", body), "é",
                  *(f"sha256={hexdigits[:n]}{'0' if hexdigits[n] != '0' else '1'}{hexdigits[n + 1:]}" for n in range(64))):  # fmt: skip
        answer = post(app, cast.org, body, signature=wrong)
        assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    with tx():
        assert send_of(sent[0]).status == "sent" and not value("SELECT count(*) FROM engagement_events")


def test_addresses_of_nobody_are_not_found(app, cast, sent, tx):
    body = dsn(return_path(cast.org, sent[0]))
    with tx():
        sender = senders.usable()[0]
        phone = senders.Sender(channel="sms", provider="local", name="P", address="+15550001111")
        senders.db.session.add(phone)
        senders.db.session.flush()
        phone.secrets = sender.secrets
        ids = sender.id, phone.id
    for org, sender_id in ((cast.other_org, ids[0]), (cast.org, ids[0] + 10**6), (cast.org, ids[1]), (10**12, ids[0])):
        assert post(app, cast.org, body, path=address(org, sender_id)).status_code == 404
    token = signer().pack("webhook", cast.org, ids[0])
    for wrong in ("x", token[:-1], token + "00", signer().pack("bounce", cast.org, ids[0]), "%00", "a" * 5000):
        assert post(app, cast.org, body, path=f"/webhooks/smtp/{wrong}").status_code == 404
    assert app.test_client().get(address(cast.org, ids[0])).status_code == 405
    with tx():
        senders.usable()[0].secrets = None
    # Without a secret nothing is signed by it.
    assert post(app, cast.org, body, signature=signature_of("", body)).status_code == 404


def test_another_organisations_messages_are_strangers_here(app, cast, sent, tx):
    body = dsn(return_path(cast.other_org, sent[0]), returned=message_id(cast.other_org, sent[0]))
    assert post(app, cast.org, body).json == {"outcome": "stranger"}
    with tx():
        assert send_of(sent[0]).status == "sent"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", RFC822), (b"  \r\n", RFC822), (b"From: x\r\n\r\nx", "text/plain"), (b"x", ""), (b"{", "application/json"),
        (b"[]", "application/json"), (b"null", "application/json"), (b'{"raw": 1}', "application/json"),
        (b'{"raw": "!!"}', "application/json"), (b'{"raw": ""}', "application/json"), (b'{"raw": "YQ=="', "application/json"),
        (b'{"raw": "YQ==", "recipient": 5}', "application/json"), (b"\xff\xfe", "application/json"),
        (b'{"raw":' + b"[" * 50_000, "application/json"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_message_says_what_is_wrong(app, cast, sent, body, kind):
    answer = post(app, cast.org, body, kind=kind)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json") and answer.json["errors"]


def test_a_message_that_is_too_long_is_not_read(app, cast, sent, monkeypatch):
    monkeypatch.setattr(mail_webhook, "LIMIT", 1000)
    assert post(app, cast.org, b"x" * 1001).status_code == 413


def test_it_is_wanted_again_while_the_message_is_being_sent_and_while_the_database_is_away(app, cast, sent, tx):
    with tx():
        campaign_id = desk.draft("Second").id
    desk.start(cast.org, campaign_id)
    with tx():
        row = outbox.claim(campaign_id, "email", "test").rows[0]
    answer = post(app, cast.org, dsn(return_path(cast.org, row.id)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    with tx():
        sender_id = senders.usable()[0].id
    away = create_app(app.config["SETTINGS"], "postgresql://nobody@127.0.0.1:9/nothing").test_client()
    answer = away.post(address(cast.org, sender_id), data=b"x", content_type=RFC822)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
