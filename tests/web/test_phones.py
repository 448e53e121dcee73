"""The built-in phones as a page: who sees what, answering, reading, and letting messages fail."""

import pytest
from playwright.sync_api import Page, expect

from tests.messaging.sink import Sink
from tests.web.browser import sign_in
from tests.web.visitor import Visitor, form_of, htmx
from webapp.audience import leads
from webapp.messaging import local_senders, phones, senders
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin import telling
from webapp.platform.db import db, run, transaction, value

PHONE = "+14155550100"


@pytest.fixture
def sink(app, monkeypatch):
    with Sink() as opened:
        monkeypatch.setitem(app.config, "BASE_URL", opened.base)
        yield opened


def arrive(
    org: int, channel: str = "whatsapp", status: str = "delivered", body: str = "Hello Ada", phone: str = PHONE
) -> int:
    """Returns the id of a message that reached a phone."""
    with transaction(org):
        sender = local_senders.ensure_local_text(channel, "Lone Star", "+14152000002")
        number = value("SELECT count(*) FROM phone_messages")
        kept = PhoneMessage(
            channel=channel, direction="to_phone", sender_id=sender.id, phone=phone, number=sender.address, body=body,
            provider_message_id=f"wamid.{number}", status=status, payload={"error": 131026} if status == "failed" else {},
        )  # fmt: skip
        db.session.add(kept)
        db.session.flush()
        return kept.id


@pytest.fixture
def visit(app, cast):
    def come(role: str) -> Visitor:
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        return visitor

    return come


def test_the_list_shows_each_phone_once_with_its_last_message(visit, cast):
    with transaction(cast.org):
        leads.create({"first_name": "Ada", "last_name": "Lopez", "phone": PHONE})
    first = arrive(cast.org, body="First")
    last = arrive(cast.org, body="Second <b>one</b>")
    other = arrive(cast.org, "sms", phone="+14155550199")
    page = visit("viewer").get("/phones")
    assert page.text.count("data-href=") == 2 and f"/phones/{last}" in page.text and f"/phones/{other}" in page.text
    assert f'"/phones/{first}"' not in page.text
    assert "Ada Lopez" in page.text and "Second &lt;b&gt;one" in page.text
    assert visit("viewer").get("/phones?channel=sms").text.count("data-href=") == 1
    assert visit("viewer").get("/phones?q=0199").text.count("data-href=") == 1
    assert "No phone has got anything" in visit("stranger").get("/phones").text


def test_the_thread_is_shown_whole_from_any_of_its_messages(visit, cast):
    first = arrive(cast.org, body="First")
    arrive(cast.org, status="failed", body="Lost")
    arrive(cast.org, "sms", body="On the other channel")
    viewer = visit("viewer")
    page = viewer.get(f"/phones/{first}")
    assert page.text.index("First") < page.text.index("Lost") and "Failed (131026)" in page.text
    assert "On the other channel" not in page.text
    assert 'name="text"' not in page.text and "/look" not in page.text and 'name="fault"' not in page.text
    part = viewer.get(f"/phones/{first}", headers=htmx())
    assert "<html" not in part.text and "First" in part.text and 'hx-trigger="every 2s"' in part.text
    assert visit("stranger").get(f"/phones/{first}").status_code == 404
    assert visit("agent").get(f"/phones/{first}").status_code == 403


def test_looking_reads_and_tells_and_only_a_post_does(visit, cast, sink):
    phone_id = arrive(cast.org)
    marketer = visit("marketer")
    assert f'hx-post="/phones/{phone_id}/look"' in marketer.get(f"/phones/{phone_id}").text
    with transaction(cast.org):
        assert phones.get(phone_id).read_at is None
    answer = marketer.post(f"/phones/{phone_id}/look", headers=htmx())
    assert "ticks-read" in answer.text and "/look" not in answer.text
    assert telling.teller.settle()
    with transaction(cast.org):
        secret = senders.secret(senders.get(phones.get(phone_id).sender_id), "app_secret")
    assert [status["status"] for each in sink.told for status in each.change(secret)["statuses"]] == ["read"]
    assert marketer.post(f"/phones/{phone_id}/look").status_code == 303


