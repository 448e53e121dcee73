"""What recipients reach without signing in: the token is the authority, forged ones change nothing, only a POST decides."""

import random

import pytest
from sqlalchemy.exc import OperationalError

from tests.messaging import desk
from tests.messaging.desk import APPLE_PROXY, FIREFOX, counters, facts, recount, send_of
from webapp.audience import consents, leads
from webapp.messaging import links
from webapp.platform.db import db, rows, run, transaction, value
from webapp.platform.signing import signer

URL = "https://offer.example/?s={{ state }}&n={{ first_name|default('friend') }}"
TABLES = ("sends", "engagement_events", "lead_events", "consents", "suppressions", "campaign_daily", "leads")


@pytest.fixture
def post(cast):
    """(campaign id, ids of three sends that went out an hour ago)"""
    campaign_id = desk.started(cast.org)
    return campaign_id, desk.settle(cast.org, campaign_id, ["accepted"] * 3)


@pytest.fixture
def browser(app):
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    return client


def path(purpose: str, *numbers: int) -> str:
    place = {"open": "/t/o/{}.gif", "click": "/t/c/{}", "unsubscribe": "/u/{}", "view": "/v/{}"}[purpose]
    return place.format(signer().pack(purpose, *numbers))


def state(org: int) -> list:
    """Everything that a receipt could change."""
    with transaction(org):
        return [[str(row) for row in rows(f"SELECT * FROM {table} ORDER BY id")] for table in TABLES]


def test_the_pixel_is_counted_and_always_a_picture(browser, cast, post, tx):
    campaign_id, (first, *_) = post
    answers = [
        browser.get(path("open", cast.org, first)),
        browser.get(path("open", cast.org, 10**12)),
        browser.get("/t/o/nonsense.gif"),
        browser.get("/t/o/%00%ff.gif"),
        browser.get(path("click", cast.org, first, 1).replace("/t/c/", "/t/o/") + ".gif"),
        browser.head(path("open", cast.org, first)),
    ]
    for answer in answers:
        assert (answer.status_code, answer.content_type) == (200, "image/gif")
        assert answer.headers["Cache-Control"] == "no-store" and not answer.headers.getlist("Set-Cookie")
    assert answers[0].data == answers[2].data != b""
    with tx():
        assert (send_of(first).open_count, counters(campaign_id)["opened"]) == (1, 1)


def test_a_privacy_proxy_is_a_machine_and_a_look_ahead_is_nothing(browser, cast, post, tx):
    _, (first, second, third) = post
    browser.get(path("open", cast.org, first), headers={"Sec-Purpose": "prefetch"})
    browser.get(path("open", cast.org, second), headers={"User-Agent": APPLE_PROXY})
    browser.head(path("open", cast.org, third))
    with tx():
        found = [(send_of(id).open_count, send_of(id).machine_open_count) for id in (first, second, third)]
        assert found == [(0, 0), (0, 1), (0, 0)]


def test_a_click_leads_to_the_stored_address_filled_in_for_its_lead(browser, cast, post, tx):
    campaign_id, (first, *_) = post
    with tx():
        link_id = links.store(campaign_id, URL)
    answer = browser.get(path("click", cast.org, first, link_id) + "?url=https://evil.example")
    assert (answer.status_code, answer.location) == (302, "https://offer.example/?s=TX&n=Lead0")
    assert not answer.headers.getlist("Set-Cookie")
    assert browser.head(path("click", cast.org, first, link_id)).location == answer.location
    with tx():
        assert send_of(first).click_count == 1 and "email_clicked" in facts(send_of(first).lead_id)
        assert counters(campaign_id) == recount(campaign_id)
    with tx():
        run("DELETE FROM leads WHERE id = :id", id=send_of(first).lead_id)
    assert browser.get(path("click", cast.org, first, link_id)).location == "https://offer.example/?s=&n=friend"


