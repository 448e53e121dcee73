"""A lead's consents and privacy requests in the browser: noted with evidence, withdrawn, asked for; handed out, forgotten."""

import pytest
from playwright.sync_api import expect

from tests.web.browser import sign_in
from tests.web.visitor import Visitor, form_of, htmx
from webapp.audience import consents, leads
from webapp.messaging import confirmations, senders
from webapp.platform.db import transaction, value


@pytest.fixture
def lead(cast) -> int:
    with transaction(cast.org):
        senders.ensure_local("Lone Star", "hello@lone.example")
        return leads.create({"first_name": "Ada", "last_name": "Lopez", "email": "ada@example.com"}).id


def visitor(app, cast, role: str) -> Visitor:
    somebody = Visitor(app)
    somebody.sign_in(cast.emails[role])
    return somebody


@pytest.fixture
def marketer(app, cast) -> Visitor:
    return visitor(app, cast, "marketer")


@pytest.fixture
def admin(app, cast) -> Visitor:
    return visitor(app, cast, "admin")


def test_consent_is_noted_with_its_evidence_or_not_at_all(marketer, tx, lead):
    path = f"/leads/{lead}/consents/email"
    refused = marketer.post(path, {"evidence": " "})
    assert refused.status_code == 422 and "evidence" in form_of(refused)[1]
    long = marketer.post(path, {"evidence": "x" * 501})
    assert long.status_code == 422 and form_of(long)[0]["evidence"] == "x" * 501
    part = marketer.post(path, {"evidence": ""}, headers=htmx())
    assert part.status_code == 422 and "<html" not in part.text and 'id="note-consent"' in part.text
    assert marketer.post(path, {"evidence": "call on 3 May"}).status_code == 303
    page = marketer.get(f"/leads/{lead}").text
    assert "call on 3 May" in page and "noted by Marketer Person" in page
    assert marketer.post(f"{path}/withdraw").status_code == 303
    with tx():
        assert consents.of_lead(lead)["email"].status == "unsubscribed"
        told = [(f.payload["to"], f.payload["source"]) for f in consents.history(lead)]
        assert told == [("unsubscribed", "noted by Marketer Person"), ("subscribed", "noted by Marketer Person")]


@pytest.mark.parametrize("path", ["consents/fax", "consents/fax/withdraw", "consents/sms/ask"])
def test_a_channel_that_does_not_exist_is_not_found(marketer, lead, path):
    assert marketer.post(f"/leads/{lead}/{path}").status_code == 404


def test_a_lead_is_asked_once_an_hour(marketer, tx, lead):
    path = f"/leads/{lead}/consents/email/ask"
    assert marketer.post(path).status_code == 303
    assert "A request to confirm goes to ada@example.com." in marketer.get(f"/leads/{lead}").text
    assert marketer.post(path).status_code == 303
    assert "nothing was sent again" in marketer.get(f"/leads/{lead}").text
    with tx():
        assert value("SELECT count(*) FROM sends WHERE kind = 'confirmation'") == 1
        consents.set_consent(lead, "email", "unsubscribed", source="phone")
    assert marketer.post(path).status_code == 409


def test_everything_is_handed_out_as_a_file(admin, tx, lead):
    answer = admin.post(f"/leads/{lead}/privacy/export")
    assert answer.status_code == 200 and answer.json["lead"][0]["email"] == "ada@example.com"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="lead-{lead}.json"'
    with tx():
        assert value("SELECT count(*) FROM audit_log WHERE action = 'privacy.exported'") == 1


def test_a_lead_is_forgotten_once_its_name_is_typed(admin, marketer, tx, lead):
    path = f"/leads/{lead}/privacy/anonymise"
    assert marketer.get(path).status_code == marketer.post(path, {"typed": "Ada Lopez"}).status_code == 403
    assert path not in marketer.get(f"/leads/{lead}").text and path in admin.get(f"/leads/{lead}").text
    wrong = admin.post(path, {"typed": "Ada"})
    fields, errors = form_of(wrong)
    assert (wrong.status_code, fields["typed"], errors) == (422, "Ada", {"typed": "Type Ada Lopez to go on."})
    assert admin.post(path, {"typed": "Ada Lopez"}).status_code == 303
    page = admin.get(f"/leads/{lead}").text
    assert "Anonymised on" in page and "ada@example.com" not in page
    assert admin.get(path).status_code == admin.post(path, {"typed": f"Lead {lead}"}).status_code == 409


def test_the_houses_own_message_is_edited_and_kept(admin, tx, cast):
    with tx():
        template_id = confirmations.template().id
    page = admin.get(f"/templates/{template_id}")
    assert "Canvass sends this message by itself" in page.text and "{{ confirm_url }}" in page.text
    assert admin.post(f"/templates/{template_id}/delete").status_code == 409
    values = form_of(page)[0]
    preview = admin.post("/templates/preview", values)
    assert "Yes, write to me" in preview.text
    wrong = admin.post(f"/templates/{template_id}", values | {"html_content": "<p>Hello</p>"})
    assert wrong.status_code == 422 and "needs the link" in form_of(wrong)[1]["html_content"]
    changed = admin.post(f"/templates/{template_id}", values | {"subject_line": "Say yes"})
    assert changed.status_code == 303


def test_in_a_browser(page, served, cast, lead):
    sign_in(page, served, cast.emails["admin"])
    page.goto(f"{served.url}/leads/{lead}")
    page.locator("#consents").get_by_role("link", name="They agreed").first.click()
    page.get_by_role("button", name="Note their consent").click()
    expect(page.get_by_text("Say how you know")).to_be_visible()
    page.get_by_label("How do you know?").fill("Asked on the phone on 3 May")
    page.get_by_role("button", name="Note their consent").click()
    expect(page.get_by_text("It is noted.")).to_be_visible()
    expect(page.locator("#consents")).to_contain_text("Asked on the phone on 3 May")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export everything").click()
    assert download.value.suggested_filename == f"lead-{lead}.json"
    page.get_by_role("link", name="Anonymise").click()
    page.get_by_label("Their name").fill("Ada Lopez")
    page.get_by_role("button", name="Anonymise").click()
    expect(page.get_by_text("Nobody can be recognised")).to_be_visible()


def test_a_recipient_on_a_phone_confirms_and_chooses(browser, served, cast, lead):
    from_mail = browser.new_context(viewport={"width": 390, "height": 800})
    page = from_mail.new_page()
    with served.app.app_context(), transaction(cast.org):
        confirmations.ask(leads.get(lead), by="Alex")
        send_id = value("SELECT id FROM sends")
        link = f"/confirm/{confirmations.delivery.signer().pack('confirm', cast.org, send_id)}"
    page.goto(served.url + link)
    page.get_by_role("button", name="Yes, write to me").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    page.get_by_role("link", name="Choose what we may send you").click()
    page.get_by_label("No").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your choices are saved.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert from_mail.cookies() == []
    from_mail.close()
    with transaction(cast.org):
        assert consents.of_lead(lead)["email"].status == "unsubscribed"
