"""The editors of SMS, WhatsApp and several channels: what is typed, counted, previewed, refused and held."""

import pytest

from tests.messaging.test_template_kinds import WHATSAPP
from tests.web.visitor import Visitor, form_of
from webapp.audience import leads
from webapp.messaging import templates
from webapp.platform.db import one, run, transaction, value

PARTS = {
    f"whatsapp_{part}": WHATSAPP[part] for part in ("name", "language", "category", "status", "body", "parameters")
}
COMMON = {"name": "Renewal", "category": "retention"}
FORMS = {
    "sms": COMMON | {"text_content": "Hi {{ first_name }}"},
    "whatsapp": COMMON | PARTS,
    "multi_channel": COMMON | PARTS | {"subject_line": "Hi", "html_content": "<p>Hi</p>", "text_content": "Hi"},
}


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


@pytest.fixture
def lead(cast) -> int:
    with transaction(cast.org):
        return leads.create({"first_name": "Zoë", "phone": "+14152000001"}).id


@pytest.mark.parametrize("kind", FORMS)
def test_each_kind_is_made_shown_and_saved_again_as_it_is(marketer, cast, kind):
    made = marketer.post(f"/templates/new?kind={kind}", FORMS[kind])
    assert made.status_code == 303
    page = marketer.get(made.location)
    kept, errors = form_of(page)
    assert errors == {} and {n: kept[n] for n in FORMS[kind] if n != "whatsapp_parameters"} == {
        n: typed for n, typed in FORMS[kind].items() if n != "whatsapp_parameters"
    }
    with transaction(cast.org):
        assert value("SELECT template_type FROM templates") == kind
        before = one("SELECT whatsapp, available_tokens FROM templates")
    assert marketer.post(made.location, FORMS[kind]).status_code == 303
    with transaction(cast.org):
        assert one("SELECT whatsapp, available_tokens FROM templates") == before
        assert value("SELECT count(*) FROM template_versions") == 1


@pytest.mark.parametrize(
    ("kind", "field", "bad"),
    [("sms", "text_content", ""), ("sms", "text_content", "{{ nobody }}"), ("sms", "text_content", "x" * 1601),
     ("whatsapp", "whatsapp_name", "Not A Name"), ("whatsapp", "whatsapp_language", "english"), ("whatsapp", "whatsapp_body", ""),
     ("whatsapp", "whatsapp_body", "{{1}} {{3}}"), ("multi_channel", "whatsapp_name", ""), ("multi_channel", "subject_line", "")],
)  # fmt: skip
def test_what_was_typed_stays_and_the_message_stands_at_its_field(marketer, cast, kind, field, bad):
    answer = marketer.post(f"/templates/new?kind={kind}", FORMS[kind] | {field: bad})
    assert answer.status_code == 422
    kept, errors = form_of(answer)
    assert errors[field] and kept[field] == bad and kept["name"] == "Renewal"
    with transaction(cast.org):
        assert value("SELECT count(*) FROM templates") == 0


def test_a_place_without_its_value_is_told_and_the_others_stay(marketer):
    form = FORMS["whatsapp"] | {"whatsapp_parameters": ["{{ first_name }}", ""]}
    answer = marketer.post("/templates/new?kind=whatsapp", form)
    assert "whatsapp_parameters-error" in answer.text
    assert 'value="{{ first_name }}"' in answer.text


def test_the_count_follows_the_lead_and_says_what_it_costs(marketer, lead):
    def counted(text: str) -> str:
        return marketer.post("/templates/count", {"text_content": text, "as_lead": lead}).text

    assert "of 160 characters, 1 message (GSM-7)" in counted("Hello. STOP")
    assert "(UCS-2)" in counted("Hi {{ first_name }}, STOP") and "“ë”" in counted("Hi {{ first_name }}, STOP")
    long = counted("x" * 170 + " STOP")
    assert "175 of 306 characters, 2 messages (GSM-7)" in long and "15 characters fewer would save one" in long
    assert "Counted once" in counted("{{ nobody }}") and "Counted once" in counted("x" * 2000)
    assert "0 of 160 characters, 1 message" in counted("")


def test_the_phone_shows_the_message_as_the_chosen_lead(marketer, lead, cast):
    sms = marketer.post("/templates/preview", FORMS["sms"] | {"as_lead": lead, "show": "sms"})
    assert "Hi Zoë" in sms.text and "Zoë" in sms.text and "sandbox" in sms.headers["Content-Security-Policy"]
    form = FORMS["whatsapp"] | {"whatsapp_parameters": WHATSAPP["parameters"][:1] + ["{{ city|default('Austin') }}"]}
    shown = marketer.post("/templates/preview", form | {"as_lead": lead, "show": "whatsapp"}).text
    assert "Hello Zoë, your policy Austin renews soon." in shown
    broken = marketer.post("/templates/preview", form | {"whatsapp_body": "{{1}} {{9}}", "show": "whatsapp"}).text
    assert "This cannot be shown yet" in broken
    with transaction(cast.other_org):
        foreign = leads.create({"first_name": "Eve", "phone": "+14152000009"}).id
    other = marketer.post("/templates/preview", FORMS["sms"] | {"as_lead": foreign, "show": "sms"}).text
    assert "Eve" not in other and "Hi Ada" in other
    assert "&lt;b&gt;" in marketer.post("/templates/preview", {"text_content": "<b>STOP", "show": "sms"}).text


@pytest.mark.parametrize(("body", "n"), [("", 0), ("{{1}}", 1), ("{{2}} {{1}}", 2), ("{{999}}", 20), ("{{x}}", 0)])
def test_each_numbered_place_has_a_row(marketer, body, n):
    rows = marketer.post("/templates/parameters", {"whatsapp_body": body, "whatsapp_parameters": ["a"]}).text
    assert rows.count('name="whatsapp_parameters"') == n and ('value="a"' in rows) == (n > 0)


def test_a_held_template_says_why_and_is_let_go_by_who_may(marketer, app, cast):
    address = marketer.post("/templates/new?kind=whatsapp", FORMS["whatsapp"]).location
    with transaction(cast.org):
        run("UPDATE templates SET hold_reason = 'Paused there for low quality.'")
    assert "Paused there for low quality." in marketer.get(address).text
    assert "held" in marketer.get("/templates").text.lower()
    viewer = Visitor(app)
    viewer.sign_in(cast.emails["viewer"])
    assert "Paused there" in viewer.get(address).text and "Lift the hold" not in viewer.get(address).text
    assert viewer.post(f"{address}/release").status_code == 403
    assert marketer.post(f"{address}/release").status_code == 303
    with transaction(cast.org):
        assert templates.get(int(address.rsplit("/", 1)[1])).hold_reason is None
    assert "was not held" in marketer.open(f"{address}/release", method="POST", headers={"X-CSRFToken": marketer.token},
                                           follow_redirects=True).text  # fmt: skip


def test_a_kind_nobody_knows_is_an_email(marketer):
    assert "Message (HTML)" in marketer.get("/templates/new?kind=pigeon").text
