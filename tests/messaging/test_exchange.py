"""Twilio and WhatsApp against a scripted server that breaks at every point: each message gets exactly one outcome, the
right one; what was taken is what was called accepted, or at most unknown; and nothing is ever asked twice."""

import base64
import ipaddress
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messaging.scripted_http import Server, Step, says
from tests.messaging.test_smtp_connections import certificate_for
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import exchange, twilio, whatsapp_cloud
from webapp.messaging.providers.exchange import Lines
from webapp.messaging.providers.smtp.connection import Unreachable
from webapp.messaging.texting import TextMessage
from webapp.messaging.whatsapp import TemplateMessage


@dataclass(frozen=True)
class Speech:
    """One provider: what says yes, how it refuses, whom a request is to, and codes of each class."""

    name: str
    deliver: Callable[[str, list[Any], float], Iterator[Outcome]]
    message: Callable[[int], Any]
    yes: Step
    refusal: Callable[[int, int], Step]
    to: Callable[[Any], str]
    slow: int
    held: int
    barred: int
    hopeless: int


def _by_twilio(base: str, messages: list[Any], deadline: float) -> Iterator[Outcome]:
    account = twilio.Account(base, "AC123", "token", "+14152000001", "", "https://desk.example/webhooks/twilio/abc")
    return twilio.deliver_from(account, iter(messages), deadline)


def _by_whatsapp(base: str, messages: list[Any], deadline: float) -> Iterator[Outcome]:
    account = whatsapp_cloud.Account(f"{base}/v23.0", "10987", "token")
    return whatsapp_cloud.deliver_from(account, iter(messages), deadline)


BODY = [{"type": "body", "parameters": [{"type": "text", "text": "Grüße"}]}]
TWILIO = Speech(
    "twilio", _by_twilio, lambda n: TextMessage(n, f"+1415200{n:04}", f"Hi {n} & =é€", f"op{n}"),
    says(201, {"sid": "SM1", "status": "queued"}, accepts=True),
    lambda status, code: says(status, {"code": code, "message": "No", "status": status}),
    lambda asked: dict(parse_qsl(asked.body.decode()))["To"].removeprefix("+"), 20429, 20003, 21610, 21614,
)  # fmt: skip
WHATSAPP = Speech(
    "whatsapp", _by_whatsapp,
    lambda n: TemplateMessage(n, f"1415200{n:04}", "renewal", "en_US", BODY, f"op{n}", "Hello Grüße"),
    says(200, {"messages": [{"id": "wamid.1", "message_status": "accepted"}]}, accepts=True),
    lambda status, code: says(status, {"error": {"code": code, "message": f"(#{code}) No"}}),
    lambda asked: json.loads(asked.body)["to"], 131016, 190, 131050, 131026,
)  # fmt: skip
BOTH = pytest.mark.parametrize("speech", [TWILIO, WHATSAPP], ids=lambda s: s.name)
LETTERS = {"accepted": "A", "rejected": "J", "retry": "R", "released": "L", "unknown": "U"}


@pytest.fixture(autouse=True)
def lines(monkeypatch):
    fresh = Lines()
    monkeypatch.setattr(exchange, "_lines", fresh)
    monkeypatch.setattr(exchange, "ANSWER_SECONDS", 0.25)
    yield fresh
    fresh.close()


def five(speech: Speech) -> list[Any]:
    return [speech.message(n) for n in range(1, 6)]


def through(speech: Speech, server: Server, seconds: float = 20) -> tuple[str, list[Outcome]]:
    """Delivers five messages and checks the promise. Returns how they ended, a letter each."""
    messages = five(speech)
    outcomes = list(speech.deliver(server.base, messages, time.monotonic() + seconds))
    assert [o.send_id for o in outcomes] == [1, 2, 3, 4, 5]
    ended = {m.recipient.removeprefix("+"): o.kind for m, o in zip(messages, outcomes, strict=True)}
    asked, taken = Counter(map(speech.to, server.asked)), Counter(map(speech.to, server.taken))
    assert set(asked.values()) <= {1}
    sure = {to for to, kind in ended.items() if kind == "accepted"}
    assert sure <= set(taken) <= sure | {to for to, kind in ended.items() if kind == "unknown"}
    assert not {to for to, kind in ended.items() if kind == "released"} & set(asked)
    return "".join(LETTERS[o.kind] for o in outcomes), outcomes


@BOTH
def test_everything_goes_over_one_connection_in_order(speech):
    with Server(speech.yes) as server:
        assert through(speech, server)[0] == "AAAAA"
        assert server.connections == 1
        assert [speech.to(asked)[-1] for asked in server.asked] == list("12345")