def test_reading_the_unsubscribe_page_changes_nothing(browser, cast, post):
    _, (first, *_) = post
    before = state(cast.org)
    page = browser.get(path("unsubscribe", cast.org, first))
    assert page.status_code == 200 and "le•••@example.com" in page.text and "lead0@" not in page.text
    assert browser.head(path("unsubscribe", cast.org, first)).status_code == 200
    assert state(cast.org) == before


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_needs_no_cookie_and_no_page(app, cast, post, tx, content_type):
    campaign_id, (first, *_) = post
    bare = app.test_client(use_cookies=False)
    for _ in range(2):
        form = {"List-Unsubscribe": "One-Click"}
        answer = bare.post(path("unsubscribe", cast.org, first), data=form, content_type=content_type)
        assert answer.status_code == 200
    with tx():
        send = send_of(first)
        assert consents.of_lead(send.lead_id)["email"].source == "one-click"
        assert consents.is_suppressed("email", "lead0@example.com")
        assert counters(campaign_id)["unsubscribed"] == 1


def test_the_page_takes_off_and_brings_back(browser, cast, post, tx):
    _, (first, *_) = post
    assert browser.post(path("unsubscribe", cast.org, first)).status_code == 200
    with tx():
        consent = consents.of_lead(send_of(first).lead_id)["email"]
        assert (consent.status, consent.source) == ("unsubscribed", "page")
    assert browser.post(path("unsubscribe", cast.org, first), data={"do": "resubscribe"}).status_code == 200
    with tx():
        assert consents.of_lead(send_of(first).lead_id)["email"].status == "subscribed"
        assert not consents.is_suppressed("email", "lead0@example.com")


def test_the_message_can_be_seen_in_a_browser_without_scripts(browser, cast, post, tx):
    _, (first, *_) = post
    with tx():
        lead = leads.get(send_of(first).lead_id)
        leads.update(lead, {"first_name": "<script>alert(1)</script>"})
    page = browser.get(path("view", cast.org, first))
    assert page.status_code == 200 and "Hello &lt;script&gt;" in page.text and "<script" not in page.text
    assert (
        "script-src 'none'" in page.headers["Content-Security-Policy"]
        or "sandbox" in page.headers["Content-Security-Policy"]
    )


def test_a_message_whose_template_or_lead_is_gone_is_explained(browser, cast, post, tx):
    _, (first, second, _) = post
    with tx():
        run("DELETE FROM templates")
    assert browser.get(path("view", cast.org, first)).status_code == 200
    with tx():
        run("DELETE FROM leads WHERE id = :id", id=send_of(second).lead_id)
    answer = browser.get(path("view", cast.org, second))
    assert answer.status_code == 404 and "cannot be shown any more" in answer.text


def test_forged_tokens_change_nothing(browser, cast, post, tx):
    """Every single flipped bit, a token of another purpose, another organisation's number, and rubbish."""
    campaign_id, (first, *_) = post
    with tx():
        link_id = links.store(campaign_id, URL)
    good = bytes.fromhex(signer().pack("unsubscribe", cast.org, first))
    flipped = [bytes(b ^ (1 << bit) if n == at else b for n, b in enumerate(good)) for at in range(len(good))
               for bit in random.Random(at).sample(range(8), 2)]  # fmt: skip
    tokens = [each.hex() for each in flipped] + [good[:-1].hex(), good.hex() + "00", "", "zz", "%00", "é", "0" * 4000]
    tokens += [signer().pack(purpose, cast.org, first) for purpose in ("open", "view", "bounce", "message")]
    before = state(cast.org)
    for token in tokens:
        for answer in (browser.post(f"/u/{token}"), browser.get(f"/u/{token}"), browser.get(f"/v/{token}")):
            assert answer.status_code == 404 or token == signer().pack("view", cast.org, first)
        assert browser.get(f"/t/c/{token}").status_code == 404
        browser.get(f"/t/o/{token}.gif" if token != signer().pack("open", cast.org, first) else "/t/o/x.gif")
    assert browser.get(path("click", cast.org, first, link_id + 999)).status_code == 404
    assert browser.post(path("unsubscribe", cast.other_org, first)).status_code == 404
    assert browser.get(path("click", cast.other_org, first, link_id)).status_code == 404
    assert state(cast.org) == before


