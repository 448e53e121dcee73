"""The stand-in from end to end: what a local sender hands over reaches a phone and is told by signed webhooks; each fault
ends as it does with the true provider; nobody gets in with another's credentials."""

import base64
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from tests.messaging.letters import head, row
from tests.messaging.sink import Sink
from webapp.messaging import local_senders, phones, providers, senders, standin
from webapp.messaging.compose import Bodies
from webapp.messaging.providers import exchange, local
from webapp.messaging.providers.exchange import Lines
from webapp.messaging.providers.smtp.connection import Unreachable
from webapp.messaging.standin import hands, telling
from webapp.messaging.standin.faults import CATALOGUE
from webapp.messaging.templates import Template, TemplateVersion
from webapp.messaging.texting import TextComposer
from webapp.messaging.whatsapp import TemplateComposer
from webapp.platform.db import db, one, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.signing import signer

PHONE = "+14155550100"
NUMBERS = {"sms": "+14152000001", "whatsapp": "+14152000002"}
RENEWAL = {
    "name": "renewal_reminder", "language": "en_US", "category": "UTILITY", "status": "APPROVED",
    "body": "Hello {{1}}, your policy renews.", "parameters": ["{{ first_name }}"],
    "buttons": [{"type": "quick_reply", "text": "Call me"}],
}  # fmt: skip
BOTH = pytest.mark.parametrize("channel", ["sms", "whatsapp"])


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    fresh = Lines()
    monkeypatch.setattr(exchange, "_lines", fresh)
    monkeypatch.setattr(telling, "PAUSES", (0.05, 0.05, 0.05))
    yield
    fresh.close()


@pytest.fixture
def sink(app, monkeypatch):
    with Sink() as opened:
        monkeypatch.setitem(app.config, "BASE_URL", opened.base)
        yield opened


def furnish(org: int) -> dict[str, Any]:
    """Returns the organisation's local senders by channel; its template is approved."""
    with transaction(org):
        made = {channel: local_senders.ensure_local_text(channel, "Lone Star", NUMBERS[channel]) for channel in NUMBERS}
        template = Template(name="Renewal", slug="renewal", template_type="whatsapp", whatsapp=RENEWAL)
        db.session.add(template)
        db.session.flush()
        db.session.add(TemplateVersion(template_id=template.id, number=1, whatsapp=RENEWAL))
        db.session.flush()
        for sender in made.values():
            db.session.expunge(sender)
    return made


@pytest.fixture
def house(cast, sink) -> dict[str, Any]:
    return furnish(cast.org)


def message(channel: str, org: int, send_id: int = 7, phone: str = PHONE) -> Any:
    given = row(id=send_id, recipient_address=phone)
    if channel == "sms":
        return TextComposer(Bodies("", "", "", "Hi {{ first_name }}"), head(org_id=org), signer()).build(given)
    return TemplateComposer(RENEWAL, head(org_id=org), signer()).build(given)


def deliver(sender: Any, *messages: Any) -> list[Any]:
    return list(providers.of("local").deliver(sender, iter(messages), time.monotonic() + 20))


def set_fault(org: int, channel: str, name: str, phone: str = PHONE, n: int = 1) -> None:
    with transaction(org):
        phones.set_fault(channel, phone, name, n)


def told(sink: Sink, sender: Any) -> list[dict[str, Any]]:
    """Returns what was told, each with its `state`, after checking the signatures."""
    assert telling.teller.settle()
    if sender.channel == "sms":
        forms = [each.form(senders.secret(sender, "auth_token")) for each in sink.told]
        return [form | {"state": form["MessageStatus"], "id": form["MessageSid"]} for form in forms]
    values = [each.change(senders.secret(sender, "app_secret")) for each in sink.told]
    return [status | {"state": status["status"]} for each in values for status in each["statuses"]]


