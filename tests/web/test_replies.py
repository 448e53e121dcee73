"""Replies and their rules in the browser: found, read, handled, given another meaning; rules kept in order and tried."""

import pytest
from playwright.sync_api import expect

from tests.messaging.callbacks import posted, said, told, whatsapp
from tests.web.browser import sign_in
from tests.web.visitor import Visitor, form_of, htmx
from webapp.audience import consents, leads
from webapp.messaging import intents
from webapp.platform.db import run, transaction, value


@pytest.fixture
def post(app, cast):
    """Three people wrote over WhatsApp, and a stranger."""
    made = posted(cast.org)
    whatsapp(app, made.path, told([], [
        said(0, "How much is <b>it</b>?", answers="wamid.0"), said(1, "Please call me", sender="14152000001", at=1),
        said(2, "Lovely " * 50, sender="14152000002", at=2), said(3, "Who are you", sender="14159999999", at=3),
    ]))  # fmt: skip
    return made


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


def ids(org: int) -> list[int]:
    with transaction(org):
        return value("SELECT array_agg(id ORDER BY id) FROM inbound_messages")


def test_the_list_is_searched_filtered_and_exported(marketer, post):
    page = marketer.get("/replies").text
    assert "4 wait for somebody to see to them." in page and "How much is &lt;b&gt;it&lt;/b&gt;?" in page
    assert "Lead1" in page and "+14159999999" in page and "…" in page and "Over whatsapp 0" in page
    for asked, found in (("intent=callback", "Please call me"), ("q=lead2", "Lovely"), ("q=%2B1415999", "Who are you"),
                         ("q=how+much", "How much"), ("state=open&channel=whatsapp", "Lovely")):  # fmt: skip
        assert found in marketer.get(f"/replies?{asked}").text, asked
    assert "Nothing matches" in marketer.get("/replies?state=handled").text
    export = marketer.get("/replies?export=csv").text
    assert export.count("\n") == 5 and "question" in export
    for odd in ("q=%00", "q=%F4%8F%BF%BF", "after=x", "intent=love", "sort=nothing", "q=" + "9" * 300):
        assert marketer.get(f"/replies?{odd}").status_code == 200


def test_one_is_read_with_its_thread_and_handled(marketer, post, cast, tx):
    first, second, *_, stranger = ids(cast.org)
    page = marketer.get(f"/replies/{first}").text
    assert "How much is &lt;b&gt;it&lt;/b&gt;?" in page and f"/campaigns/{post.campaign_id}" in page
    assert f"/leads/{post.leads[0]}" in page and "until" not in page and "more than 24 hours" in page
    assert "Nobody we know has this address." in marketer.get(f"/replies/{stranger}").text
    assert marketer.post(f"/replies/{first}/handled", {"on": "1"}).status_code == 303
    assert marketer.post("/replies/handled", {"ids": [second, "x", 10**30]}).status_code == 303
    assert "2 wait" in marketer.get("/replies").text
    assert marketer.post(f"/replies/{first}/handled", {"on": "0"}).status_code == 303
    assert marketer.post("/replies/handled", {"ids": ["x"]}).status_code == 404
    assert "3 wait" in marketer.get("/replies").text
    with tx():
        leads.remove([post.leads[0]])
    assert marketer.get(f"/replies/{first}").status_code == 200


def test_another_meaning_is_acted_on(marketer, post, cast, tx):
    third = ids(cast.org)[2]
    assert marketer.post(f"/replies/{third}/intent", {"intent": "love"}).status_code == 303
    assert "Choose one of the list." in marketer.get(f"/replies/{third}").text
    marketer.post(f"/replies/{third}/intent", {"intent": "stop"})
    with tx():
        assert consents.is_suppressed("whatsapp", "+14152000002")
        assert consents.of_lead(post.leads[2])["whatsapp"].status == "unsubscribed"


