"""Messages: built by splicing, read back with the standard library. Whatever people typed, the headers are the intended
ones, the bodies are what was rendered, and the bytes may go over the wire."""

import email.policy
import re
import unicodedata
from dataclasses import dataclass
from email.errors import MultipartInvariantViolationDefect
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from email.utils import parseaddr
from html import unescape

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.messaging.letters import HTML, SIGNER, TEXT, body, check_wire, composer, head, received, row
from webapp.messaging.compose import Bodies, Composer, trackable
from webapp.messaging.headers import Unsendable, carried

HEADERS = [
    "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "From", "List-Id", "List-Unsubscribe-Post", "MIME-Version",
    "Content-Type",
]  # fmt: skip
WITH_REPLY = [*HEADERS[:6], "Reply-To", *HEADERS[6:]]
NASTY = (
    "\r", "\n", "\r\n", "\0", "\x0b", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\r\nBcc: all@example.com", "\r\n\r\n<b>",
    "=?utf-8?q?=42cc?=", "=?", "?=", '"', "\\", ",", ";", ":", "<", ">", "(", ")", "@", ".", "é", "ß", "東京", "😀", "👨‍👩‍👧", "🫨",
    "\u00a0", "  ", "\t", "'", "Ada", "Lopez", "x" * 70, "é" * 70,
)  # fmt: skip
anything = st.lists(st.sampled_from(NASTY), max_size=12).map("".join) | st.text(max_size=120)
atoms = st.text("abcxyzABC0189!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=12)
addresses = st.lists(atoms, min_size=1, max_size=3).map(lambda parts: ".".join(parts) + "@mail.example.com")
lines = st.lists(st.sampled_from((".", "..", ". x", "\r\n", "\n", "\r", "=", "=3D", " ", "\t", "é", "x" * 500, "😀" * 99,
                                  "-- ", "--=_", "From ", "\0", "\x0c", "word ", "")), max_size=25).map("".join)  # fmt: skip
many = settings(max_examples=250, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def shown(text: str) -> str:
    """What of a text can stand in a header: one line, no controls, nothing that turns the direction round."""
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return " ".join(
        "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in turning else c for c in text).split()
    )


def mailbox(message, header: str) -> tuple[str, str]:
    # By the older parser: the newer one of Python 3.11 puts spaces between the encoded words of a long name.
    name, address = parseaddr(message[header])
    return str(make_header(decode_header(name))), address


MESSAGES = 4  # built from the strings of one example
STRINGS = 10_000  # subjects, names of senders and recipients, and header values, altogether


@dataclass
class Tally:
    strings: int = 0
    messages: int = 0


def check_headers(subject: str, name: str, sender: str, own: str, reply_to: str) -> None:
    """Builds a message with these strings in its headers and reads it back: exactly the intended headers, the values as
    they were given but for their spaces."""
    made = composer(subject="{{ first_name }}{{ attributes.own }}", from_name=sender, company=own, reply_to=reply_to)
    message = made.build(
        row(first_name=subject, recipient_name=name, recipient_address=reply_to, attributes={"own": own})
    )
    check_wire(message.data)
    top, _, rest = message.data.partition(b"\r\n\r\n")
    # Where the headers end the body begins, and nothing of what was typed stands between them.
    assert rest.startswith(f"--{made.boundary}\r\nContent-Type: text/plain".encode())
    parsed = BytesHeaderParser(policy=email.policy.default).parsebytes(top)
    old = BytesHeaderParser().parsebytes(top)
    assert parsed.keys() == old.keys() == WITH_REPLY
    values = dict(parsed.items())
    assert values["Subject"] == shown(subject + own)
    for header, expected, at in (("To", name, reply_to), ("From", sender, "hello@lone.example")):
        assert mailbox(old, header) == (shown(expected), at)
    assert values["Reply-To"] == reply_to == message.recipient
    assert values["Message-ID"] == message.message_id and values["List-Id"] == "<lone-star.lone.example>"
    # Of headers alone an older Python says that the parts are missing.
    missing = [defect for defect in parsed.defects if not isinstance(defect, MultipartInvariantViolationDefect)]
    assert not missing and not any(value.defects for value in values.values())


def test_the_headers_are_the_intended_ones_whatever_people_typed():
    tally = Tally()
    each = st.lists(st.tuples(anything, anything, anything, anything), min_size=MESSAGES, max_size=MESSAGES)

    @settings(
        max_examples=STRINGS // MESSAGES // 4 + 25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(given_strings=each, address=addresses)
    def every(given_strings, address):
        for strings in given_strings:
            check_headers(*strings, address)
            tally.strings += len(strings)
            tally.messages += 1

    every()
    print(f"\n{tally.strings:,} strings in the headers of {tally.messages:,} messages: no header more, none less")
    assert tally.strings >= STRINGS


@pytest.mark.parametrize(
    "strings",
    [
        ("👨‍👩‍👧 🫨 family", "=?utf-8?q?x?=", 'A "B" C, Inc.', "a\r\nb", "a.b@mail.example.com"),
        ("é" * 500, "😀" * 400, "ü" * 400, "x", "a@mail.example.com"),
        ("Hi\r\nBcc: all@example.com", "Ada\r\n\r\n<b>", "Desk\nTo: x@y.example", "\r\n.\r\nMAIL FROM:<>", "a@mail.example.com"),
        ("\r\n" * 40, "\0" * 40, "\u2028" * 40, "\x85", "a@mail.example.com"),
        ("", "", "", "", "a@mail.example.com"),
    ],
)  # fmt: skip
def test_what_would_break_headers_stands_in_them_as_text(strings):
    check_headers(*strings)


@many
@given(text=lines | st.text(max_size=300), html=lines | st.text(max_size=300))
@example(text=".\r\n..\r\n.", html="\n.\n")
@example(text="x" * 5000, html="é\r" * 3000)
@example(text="trailing \t\nspace \n ", html=" ")
def test_the_bodies_are_what_was_rendered(text, html):
    made = composer(text="{{ first_name }}{{ unsubscribe_url }}", html="{{ last_name|safe }}{{ unsubscribe_url }}")
    recipient = row(first_name=text, last_name=html)
    parsed = received(made.build(recipient))
    _, page, plain = made.render(recipient)
    assert text in plain and html in page
    assert body(parsed, "plain") == plain.replace("\r\n", "\n").replace("\r", "\n")
    assert body(parsed, "html") == page.replace("\r\n", "\n").replace("\r", "\n")


def test_a_whole_message_reads_as_it_was_meant():
    made = composer(subject="Hi {{ first_name }}", reply_to="desk@lone.example", preview="Only today")
    parsed = received(made.build(row(recipient_name="Åda Lopez")))
    assert (parsed["Subject"], parsed["To"], parsed["Reply-To"]) == (
        "Hi Ada", "Åda Lopez <ada@example.com>", "desk@lone.example",
    )  # fmt: skip
    assert parsed["From"] == "Lone Star Insurance <hello@lone.example>"
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert parsed.get_content_type() == "multipart/alternative"
    assert body(parsed, "plain").startswith("Hello Ada\n\nhttps://desk.example/u/")
    assert "Hello Ada</p>" in body(parsed, "html")


def test_one_click_unsubscribing_and_the_list_have_their_headers():
    parsed = received(composer().build(row()))
    token = re.fullmatch(r"<https://desk\.example/u/([0-9a-f]+)>", parsed["List-Unsubscribe"])[1]
    assert SIGNER.unpack("unsubscribe", token) == (7, 42)
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert parsed["List-Id"] == "<lone-star.lone.example>"


def test_message_ids_are_the_same_each_time_and_bounces_name_their_send():
    first, again, other = composer().build(row()), composer().build(row()), composer().build(row(id=43))
    assert first.message_id == again.message_id != other.message_id
    assert received(first)["Message-ID"] == first.message_id
    local, _, domain = first.mail_from.partition("@")
    assert SIGNER.unpack("bounce", local.removeprefix("bounce-")) == (7, 42)
    assert domain == "lone.example" and len(local) <= 64


def test_values_are_escaped_in_html_and_nowhere_else():
    nasty = "<script>alert('x')</script> & \"Co\""
    made = composer(subject="{{ first_name }}", company=nasty, text="{{ first_name }}", html="<p>{{ first_name }}</p>")
    parsed = received(made.build(row(first_name=nasty)))
    assert parsed["Subject"] == nasty
    assert body(parsed, "plain").startswith(nasty) and body(parsed, "plain").count(nasty) == 2
    assert "<script>" not in body(parsed, "html") and body(parsed, "html").count("&lt;script&gt;") == 2


def test_a_missing_value_is_nothing_and_takes_its_default():
    wanted = '{{ first_name|default("friend") }}/{{ city|upper }}/{{ attributes.a.b }}/{{ phone }}/{{ policy_number }}'
    made = composer(subject=wanted)
    parsed = received(made.build(row(first_name=None, last_name=None, city=None), {"policy_number": None}))
    assert parsed["Subject"] == "friend////"


def test_only_web_links_are_tracked():
    html = (
        '<a href="https://a.example/?x=1&amp;y=2">A</a> <a class=b href=\'HTTP://b.example\'>B</a> <a href="mailto:x@y.z">C</a>'
        '<a href="{{ unsubscribe_url }}">D</a> <a href="{{ view_url }}">E</a> <a href="#top">F</a> <a href="tel:1">G</a>'
        '<a href="https://{{ policy_number }}.example">H</a> <a href="javascript:x()">I</a><link href="https://l.example">'
    )
    urls = trackable(html)
    assert urls == ["https://a.example/?x=1&y=2", "HTTP://b.example"]
    page = body(received(composer(html, link_ids={urls[0]: 3, urls[1]: 4}).build(row())), "html")
    found = dict(zip("ABCDEFGHI", re.findall(r'<a[^>]* href=["\'](.*?)["\']', page), strict=True))
    for name, link_id in (("A", 3), ("B", 4)):
        address = found[name].replace("&#x2f;", "/")
        assert address.startswith("https://desk.example/t/c/")
        assert SIGNER.unpack("click", address.rpartition("/")[2]) == (7, 42, link_id)
    assert found["C"] == "mailto:x@y.z" and "&#x2f;u&#x2f;" in found["D"] and "&#x2f;v&#x2f;" in found["E"]


def test_links_may_hold_tokens_with_quotes_of_their_own():
    html = '<a title="x" href="https://a.example/?s={{ state|default("none") }}&amp;c=\n{{ city }}">A</a>'
    (url,) = trackable(html)
    assert url == 'https://a.example/?s={{ state|default("none") }}&c={{ city }}'
    page = body(received(composer(html, link_ids={url: 9}).build(row())), "html")
    assert re.search(r'<a title="x" href="https:&#x2f;&#x2f;desk\.example[^"]+">A</a>', page)
    untracked = body(received(composer(html).build(row())), "html")
    assert 'href="https://a.example/?s=TX&amp;c=\nAustin"' in untracked


def test_links_that_no_click_could_fill_in_again_are_left_alone():
    assert trackable('{% for x in attributes.all %}<a href="https://a.example/{{ x }}">A</a>{% endfor %}') == []
    assert trackable('<a href="https://a.example/' + "x" * 2000 + '">A</a>') == []
    for place in ("https://{{ attributes.site }}/", "https://a.{{ city }}", "https://", "https:///x", "//a.example"):
        assert trackable(f'<a href="{place}">A</a>') == []


def test_fragments_become_pages_and_pages_stay_pages():
    fragment = body(received(composer("<p>Hi</p>", preview="Look & see").build(row())), "html")
    page = body(
        received(composer("<HTML><BODY class=x><p>İİ Hi</p></BODY></HTML>", preview="Look").build(row())), "html"
    )
    assert (
        fragment.startswith("<!doctype html>")
        and fragment.count("<body") == 1
        and "Look &amp; see</div><p>Hi" in fragment
    )
    assert re.match(r"<HTML><BODY class=x><div style=\"display:none[^>]*>Look</div><p>İİ Hi</p>", page)
    for made in (fragment, page):
        assert re.search(r'<img src="https:&#x2f;&#x2f;desk\.example&#x2f;t&#x2f;o[^"]*\.gif"[^>]*></body>', made, re.I)
        token = re.search(r"t&#x2f;o&#x2f;([0-9a-f]+)\.gif", made)[1]
        assert SIGNER.unpack("open", token) == (7, 42)


@pytest.mark.parametrize(("html", "text", "footers"), [("<p>x</p>", "x", 1), (HTML, TEXT, 0)])
def test_a_way_out_is_added_where_the_author_wrote_none(html, text, footers):
    parsed = received(composer(html, text).build(row()))
    assert body(parsed, "html").count("&middot;") == footers and body(parsed, "plain").count("\n--\n") == footers
    assert body(parsed, "html").count("desk.example&#x2f;u&#x2f;") == 1
    assert body(parsed, "plain").count("https://desk.example/u/") == 1


@pytest.mark.parametrize(
    ("address", "wire"),
    [("ada@exämple.de", "ada@xn--exmple-cua.de"), ("a+b@x.de", "a+b@x.de"), ("o'neil@x.ie", "o'neil@x.ie")],
)
def test_addresses_go_out_as_the_wire_has_them(address, wire):
    message = composer().build(row(recipient_address=address))
    assert message.recipient == wire == received(message)["To"].addresses[0].addr_spec


@pytest.mark.parametrize(
    "address",
    ["jörg@x.de", '"a b"@x.de', "a@x.de>\r\nRCPT TO:<b@x.de", "a b@x.de", "", "ada", "a@", "@x.de", "a@x.de\n", "a\0@x.de",
     "<a@x.de>", "a,b@x.de", "a@x.de, b@x.de", "a@" + "x" * 300 + ".de", "a@x de"],
)  # fmt: skip
def test_an_address_e_mail_cannot_carry_is_refused_by_name(address):
    with pytest.raises(Unsendable, match="e-mail cannot carry the address"):
        composer().build(row(recipient_address=address))
    with pytest.raises(Unsendable):
        carried(address)


def test_a_template_that_cannot_be_filled_in_for_somebody_says_so():
    made = composer(subject="{{ attributes.premium|money }}")
    assert received(made.build(row(attributes={"premium": "1,200.5"})))["Subject"] == "1,200.50"
    with pytest.raises(ValueError, match="'a lot' is not an amount"):
        made.build(row(attributes={"premium": "a lot"}))


def test_a_message_may_lead_to_the_choices_of_its_lead():
    html = '<a href="{{ preferences_url }}">Choose</a><a href="{{ unsubscribe_url }}">Leave</a>'
    page = unescape(composer(html).render(row())[1])
    assert f'href="https://desk.example/p/{SIGNER.pack("preferences", 7, 5)}"' in page
    assert "/p/" not in composer().render(row())[1]


def test_who_has_not_agreed_yet_is_not_followed():
    bodies = Bodies("Hi", "", "<p>Hello</p>", "Hello")
    assert "/t/o/" not in unescape(Composer(bodies, head(), SIGNER, pixel=False).render(row())[1])
    assert "/t/o/" in unescape(Composer(bodies, head(), SIGNER).render(row())[1])
