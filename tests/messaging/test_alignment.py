"""Alignment: records as people paste them, verdicts a person can act on, and no garbage that breaks a reader."""

import socket
import threading

import dns.message
import dns.resolver
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.messaging import alignment, dkim_signing, dns_records, senders
from webapp.messaging.dns_records import Records, organizational, parse, tags
from webapp.messaging.senders import Sender
from webapp.platform.errors import Invalid, Refused

GOOD = {"name": "L", "address": "hello@mail.lone.example", "host": "smtp.lone.example", "tls": "none"}
KEY = "A" * 60
DKIM = f"v=DKIM1; k=rsa; p={KEY}"
pieces = st.sampled_from([
    "v=spf1", "v=DKIM1", "v=DMARC1", ";", "p=", "p=reject", " ", '"', "\\", "(", ")", "\n", "include:", "a:", "ip4:", "10.0.0.0/8",
    "ip6:::1/999", "-all", "?all", "all", "redirect=", "aspf=s", "=", KEY, "\u2028", "\x85", ":", "v=", "İ", "ſ",
])  # fmt: skip
garbage = st.one_of(st.text(max_size=200), st.lists(pieces, max_size=30).map("".join))


def made(**config) -> Sender:
    return Sender(channel="email", address="hello@mail.lone.example", config={"host": "smtp.lone.example"} | config)


def states(text: str, **config) -> dict[str, str]:
    return {v.mechanism: v.state for v in alignment.of(made(dns={"text": text}, **config))}


@given(garbage, garbage)
@settings(max_examples=300, deadline=None)
def test_no_garbage_breaks_a_reader(text, other):
    found = parse(text)
    assert (
        all(record.lower().replace(" ", "").startswith("v") for record in found.spf + found.dmarc)
        and tags(other) is not None
    )
    sender = made(dns={"text": text, "included": [other], "addresses": [other]}, host=other[:50], bounce_domain="x." + other[:9],
                  dkim_selector="s", dkim_public=DKIM)  # fmt: skip
    verdicts = alignment.of(sender)
    assert [v.mechanism for v in verdicts] == ["SPF", "DKIM", "DMARC", "Bulk sending"]
    assert all(v.state in ("good", "warning", "bad") and v.words for v in verdicts)
    assert isinstance(organizational(other), str)


@pytest.mark.parametrize(
    "text",
    ["v=spf1 a:x ~all", '"v=spf1 a:x ~all"', 'lone.example. 3600 IN TXT "v=spf1 " "a:x ~all"',
     '@ IN TXT ( "v=spf1 a:x"\n   " ~all" ) ; the office', 'lone.example descriptive text "v=spf1 a:x ~all"'],
)  # fmt: skip
def test_a_record_is_found_as_people_paste_it(text):
    assert parse("; zone\n" + text + "\n").spf == ("v=spf1 a:x ~all",)


def test_a_key_is_found_over_several_strings():
    text = f's1._domainkey IN TXT ( "v=DKIM1; k=rsa; "\n "p={KEY[:30]}"\n "{KEY[30:]}" )'
    assert tags(parse(text).dkim[0]) == {"v": "DKIM1", "k": "rsa", "p": KEY}
    assert tags(parse(f"k=rsa; p={KEY}").dkim[0])["p"] == KEY


@pytest.mark.parametrize(
    ("record", "config", "state", "words"),
    [("", {}, "bad", "no SPF record"), ("v=spf1 a:smtp.lone.example -all", {}, "good", "others are refused"),
     ("v=spf1 ip4:192.0.2.0/24 ~all", {"host": "192.0.2.7"}, "good", "covers 192.0.2.7"),
     ("v=spf1 ip6:2001:db8::/32 ~all", {"host": "2001:db8::9"}, "good", "covers"),
     ("v=spf1 include:_spf.big.example ~all", {}, "warning", "depends on what it includes"),
     ("v=spf1 mx a/28 ~all", {}, "warning", "behind its mx and a/28"),
     ("v=spf1 ip4:198.51.100.1 ~all", {}, "bad", "does not name"), ("v=spf1 a:smtp.lone.example +all", {}, "bad", "anybody"),
     ("v=spf1 all", {}, "bad", "anybody"), ("v=spf1 -all\nv=spf1 mx -all", {}, "bad", "several"),
     ("v=spf1 a:smtp.lone.example -all", {"bounce_domain": "bounce.else.example"}, "bad", "does not align"),
     ("v=spf1 a:smtp.lone.example -all", {"bounce_domain": "bounce.lone.example"}, "good", "aligns")],
)  # fmt: skip
def test_spf_says_what_it_makes_of_our_server(record, config, state, words):
    verdict = alignment.spf(made(**config), parse(record), {})
    assert verdict.state == state and words in verdict.words


