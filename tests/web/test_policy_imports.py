"""A file of policies through the wizard: guessed, corrected, previewed, run and taken back."""

import io

import pytest

from tests.audience.imports_data import csv_of
from tests.web.test_lists import toast
from tests.web.visitor import Visitor, form_of
from webapp.audience.imports import imports
from webapp.platform import tenancy
from webapp.platform.db import transaction, value

FILE = csv_of(
    ["Name", "E-Mail", "Policy Number", "Premium", "Renewal Date"],
    ["Ada Lopez", "ada@example.com", "A-1", "120", "2027-01-01"],
    ["Bo", "bo@example.com", "", "1", ""],
)


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


def test_from_the_file_to_the_policies_and_back(marketer, cast):
    address = marketer.post("/imports/new", {"file": (io.BytesIO(FILE), "held.csv")}).location
    page = marketer.get(address)
    assert form_of(page)[0]["column-2"] == "policy_number"
    assert "Each row is a policy" in page.text and "Everybody in this file agreed" not in page.text
    # Leads after all, and policies again.
    marketer.post(f"{address}/kind", {"kind": "leads"})
    assert form_of(marketer.get(address))[0]["column-2"] == "attributes.policy_number"
    assert marketer.post(f"{address}/kind", {"kind": "boats"}).status_code == 422
    marketer.post(f"{address}/kind", {"kind": "policies"})
    values, _ = form_of(marketer.get(address))
    answer = marketer.post(address, values | {"column-2": ""})
    assert answer.status_code == 422 and "Choose the column with the policy number" in answer.text
    preview = marketer.get(marketer.post(address, values).location).text
    assert "There is no policy number here" in preview and "Policies. Nothing has been imported" in preview
    marketer.post(f"{address}/run")
    with tenancy.scope(cast.org):
        assert imports.run_next("test")
    page = marketer.get(address).text
    assert "New policies" in page and "See the policies" in page and "There is no policy number here" in page
    assert "A-1" in marketer.get("/policies").text
    words, _ = toast(marketer.post(f"{address}/undo"), marketer)
    assert words == "Taken back: 1 policies removed, 0 changed back; 1 leads removed, 0 changed back."
    assert marketer.post(f"{address}/kind", {"kind": "leads"}).status_code == 409
    with transaction(cast.org):
        assert value("SELECT count(*) FROM policies") == 0