def test_the_timeline_shows_what_they_wrote(marketer, post, cast):
    page = marketer.get(f"/leads/{post.leads[0]}").text
    assert "Replied on WhatsApp" in page and "“How much is &lt;b&gt;it&lt;/b&gt;?”" in page
    assert f"/replies/{ids(cast.org)[0]}" in page


@pytest.fixture
def admin(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["admin"])
    return visitor


RULE = {
    "intent": "question",
    "match": "begins",
    "channel": "any",
    "language": "",
    "words": "ist es\nkann ich",
    "is_active": "y",
}


def test_rules_are_kept_and_tried(admin, cast, tx):
    assert "No rules yet" in admin.get("/reply-rules").text
    assert admin.post("/reply-rules/defaults").status_code == 303
    wrong = admin.post("/reply-rules/new", RULE | {"words": "!!!\nok", "language": "german"})
    fields, errors = form_of(wrong)
    assert wrong.status_code == 422 and fields["words"] == "!!!\nok" and set(errors) == {"words", "language"}
    assert admin.post("/reply-rules/new", RULE).status_code == 303
    with tx():
        rule = intents.every()[-1].id
    assert "ist es, kann ich" in admin.get("/reply-rules").text
    tried = admin.get("/reply-rules?text=Kann+ich+kommen&channel=sms&language=de", headers=htmx())
    assert "<b>Question</b>" in tried.text and f"#rule-{rule}" in tried.text and "<html" not in tried.text
    assert "No rule fits" in admin.get("/reply-rules?text=xyzzy", headers=htmx()).text
    for odd in ("text=%00", "text=" + "%F0%9F%9B%91" * 50, "text=a&channel=fax&language=%00%00", "text=a&channel=any"):
        assert admin.get(f"/reply-rules?{odd}").status_code == 200
    admin.post(f"/reply-rules/{rule}/move", {"to": "up"})
    admin.post(f"/reply-rules/{rule}/switch", {"on": "0"})
    with tx():
        assert [r.id for r in intents.every()].index(rule) == len(intents.every()) - 2 and not intents.get(
            rule
        ).is_active
    assert admin.post(f"/reply-rules/{rule}", RULE | {"words": "was"}).status_code == 303
    admin.post(f"/reply-rules/{rule}/delete")
    assert admin.get(f"/reply-rules/{rule}").status_code == 404


def test_the_word_stop_stays_one(admin, cast, tx):
    admin.post("/reply-rules/defaults")
    with tx():
        first = intents.every()[0].id
    for act, form in (("delete", {}), ("switch", {"on": "0"})):
        assert admin.post(f"/reply-rules/{first}/{act}", form).status_code == 303
        assert "the word STOP would not do that any more" in admin.get("/reply-rules").text
    refused = admin.post(f"/reply-rules/{first}", RULE)
    assert (
        refused.status_code == 422
        and "the word STOP" in refused.text
        and form_of(refused)[0]["words"] == "ist es\nkann ich"
    )
    with tx():
        assert (
            intents.every()[0].id == first
            and intents.get(first).is_active
            and intents.classify("sms", "", "stop") == "stop"
        )


def test_in_a_browser(page, served, cast, app):
    made = posted(cast.org)
    with transaction(cast.org):
        run("UPDATE leads SET language = 'en'")
    whatsapp(app, made.path, told([], [said(0, "I'm interested", answers="wamid.0")]))
    sign_in(page, served, cast.emails["admin"])
    page.get_by_role("link", name="Replies").click()
    page.get_by_role("link", name="Lead0").click()
    page.get_by_label("What they meant").select_option("Call me")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_text("It means: Call me.")).to_be_visible()
    page.get_by_role("button", name="Mark handled").click()
    expect(page.get_by_role("button", name="Open again")).to_be_visible()
    page.goto(f"{served.url}/reply-rules")
    page.get_by_label("A reply").fill("please stop")
    expect(page.locator("#verdict")).to_contain_text("Stop, by this rule")
