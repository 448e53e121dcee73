"""Webhooks: only what the provider signed is taken; whatever else comes changes nothing and breaks nothing."""

import contextlib
import json
import random
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from tests.messaging import callbacks
from tests.messaging.callbacks import (
    APP_SECRET,
    AUTH_TOKEN,
    VERIFY_TOKEN,
    posted,
    said,
    state,
    status,
    told,
    twilio,
    whatsapp,
)
from tests.messaging.desk import counters
from webapp.audience import consents, leads
from webapp.messaging import portfolios, senders, template_states
from webapp.messaging.portfolios import Portfolio
from webapp.messaging.providers.twilio import notices as of_twilio
from webapp.messaging.providers.twilio import signature as by_twilio
from webapp.messaging.providers.whatsapp_cloud import notices as of_whatsapp
from webapp.messaging.providers.whatsapp_cloud import signature as by_whatsapp
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, transaction, value
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.signing import signer

FORM = {
    "AccountSid": "AC1", "MessageSid": "wamid.0", "MessageStatus": "delivered", "To": "+14152000000",
    "From": "+15550783881", "ErrorCode": "", "ApiVersion": "2010-04-01",
}  # fmt: skip
URL = "https://desk.example/webhooks/twilio/abc?message=def"


def test_signatures_known_from_elsewhere():
    """Twilio's own example, and an HMAC-SHA256 made with another tool."""
    form = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
            "To": "+18005551212"}  # fmt: skip
    signed = by_twilio.sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form.items())
    assert signed == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert by_whatsapp.sign("key", b"The quick brown fox jumps over the lazy dog") == (
        "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def says_the_same(body: bytes, changed: bytes) -> bool:
    """True where only the case of an escape has changed: %2B and %2b are one character, and that is what is signed."""
    one_way, other_way = (parse_qsl(each.decode("latin-1"), keep_blank_values=True) for each in (body, changed))
    return one_way == other_way


def test_a_thousand_flipped_bits_are_refused(app, cast):
    seed = random.randrange(2**32)
    dice, tried = random.Random(seed), {"whatsapp": 0, "twilio": 0}
    wa, sms = posted(cast.org), posted(cast.org, "sms", first=10)
    raw, form = told([status(0, "read"), status(1, "failed", code=131050)], [said(1, "STOP")]), urlencode(FORM).encode()
    url = app.config["BASE_URL"] + sms.path
    good = by_whatsapp.sign(APP_SECRET, raw), by_twilio.sign(AUTH_TOKEN, url, FORM.items())
    assert by_whatsapp.holds(APP_SECRET, raw, good[0]) and by_twilio.holds(
        AUTH_TOKEN, url, of_twilio.fields(form), good[1]
    )
    before = state(cast.org)
    while min(tried.values()) < 500:
        bit, over_http = dice.randrange(2**20), dice.random() < 0.03
        provider, whole = dice.choice(list(tried)), dice.random() < 0.7
        body, signature = (raw, good[0]) if provider == "whatsapp" else (form, good[1])
        if whole:
            changed = flipped(body, bit % (len(body) * 8))
            if provider == "twilio" and says_the_same(body, changed):
                continue
            body = changed
        else:
            # A header is latin-1 on the wire.
            signature = flipped(signature.encode(), bit % (len(signature) * 8)).decode("latin-1")
        tried[provider] += 1
        if provider == "whatsapp":
            assert not by_whatsapp.holds(APP_SECRET, body, signature), f"seed {seed}"
        else:
            with contextlib.suppress(of_twilio.Garbled):
                assert not by_twilio.holds(AUTH_TOKEN, url, of_twilio.fields(body), signature), f"seed {seed}"
        if over_http and "\n" not in signature and "\r" not in signature:
            post = whatsapp(app, wa.path, body, signature) if provider == "whatsapp" else (
                twilio(app, sms.path, {}, signature, body))  # fmt: skip
            assert post.status_code in (400, 403), f"seed {seed}"
    assert state(cast.org) == before, f"seed {seed}"


def test_a_sender_without_its_secret_takes_nothing(app, cast):
    assert not by_whatsapp.holds("", b"x", by_whatsapp.sign("", b"x"))
    assert not by_twilio.holds("", URL, [], by_twilio.sign("", URL, []))
    assert not by_whatsapp.shakes("", "subscribe", "")
    post, sms = posted(cast.org), posted(cast.org, "sms", first=10)
    with transaction(cast.org):
        run("UPDATE senders SET secrets = NULL WHERE channel <> 'email'")
    before = state(cast.org)
    body = told([status(0, "read")])
    assert whatsapp(app, post.path, body, by_whatsapp.sign("", body)).status_code == 403
    url = app.config["BASE_URL"] + sms.path
    assert twilio(app, sms.path, FORM, by_twilio.sign("", url, FORM.items())).status_code == 403
    assert app.test_client().get(f"{post.path}?hub.mode=subscribe&hub.verify_token=&hub.challenge=x").status_code == 403
    assert state(cast.org) == before


def test_twilio_signs_the_public_address_whatever_proxies_make_of_it(app, cast):
    post = posted(cast.org, "sms")
    form = FORM | {"Body": "Grüße 😀 & mehr = %"}
    url = app.config["BASE_URL"] + post.path
    proxied = {
        "Host": "10.0.0.7:9000",
        "X-Forwarded-Proto": "http",
        by_twilio.HEADER: by_twilio.sign(AUTH_TOKEN, url, form.items()),
    }
    assert app.test_client().post(post.path, data=form, headers=proxied).status_code == 200
    for way in ("https://desk.example:443/x?a=1", "https://desk.example/x?a=1"):
        assert by_twilio.holds("t", "https://desk.example/x?a=1", [("a", "b")], by_twilio.sign("t", way, [("a", "b")]))
    for other in ("http://desk.example/x?a=1", "https://desk.example/x", "https://desk.example/y?a=1"):
        assert not by_twilio.holds("t", "https://desk.example/x?a=1", [], by_twilio.sign("t", other, []))


def test_the_handshake(app, cast):
    post = posted(cast.org)
    before, client = state(cast.org), app.test_client()
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "<b>1158201444"}
    answer = client.get(post.path, query_string=asked)
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "<b>1158201444", "text/plain")
    assert not answer.headers.getlist("Set-Cookie")
    for changed in ({"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": "\ud800"}):
        given = {k: v.encode("utf-8", "surrogatepass") for k, v in (asked | changed).items()}
        assert client.get(post.path, query_string=given).status_code == 403
    assert client.head(post.path, query_string=asked).status_code == 200
    assert state(cast.org) == before


