"""E-mail templates by API, in the house's words and in the seed's, which are two names of the same rows."""

import pytest

from tests.api.client import data, problem
from tests.api.world import TEMPLATE
from webapp.platform.db import rows

SEED = {
    "name": "Welcome Email",
    "slug": "welcome-email",
    "subject": "Welcome to Our Insurance Services, {{ first_name }}!",
    "body_html": "<html><body><h1>Welcome {{ first_name }}!</h1><p>Thank you for your interest.</p></body></html>",
    "body_text": "Welcome {{ first_name }}! Thank you for your interest.",
    "template_type": "marketing",
    "is_active": True,
}
ADDRESSES = ("/templates", "/automations/email-templates")


def test_the_example_of_the_seed_is_kept_as_it_was_given(api):
    made = data(api.post("/automations/email-templates", SEED), 201)
    assert {name: made[name] for name in SEED} == SEED
    assert data(api.get(f"/automations/email-templates/{made['id']}")) == made
    assert data(api.get("/automations/email-templates")) == [made]


def test_both_addresses_show_the_same_rows_in_their_own_words(api):
    made = data(api.post("/automations/email-templates", SEED), 201)
    here = data(api.get(f"/templates/{made['id']}"))
    assert (here["subject_line"], here["html_content"]) == (SEED["subject"], SEED["body_html"])
    assert here["text_content"] == SEED["body_text"]
    assert here["available_tokens"] == ["first_name"]
    data(api.put(f"/templates/{made['id']}", {"subject_line": "Hello"}))
    assert data(api.get(f"/automations/email-templates/{made['id']}"))["subject"] == "Hello"


@pytest.mark.parametrize(("purpose", "category"), [("marketing", "acquisition"), ("transactional", "transactional")])
def test_the_purpose_of_the_seed_is_a_category_here(api, purpose, category):
    made = data(api.post("/automations/email-templates", SEED | {"template_type": purpose}), 201)
    assert made["template_type"] == purpose
    assert data(api.get(f"/templates/{made['id']}"))["category"] == category


def test_plain_text_is_made_from_the_html_and_follows_it(api):
    made = data(api.post("/templates", TEMPLATE), 201)
    assert "Hello" in made["text_content"]
    changed = data(api.put(f"/templates/{made['id']}", {"html_content": "<p>Good morning</p>"}))
    assert changed["text_content"].strip() == "Good morning"


def test_plain_text_of_ones_own_stays(api):
    made = data(api.post("/templates", TEMPLATE | {"text_content": "My own words"}), 201)
    changed = data(api.put(f"/templates/{made['id']}", {"html_content": "<p>Good morning</p>"}))
    assert changed["text_content"] == "My own words"


def test_only_the_fields_given_are_changed(api):
    made = data(api.post("/templates", TEMPLATE | {"description": "First"}), 201)
    renamed = data(api.put(f"/templates/{made['id']}", {"name": "Renamed", "is_active": False}))
    kept = {"name": "Renamed", "is_active": False, "updated_at": renamed["updated_at"]}
    assert renamed == made | kept


def test_every_change_of_the_words_is_a_version_and_no_other_change_is(api, tx):
    made = data(api.post("/templates", TEMPLATE), 201)
    for change in ({"subject_line": "Second"}, {"name": "Renamed"}, {"subject_line": "Second"}):
        data(api.put(f"/templates/{made['id']}", change))
    with tx():
        found = [row.subject_line for row in rows("SELECT subject_line FROM template_versions ORDER BY number")]
    assert found == [TEMPLATE["subject_line"], "Second"]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("name", None),
        ("subject_line", ""),
        ("subject_line", "{{ frist_name }}"),
        ("subject_line", "{{ first_name"),
        ("subject_line", "x" * 501),
        ("preview_text", "{{ nobody }}"),
        ("html_content", " "),
        ("html_content", "{% for i in range(10) %}"),
        ("html_content", "{{ 'x' * 100000000 }}"),
        ("html_content", "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"),
        ("html_content", "x" * 500_001),
        ("text_content", "{{ call_me_url }}"),
        ("category", "gossip"),
        ("is_active", None),
        ("usage_count", 5),
        ("subject", "the other spelling"),
    ],
)
def test_what_a_field_cannot_hold_is_refused_at_it(api, world, field, bad):
    assert set(problem(api.post("/templates", TEMPLATE | {"name": "Bad", field: bad}), 422)) == {field}
    assert set(problem(api.put(f"/templates/{world.template_id}", {field: bad}), 422)) == {field}