def test_twilio_is_spoken_as_it_is_written():
    with Server(TWILIO.yes) as server:
        outcomes = list(_by_twilio(server.base, [TWILIO.message(7)], time.monotonic() + 5))
        service = twilio.Account(server.base, "AC1", "t", "", "MG9", "")
        list(
            twilio.deliver_from(
                service, [TextMessage(1, "+14152000001", "x", "o", "https://b/c")], time.monotonic() + 5
            )
        )
    assert outcomes == [Outcome(7, "accepted", provider_id="SM1")]
    first, second = server.asked
    assert (first.method, first.path) == ("POST", "/2010-04-01/Accounts/AC123/Messages.json")
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(first.headers["authorization"].removeprefix("Basic ")) == b"AC123:token"
    assert dict(parse_qsl(first.body.decode())) == {
        "To": "+14152000007", "From": "+14152000001", "Body": "Hi 7 & =é€",
        "StatusCallback": "https://desk.example/webhooks/twilio/abc?message=op7",
    }  # fmt: skip
    assert dict(parse_qsl(second.body.decode())) == {
        "To": "+14152000001", "MessagingServiceSid": "MG9", "Body": "x", "StatusCallback": "https://b/c",
    }  # fmt: skip


def test_whatsapp_is_spoken_as_it_is_written():
    with Server(WHATSAPP.yes) as server:
        outcomes = list(_by_whatsapp(server.base, [WHATSAPP.message(7)], time.monotonic() + 5))
    assert outcomes == [Outcome(7, "accepted", provider_id="wamid.1")]
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/v23.0/10987/messages")
    assert (asked.headers["authorization"], asked.headers["content-type"]) == ("Bearer token", "application/json")
    assert json.loads(asked.body) == {
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "14152000007", "type": "template",
        "template": {"name": "renewal", "language": {"code": "en_US"}, "components": BODY},
        "biz_opaque_callback_data": "op7",
    }  # fmt: skip


@BOTH
def test_nobody_answers_the_door(speech):
    with Server(speech.yes) as server:
        server.stop_listening()
        with pytest.raises(Unreachable, match="Connection refused"):
            through(speech, server)


@BOTH
def test_the_door_is_closed_on_the_way(speech):
    with Server(
        speech.yes, [speech.yes, says(201, speech.yes.raw.partition(b"\r\n\r\n")[2].decode(), True, drop=True)]
    ) as server:
        outcomes = speech.deliver(server.base, five(speech), time.monotonic() + 5)
        first, second = next(outcomes), next(outcomes)
        server.stop_listening()
        # Its answer is here before it has hung up.
        assert server.hung_up.wait(20)
        assert [first.kind, second.kind, *(o.kind for o in outcomes)] == ["accepted"] * 2 + ["released"] * 3


@BOTH
def test_a_host_without_a_name_and_a_plain_address(speech):
    for base in (
        "https://no-such-host.invalid",
        "http://api.example.com",
        "ftp://127.0.0.1",
        "https://",
        "https://[bad",
    ):
        with pytest.raises(Unreachable):
            list(speech.deliver(base, five(speech), time.monotonic() + 5))