def test_a_good_token_of_one_house_is_nothing_in_another(app, cast, post):
    _, (first, *_) = post
    with transaction(cast.other_org):
        assert value("SELECT count(*) FROM sends WHERE id = :id", id=first) == 0
    assert app.test_client().get(path("view", cast.other_org, first)).status_code == 404


SCRIBBLED = "O'Neil & Co\r\nSet-Cookie: a=b/\u00fc"


def test_a_leads_value_cannot_break_a_link_nor_its_answer(browser, cast, post, tx):
    campaign_id, (first, *_) = post
    with tx():
        run("UPDATE leads SET city = :city WHERE id = :id", city=SCRIBBLED, id=send_of(first).lead_id)
        asked = links.store(
            campaign_id, "https://offer.example/?c={{ city }}&d={{ city|urlencode }}#{{ city|default('x') }}"
        )
        by_hand = links.store(campaign_id, "https://offer.example/{{ city|safe }}")
    value_ = "O%27Neil%20%26%20Co%0D%0ASet-Cookie%3A%20a%3Db%2F%C3%BC"
    answer = browser.get(path("click", cast.org, first, asked))
    assert (answer.status_code, answer.location) == (302, f"https://offer.example/?c={value_}&d={value_}#{value_}")
    answer = browser.get(path("click", cast.org, first, by_hand))
    assert answer.status_code == 302 and not answer.headers.getlist("Set-Cookie")


def test_the_message_in_a_browser_has_the_campaigns_own_words(browser, cast, post, tx):
    campaign_id, (first, *_) = post
    with tx():
        run(
            "UPDATE campaigns SET preview_text = 'Only for {{ first_name }}', subject_line = 'Own' WHERE id = :id",
            id=campaign_id,
        )
    assert "Only for Lead0" in browser.get(path("view", cast.org, first)).text


def wishes(org: int, lead_id: int) -> str:
    return f"/p/{signer().pack('preferences', org, lead_id)}"


def test_a_lead_chooses_channel_by_channel(browser, cast, post, tx):
    with tx():
        lead_id = desk.add_lead(9, "subscribed", phone="+14152000009")
        consents.set_consent(lead_id, "sms", "pending", source="form")
        consents.suppress("email", "lead9@example.com", "complaint")
    before = state(cast.org)
    page = browser.get(wishes(cast.org, lead_id))
    assert (
        page.status_code == 200 and state(cast.org) == before and "lead9@" not in page.text and "+1\u2022" in page.text
    )
    assert page.text.count("or were reported to us") == 1
    assert browser.post(wishes(cast.org, lead_id), data={"email": "maybe", "fax": "yes"}).status_code == 200
    assert state(cast.org) == before
    said = {"email": "no", "sms": "yes", "whatsapp": "no"}
    for _ in range(2):
        answer = browser.post(wishes(cast.org, lead_id), data=said)
        assert "Your choices are saved." in answer.text and not answer.headers.getlist("Set-Cookie")
    with tx():
        found = {c: (row.status, row.source) for c, row in consents.of_lead(lead_id).items()}
        assert found == {"email": ("unsubscribed", "preference page"), "sms": ("subscribed", "preference page")}
        assert "from 127.0.0.1" in consents.of_lead(lead_id)["sms"].evidence


def test_a_channel_without_an_address_is_not_offered(browser, cast, post, tx):
    with tx():
        mail_only, neither = desk.add_lead(9), leads.create({"first_name": "Nobody"}).id
    page = browser.get(wishes(cast.org, mail_only)).text
    assert 'name="email"' in page and 'name="sms"' not in page
    browser.post(wishes(cast.org, mail_only), data={"sms": "yes"})
    assert "We have no address of yours" in browser.get(wishes(cast.org, neither)).text
    with tx():
        assert "sms" not in consents.of_lead(mail_only)
        leads.remove([mail_only])
    assert browser.get(wishes(cast.org, mail_only)).status_code == 404
    assert browser.post(wishes(cast.other_org, mail_only)).status_code == 404