@pytest.mark.parametrize(
    ("field", "bad"), [("subject", "{{ nobody }}"), ("body_html", "{{ nobody }}"), ("body_text", "{{ nobody }}"),
                       ("subject", ""), ("body_html", ""), ("template_type", "gossip"), ("html_content", "<p>Hi</p>")]
)  # fmt: skip
def test_older_clients_are_told_in_their_own_words(api, world, field, bad):
    assert set(problem(api.post("/automations/email-templates", SEED | {field: bad}), 422)) == {field}
    assert set(problem(api.put(f"/automations/email-templates/{world.template_id}", {field: bad}), 422)) == {field}


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_needed_is_named(api, address):
    said = problem(api.post(address, {}), 422)
    assert set(said) == ({"name", "subject_line", "html_content"} if address == "/templates" else
                         {"name", "subject", "body_html"})  # fmt: skip


def test_two_templates_do_not_share_a_name(api, world):
    assert set(problem(api.post("/templates", TEMPLATE), 422)) == {"name"}
    assert set(problem(api.post("/templates", TEMPLATE | {"name": "Other", "slug": "welcome"}), 422)) == {"slug"}


@pytest.mark.parametrize("address", ADDRESSES)
def test_deleting_a_template_leaves_the_campaign(api, world, address):
    data(api.delete(f"{address}/{world.template_id}"))
    problem(api.get(f"{address}/{world.template_id}"), 404)
    assert data(api.get(f"/campaigns/{world.campaign_id}"))["template_id"] is None


WHATSAPP = {
    "name": "renewal", "language": "en", "category": "UTILITY", "status": "APPROVED", "body": "Hello {{1}}",
    "parameters": ["{{ first_name }}"],
}  # fmt: skip


def test_every_kind_of_template_is_made_and_told(api):
    sms = data(
        api.post("/templates", {"name": "A", "template_type": "sms", "text_content": "Hi {{ first_name }}"}), 201
    )
    assert (sms["template_type"], sms["channels"], sms["text_content"]) == ("sms", ["sms"], "Hi {{ first_name }}")
    whatsapp = data(api.post("/templates", {"name": "B", "template_type": "whatsapp", "whatsapp": WHATSAPP}), 201)
    assert whatsapp["whatsapp"].items() >= WHATSAPP.items() and whatsapp["hold_reason"] is None
    several = TEMPLATE | {"name": "C", "template_type": "multi_channel", "whatsapp": WHATSAPP}
    assert data(api.post("/templates", several), 201)["channels"] == ["email", "whatsapp"]
    assert [row["name"] for row in data(api.get("/automations/email-templates"))] == ["C"]
    problem(api.get(f"/automations/email-templates/{sms['id']}"), 404)


def test_a_part_of_a_whatsapp_message_is_changed_and_the_others_stay(api):
    made = data(api.post("/templates", {"name": "B", "template_type": "whatsapp", "whatsapp": WHATSAPP}), 201)
    changed = data(api.put(f"/templates/{made['id']}", {"whatsapp": {"status": "PAUSED"}}))
    assert changed["whatsapp"] == made["whatsapp"] | {"status": "PAUSED"}


@pytest.mark.parametrize(
    ("body", "field"),
    [({"template_type": "pigeon"}, "template_type"), ({"template_type": "drip"}, "template_type"),
     ({"template_type": "sms", "text_content": ""}, "text_content"), ({"template_type": "whatsapp"}, "whatsapp.name"),
     ({"template_type": "whatsapp", "whatsapp": WHATSAPP | {"name": "A B"}}, "whatsapp.name"),
     ({"template_type": "whatsapp", "whatsapp": WHATSAPP | {"parameters": []}}, "whatsapp.parameters"),
     ({"template_type": "whatsapp", "whatsapp": WHATSAPP | {"parameters": [1]}}, "whatsapp.parameters.0"),
     ({"template_type": "whatsapp", "whatsapp": WHATSAPP | {"tone": "warm"}}, "whatsapp.tone"),
     ({"template_type": "whatsapp", "whatsapp": WHATSAPP | {"status": "LOVED"}}, "whatsapp.status")],
)  # fmt: skip
def test_what_a_kind_cannot_send_is_refused_at_its_place(api, body, field):
    assert field in problem(api.post("/templates", {"name": "Bad"} | body), 422)


def test_a_template_stays_what_it_was_made_as(api, world):
    assert set(problem(api.put(f"/templates/{world.template_id}", {"template_type": "sms"}), 422)) == {"template_type"}
