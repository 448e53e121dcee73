"""Two tabs with the same form: what the first one saved is not undone by the second without a word, and the second loses
nothing that was typed."""

import pytest

from tests.messaging import desk
from tests.web.test_senders import SMTP
from tests.web.visitor import Visitor, form_of
from webapp.messaging import intents, senders, templates
from webapp.platform.db import transaction


@pytest.fixture
def admin(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["admin"])
    return visitor


def sender_form(cast) -> str:
    with transaction(cast.org):
        plain = {name: given for name, given in SMTP.items() if name not in ("kind", "port", "imap_port")}
        return f"/senders/{senders.save_smtp(None, plain | {'port': 9}).id}/edit"


def template_form(cast) -> str:
    with transaction(cast.org):
        return f"/templates/{templates.save(None, desk.LETTER | {'name': 'Letter'}).id}"


def rule_form(cast) -> str:
    with transaction(cast.org):
        intents.ensure_defaults()
        return f"/reply-rules/{intents.every()[-1].id}"


FORMS = {
    "sender": (sender_form, "notes", "name"), "template": (template_form, "subject_line", "name"),
    "rule": (rule_form, "words", "language"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
def test_the_second_tab_is_told(admin, cast, kind):
    make, one_field, other_field = FORMS[kind]
    address = make(cast)
    first, second = (form_of(admin.get(address))[0] for _ in range(2))
    assert admin.post(address, first | {one_field: "Changed here"}).status_code == 303
    other = "de" if kind == "rule" else "Changed there"
    refused = admin.post(address, second | {other_field: other})
    assert refused.status_code == 422 and "changed while you had the page open" in refused.text
    typed = form_of(refused)[0]
    assert typed[other_field] == other and typed["version"] != second["version"]
    assert form_of(admin.get(address))[0][one_field].strip() == "Changed here"
    # Having looked, they may.
    assert admin.post(address, typed | {one_field: "Changed here"}).status_code == 303
    stands = form_of(admin.get(address))[0]
    assert (stands[one_field].strip(), stands[other_field]) == ("Changed here", other)


def test_hours_that_another_tab_changed_are_not_taken_back(admin):
    page = form_of(admin.get("/sending"))[0]
    assert admin.post("/sending/hours", page | {"sms_from": "07:00", "sms_to": "20:00"}).status_code == 303
    refused = admin.post("/sending/hours", page | {"whatsapp_from": "09:00", "whatsapp_to": "18:00"})
    assert refused.status_code == 422 and "changed while you had the page open" in refused.text
    stands = form_of(admin.get("/sending"))[0]
    assert (stands["sms_from"], stands["whatsapp_from"]) == ("07:00", page["whatsapp_from"])