def test_addresses_that_are_nobodys(app, cast):
    post, sms = posted(cast.org), posted(cast.org, "sms", first=10)
    with transaction(cast.org):
        email = senders.ensure_local("Lone Star", "hello@lone.example").id
    before, token = state(cast.org), post.path.rpartition("/")[2]
    packed = [("webhook", cast.org, email), ("webhook", cast.other_org, post.sender_id), ("webhook", cast.org, 10**15),
              ("message", cast.org, post.sender_id), ("webhook", cast.org), ("webhook", 2**70, 1)]  # fmt: skip
    odd = [signer().pack(*each) for each in packed] + ["x", token[:-1], token + "00", "%00", "ff" * 300]
    for each in odd:
        for address in (f"/webhooks/whatsapp_cloud/{each}", f"/webhooks/twilio/{each}"):
            body = told([status(0, "read")])
            assert whatsapp(app, address, body).status_code in (403, 404), address
            assert app.test_client().get(address).status_code in (404, 405), address
    # Each address takes what its own provider says, and in its own way.
    assert whatsapp(app, sms.path.replace("twilio", "whatsapp_cloud"), told([status(0, "read")])).status_code == 404
    assert twilio(app, post.path.replace("whatsapp_cloud", "twilio"), FORM).status_code == 404
    for path in (post.path, sms.path):
        for method in ("PUT", "PATCH", "DELETE"):
            assert app.test_client().open(path, method=method).status_code == 405
    assert app.test_client().get(sms.path).status_code == 405
    assert state(cast.org) == before