@BOTH
def test_a_message_reaches_the_phone_and_is_told(house, cast, sink, channel):
    sender = house[channel]
    (outcome,) = deliver(sender, message(channel, cast.org))
    assert (outcome.kind, outcome.send_id) == ("accepted", 7)
    with transaction(cast.org):
        (kept,) = phones.thread(channel, PHONE)
        assert (kept.direction, kept.number, kept.status) == ("to_phone", NUMBERS[channel], "delivered")
        assert (
            kept.body == {"sms": "Hi Ada Reply STOP to opt out", "whatsapp": "Hello Ada, your policy renews."}[channel]
        )
        assert (kept.provider_message_id, kept.sender_id) == (outcome.provider_id, sender.id)
        kept_id = kept.id
    states = told(sink, sender)
    assert [(each["state"], each["id"]) for each in states] == [(s, outcome.provider_id) for s in ("sent", "delivered")]
    where = senders.webhook_address(sender, sink.base)
    opaque = signer().pack("message", cast.org, 7)
    if channel == "sms":
        assert {each.url for each in sink.told} == {f"{where}?message={opaque}"}
        assert states[0]["AccountSid"] == sender.config["account_sid"] and "ErrorCode" not in states[1]
    else:
        assert {each.url for each in sink.told} == {where}
        assert {each["biz_opaque_callback_data"] for each in states} == {opaque}
    with transaction(cast.other_org):
        assert phones.thread(channel, PHONE) == []
        with pytest.raises(NotFound):
            phones.get(kept_id)


@BOTH
def test_checking_says_what_the_stand_in_says(house, channel):
    words = {
        "sms": "Lone Star (built-in): account active",
        "whatsapp": f"Lone Star, {NUMBERS['whatsapp']}: quality green",
    }
    assert local.check(house[channel]) == words[channel]


@BOTH
def test_local_senders_are_made_once(house, cast, channel):
    with transaction(cast.org):
        again = local_senders.ensure_local_text(channel, "Other", "+14150000000")
        assert (again.id, again.is_default, again.provider) == (house[channel].id, True, "local")
        portfolio = one("SELECT daily_people FROM portfolios WHERE id = :id", id=again.portfolio_id)
        assert portfolio == ((250,) if channel == "whatsapp" else None)
        with pytest.raises(Invalid):
            local_senders.ensure_local_text("email", "Other", "+14150000000")
    assert "secret" not in json.dumps(house[channel].config) and "token" not in json.dumps(house[channel].config)


# What each manner of failing must look like from our side: (outcome, effect, messages kept, states told).
MANNERS = {
    "http_429": ("retry", "back_off", 0, ""), "http_500": ("unknown", None, 0, ""), "http_503": ("unknown", None, 0, ""),
    "http_500_accepted": ("unknown", None, 1, "sent delivered"), "timeout_before": ("unknown", None, 0, ""),
    "timeout_after": ("unknown", None, 1, "sent delivered"), "drop_before": ("unknown", None, 0, ""),
    "drop_after": ("unknown", None, 1, "sent delivered"), "truncated": ("unknown", None, 1, "sent delivered"),
    "garbage": ("unknown", None, 1, "sent delivered"), "redirect": ("unknown", "hold_sender", 0, ""),
    "told_twice": ("accepted", None, 1, "sent sent delivered delivered"), "never_told": ("accepted", None, 1, ""),
    "told_out_of_order": ("accepted", None, 1, "delivered sent"), "told_late_sent": ("accepted", None, 1, "delivered"),
    "stays_sent": ("accepted", None, 1, "sent"),
}  # fmt: skip


@BOTH
def test_every_fault_looks_as_it_does_with_the_provider(house, cast, sink, channel, monkeypatch):
    monkeypatch.setattr(exchange, "ANSWER_SECONDS", 0.3)
    sender, known = house[channel], local.PHONES[channel].errors.ERRORS
    for (of, name), fault in CATALOGUE.items():
        if of != channel:
            continue
        if name in MANNERS:
            kind, effect, n, states = MANNERS[name]
        elif name.startswith("refused_"):
            (kind, effect, _), n, states = known[fault.code], 0, ""
        else:
            kind, effect, n, states = "accepted", None, 1, " ".join(fault.tells)
        assert telling.teller.settle()
        sink.told.clear()
        set_fault(cast.org, channel, name)
        (outcome,) = deliver(sender, message(channel, cast.org))
        assert (outcome.kind, outcome.effect) == (kind, effect), name
        if name.startswith("refused_"):
            assert outcome.code == str(fault.code) and outcome.message
        found = told(sink, sender)
        assert " ".join(each["state"] for each in found) == states, name
        with transaction(cast.org):
            kept = phones.thread(channel, PHONE)
            assert len(kept) == n, name
            if name.startswith("later_"):
                assert kept[0].status == fault.tells[-1]
                last = found[-1]
                code = last.get("ErrorCode") or last["errors"][0]["code"]
                assert int(code) == fault.code
            assert phones.fault(channel, PHONE) is None
            run("DELETE FROM phone_messages")
        assert deliver(sender, message(channel, cast.org))[0].kind == "accepted"
        with transaction(cast.org):
            run("DELETE FROM phone_messages")
    assert telling.teller.settle()


