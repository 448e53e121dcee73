"""SMS: what it costs, what it says, where its links lead, and that everybody gets a way out."""

import re
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from minijinja import TemplateError

from tests.messaging.letters import SIGNER, head, row
from webapp.messaging import texting, tokens
from webapp.messaging.compose import Bodies
from webapp.messaging.texting import GSM, GSM_EXTENSION, OPT_OUT, TextComposer, segments, trackable_text

PHONE = "+14152000000"
ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
TOKEN = re.compile(r"https://desk\.example/(?:u|t/c|p)/[0-9a-f]+")


def composer(text: str, link_ids: dict[str, int] | None = None) -> TextComposer:
    return TextComposer(Bodies("", "", "", text), head(), SIGNER, link_ids or {})


def said(text: str, link_ids: dict[str, int] | None = None, **changed) -> str:
    return composer(text, link_ids).build(row(recipient_address=PHONE, **changed)).body


def test_a_message_is_complete():
    made = composer("Hi {{ first_name }}, reply STOP to end").build(row(recipient_address=PHONE))
    assert (made.send_id, made.recipient, made.body) == (42, PHONE, "Hi Ada, reply STOP to end")
    assert SIGNER.unpack("message", made.opaque) == (7, 42)
    assert made.status_callback == ""


@pytest.mark.parametrize(
    ("text", "appended"),
    [
        ("Hello", True), ("Hello STOP", False), ("Please stop by", True), ("NONSTOP", True), ("Text STOP.", False),
        ("Out: {{ unsubscribe_url }}", False), ("{% if city %}STOP{% endif %}", False), ("{{ 'STOP' }}", True),
        ("{% if first_name == 'Bo' %}STOP to end{% endif %} Hi", True), ("{{ first_name }}", True),
    ],
)  # fmt: skip
def test_everybody_gets_a_way_out(text, appended):
    assert said(text, first_name="STOP").endswith(OPT_OUT) == appended
    if "{%" not in text:
        assert texting.with_way_out(text).endswith(OPT_OUT) == appended


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("See https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/x)", ["https://a.example/x"]),
        ("https://a.example/x_(y) and http://b.example", ["https://a.example/x_(y)", "http://b.example"]),
        ("https://a.example/?s={{ state }}, https://a.example/?s={{ state }}", ["https://a.example/?s={{ state }}"]),
        ("https://a.example/{{ policy_number }}", []),
        ("https://{{ city }}/x", []),
        ("{{ unsubscribe_url }} {{ 'https://a.example' }}", []),
        ("{% if city %}https://a.example{% endif %} x", ["https://a.example"]),
        ("{% if city %}https://a.example{% else %}https://b.example{% endif %}", ["https://a.example", "https://b.example"]),
        ("https://a.example/{% if city %}x{% endif %}", []),
        ("https://a.example/{# no #}x", ["https://a.example/{# no #}x"]),
        ("ftp://a.example www.a.example", []),
    ],
)  # fmt: skip
def test_links_are_found_as_written(text, links):
    assert trackable_text(text) == links
    shown = said(text + " STOP", {link: n for n, link in enumerate(links, 1)}, city="Austin", state="a b")
    assert len(re.findall(r"/t/c/[0-9a-f]+(?![0-9a-z])", shown)) >= len(links) - text.count("{% else")
    for link in links:
        assert "{{" in link or link + " " not in shown


def test_a_link_carries_its_send():
    shown = said("Look: https://a.example/x. STOP", {"https://a.example/x": 3})
    token = re.fullmatch(r"Look: https://desk\.example/t/c/([0-9a-f]+)\. STOP", shown)[1]
    assert SIGNER.unpack("click", token) == (7, 42, 3)


@pytest.mark.parametrize(
    "address", ["", "4152000000", "+0415", "+1415x", "+1415200\n0000", "ada@example.com", "+" + "1" * 16]
)
def test_what_is_no_number_is_not_written_to(address):
    with pytest.raises(ValueError, match="not a phone number"):
        composer("Hi").build(row(recipient_address=address))


def test_what_cannot_be_said_is_refused():
    for text, words in (("{{ city }}", "empty"), ("x" * 1601, "1,600"), ("{{ first_name|money }}", "not an amount")):
        with pytest.raises((ValueError, TemplateError), match=words):
            said(text, city=None)


def gsm_reference(text: str) -> list[str]:
    """Cuts a text of GSM letters into its segments, letter by letter."""
    size = {letter: 2 if letter in GSM_EXTENSION else 1 for letter in text}
    if sum(size[letter] for letter in text) <= 160:
        return [text] if text else []
    parts = [""]
    for letter in text:
        if sum(size[each] for each in parts[-1]) + size[letter] > 153:
            parts.append("")
        parts[-1] += letter
    return parts


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from(sorted(GSM | GSM_EXTENSION)), max_size=520))
def test_gsm_letters_are_counted_in_septets(text):
    found = segments(text)
    assert found.encoding == "GSM-7"
    assert found.characters == len(text) + sum(letter in GSM_EXTENSION for letter in text)
    assert found.segments == len(gsm_reference(text))
    assert found.segments - 2 <= found.characters / 153 <= found.segments * 160 / 153