DEEP = b'{"entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE = [
    b"", b"{}", b"[]", b"null", b"1", b'"x"', b"{", b"\xff\xfe", b"\xef\xbb\xbf{}", DEEP, b'{"entry": 1}', b'{"entry": {}}',
    b"9" * 5000, b'{"entry":' + b"9" * 5000 + b"}", b"\0", '{"entry": []}'.encode("utf-16"), b"a=b&c=d",
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_signed_garbage_is_refused(app, cast, body):
    post = posted(cast.org)
    before = state(cast.org)
    assert whatsapp(app, post.path, body).status_code in (
        200,
        400,
    )  # an empty list in another encoding is an empty list
    assert state(cast.org) == before


def test_too_much_at_once(app, cast):
    post, sms = posted(cast.org), posted(cast.org, "sms", first=10)
    large = json.dumps({"entry": [], "x": "y" * 1_000_000}).encode()
    assert whatsapp(app, post.path, large).status_code == 413
    assert twilio(app, sms.path, {"MessageSid": "x", "Body": "y" * 1_000_000}).status_code == 413
    many = {f"f{n}": "" for n in range(1000)}
    assert twilio(app, sms.path, many).status_code == 400
    assert twilio(app, sms.path, {}).status_code == 400
    assert twilio(app, sms.path, {"MessageSid": "x", "SmsStatus": "received"}).status_code == 400


def test_every_odd_value_in_every_place_of_a_body(app, cast):
    post = posted(cast.org)
    odd = [None, True, [], {}, 0, -1, 10**30, 1e308, "", "\0", "\ud800", "x" * 5000, [[]], {"a": {}}, "\u202e😀", "NaN"]
    whole = json.loads(told([status(0, "failed", code=131026, opaque="x")], [said(1, "Hi", answers="wamid.1")]))
    places = list(paths(whole))
    assert len(places) > 20
    for n, place in enumerate(places):
        for each in odd[n % 8 :: 8]:
            body = json.dumps(put(json.loads(json.dumps(whole)), place, each)).encode()
            assert whatsapp(app, post.path, body).status_code in (200, 400), (place, each)
    sms = posted(cast.org, "sms", first=100)
    for name in [*FORM, "Body", "SmsStatus", "OptOutType", "NumMedia"]:
        for each in ("", "\0", "x" * 5000, "\u202e😀", "+" * 50):
            assert twilio(app, sms.path, FORM | {name: each}).status_code in (200, 400), (
                name,
                each,
            )


def paths(node, at=()):
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, each in pairs:
        yield (*at, key)
        yield from paths(each, (*at, key))


def put(node, place, value_):
    holder = node
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value_
    return node


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["entry", "changes", "field", "value", "statuses", "messages", "id", "status", "errors", "code", "from",
                         "type", "text", "body", "context", "metadata", "user_preferences", "wa_id", "interactive"]),
        inner, max_size=4), max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(JSON, st.sampled_from(list(of_whatsapp.READERS)))
def test_reading_never_breaks(tree, field):
    for body in (tree, {"entry": [{"changes": [{"field": field, "value": tree}]}]}):
        try:
            found = of_whatsapp.read(json.dumps(body).encode())
        except of_whatsapp.Garbled:
            continue
        for each in [*found.statuses, *found.replies]:
            assert "\0" not in str(each) and str(each).encode()


def test_without_the_database_the_provider_is_asked_to_come_again(app, cast, monkeypatch):
    post, sms = posted(cast.org), posted(cast.org, "sms", first=10)
    before = state(cast.org)

    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server is gone"))

    with app.app_context():
        db.engine.dispose()
        monkeypatch.setattr(db.engine.dialect, "connect", away)
    answers = [
        whatsapp(app, post.path, told([status(0, "read")])),
        twilio(app, sms.path, FORM),
        app.test_client().get(post.path),
    ]
    for answer in answers:
        assert answer.status_code == 503 and answer.headers["Retry-After"] and "gone" not in answer.text
    monkeypatch.undo()
    assert state(cast.org) == before
    assert whatsapp(app, post.path, told([status(0, "read")])).status_code == 200
    with transaction(cast.org):
        assert counters(post.campaign_id)["opened"] == 1