@BOTH
def test_a_certificate_counts_only_if_somebody_we_trust_signed_it(speech, tmp_path, monkeypatch):
    path, context = certificate_for(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    with Server(speech.yes, tls=context) as server:
        with pytest.raises(Unreachable, match="(?i)no secure connection|certificate"):
            through(speech, server)
        assert server.asked == []
        monkeypatch.setattr(exchange, "_context", lambda: ssl.create_default_context(cafile=path))
        exchange._lines.close()
        assert through(speech, server)[0] == "AAAAA"


def steps(speech: Speech) -> dict[str, tuple[Step, str, str | None]]:
    """Returns each way in which the second message can end: (what happens, how all five end, the effect)."""
    half = speech.yes.raw[:-5]
    return {
        "no answer": (Step(silent=True), "AUAAA", None),
        "no answer, accepted": (Step(accepts=True, silent=True), "AUAAA", None),
        "hangs up": (Step(drop=True), "AUAAA", None),
        "hangs up, accepted": (Step(accepts=True, drop=True), "AUAAA", None),
        "hangs up before it reads": (Step(early=True), "AUAAA", None),
        "half an answer": (Step(half, accepts=True, drop=True), "AUAAA", None),
        "half a line": (Step(b"HTTP/1.1 20", accepts=True, drop=True), "AUAAA", None),
        "no HTTP": (Step(b"220 smtp here\r\n", accepts=True, drop=True), "AUAAA", None),
        "no JSON": (says(200, "<html>", accepts=True), "AUAAA", None),
        "JSON of another kind": (says(200, [1], accepts=True), "AUAAA", None),
        "no id": (says(201, {"ok": True}, accepts=True), "AUAAA", None),
        "an id that is none": (says(201, {"sid": 5, "messages": [{"id": ""}]}, accepts=True), "AUAAA", None),
        "500": (says(500, "oops"), "AUAAA", None),
        "500, accepted": (says(500, "oops", accepts=True), "AUAAA", None),
        "502 with an undocumented code": (speech.refusal(502, 99999), "AUAAA", None),
        "408": (says(408, ""), "AUAAA", None),
        "redirect": (says(307, "", Location="/elsewhere"), "AULLL", "hold_sender"),
        "429": (says(429, ""), "ARLLL", "back_off"),
        "429 cut short": (Step(b"HTTP/1.1 429 Slow\r\nContent-Length: 50\r\n\r\n{", drop=True), "ARLLL", "back_off"),
        "slow down": (speech.refusal(400, speech.slow), "ARLLL", "back_off"),
        "slow down as 503": (speech.refusal(503, speech.slow), "ARLLL", "back_off"),
        "401": (says(401, ""), "ARLLL", "hold_sender"),
        "403": (says(403, "<html>"), "ARLLL", "hold_sender"),
        "bad credentials": (speech.refusal(400, speech.held), "ARLLL", "hold_sender"),
        "opted out": (speech.refusal(400, speech.barred), "AJAAA", "suppress"),
        "no such phone": (speech.refusal(400, speech.hopeless), "AJAAA", None),
        "an undocumented refusal": (speech.refusal(400, 99999), "AJAAA", None),
        "a refusal that says nothing": (says(400, "<html>"), "ARLLL", "back_off"),
    }


@BOTH
@pytest.mark.parametrize("case", list(steps(TWILIO)))
def test_the_second_message_meets_a_fault(speech, case):
    step, ended, effect = steps(speech)[case]
    with Server(speech.yes, [speech.yes, step]) as server:
        letters, outcomes = through(speech, server)
    if step.early and letters[1] == "R":
        ended = "ARAAA"  # it hung up before the last byte had left, and that is known
    assert (letters, outcomes[1].effect) == (ended, effect)
    assert outcomes[1].message


@BOTH
def test_whatever_is_wrong_there_does_not_go_on_and_on(speech):
    with Server(Step(drop=True)) as server:
        letters, outcomes = through(speech, server)
    assert (letters, outcomes[2].effect) == ("UUULL", "back_off")


@BOTH
def test_nothing_is_begun_after_the_deadline(speech):
    with Server(speech.yes) as server:
        assert through(speech, server, 0)[0] == "LLLLL"
        assert server.connections == 0


@BOTH
def test_a_connection_that_was_closed_while_it_rested_is_replaced(speech):
    with Server(speech.yes) as server:
        assert through(speech, server)[0] == "AAAAA"
        for connection in server.open:
            connection.shutdown(2)
        server.asked.clear(), server.taken.clear()
        assert through(speech, server)[0] == "AAAAA"
        assert server.connections == 2


@BOTH
def test_threads_do_not_share_a_connection(speech):
    with Server(speech.yes) as server, ThreadPoolExecutor(4) as pool:

        def batch(k: int) -> list[Outcome]:
            messages = [speech.message(100 * k + n) for n in range(50)]
            return list(speech.deliver(server.base, messages, time.monotonic() + 20))

        outcomes = [o for batch in pool.map(batch, range(4)) for o in batch]
        assert {o.kind for o in outcomes} == {"accepted"} and len(outcomes) == 200
        assert len(set(map(speech.to, server.taken))) == 200 and server.connections <= 4


@BOTH
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_run_of_faults_keeps_the_promise(speech, data):
    known = [step for step, *_ in steps(speech).values() if not step.silent] + [speech.yes] * 10
    with Server(speech.yes, data.draw(st.lists(st.sampled_from(known), max_size=5))) as server:
        through(speech, server)


def test_checking_says_what_the_provider_says():
    account = twilio.Account("", "AC1", "t", "", "", "")
    with Server(says(200, {"friendly_name": "Lone Star", "status": "active"})) as server:
        assert twilio.check_account(twilio.Account(server.base, "AC1", "t", "", "", "")) == "Lone Star: account active"
        assert server.asked[0].path == "/2010-04-01/Accounts/AC1.json"
    number = {"verified_name": "Lone Star", "display_phone_number": "+1 415", "quality_rating": "GREEN"}
    with Server(says(200, number)) as server:
        said = whatsapp_cloud.check_account(whatsapp_cloud.Account(server.base, "5", "t"))
        assert said == "Lone Star, +1 415: quality green"
        assert server.asked[0].path.startswith("/5?fields=") and server.asked[0].headers["authorization"] == "Bearer t"
    for step, words in ((says(401, {"code": 20003, "message": "Authenticate", "error": {"message": "Authenticate"}}), "401: Authenticate"),
                        (says(200, "x"), "nothing that helps"), (Step(drop=True), "closed|without")):  # fmt: skip
        with Server(step) as server:
            with pytest.raises(Unreachable, match=words):
                twilio.check_account(twilio.Account(server.base, account.sid, "t", "", "", ""))
            with pytest.raises(Unreachable, match=words):
                whatsapp_cloud.check_account(whatsapp_cloud.Account(server.base, "5", "t"))
