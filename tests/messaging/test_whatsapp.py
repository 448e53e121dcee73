"""WhatsApp templates: what is refused when one is saved, and messages that the Cloud API takes whatever people are called."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messaging.letters import SIGNER, head, row
from webapp.messaging import whatsapp
from webapp.messaging.whatsapp import TemplateComposer

PHONE = "+14152000000"
RENEWAL = {
    "name": "renewal_reminder", "language": "en_US", "category": "MARKETING", "header": "Your policy",
    "body": "Hello {{1}}, policy {{2}} renews. Thank you, {{1}}.", "footer": "Lone Star",
    "parameters": ["{{ first_name|default('there', true) }}", "{{ policy_number }}"],
    "buttons": [{"type": "url", "text": "Renew", "url": "https://x.example/{{1}}", "parameter": "{{ policy_number }}"},
                {"type": "quick_reply", "text": "Call me"}],
}  # fmt: skip


def build(changed=None, extra=None, **of_lead):
    made = TemplateComposer(RENEWAL | (changed or {}), head(), SIGNER)
    return made.build(row(recipient_address=PHONE, **of_lead), {"policy_number": "L-1"} if extra is None else extra)


def test_a_message_is_complete():
    made = build()
    assert (made.send_id, made.recipient, made.name, made.language) == (42, "14152000000", "renewal_reminder", "en_US")
    text = lambda value: {"type": "text", "text": value}  # noqa: E731
    assert made.components == [
        {"type": "body", "parameters": [text("Ada"), text("L-1")]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("L-1")]},
    ]
    assert SIGNER.unpack("message", made.opaque) == (7, 42)
    assert made.shown_text == "Your policy\n\nHello Ada, policy L-1 renews. Thank you, Ada.\n\nLone Star"
    assert whatsapp.text(RENEWAL, {"first_name": None, "policy_number": "L-1"}).count("there") == 2
    assert TemplateComposer(RENEWAL, head(), SIGNER).needs == {"first_name", "policy_number"}


def test_a_message_without_parameters_has_no_components():
    made = build({"body": "We moved.", "parameters": [], "buttons": None})
    assert (made.components, made.shown_text) == ([], "Your policy\n\nWe moved.\n\nLone Star")


def test_a_missing_value_is_named():
    with pytest.raises(ValueError, match=r"\{\{2\}\} \(\{\{ policy_number \}\}\) is empty"):
        build(extra={})
    with pytest.raises(ValueError, match="button “Renew”"):
        build({"body": "Hi", "parameters": []}, extra={})
    with pytest.raises(ValueError, match="1,024"):
        build(extra={"policy_number": "x" * 1024})
    for address in ("", "14152000000", "ada@example.com"):
        with pytest.raises(ValueError, match="not a phone number"):
            TemplateComposer(RENEWAL, head(), SIGNER).build(row(recipient_address=address), {"policy_number": "1"})


def test_links_of_the_house_can_stand_in_a_parameter():
    made = build({"body": "Out: {{1}}", "parameters": ["{{ unsubscribe_url }}"], "buttons": []})
    token = made.components[0]["parameters"][0]["text"].removeprefix("https://desk.example/u/")
    assert SIGNER.unpack("unsubscribe", token) == (7, 42)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "Renewal"}, "name"), ({"name": ""}, "name"), ({"name": None}, "name"), ({"name": "a-b"}, "name"),
        ({"language": "English"}, "language"), ({"language": "en-US"}, "language"), ({"language": 5}, "language"),
        ({"category": "marketing"}, "category"), ({"category": None}, "category"), ({"body": ""}, "body"),
        ({"body": "x" * 1025, "parameters": []}, "body"), ({"body": "{{1}} {{3}}"}, "body"), ({"body": "{{2}} {{3}}"}, "body"),
        ({"body": "{{0}} {{1}}"}, "body"), ({"body": "{{ first_name }}"}, "body"), ({"body": "{{1}} {{2}} {{"}, "body"),
        ({"body": "{{１}} {{2}}"}, "body"), ({"body": ["x"]}, "body"), ({"parameters": ["{{ first_name }}"]}, "parameters"),
        ({"parameters": ["{{ nobody }}", "x"]}, "parameters"), ({"parameters": ["{{ first_name", "x"]}, "parameters"),
        ({"parameters": ["", "x"]}, "parameters"), ({"parameters": [1, 2]}, "parameters"), ({"parameters": "ab"}, "parameters"),
        ({"parameters": ["{{ view_url }}", "x"]}, "parameters"), ({"parameters": ["x"] * 99}, "parameters"),
        ({"header": "x" * 61}, "header"), ({"header": "{{1}}"}, "header"), ({"footer": 5}, "footer"),
        ({"buttons": "x"}, "buttons"), ({"buttons": [{"type": "url"}]}, "buttons"), ({"buttons": [5]}, "buttons"),
        ({"buttons": [{"type": "url", "text": "x" * 26}]}, "buttons"), ({"buttons": [{"type": "pay", "text": "x"}]}, "buttons"),
        ({"buttons": [{"type": "url", "text": "x", "url": "javascript:1"}]}, "buttons"),
        ({"buttons": [{"type": "url", "text": "x", "parameter": "{{ no }}"}]}, "buttons"),
    ],
)  # fmt: skip
def test_what_whatsapp_would_not_take_is_told_at_its_field(changed, field):
    assert list(whatsapp.problem(RENEWAL | changed)) == [field]


def test_what_whatsapp_takes_is_taken():
    assert whatsapp.problem(RENEWAL) == {}
    assert whatsapp.problem({"name": "a", "language": "de", "category": "UTILITY", "body": "Hi"}) == {}
    assert whatsapp.problem(None) == {"body": "Write the message."}


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["{{1}}", "{{ city }}", "url"]),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
                        ["name", "language", "category", "body", "parameters", "buttons", "header", "type", "text", "url", "parameter"]),
                        inner, max_size=5), max_leaves=12)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(JSON)
def test_anything_at_all_is_judged(given_json):
    problem = whatsapp.problem(given_json)
    assert all(isinstance(words, str) and words for words in problem.values())
    if not problem:
        TemplateComposer(given_json, head(), SIGNER)


@settings(max_examples=400, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=50),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=50),
)
def test_a_value_of_any_kind_fits_into_its_place(first_name, number):
    try:
        made = build(extra={"policy_number": number}, first_name=first_name)
    except ValueError as problem:
        assert "is empty for this person" in str(problem)
        assert not number.strip() or not first_name.strip() or not number.isprintable() or not first_name.isprintable()
        return
    for component in made.components:
        for parameter in component["parameters"]:
            value = parameter["text"]
            assert value and "\n" not in value and "\t" not in value and "    " not in value
    assert made.shown_text.count(made.components[0]["parameters"][1]["text"]) >= 1
