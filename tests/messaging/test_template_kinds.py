"""Templates of SMS, WhatsApp and several channels: what each must say, which channels it can be sent over, and when not."""

import pytest

from tests.messaging.desk import LETTER
from webapp.messaging import templates
from webapp.platform.db import one, run, value
from webapp.platform.errors import Invalid

WHATSAPP = {
    "name": "renewal_notice", "language": "en_US", "category": "UTILITY", "status": "APPROVED",
    "body": "Hello {{1}}, your policy {{2}} renews soon.",
    "parameters": ['{{ first_name|default("there", true) }}', "{{ policy_number }}"],
}  # fmt: skip
OF_KIND = {
    "email": LETTER,
    "sms": {"text_content": "Hi {{ first_name }}, your policy renews soon."},
    "whatsapp": {"whatsapp": WHATSAPP},
    "multi_channel": LETTER | {"text_content": "Renew soon", "whatsapp": WHATSAPP},
}


def made(kind: str, **values):
    return templates.save(None, OF_KIND[kind] | {"name": f"A {kind}", "template_type": kind} | values)


def refused(kind: str, **values) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        made(kind, **values)
    return caught.value.errors


@pytest.mark.parametrize("kind", OF_KIND)
def test_each_kind_keeps_what_it_says_and_nothing_else(cast, tx, kind):
    with tx():
        template = made(kind, subject_line="Hi {{ first_name }}", text_content="Renew soon")
        assert template.template_type == kind
        assert bool(template.html_content) == (kind in ("email", "multi_channel"))
        assert (template.text_content == "Renew soon") == (kind != "whatsapp")
        assert (template.whatsapp is not None) == (kind in ("whatsapp", "multi_channel"))
        version = templates.latest_version(template)
        assert (version.text_content, version.whatsapp) == (template.text_content, template.whatsapp)


def test_tokens_of_the_numbered_places_are_the_templates_too(cast, tx):
    with tx():
        assert made("whatsapp").available_tokens == ["first_name", "policy_number"]


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("sms", {"text_content": " "}, "text_content"), ("sms", {"text_content": "x" * 1601}, "text_content"),
        ("sms", {"text_content": "{{ nobody }}"}, "text_content"),
        ("whatsapp", {"whatsapp": None}, "whatsapp.name"), ("whatsapp", {"whatsapp": {}}, "whatsapp.body"),
        ("whatsapp", {"whatsapp": WHATSAPP | {"name": "With Spaces"}}, "whatsapp.name"),
        ("whatsapp", {"whatsapp": WHATSAPP | {"status": "LOVED"}}, "whatsapp.status"),
        ("whatsapp", {"whatsapp": WHATSAPP | {"parameters": ["one"]}}, "whatsapp.parameters"),
        ("multi_channel", {"html_content": "", "text_content": "", "whatsapp": None}, "html_content"),
        ("multi_channel", {"subject_line": ""}, "subject_line"),
        ("multi_channel", {"whatsapp": WHATSAPP | {"body": ""}}, "whatsapp.body"),
        ("email", {"template_type": "pigeon"}, "template_type"), ("email", {"template_type": "drip"}, "template_type"),
    ],
)  # fmt: skip
def test_what_a_kind_cannot_send_is_refused_at_its_field(cast, tx, kind, values, field):
    with tx():
        assert field in refused(kind, **values)
        assert value("SELECT count(*) FROM templates") == 0


def test_a_template_stays_the_kind_it_was_made_as(cast, tx):
    with tx():
        template = made("sms")
        with pytest.raises(Invalid) as caught:
            templates.save(template, LETTER | {"name": "A letter", "template_type": "email"})
        assert "template_type" in caught.value.errors
        assert templates.save(template, {"name": "Renamed", "text_content": "Hello"}).template_type == "sms"


@pytest.mark.parametrize(
    ("left_out", "channels"),
    [({}, ["email", "sms", "whatsapp"]), ({"html_content": "", "subject_line": ""}, ["sms", "whatsapp"]),
     ({"text_content": ""}, ["email", "whatsapp"]), ({"whatsapp": None}, ["email", "sms"])],
)  # fmt: skip
def test_several_channels_count_where_their_body_is_there(cast, tx, left_out, channels):
    with tx():
        template = made("multi_channel", **left_out)
        assert templates.channels_of(template) == channels
        for channel in ("email", "sms", "whatsapp"):
            assert (template in templates.usable(channel)) == (channel in channels)


def test_plain_text_made_from_html_is_no_sms(cast, tx):
    with tx():
        template = made("multi_channel", text_content="")
        assert template.text_is_derived and template.text_content
        assert template not in templates.usable("sms")


def test_each_channel_is_offered_its_own(cast, tx):
    with tx():
        every = {kind: made(kind) for kind in OF_KIND}
        for channel in ("email", "sms", "whatsapp"):
            assert set(templates.usable(channel)) == {every[channel], every["multi_channel"]}
        run("UPDATE templates SET hold_reason = 'Refused there.', is_active = template_type <> 'sms'")
        assert [t.template_type for t in templates.usable("sms")] == ["multi_channel"]


def test_what_hinders_a_template_is_said(cast, tx):
    with tx():
        template = made("multi_channel", whatsapp=WHATSAPP | {"status": "PENDING"})
        assert templates.hindrance(template, ["email", "sms"]) is None
        assert "not approved" in templates.hindrance(template, ["sms", "whatsapp"])
        assert "no message for WhatsApp" in templates.hindrance(made("sms"), ["sms", "whatsapp"])
        template.hold_reason = "Its words changed there."
        assert "held: Its words changed" in templates.hindrance(template, ["email"])


def test_a_hold_is_lifted_by_a_person_and_noted(cast, tx):
    with tx():
        template = made("whatsapp")
        template.hold_reason = "Paused there."
        assert templates.let_go_on(template.id)
        assert template.hold_reason is None and not templates.let_go_on(template.id)
        noted = one("SELECT before FROM audit_log WHERE action = 'template.released'")
        assert noted.before == {"hold_reason": "Paused there."}


def test_an_approval_is_no_new_version_and_another_word_is(cast, tx):
    with tx():
        template = made("whatsapp", whatsapp=WHATSAPP | {"status": "PENDING"})
        templates.save(template, {"name": "A", "whatsapp": WHATSAPP})
        assert template.whatsapp["status"] == "APPROVED" and templates.latest_version(template).number == 1
        templates.save(template, {"name": "A", "whatsapp": WHATSAPP | {"body": "Hello {{1}}, {{2}} renews."}})
        assert templates.latest_version(template).number == 2