def test_spf_is_told_what_to_publish_without_losing_what_is_there():
    verdict = alignment.spf(made(), parse("v=spf1 mx ~all"), {})
    assert verdict.publish == ("mail.lone.example", "v=spf1 mx a:smtp.lone.example ~all")
    assert alignment.spf(made(), parse(""), {}).publish[1] == "v=spf1 a:smtp.lone.example ~all"
    included = Records(("v=spf1 include:x ~all",), included=("v=spf1 ip4:192.0.2.1 -all",), addresses=("192.0.2.1",))
    assert alignment.spf(made(), included, {}).state == "good"
    strict = {"aspf": "s"}
    assert (
        alignment.spf(made(bounce_domain="b.lone.example"), parse("v=spf1 a:smtp.lone.example"), strict).state == "bad"
    )


def test_dkim_and_dmarc_are_judged_together():
    key = {"dkim_selector": "s1", "dkim_public": DKIM}
    assert states("v=DMARC1; p=reject") | {"SPF": ""} == {
        "SPF": "",
        "DKIM": "bad",
        "DMARC": "bad",
        "Bulk sending": "bad",
    }
    assert states(f"{DKIM}\nv=DMARC1; p=reject", **key)["DMARC"] == "good"
    assert states(f"{DKIM}\nv=DMARC1; p=none", **key)["DMARC"] == "warning"
    assert states(f"v=DKIM1; p={'B' * 60}\nv=DMARC1; p=reject", **key)["DKIM"] == "bad"
    assert states("v=DKIM1; p=\nv=DMARC1; p=what", **key) | {"SPF": ""} == {
        "SPF": "", "DKIM": "bad", "DMARC": "bad", "Bulk sending": "bad",
    }  # fmt: skip
    good = f"v=spf1 a:smtp.lone.example -all\n{DKIM}\nv=DMARC1; p=quarantine"
    assert set(states(good, **key).values()) == {"good"}
    assert states("v=DMARC1; p=none\nv=DMARC1; p=reject")["DMARC"] == "bad"


@pytest.mark.parametrize(
    ("domain", "registered"),
    [("a.b.example.com", "example.com"), ("mail.lone.co.uk", "lone.co.uk"), ("example.com", "example.com"), ("x.de", "x.de"),
     ("mail.co.uk", "mail.co.uk"), ("EXAMPLE.Com.", "example.com"), ("", "")],
)  # fmt: skip
def test_the_registered_domain_is_known(domain, registered):
    assert organizational(domain) == registered


def test_records_are_kept_with_the_sender_and_survive_its_form(cast, tx):
    with tx():
        sender = senders.save_smtp(None, GOOD)
        record = dkim_signing.make_key(sender, "s1")
        assert alignment.of(sender) == []
        alignment.save_pasted(sender, f"v=spf1 a:smtp.lone.example -all\n{record.text}\nv=DMARC1; p=reject")
        senders.save(sender, {"name": "Renamed"})
        assert [v.state for v in alignment.of(sender)] == ["good"] * 4
        for junk in ("hello", "x" * 20_001):
            with pytest.raises(Invalid):
                alignment.save_pasted(sender, junk)
        alignment.save_pasted(sender, " ")
        assert alignment.of(sender) == []
        with pytest.raises(Refused):
            alignment.save_pasted(Sender(channel="sms"), "v=spf1 -all")


@pytest.fixture
def name_server(monkeypatch):
    """A name server on loopback that knows a few names, is silent about others, and is the one this machine asks."""
    known: dict[tuple[str, str], list[str]] = {}
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, peer = sock.recvfrom(4096)
            except OSError:
                return
            query = dns.message.from_wire(raw)
            asked = query.question[0]
            name, kind = asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)
            if name.startswith("silent"):
                continue
            answer = dns.message.make_response(query)
            if texts := known.get((name, kind)):
                answer.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", kind, texts))
            sock.sendto(answer.to_wire(), peer)

    threading.Thread(target=serve, daemon=True).start()

    def local(*_args, **_kwargs):
        resolver = real(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], sock.getsockname()[1]
        return resolver

    real = dns.resolver.Resolver
    monkeypatch.setattr(dns_records.dns.resolver, "Resolver", local)
    yield known
    sock.close()


def test_dns_is_asked_and_what_it_says_is_judged(cast, tx, name_server):
    with tx():
        sender = senders.save_smtp(None, GOOD)
        public = dkim_signing.make_key(sender, "s1").text
        name_server[("mail.lone.example", "TXT")] = ['"v=spf1 include:spf.big.example -all"', '"some other text"']
        name_server[("spf.big.example", "TXT")] = ['"v=spf1 include:spf.big.example ip4:192.0.2.0/24 -all"']
        name_server[("smtp.lone.example", "A")] = ["192.0.2.44"]
        halves = f'"{public[:200]}" "{public[200:]}"'
        name_server[("s1._domainkey.mail.lone.example", "TXT")] = [halves]
        name_server[("_dmarc.lone.example", "TXT")] = ['"v=DMARC1; p=reject"']
        alignment.look_up(sender)
        assert [v.state for v in alignment.of(sender)] == ["good"] * 4


@pytest.mark.timeout(30)
def test_dns_that_is_silent_is_waited_for_no_longer_than_it_may(cast, tx, name_server):
    with tx():
        sender = senders.save_smtp(None, GOOD | {"address": "hello@silent.example"})
        with pytest.raises(Refused, match="DNS did not answer"):
            alignment.look_up(sender)
        assert "dns" not in sender.config