def test_the_unsubscribe_page_leads_to_the_choices(browser, cast, post, tx):
    _, (first, *_) = post
    with tx():
        expected = wishes(cast.org, send_of(first).lead_id)
    assert f'href="{expected}"' in browser.get(path("unsubscribe", cast.org, first)).text
    assert browser.get(expected).status_code == 200


def everything_public(cast, post) -> list[tuple[str, str]]:
    _, (first, *_) = post
    with transaction(cast.org):
        campaign_id, lead_id = send_of(first).campaign_id, send_of(first).lead_id
        link_id = links.store(campaign_id, URL)
    tokens = [path(p, cast.org, first) for p in ("open", "unsubscribe", "view")] + [wishes(cast.org, lead_id)]
    tokens += [path("click", cast.org, first, link_id), f"/confirm/{signer().pack('confirm', cast.org, first)}"]
    wrong = ["/u/x", "/p/x", "/confirm/x", "/v/x", "/t/c/x", "/t/o/x.gif", "/u/a/b", "/p/", "/t/o/x"]
    posts = [address for address in tokens + wrong if address[:3] in ("/u/", "/p/", "/co", "/v/")]
    return [("GET", address) for address in tokens + wrong] + [("POST", address) for address in posts]


def test_no_public_page_sets_a_cookie(app, cast, post):
    client = app.test_client()
    for method, address in everything_public(cast, post):
        for headers in ({}, {"HX-Request": "true"}, {"Cookie": "session=forged"}):
            answer = client.open(address, method=method, headers=headers)
            assert answer.status_code < 500 and not answer.headers.getlist("Set-Cookie"), (method, address)


def test_without_the_database_the_pages_are_calm_and_the_pixel_a_picture(app, browser, cast, post, monkeypatch):
    asked = everything_public(cast, post)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server is gone"))

    with app.app_context():
        db.engine.dispose()
        monkeypatch.setattr(db.engine.dialect, "connect", away)
    for method, address in asked:
        answer = browser.open(address, method=method)
        if address.startswith("/t/o/") and address.endswith(".gif"):
            assert (answer.status_code, answer.content_type) == (200, "image/gif")
        else:
            assert answer.status_code in (404, 405, 503), (method, address, answer.status_code)
            assert "gone" not in answer.text and not answer.headers.getlist("Set-Cookie")
    calm = browser.get(path("unsubscribe", cast.org, post[1][0]))
    assert calm.status_code == 503 and "try again in a few minutes" in calm.text and calm.headers["Retry-After"]
    monkeypatch.undo()
    assert browser.get(path("unsubscribe", cast.org, post[1][0])).status_code == 200


LOOKS_AHEAD = ({"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"})


def test_asking_for_the_head_of_any_public_page_changes_nothing(browser, cast, post):
    addresses = [address for method, address in everything_public(cast, post) if method == "GET"]
    before = state(cast.org)
    for address in addresses:
        assert browser.head(address).status_code < 500
        assert browser.options(address).status_code < 500
    assert state(cast.org) == before


@pytest.mark.parametrize("headers", LOOKS_AHEAD)
def test_a_browser_that_looks_ahead_changes_nothing(browser, cast, post, tx, headers):
    campaign_id, (first, *_) = post
    with tx():
        link_id, lead_id = links.store(campaign_id, URL), send_of(first).lead_id
    before = state(cast.org)
    for address in (path("unsubscribe", cast.org, first), path("view", cast.org, first), wishes(cast.org, lead_id)):
        assert browser.get(address, headers=headers).status_code == 200
    assert browser.get(path("open", cast.org, first), headers=headers).status_code == 200
    ahead = browser.get(path("click", cast.org, first, link_id), headers=headers)
    assert ahead.status_code == 302 and ahead.headers["Cache-Control"] == "no-store"
    assert state(cast.org) == before


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_a_click_in_a_text_message_is_told_as_one(browser, cast, post, tx, channel):
    campaign_id, (first, *_) = post
    with tx():
        link_id = links.store(campaign_id, URL)
        run("UPDATE sends SET channel = :channel WHERE id = :id", channel=channel, id=first)
    browser.get(path("click", cast.org, first, link_id))
    with tx():
        assert f"{channel}_clicked" in facts(send_of(first).lead_id)