def test_a_tier_changes_by_webhook_and_what_is_left_is_planned_anew(app, cast, tx):
    post = posted(cast.org)
    with tx():
        portfolio = Portfolio(name="Ours")
        db.session.add(portfolio)
        db.session.flush()
        run("UPDATE senders SET portfolio_id = :p WHERE id = :id", p=portfolio.id, id=post.sender_id)
        portfolio_id = portfolio.id
    field = "business_capability_update"
    for value_, people in (
        ({"max_daily_conversations_per_business": 2000, "max_phone_numbers_per_waba": 25}, 2000),
        ({"max_daily_conversations_per_business": "TIER_10K"}, 10_000),
        ({"max_daily_conversations_per_business": "TIER_UNLIMITED"}, None),
        ({"max_daily_conversation_per_phone": 250, "max_phone_numbers_per_business": 2}, 250),
        ({"max_daily_conversation_per_phone": -1}, None),
        ({"max_daily_conversations_per_business": 0}, None),
        ({"max_daily_conversations_per_business": "lots"}, None),
    ):
        assert whatsapp(app, post.path, callbacks.change(field, value_)).status_code == 200
        with tx():
            found = one("SELECT daily_people, tier_source, tier_changed_at FROM portfolios")
            assert (found.daily_people, found.tier_source) == (people, "webhook") and found.tier_changed_at
    with tx():
        assert value("SELECT count(*) FROM work_due WHERE kind = 'plans'") == 1
        assert value("SELECT count(*) FROM audit_log WHERE action = 'portfolio.tier'") == 5
        assert not portfolios.set_tier(portfolio_id, None, "hand")
        for wrong in (0, -1, True, 10**12):
            with pytest.raises(Invalid):
                portfolios.set_tier(portfolio_id, wrong, "hand")
        with pytest.raises(NotFound):
            portfolios.set_tier(portfolio_id + 1000, 250, "hand")


def test_whatsapp_says_which_templates_may_be_sent(app, cast, tx):
    post = posted(cast.org)
    with tx():
        template_id = value("SELECT max(id) FROM templates")
        run("UPDATE templates SET whatsapp = CAST(:w AS jsonb) WHERE id = :id",
            w=json.dumps({"name": "renewal", "language": "en_US", "status": "PENDING"}), id=template_id)  # fmt: skip
    told_of = {"message_template_name": "renewal", "message_template_language": "en_US", "message_template_id": 1}

    def tell(event: str, reason: str | None = None, **changed: str) -> tuple[str, str | None]:
        body = callbacks.change(
            "message_template_status_update", told_of | {"event": event, "reason": reason} | changed
        )
        assert whatsapp(app, post.path, body).status_code == 200
        with tx():
            return tuple(one("SELECT whatsapp ->> 'status', hold_reason FROM templates WHERE id = :id", id=template_id))

    assert tell("APPROVED", "NONE") == ("APPROVED", None)
    stands, reason = tell("REJECTED", "ABUSIVE_CONTENT")
    assert stands == "REJECTED" and reason == "WhatsApp has not approved this template. ABUSIVE_CONTENT"
    assert tell("APPROVED", message_template_language="de")[0] == "REJECTED"
    assert tell("APPROVED") == ("APPROVED", None)
    for event in ("PAUSED", "DISABLED"):
        assert tell(event)[1] and tell("REINSTATED") == ("REINSTATED", None)
    for event in ("DELETED", "PENDING", "ARCHIVED", "LOCKED", "FLAGGED", "PENDING_DELETION"):
        assert tell(event)[0] == event and tell(event)[1] and tell("REINSTATED") == ("REINSTATED", None)
    # It says nothing of whether the template may be sent, so nothing comes to a standstill by it.
    assert tell("IN_APPEAL") == tell("ZZZ") == ("REINSTATED", None)


