"""The suppression list in the browser: added, refused at the field with nothing lost, brought from a file, lifted."""

import io

import pytest
from playwright.sync_api import expect

from tests.web.browser import sign_in
from tests.web.visitor import Visitor, form_of
from webapp.audience import consents, leads
from webapp.platform.db import transaction, value


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


PASTED = {"channel": "email", "reason": "manual", "note": "by letter"}


def test_pasted_addresses_are_added_or_refused_with_nothing_lost(marketer, tx):
    wrong = marketer.post("/suppressions/new", PASTED | {"addresses": "ada@example.com\nnonsense\nx@\n"})
    fields, errors = form_of(wrong)
    assert wrong.status_code == 422 and fields["note"] == "by letter" and "nonsense" in fields["addresses"]
    assert errors["addresses"] == "2 lines are refused."
    assert "<li>Line 3, x@: This is not an e-mail address.</li>" in wrong.text
    right = marketer.post("/suppressions/new", PASTED | {"addresses": "ada@example.com\nADA@example.com"})
    assert right.status_code == 303
    assert "1 address added. 1 was there already." in marketer.get("/suppressions").text
    for changed in ({"channel": "fax"}, {"reason": "complaint"}, {"reason": "\0"}, {"addresses": ""}):
        assert marketer.post("/suppressions/new", PASTED | {"addresses": "x@example.com"} | changed).status_code == 422
    with tx():
        assert value("SELECT count(*) FROM suppressions") == 1


def test_a_file_is_counted(marketer):
    content = b"E-mail\nada@example.com\nada@example.com\n-\n"
    sent = PASTED | {"file": (io.BytesIO(content), "list.csv")}
    page = marketer.post("/suppressions/import", sent, content_type="multipart/form-data")
    assert page.status_code == 200 and "Refused rows" in page.text
    for files in ({}, {"file": (io.BytesIO(b""), "empty.csv")}, {"file": (io.BytesIO(b"%PDF"), "x.pdf")}):
        assert (
            marketer.post("/suppressions/import", PASTED | files, content_type="multipart/form-data").status_code == 422
        )


def test_the_list_is_searched_filtered_and_exported(marketer, tx):
    with tx():
        consents.suppress("email", "ada@example.com", "complaint")
        consents.suppress("sms", "+14152001234", "stop")
    assert "+14152001234" not in marketer.get("/suppressions?q=ada").text
    assert "ada@example.com" not in marketer.get("/suppressions?channel=sms").text
    assert "+14152001234" in marketer.get("/suppressions?q=(415) 200&reason=stop").text
    export = marketer.get("/suppressions?export=csv&reason=complaint").text
    assert "ada@example.com" in export and "+1415" not in export
    for odd in ("q=%00", "q=%F4%8F%BF%BF", "after=x", "channel=fax", "sort=nothing", "q=" + "9" * 300):
        assert marketer.get(f"/suppressions?{odd}").status_code == 200


def test_a_complaint_is_lifted_with_a_reason(marketer, cast, tx):
    with tx():
        leads.create({"first_name": "Ada", "email": "ada@example.com"})
        consents.suppress("email", "ada@example.com", "complaint")
        consents.suppress("email", "bob@example.com", "manual")
        ids = [value("SELECT id FROM suppressions WHERE address = :a", a=f"{n}@example.com") for n in ("ada", "bob")]
    assert "Ada" in marketer.get(f"/suppressions/{ids[0]}").text
    asked = marketer.post("/suppressions/lift", {"ids": ids})
    assert asked.status_code == 200 and "bob@example.com" in asked.text
    refused = marketer.post("/suppressions/lift", {"ids": ids, "sure": "yes", "why": " "})
    assert refused.status_code == 422 and form_of(refused)[1] == {"why": "Say why this address may be used again."}
    done = marketer.post("/suppressions/lift", {"ids": ids, "sure": "yes", "why": "They wrote to us"})
    assert done.status_code == 303 and "2 addresses are reachable again." in marketer.get("/suppressions").text
    for again in ({"ids": ids}, {"ids": ["x", "0", "-1", str(10**30)]}, {}):
        assert marketer.post("/suppressions/lift", again | {"sure": "yes"}).status_code == 404


ODD = ("\0", "\ud800", "'\";--", "0" * 5000, "=cmd|x", "<b>@x", "\U0001f600@example.com", "1" * 400, "+" * 20)


@pytest.mark.parametrize("odd", ODD)
def test_no_value_breaks_a_form(marketer, odd):
    for path in ("/suppressions/new", "/suppressions/import", "/suppressions/lift"):
        for field in ("channel", "reason", "note", "addresses", "ids", "sure", "why", "file"):
            given = PASTED | {"addresses": "ada@example.com", field: odd.encode("utf-8", "replace").decode()}
            assert marketer.post(path, given).status_code in (200, 303, 404, 422), (path, field)
    for channel in ("email", "sms"):
        content = f"{odd}\nada@example.com\n+14152001234\n".encode("utf-8", "replace")
        sent = PASTED | {"channel": channel, "file": (io.BytesIO(content), "x\0.csv")}
        assert marketer.post("/suppressions/import", sent, content_type="multipart/form-data").status_code in (200, 422)


def test_in_a_browser(page, served, cast):
    with transaction(cast.org):
        consents.suppress("email", "ada@example.com", "hard_bounce")
    sign_in(page, served, cast.emails["marketer"])
    page.goto(f"{served.url}/suppressions")
    page.get_by_role("link", name="Add addresses").click()
    page.get_by_label("Addresses, one a line").fill("bob@example.com\nnonsense")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".field-error").first).to_contain_text("Line 2, nonsense")
    page.get_by_label("Addresses, one a line").fill("bob@example.com")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("1 address added.")).to_be_visible()
    page.get_by_role("link", name="ada@example.com").click()
    page.get_by_label("Why?").fill("A new mailbox")
    page.get_by_role("button", name="Make reachable again").click()
    expect(page.get_by_text("1 address is reachable again.")).to_be_visible()
    expect(page.get_by_role("link", name="ada@example.com")).to_have_count(0)