@BOTH
def test_a_fault_hits_as_many_as_it_should_and_this_phone_before_any(house, cast, sink, channel):
    set_fault(cast.org, channel, "http_500", "", 2)
    set_fault(cast.org, channel, "told_twice")
    other = "+14155550199"
    batch = [message(channel, cast.org, n, phone) for n, phone in enumerate((PHONE, other, PHONE, PHONE), 1)]
    assert [o.kind for o in deliver(house[channel], *batch)] == ["accepted", "unknown", "unknown", "accepted"]
    with transaction(cast.org):
        assert phones.fault(channel, "") is None
        for bad in (0, 1001, True, "1"):
            with pytest.raises(Invalid):
                phones.set_fault(channel, "", "http_500", bad)
        phones.set_fault(channel, "", "http_500", 5)
        phones.set_fault(channel, "", "")
        assert value("SELECT count(*) FROM phone_faults WHERE phone = ''") == 0
        phones.prune()
        assert value("SELECT count(*) FROM phone_faults") == 0
    assert telling.teller.settle()


def test_reading_is_told_by_whatsapp_alone_and_once(house, cast, sink):
    for channel in NUMBERS:
        (outcome,) = deliver(house[channel], message(channel, cast.org))
        told(sink, house[channel])
        sink.told.clear()
        with transaction(cast.org):
            last = phones.last_to(channel, PHONE)
            last_id = last.id
            assert phones.is_unread(last) and hands.look(last) == 1
        with transaction(cast.org):
            assert hands.look(phones.get(last_id)) == 0
            assert phones.get(last_id).status == {"sms": "delivered", "whatsapp": "read"}[channel]
        read = [("read", outcome.provider_id)] if channel == "whatsapp" else []
        assert [(each["state"], each["id"]) for each in told(sink, house[channel])] == read


@BOTH
def test_an_answer_comes_to_us_as_the_provider_brings_it(house, cast, sink, channel):
    sender = house[channel]
    (outcome,) = deliver(sender, message(channel, cast.org))
    assert telling.teller.settle()
    sink.told.clear()
    with transaction(cast.org):
        written = hands.reply(phones.last_to(channel, PHONE), "  Yes, call me é😀\r\nplease ")
        assert (written.body, written.direction) == ("Yes, call me é😀\nplease", "from_phone")
        reply_id, body = written.provider_message_id, written.body
    assert telling.teller.settle()
    (each,) = sink.told
    assert each.url == senders.webhook_address(sender, sink.base)
    if channel == "sms":
        form = each.form(senders.secret(sender, "auth_token"))
        assert (form["From"], form["To"], form["Body"]) == (PHONE, NUMBERS["sms"], body)
        assert (form["MessageSid"], form["SmsStatus"], form["NumMedia"]) == (reply_id, "received", "0")
    else:
        (said,) = each.change(senders.secret(sender, "app_secret"))["messages"]
        assert said.pop("timestamp").isdigit()
        assert said == {
            "from": PHONE[1:], "id": reply_id, "type": "text", "text": {"body": body},
            "context": {"from": NUMBERS["whatsapp"][1:], "id": outcome.provider_id},
        }  # fmt: skip