def test_what_is_told_late_or_again_does_not_turn_things_back(app, cast, tx):
    post, began = posted(cast.org), int(now().timestamp()) - 1000
    with tx():
        portfolio_id = portfolios.save(None, "Lone Star", None).id
        run("UPDATE senders SET portfolio_id = :id", id=portfolio_id)
        template_id = value("SELECT max(id) FROM templates")
        run("UPDATE templates SET whatsapp = CAST(:w AS jsonb) WHERE id = :id",
            w=json.dumps({"name": "renewal", "language": "en_US", "status": "APPROVED"}), id=template_id)  # fmt: skip

    def tell(field: str, told: dict, at: int) -> None:
        body = json.loads(callbacks.change(field, told))
        body["entry"][0]["time"] = began + at
        assert whatsapp(app, post.path, json.dumps(body).encode()).status_code == 200

    def tier(people: int, at: int) -> int:
        tell("business_capability_update", {"max_daily_conversations_per_business": people}, at)
        with tx():
            return value("SELECT daily_people FROM portfolios WHERE id = :id", id=portfolio_id)

    def template(event: str, at: int) -> bool:
        told = {"message_template_name": "renewal", "message_template_language": "en_US", "event": event}
        tell("message_template_status_update", told, at)
        with tx():
            return value("SELECT hold_reason IS NULL FROM templates WHERE id = :id", id=template_id)

    assert [tier(2000, 20), tier(250, 10), tier(10_000, 30), tier(2000, 20)] == [2000, 2000, 10_000, 10_000]
    assert [template("APPROVED", 10), template("PAUSED", 30), template("APPROVED", 10), template("REINSTATED", 40),
            template("PAUSED", 30)] == [True, False, False, True, True]  # fmt: skip
    with tx():
        assert template_states.hold(template_id, "132015: paused")
    assert not template("REINSTATED", 40) and template("REINSTATED", 2000)


@pytest.mark.parametrize("by", ["settings", "words"])
def test_the_last_word_counts_in_whatever_order_it_comes(app, cast, tx, by):
    post = posted(cast.org)
    began = int(now().timestamp()) - 1000

    def say(stop: bool, at: int, n: int) -> str:
        if by == "settings":
            wished = {"wa_id": "14152000000", "category": "marketing_messages", "value": "stop" if stop else "resume"}
            body = callbacks.change("user_preferences", {"user_preferences": [wished | {"timestamp": began + at}]})
        else:
            word = callbacks.said(n, "STOP" if stop else "START") | {"timestamp": str(began + at)}
            body = callbacks.told([], [word])
        assert whatsapp(app, post.path, body).status_code == 200
        with tx():
            barred = consents.is_suppressed("whatsapp", "+14152000000")
            on = consents.of_lead(post.leads[0])["whatsapp"].status == "subscribed"
            assert on is not barred
            return "on" if on else "off"

    assert [say(True, 10, 0), say(False, 5, 1), say(True, 10, 0), say(False, 20, 2), say(True, 15, 3), say(False, 5, 1),
            say(True, 30, 4), say(False, 20, 2)] == ["off", "off", "off", "on", "on", "on", "off", "off"]  # fmt: skip


def test_who_chooses_in_whatsapps_own_settings_is_obeyed(app, cast, tx):
    post = posted(cast.org)
    with tx():
        never = leads.create({"first_name": "Never", "phone": "+14153000000"}).id

    def choose(wish: str, who: str = "14152000000", **changed: str) -> None:
        wished = {"wa_id": who, "category": "marketing_messages", "value": wish, "timestamp": 1} | changed
        assert (
            whatsapp(app, post.path, callbacks.change("user_preferences", {"user_preferences": [wished]})).status_code
            == 200
        )

    choose("stop")
    choose("stop")
    with tx():
        consent = consents.of_lead(post.leads[0])["whatsapp"]
        assert (consent.status, consent.source) == ("unsubscribed", "provider")
        assert consents.is_suppressed("whatsapp", "+14152000000") and not consents.is_suppressed("sms", "+14152000000")
    choose("resume", category="something_else")
    choose("resume", "14153000000")
    with tx():
        assert consents.of_lead(post.leads[0])["whatsapp"].status == "unsubscribed"
        assert "whatsapp" not in consents.of_lead(never)
    choose("resume")
    with tx():
        assert consents.of_lead(post.leads[0])["whatsapp"].status == "subscribed"
        assert not consents.is_suppressed("whatsapp", "+14152000000")