@pytest.mark.parametrize("given", [{"text": "Yes <i>please</i>"}, {"quick": "STOP", "text": "half typ"}])
def test_an_answer_travels_and_stands_on_the_phone(visit, cast, sink, given):
    phone_id = arrive(cast.org, "sms")
    marketer = visit("marketer")
    answer = marketer.post(f"/phones/{phone_id}/reply", given, headers=htmx())
    said = given.get("quick") or given["text"]
    assert answer.status_code == 200 and "bubble-mine" in answer.text and "autofocus" in answer.text
    assert said.replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert form_of(answer)[0]["text"] == ""
    assert telling.teller.settle()
    with transaction(cast.org):
        secret = senders.secret(senders.get(phones.get(phone_id).sender_id), "auth_token")
    assert [each.form(secret)["Body"] for each in sink.told] == [said]
    assert marketer.post(f"/phones/{phone_id}/reply", {"text": "again"}).status_code == 303
    assert telling.teller.settle()


def test_an_empty_answer_is_told_at_its_field_and_nothing_typed_is_lost(visit, cast):
    phone_id = arrive(cast.org)
    marketer = visit("marketer")
    for headers in ({}, htmx()):
        for text in ("", "x" * 1601):
            answer = marketer.post(f"/phones/{phone_id}/reply", {"text": text}, headers=headers)
            assert answer.status_code == 422
            values, errors = form_of(answer)
            assert values["text"] == text and errors == {"text": "Write an answer of at most 1,600 characters."}
    with transaction(cast.org):
        run("DELETE FROM senders")
    gone = marketer.post(f"/phones/{phone_id}/reply", {"text": "Hello"})
    assert gone.status_code == 409 and "is gone" in gone.text


def test_messages_are_let_fail_for_one_phone_and_for_any(visit, cast):
    phone_id = arrive(cast.org)
    marketer = visit("marketer")
    for path, phone in ((f"/phones/{phone_id}/fault", PHONE), ("/phones/faults/whatsapp", "")):
        assert marketer.post(path, {"fault": "refused_131026", "remaining": "3"}).status_code == 303
        with transaction(cast.org):
            found = phones.fault("whatsapp", phone)
            assert (found.fault, found.remaining) == ("refused_131026", 3)
        page = marketer.get(f"/phones/{phone_id}" if phone else path)
        assert "The next 3 messages end so:" in page.text and "131026 Message undeliverable" in page.text
        assert form_of(page)[0]["fault"] in ("refused_131026", "")  # the last form on the page lets them pass again
        for wrong in ({"fault": "refused_21610", "remaining": "1"}, {"fault": "http_500", "remaining": "0"},
                      {"fault": "http_500", "remaining": "x"}, {"fault": "nonsense", "remaining": "1"}, {}):  # fmt: skip
            assert marketer.post(path, wrong).status_code == 422, wrong
        assert marketer.post(path, {"fault": "", "remaining": "1"}).status_code == 303
        with transaction(cast.org):
            assert phones.fault("whatsapp", phone) is None
    assert marketer.get("/phones/faults/email").status_code == 404


@pytest.mark.parametrize("path", ["look", "reply", "fault"])
def test_only_who_may_use_phones_touches_them(visit, cast, path):
    phone_id = arrive(cast.org)
    for role, status in (("viewer", 403), ("agent", 403), ("stranger", 404)):
        assert (
            visit(role).post(f"/phones/{phone_id}/{path}", {"text": "x", "fault": "", "remaining": "1"}).status_code
            == status
        )


@pytest.mark.browser
def test_the_phone_follows_and_answers(served, page: Page):
    phone_id = arrive(served.org, body="Your policy renews.")
    sign_in(page, served, served.emails["marketer"])
    page.goto(f"{served.url}/phones/{phone_id}")
    expect(page.locator(".ticks-read")).to_have_count(1)
    arrive(served.org, body="One more thing.")
    expect(page.get_by_text("One more thing.")).to_be_visible()
    page.get_by_role("textbox", name="Answer").fill("Call me, please")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble-mine .bubble-text")).to_have_text("Call me, please")
    expect(page.get_by_role("textbox", name="Answer")).to_have_value("")
    expect(page.get_by_role("textbox", name="Answer")).to_be_focused()
    page.get_by_role("button", name="STOP").click()
    expect(page.locator(".bubble-mine")).to_have_count(2)
