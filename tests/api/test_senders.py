"""Senders over the API: every provider's fields, credentials that go in and never come out, and what is done with one."""

import pytest

from tests.api.client import data, problem
from tests.messaging import scripted_imap
from tests.messaging.scripted_smtp import Server
from webapp.messaging import credentials, senders
from webapp.platform.db import rows, run, transaction, value

SECRET = "tops3cret-Word"
SMTP = {
    "name": "Office",
    "address": "office@test.example",
    "host": "127.0.0.1",
    "port": 9,
    "tls": "none",
    "password": SECRET,
}
TWILIO = {
    "provider": "twilio",
    "name": "Texts",
    "address": "+1 415 555 2671",
    "account_sid": "AC" + "0" * 32,
    "auth_token": SECRET,
}
WHATSAPP = {"provider": "whatsapp_cloud", "name": "Chats", "address": "+14155552672", "phone_number_id": "123",
            "business_account_id": "456", "access_token": SECRET, "app_secret": SECRET + "2"}  # fmt: skip
LOCAL = {"provider": "local", "channel": "sms", "name": "Phones"}
ALL = {"smtp": SMTP, "twilio": TWILIO, "whatsapp": WHATSAPP, "local": LOCAL}


@pytest.fixture
def admin(caller):
    return caller("admin")


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_goes_in_and_no_secret_comes_out(admin, caller, cast, kind, capfd):
    made = admin.post("/senders", ALL[kind])
    sender = data(made, 201)
    path = f"/senders/{sender['id']}"
    changed = admin.put(path, {"name": "Renamed", "warming": {"started_on": "2026-01-01", "first": 5, "growth": 1.5}})
    assert data(changed)["warming"] == {"started_on": "2026-01-01", "first": 5, "growth": 1.5}
    again = admin.put(path, changed.json["data"] and {"notes": "Ask Ben", "warming": None, "daily_limit": 50})
    assert data(again)["limit_today"] == 50 and data(again)["name"] == "Renamed"
    answers = [
        made,
        changed,
        again,
        admin.get(path),
        admin.get("/senders"),
        caller("viewer").get(path),
        admin.post(f"{path}/hold"),
    ]
    with transaction(cast.org):
        kept = credentials.opened(senders.get(sender["id"]).secrets)
        log = "".join(row.text for row in rows("SELECT a::text AS text FROM audit_log a"))
        log += value("SELECT string_agg(i::text, '') FROM idempotency_keys i") or ""
    seen = "".join(answer.text for answer in answers) + log + "".join(capfd.readouterr())
    assert data(answers[3])["credentials"] == sorted(kept) and kept
    assert all(secret not in seen for secret in kept.values())
    assert "/webhooks/" in data(answers[3])["webhook_address"]


def test_a_secret_is_merged_and_not_replaced(admin, cast):
    path = f"/senders/{data(admin.post('/senders', WHATSAPP), 201)['id']}"
    data(admin.put(path, {"access_token": "newer", "app_secret": ""}))
    with transaction(cast.org):
        sender = senders.every()[0]
        assert (senders.secret(sender, "access_token"), senders.secret(sender, "app_secret")) == ("newer", SECRET + "2")


@pytest.mark.parametrize(
    ("given", "fields"),
    [({}, {"name", "address", "host", "tls"}), ({"provider": "twilio"}, {"name", "account_sid", "auth_token"}),
     (TWILIO | {"address": None}, {"address"}), (TWILIO | {"channel": "email"}, {"channel"}), ({"provider": "fax"}, {"provider"}),
     (SMTP | {"host": "169.254.169.254"}, {"host"}), (TWILIO | {"api_base": "http://169.254.169.254"}, {"api_base"}),
     (SMTP | {"port": "25"}, {"port"}), (SMTP | {"daily_limit": 0}, {"daily_limit"}),
     (WHATSAPP | {"portfolio_id": 99999}, {"portfolio_id"}),
     (SMTP | {"warming": {"first": 0}}, {"warming.started_on", "warming.first", "warming.growth"}),
     (SMTP | {"webhook_secret": "mine"}, {"webhook_secret"}), (SMTP | {"unheard": 1}, {"unheard"})],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(admin, cast, given, fields):
    assert fields <= set(problem(admin.post("/senders", given), 422))
    with transaction(cast.org):
        assert senders.every() == []


def test_the_test_tells_the_providers_words(admin, cast):
    with Server() as server:
        path = f"/senders/{data(admin.post('/senders', SMTP | {'port': server.port}), 201)['id']}"
        said = data(admin.post(f"{path}/test"))
    assert said["reachable"] and said["provider_said"].startswith("250 ")
    assert said["mailbox_readable"] is said["mailbox_said"] is None
    assert data(admin.get(path))["last_connected_at"]
    assert data(admin.post(f"{path}/test"))["reachable"] is False and data(admin.get(path))["last_error"]


def test_the_test_opens_the_mailbox_too(admin, cast):
    with Server() as server, scripted_imap.Server() as mailbox:
        mailbox.put(b"Subject: One\r\n\r\n"), mailbox.put(b"Subject: Seen\r\n\r\n", "\\Seen")
        imap = {"imap_host": "127.0.0.1", "imap_port": mailbox.port, "imap_tls": "none", "imap_username": "desk"}
        path = f"/senders/{data(admin.post('/senders', SMTP | imap | {'port': server.port, 'imap_password': 'wrong'}), 201)['id']}"
        said = data(admin.post(f"{path}/test"))
        assert (said["reachable"], said["mailbox_readable"]) == (True, False)
        assert said["mailbox_said"] in data(admin.get(path))["last_error"]
        data(admin.put(path, {"imap_password": "secret"}))
        said = data(admin.post(f"{path}/test"))
        assert (said["mailbox_readable"], said["mailbox_said"]) == (True, "1 unread message in INBOX")
        assert data(admin.get(path))["last_error"] is None and not mailbox.folders["INBOX"][0].flags


def test_a_sender_is_held_released_made_default_and_deleted(admin, cast):
    first, second = (data(admin.post("/senders", SMTP | {"name": name}), 201)["id"] for name in ("A", "B"))
    assert data(admin.post(f"/senders/{first}/hold", {"reason": "They complained"}))["hold_reason"] == "They complained"
    assert data(admin.post(f"/senders/{first}/release"))["held_at"] is None
    for sender in (first, second):
        assert data(admin.post(f"/senders/{sender}/default"))["is_default"]
    assert [row["is_default"] for row in data(admin.get("/senders?channel=email"))] == [True, False]
    assert data(admin.get("/senders?channel=sms")) == []
    with transaction(cast.org):
        run(
            "INSERT INTO campaigns (name, slug, campaign_type, sender_id) VALUES ('Spring', 's', 'email', :id)",
            id=first,
        )
    assert problem(admin.delete(f"/senders/{first}"), 409) == {}
    data(admin.delete(f"/senders/{second}"))
    problem(admin.get(f"/senders/{second}"), 404)