@pytest.mark.parametrize(
    ("twiml", "shown"),
    [
        (b"<Response><Message>Lone Star &amp; Co. Reply STOP.</Message></Response>", ["Lone Star & Co. Reply STOP."]),
        (b"<Response></Response>", []), (b"no XML", []),
    ],
)  # fmt: skip
def test_what_our_webhook_answers_comes_to_the_phone(house, cast, sink, twiml, shown):
    deliver(house["sms"], message("sms", cast.org))
    assert telling.teller.settle()
    sink.answer = twiml
    with transaction(cast.org):
        hands.reply(phones.last_to("sms", PHONE), "HELP")
    assert telling.teller.settle()
    with transaction(cast.org):
        first, asked, *answers = phones.thread("sms", PHONE)
        assert (first.direction, asked.direction) == ("to_phone", "from_phone")
        assert [(each.body, each.direction, each.number) for each in answers] == [
            (text, "to_phone", NUMBERS["sms"]) for text in shown
        ]


def test_an_answer_that_would_reach_nobody_is_refused(house, cast, sink):
    deliver(house["sms"], message("sms", cast.org))
    with transaction(cast.org):
        last = phones.last_to("sms", PHONE)
        for text in ("", " \n ", "x" * 1601):
            with pytest.raises(Invalid):
                hands.reply(last, text)
        run("DELETE FROM senders WHERE id = :id", id=house["sms"].id)
        db.session.expire_all()
        with pytest.raises(Refused, match="is gone"):
            hands.reply(last, "hello")
    assert telling.teller.settle()


def test_nothing_is_told_of_what_is_rolled_back_and_a_deaf_server_is_asked_again(house, cast, sink):
    deliver(house["sms"], message("sms", cast.org))
    assert telling.teller.settle()
    sink.told.clear()
    with pytest.raises(RuntimeError), transaction(cast.org):
        hands.reply(phones.last_to("sms", PHONE), "lost")
        raise RuntimeError
    sink.refusals = 2
    with transaction(cast.org):
        hands.reply(phones.last_to("sms", PHONE), "kept")
    assert telling.teller.settle()
    assert [each.form(senders.secret(house["sms"], "auth_token"))["Body"] for each in sink.told] == ["kept"]
    sink.refusals = 10
    with transaction(cast.org):
        hands.reply(phones.last_to("sms", PHONE), "never heard")
    assert telling.teller.settle() and len(sink.told) == 1 and sink.refusals == 6


def http(method: str, path: str, **more: Any) -> Any:
    host, port = standin.address_of_server()
    return urllib3.PoolManager().request(method, f"http://{host}:{port}{path}", retries=False, **more)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_nobody_gets_in_with_anothers_credentials(house, cast, sink):
    theirs = furnish(cast.other_org)
    sid, number = house["sms"].config["account_sid"], house["whatsapp"].config["phone_number_id"]
    token, access = senders.secret(house["sms"], "auth_token"), senders.secret(house["whatsapp"], "access_token")
    form = {"To": PHONE, "From": NUMBERS["sms"], "Body": "x"}
    sms = f"/2010-04-01/Accounts/{sid}/Messages.json"
    strangers = [{}, basic(sid, "x"), basic(sid, senders.secret(theirs["sms"], "auth_token")), basic("AC1", token), basic(sid, ""),
                 {"Authorization": "Basic ###"}, {"Authorization": f"Bearer {token}"}]  # fmt: skip
    for headers in strangers:
        answer = http("POST", sms, fields=form, encode_multipart=False, headers=headers)
        assert (answer.status, answer.json()["code"]) == (401, 20003)
    for given in ("", "x", senders.secret(theirs["whatsapp"], "access_token"), token):
        answer = http("POST", f"/v23.0/{number}/messages", json={}, headers={"Authorization": f"Bearer {given}"})
        assert (answer.status, answer.json()["error"]["code"]) == (401, 190)
    # An address made for another purpose, of another organisation or by nobody opens nothing.
    for other in (
        "AC" + signer().pack("webhook", cast.org, house["sms"].id),
        sid[:-1] + ("0" if sid[-1] != "0" else "1"),
        "AC00",
        sid + "ff",
    ):
        answer = http("GET", f"/2010-04-01/Accounts/{other}.json", headers=basic(other, token))
        assert answer.status == 401
    for path in ("/", "/2010-04-01/", f"/{number}/nothing", "/x" * 900):
        assert http("GET", path, headers={"Authorization": f"Bearer {access}"}).status == 404
    for n in ("1", "9" * 150, number[:-1]):
        assert http("GET", f"/v23.0/{n}", headers={"Authorization": f"Bearer {access}"}).status == 401
    with transaction(cast.org):
        assert value("SELECT count(*) FROM phone_messages") == 0


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"To": ""}, 21604), ({"To": "415"}, 21211), ({"Body": ""}, 21602), ({"Body": "x" * 1601}, 21617), ({"From": ""}, 21603),
     ({"From": "+19999999999"}, 21606), ({"MessagingServiceSid": "XX"}, 21705)],
)  # fmt: skip
def test_the_stand_in_refuses_what_twilio_refuses(house, changed, code):
    sid, token = house["sms"].config["account_sid"], senders.secret(house["sms"], "auth_token")
    form = {"To": PHONE, "From": NUMBERS["sms"], "Body": "x"} | changed
    path = f"/2010-04-01/Accounts/{sid}/Messages.json"
    answer = http("POST", path, fields=form, encode_multipart=False, headers=basic(sid, token))
    assert (answer.status, answer.json()["code"], answer.json()["status"]) == (400, code, 400)


