"""Senders on screen: every kind is made and changed, tells how it is doing, and no secret of it is ever seen again."""

import re
from collections import Counter

import pytest

from tests.messaging import scripted_imap
from tests.messaging.scripted_smtp import Server
from tests.web.visitor import Visitor, form_of
from webapp.messaging import credentials, meters, senders
from webapp.platform.db import one, rows, run, transaction, value

SECRET = "tops3cret-Word"
SMTP = {
    "kind": "smtp-email", "name": "Office", "address": "office@test.example", "host": "127.0.0.1", "port": "9", "tls": "none",
    "status": "active", "username": "", "password": SECRET, "imap_host": "imap.test.example", "imap_port": "993",
    "imap_tls": "tls", "imap_username": "bounces", "imap_password": SECRET + "2", "imap_folder": "INBOX",
}  # fmt: skip
TWILIO = {
    "kind": "twilio-sms", "name": "Texts", "address": "+1 415 555 2671", "account_sid": "AC" + "0" * 32, "auth_token": SECRET,
    "status": "active",
}  # fmt: skip
WHATSAPP = {
    "kind": "whatsapp_cloud-whatsapp", "name": "Chats", "address": "+1 415 555 2672", "phone_number_id": "123456",
    "business_account_id": "654321", "access_token": SECRET, "app_secret": SECRET + "2", "status": "active",
}  # fmt: skip
LOCAL = {"kind": "local-sms", "name": "Own phones", "status": "active"}
KINDS = {"smtp": SMTP, "twilio": TWILIO, "whatsapp": WHATSAPP, "local": LOCAL}


@pytest.fixture
def visit(app, cast):
    def arrive(role: str) -> Visitor:
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        return visitor

    return arrive


def made(admin: Visitor, form: dict[str, str]) -> str:
    """Makes a sender. Returns the address of its page."""
    answer = admin.post("/senders/new", form)
    assert answer.status_code == 303, form_of(answer)[1]
    return answer.location