@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=240))
def test_other_letters_are_counted_in_units_of_utf_16(text):
    assume(any(letter not in GSM and letter not in GSM_EXTENSION for letter in text))
    found, units = segments(text), len(text.encode("utf-16-le")) // 2
    assert (found.encoding, found.characters) == ("UCS-2", units)
    parts = [""]
    for letter in text:
        if units > 70 and len((parts[-1] + letter).encode("utf-16-le")) // 2 > 67:
            parts.append("")
        parts[-1] += letter
    assert found.segments == len(parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 0, 0)), ("a" * 160, ("GSM-7", 160, 1)), ("a" * 161, ("GSM-7", 161, 2)), ("a" * 306, ("GSM-7", 306, 2)),
        ("a" * 307, ("GSM-7", 307, 3)), ("€" * 80, ("GSM-7", 160, 1)), ("€" * 81, ("GSM-7", 162, 2)),
        ("a" * 152 + "€" + "a" * 153, ("GSM-7", 307, 3)), ("ç", ("UCS-2", 1, 1)), ("ä" * 160, ("GSM-7", 160, 1)),
        ("ж" * 70, ("UCS-2", 70, 1)), ("ж" * 71, ("UCS-2", 71, 2)), ("😀" * 35, ("UCS-2", 70, 1)), ("😀" * 36, ("UCS-2", 72, 2)),
        ("ж" * 66 + "😀" + "ж" * 66, ("UCS-2", 134, 3)), ("’", ("UCS-2", 1, 1)),
    ],
)  # fmt: skip
def test_segments_at_their_edges(text, expected):
    assert segments(text) == expected


@settings(max_examples=400, deadline=None)
@given(ANY, ANY)
def test_a_lead_of_any_name_gets_a_readable_text(first_name, city):
    shown = said("Hi {{ first_name }} of {{ city }}\nsee https://a.example/x", {"https://a.example/x": 1},
                 first_name=first_name, city=city)  # fmt: skip
    assert shown.startswith("Hi") and "\0" not in shown
    assert all(letter == "\n" or letter.isprintable() or ord(letter) > 0x9F for letter in shown)
    assert "https://a.example" not in shown.replace(first_name, "").replace(city, "")
    assert OPT_OUT in shown or "STOP" in first_name + city


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["https://a.example/x", "http://b.example", "{{ city }}", "{% if city %}", "{% endif %}", ".", ")", "(", " ",
             "{# c #}", "é", "?q=", "{{ 'https://c.example' }}", "{% else %}", "\n"]
        ),
        max_size=9,
    )
)  # fmt: skip
def test_counting_a_link_changes_nothing_else(pieces):
    text = "".join(pieces)
    try:
        plain = said(text + " STOP", city="Austin")
        links = trackable_text(text)
    except TemplateError:
        return
    ids = {link: n for n, link in enumerate(links, 1)}
    tracked = said(text + " STOP", ids, city="Austin")
    rest = re.sub(r"https://desk\.example/t/c/([0-9a-f]+?)(?=[^0-9a-f]|$)", lambda m: _url(m[1], ids), tracked)
    assert rest == plain


def test_ten_thousand_texts_of_odd_letters_are_built_and_counted():
    chance, made = Random(5), composer("Hi {{ first_name }}, see https://a.example/x?c={{ city }}")
    letters = [*GSM, *GSM_EXTENSION, *map(chr, range(256)), *"жλ😀’\u202e\u2028\ud7ff{%}#|", "{{", "%}"]
    for n in range(10_000):
        name = "".join(chance.choices(letters, k=chance.randrange(0, 90)))
        body = made.build(row(id=n, recipient_address=PHONE, first_name=name)).body
        assert body.startswith("Hi") and (body.endswith(OPT_OUT) or len(body) > 0)
        found = segments(body)
        units = sum(2 if each in GSM_EXTENSION else 1 for each in body)
        if found.encoding == "UCS-2":
            units = len(body.encode("utf-16-le")) // 2
        limit, joined = (160, 153) if found.encoding == "GSM-7" else (70, 67)
        assert found.characters == units and found.segments >= -(-units // joined if units > limit else -1)


def _url(token: str, ids: dict[str, int]) -> str:
    _, _, link_id = SIGNER.unpack("click", token)
    written = next(link for link, n in ids.items() if n == link_id)
    return tokens.environment().render_str(written, city="Austin")