def test_the_stand_in_refuses_what_whatsapp_refuses(house, cast, sink):
    number, token = house["whatsapp"].config["phone_number_id"], senders.secret(house["whatsapp"], "access_token")
    headers = {"Authorization": f"Bearer {token}"}

    def ask(**changed: Any) -> tuple[int, int]:
        body = {"messaging_product": "whatsapp", "to": PHONE[1:], "type": "template"} | changed
        answer = http("POST", f"/{number}/messages", json=body, headers=headers)
        return answer.status, answer.json().get("error", {}).get("code", 0)

    def template(name: str = "renewal_reminder", language: Any = "en_US", texts: tuple[str, ...] = ("Ada",)) -> dict:
        parts = [{"type": "text", "text": text} for text in texts]
        return {"name": name, "language": {"code": language}, "components": [{"type": "body", "parameters": parts}]}

    assert ask(template=template()) == (200, 0)
    assert ask(template=template("other")) == ask(template=template(language="de")) == (404, 132001)
    assert ask(template=template(texts=())) == ask(template=template(texts=("a", "b"))) == (400, 132000)
    assert ask(template=template(texts=("a\nb",))) == ask(template=template(texts=("",))) == (400, 132012)
    assert ask(template={}) == (404, 132001) and ask(template=5) == ask(type="sticker") == (400, 131051)
    assert ask(to="") == ask(to="abc") == ask(messaging_product="x") == (400, 100)
    for junk in (
        [],
        {"name": [], "language": [], "components": {}},
        template() | {"components": [5, {"type": "body", "parameters": [5]}]},
    ):
        assert ask(template=junk)[0] in (400, 404)
    assert http("POST", f"/{number}/messages", body=b"{", headers=headers).status == 400
    # In free words only to somebody who has written.
    assert ask(type="text", text={"body": "Hi"}) == (400, 131047)
    assert ask(type="text", text={}) == (400, 131009)
    with transaction(cast.org):
        hands.reply(phones.last_to("whatsapp", PHONE), "Yes")
    assert ask(type="text", text={"body": "Hi"}) == (200, 0)
    with transaction(cast.org):
        run("UPDATE templates SET whatsapp = jsonb_set(whatsapp, '{status}', '\"PAUSED\"')")
    assert ask(template=template()) == (404, 132001)
    assert telling.teller.settle()


def test_the_oldest_messages_are_forgotten(house, cast, sink, monkeypatch):
    monkeypatch.setattr(phones, "KEEP", 2)
    deliver(house["sms"], *(message("sms", cast.org, n) for n in range(1, 6)))
    with transaction(cast.org):
        phones.prune()
        assert len(rows("SELECT id FROM phone_messages")) == 2
    assert telling.teller.settle()


def test_credentials_sealed_under_another_key_reach_nobody(house, cast):
    broken = SimpleNamespace(
        **{name: getattr(house["sms"], name) for name in ("channel", "config", "address", "org_id", "id")}
    )
    broken.secrets = "gAAAAA-not-ours"
    with pytest.raises(Unreachable, match="another SECRET_KEY"):
        local.check(broken)