def secrets_of(org: int) -> list[str]:
    """Returns every secret an organisation's senders have, in clear text."""
    with transaction(org):
        return [text for s in senders.every() for text in credentials.opened(s.secrets).values()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_made_tested_changed_and_shows_no_secret(visit, cast, kind, capfd):
    admin, viewer = visit("admin"), visit("viewer")
    address = made(admin, KINDS[kind])
    admin.post(f"{address}/secret", {"name": "webhook_secret"})
    admin.post(f"{address}/dkim", {"selector": "s1", "kind": "ed25519"})
    edit = form_of(admin.get(f"{address}/edit"))[0]
    assert admin.post(f"{address}/edit", edit | {"name": "Renamed", "daily_limit": "500"}).status_code == 303
    secrets = secrets_of(cast.org)
    assert secrets and (kind == "local" or secrets.count(SECRET) == 1)
    pages = [f"{address}{more}" for more in ("", "/edit", "/records")] + [
        "/senders",
        "/audit",
        "/sending",
        "/scheduler",
    ]
    seen = "".join(who.get(page).text for page in pages for who in (admin, viewer))
    with transaction(cast.org):
        seen += "".join(
            row.text for row in rows("SELECT a::text AS text FROM audit_log a UNION ALL SELECT s::text FROM senders s")
        )
        assert one("SELECT name, daily_limit FROM senders") == ("Renamed", 500)
    said = capfd.readouterr()
    seen += said.out + said.err
    for secret in secrets:
        assert secret not in seen and secret.splitlines()[0].strip("-") not in seen.replace("PRIVATE KEY", "")


@pytest.mark.parametrize(
    ("kind", "field", "given"),
    [("smtp", "host", "169.254.169.254"), ("smtp", "host", "2852039166"), ("smtp", "host", "0xA9FEA9FE"),
     ("smtp", "imap_host", "[fe80::1]"),
     ("smtp", "bounce_domain", "no domain"), ("smtp", "imap_port", "0"), ("smtp", "username", "a\r\nb"), ("smtp", "daily_limit", "0"),
     ("smtp", "daily_limit", "9" * 40), ("smtp", "rate_per_second", "-1"), ("smtp", "warming_first", "5"),
     ("smtp", "warming_growth", "nan"),
     ("twilio", "address", "hello"), ("twilio", "address", ""), ("twilio", "account_sid", "XX"), ("twilio", "auth_token", ""),
     ("twilio", "auth_token", "two words"), ("twilio", "messaging_service_sid", "AC" + "0" * 32),
     ("twilio", "api_base", "file:///etc/passwd"), ("twilio", "api_base", "http://169.254.169.254/"), ("twilio", "api_base", "/etc/passwd"),
     ("twilio", "api_base", "https://169.254.169.254/latest"), ("twilio", "api_base", "http://api.example"), ("twilio", "api_base", "https://a:b@x.example"),
     ("twilio", "api_base", "https://x.example/?a=b"), ("twilio", "api_base", "https://["), ("twilio", "api_base", "https://x.example:99999"),
     ("twilio", "api_base", "gopher://127.0.0.1"), ("twilio", "api_base", "http://127.0.0.1@evil.example"),
     ("whatsapp", "phone_number_id", "12a"), ("whatsapp", "business_account_id", ""), ("whatsapp", "access_token", ""),
     ("whatsapp", "portfolio_id", "99999"), ("whatsapp", "portfolio_id", "x")],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_lost(visit, cast, kind, field, given):
    admin = visit("admin")
    answer = admin.post("/senders/new", KINDS[kind] | {field: given})
    values, errors = form_of(answer)
    assert answer.status_code == 422 and (field in errors or field.startswith("warming"))
    assert any(name.startswith(field[:7]) for name in errors)
    assert values["name"] == KINDS[kind]["name"] and SECRET not in answer.text
    with transaction(cast.org):
        assert senders.every() == []


def test_a_loopback_service_may_stand_in(visit, cast):
    admin = visit("admin")
    for base in (
        "http://127.0.0.1:9000/",
        "http://localhost:9000",
        "http://[::1]:9000",
        "https://proxy.example/twilio",
    ):
        made(admin, TWILIO | {"api_base": base})
    with transaction(cast.org):
        assert (
            value("SELECT count(*) FROM senders WHERE config ->> 'api_base' LIKE 'http%' AND address = '+14155552671'")
            == 4
        )


def test_a_messaging_service_stands_for_a_number(visit, cast):
    admin = visit("admin")
    address = made(admin, TWILIO | {"address": "", "messaging_service_sid": "MG" + "1" * 32})
    edit = form_of(admin.get(f"{address}/edit"))[0]
    assert edit["address"] == "" and edit["auth_token"] == ""
    assert admin.post(f"{address}/edit", edit).status_code == 303
    with transaction(cast.org):
        assert value("SELECT address FROM senders") == "MG" + "1" * 32


def test_the_test_says_what_the_provider_says(visit, cast):
    admin = visit("admin")
    with Server() as server:
        address = made(admin, SMTP | {"port": str(server.port), "password": "", "imap_host": ""})
        admin.post(f"{address}/test")
        assert "is reachable: 250" in admin.get(address).text
    admin.post(f"{address}/test")
    assert "cannot be reached" in admin.get(address).text
    with transaction(cast.org):
        assert value("SELECT last_error IS NOT NULL AND last_connected_at IS NOT NULL FROM senders")


def test_what_a_provider_took_counts_as_reached(visit, cast):
    admin = visit("admin")
    address = made(admin, SMTP)
    reached = re.compile(r"<dt>Last reached</dt><dd>(.*?)</dd>")
    assert reached.search(admin.get(address).text)[1] == "–"
    with transaction(cast.org):
        meters.count(value("SELECT id FROM senders"), Counter(sent=1))
    assert "just now" in reached.search(admin.get(address).text)[1]


def test_the_test_says_whether_the_mailbox_can_be_read(visit, cast):
    admin = visit("admin")
    with Server() as server, scripted_imap.Server(login=("desk", "other")) as mailbox:
        imap = {"imap_host": "127.0.0.1", "imap_port": str(mailbox.port), "imap_tls": "none", "imap_username": "desk"}
        address = made(admin, SMTP | imap | {"port": str(server.port), "password": "", "imap_password": "secret"})
        admin.post(f"{address}/test")
        assert "Its mailbox cannot be read: 127.0.0.1" in admin.get(address).text
        mailbox.login = ("desk", "secret")
        admin.post(f"{address}/test")
        assert "Its mailbox can be read: no unread messages in INBOX" in admin.get(address).text


def test_a_held_sender_says_why_and_is_let_go_on(visit, cast):
    admin = visit("admin")
    address = made(admin, SMTP)
    admin.post(f"{address}/hold", {"reason": " they complained\n"})
    page = admin.get("/senders").text
    assert "Held by Admin Person: they complained" in page and "Let it send again" in page
    assert "Let it send again" not in visit("viewer").get("/senders").text
    admin.post(f"{address}/release")
    assert "Held" not in admin.get("/senders").text
    with transaction(cast.org):
        assert [row.action for row in rows("SELECT action FROM audit_log WHERE action ~ 'held|released' ORDER BY id")] == [
            "sender.held", "sender.released",
        ]  # fmt: skip


def test_a_secret_of_ours_is_shown_once(visit, cast):
    admin = visit("admin")
    address = made(admin, WHATSAPP)
    answer = admin.post(f"{address}/secret", {"name": "verify_token"})
    shown = re.search(r'id="made-secret">([^<]+)', answer.text)[1]
    assert answer.status_code == 200 and shown in secrets_of(cast.org)
    assert shown not in admin.get(address).text
    # The page with the secret, loaded again, sends the form again: the secret stays what was shown.
    page = admin.get(address)
    version = re.search(r'value="verify_token"><input type="hidden" name="version" value="([^"]+)', page.text)[1]
    again = {"name": "verify_token", "version": version}
    second = re.search(r'id="made-secret">([^<]+)', admin.post(f"{address}/secret", again).text)[1]
    assert second != shown and second in secrets_of(cast.org)
    assert admin.post(f"{address}/secret", again).status_code == 303
    assert "shown already" in admin.get(address).text and second in secrets_of(cast.org)
    for other in ("access_token", "dkim_private_key", "", "x"):
        assert admin.post(f"{address}/secret", {"name": other}).status_code == 404


def test_a_sender_in_use_is_not_deleted(visit, cast):
    admin = visit("admin")
    address = made(admin, SMTP)
    with transaction(cast.org):
        run(
            "INSERT INTO campaigns (name, slug, campaign_type, sender_id) SELECT 'Spring offer', 's', 'email', id FROM senders"
        )
    answer = admin.post(f"{address}/delete")
    assert answer.status_code == 409 and "Spring offer" in answer.text
    with transaction(cast.org):
        run("UPDATE campaigns SET status = 'cancelled'")
        run(
            "INSERT INTO sender_minutes (sender_id, minute, claimed) SELECT id, now() - interval '9 days', 9 FROM senders"
        )
    answer = admin.post(f"{address}/delete")
    assert answer.status_code == 409 and "Make it inactive" in answer.text
    with transaction(cast.org):
        run("DELETE FROM sender_minutes")
    assert admin.post(f"{address}/delete").status_code == 303 and admin.get(address).status_code == 404
    with transaction(cast.org):
        assert value("SELECT count(*) FROM audit_log WHERE action = 'sender.deleted'") == 1


def test_the_page_tells_what_happened(visit, cast):
    admin = visit("admin")
    address = made(admin, SMTP | {
        "daily_limit": "1000", "warming_started_on": "2026-01-01", "warming_first": "50", "warming_growth": "1.4",
    })  # fmt: skip
    with transaction(cast.org):
        sender = senders.every()[0].id
        run(
            "INSERT INTO sender_minutes (sender_id, minute, sent, failed, bounced) VALUES (:id, date_trunc('minute', now()), 90, 10, 5)",
            id=sender,
        )
        run("INSERT INTO sends (kind, channel, recipient_address, dedup_key, status, sender_id, error_code, error_message)"
            " VALUES ('test', 'email', 'a@b.example', 'one', 'failed', :id, '550', '550 No <b>such</b> user')", id=sender)  # fmt: skip
    page = visit("viewer").get(address).text
    for words in (
        "10.0 %",
        "15 of 100 failed or bounced (15.0 %)",
        "550 No &lt;b&gt;such",
        "Limit of the day",
        "1,000",
    ):
        assert words in page, words
    assert re.search(r'class="num sender-used">90 <span[^>]*>/ 1,000', admin.get("/senders").text)


def test_records_are_pasted_and_judged(visit, cast):
    admin = visit("admin")
    address = made(admin, SMTP)
    admin.post(f"{address}/dkim", {"selector": "s1", "kind": "rsa"})
    page = admin.get(f"{address}/records").text
    public = re.search(r"v=DKIM1; k=rsa; p=[A-Za-z0-9+/=]+", page)[0]
    records = f"v=spf1 ip4:127.0.0.1 -all\n{public}\nv=DMARC1; p=reject"
    assert admin.post(f"{address}/records", {"records": records}).status_code == 303
    assert admin.get(f"{address}/records").text.count("Good") == 4 and admin.get(address).text.count("dot-green") >= 4
    refused = admin.post(f"{address}/records", {"records": "hello"})
    assert refused.status_code == 422 and form_of(refused)[0]["records"] == "hello" and form_of(refused)[1]["records"]
    assert form_of(admin.post(f"{address}/dkim", {"selector": "a b"}))[1] == {
        "selector": "A selector is one word of letters, digits and hyphens."
    }
    assert admin.post(f"{address}/dkim/forget").status_code == 303
    other = made(admin, LOCAL)
    assert admin.get(f"{other}/records").status_code == 409
