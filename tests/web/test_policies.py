"""Policies in the browser: the list, the form of one, and a removal taken back."""

import re
from datetime import date, timedelta

import pytest

from tests.web.test_lists import table, toast
from tests.web.visitor import Visitor, form_of, htmx
from webapp.audience import leads, policies
from webapp.platform.db import run, transaction, value

FORM = {
    "number": "LIC-9", "type": "auto", "status": "active", "payment_status": "due", "premium": "1450.50",
    "coverage": "250000.00", "started_on": "2024-02-29", "renews_on": "2027-02-28", "next_due_on": "2026-12-01", "lapsed_on": "",
}  # fmt: skip
MANY = (
    "INSERT INTO policies (lead_id, number, type, premium, renews_on)"
    " SELECT :lead, 'M-' || g, 'auto', CASE WHEN g % 3 > 0 THEN g END, CASE WHEN g % 2 > 0 THEN current_date + g END"
    " FROM generate_series(1, 120) g"
)


@pytest.fixture
def lead(cast) -> int:
    with transaction(cast.org):
        return leads.create({"first_name": "Ada", "email": "ada@example.com"}).id


@pytest.fixture
def sign_in(app, cast):
    def arrive(role: str) -> Visitor:
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        return visitor

    return arrive


@pytest.fixture
def marketer(sign_in) -> Visitor:
    return sign_in("marketer")


def test_a_policy_is_added_changed_removed_and_brought_back(marketer, cast, lead):
    page = marketer.get(f"/leads/{lead}").text
    assert f"/policies/new?lead_id={lead}" in page
    added = marketer.post(f"/policies/new?lead_id={lead}", FORM)
    assert added.location == f"/leads/{lead}"
    assert "LIC-9" in marketer.get(added.location).text
    with transaction(cast.org):
        policy = policies.of_lead(lead)[0].id
    values, _ = form_of(marketer.get(f"/policies/{policy}/edit"))
    assert {name: values[name] for name in FORM} == FORM
    marketer.post(f"/policies/{policy}/edit", FORM | {"renews_on": "2028-02-28", "payment_status": "overdue"})
    page = marketer.get(f"/leads/{lead}").text
    assert "Policy renewed" in page and "Payment overdue" in page
    words, undo = toast(marketer.post(f"/policies/{policy}/delete"), marketer)
    assert words == "LIC-9 removed."
    assert marketer.post(undo).location == f"/leads/{lead}"
    assert marketer.post(undo).status_code == 409
    with transaction(cast.org):
        assert [p.renews_on for p in policies.of_lead(lead)] == [date(2028, 2, 28)]


@pytest.mark.parametrize(
    ("field", "bad"),
    [("number", ""), ("number", "x" * 500), ("type", "boat"), ("status", ""), ("payment_status", "x"), ("premium", "a lot"),
     ("premium", "NaN"), ("premium", "1e99"), ("premium", "1e-999999999"), ("coverage", "-1"), ("started_on", "29.2.24"),
     ("renews_on", "1899-01-01"), ("renews_on", "2024-02-28"), ("lapsed_on", "2020-01-01")],
)  # fmt: skip
def test_what_was_typed_stays_and_the_message_stands_at_its_field(marketer, cast, lead, field, bad):
    answer = marketer.post(f"/policies/new?lead_id={lead}", FORM | {field: bad})
    assert answer.status_code == 422
    values, errors = form_of(answer)
    assert set(errors) == {field}
    if field not in ("type", "status", "payment_status"):
        assert values[field] == bad
    assert values["coverage" if field != "coverage" else "premium"] in (FORM["coverage"], FORM["premium"])
    with transaction(cast.org):
        assert value("SELECT count(*) FROM policies") == 0


def test_a_number_that_is_taken_is_told_at_the_field(marketer, lead):
    marketer.post(f"/policies/new?lead_id={lead}", FORM)
    answer = marketer.post(f"/policies/new?lead_id={lead}", FORM)
    assert (answer.status_code, form_of(answer)[1]) == (422, {"number": policies.TAKEN})


@pytest.mark.parametrize("lead_id", ["", "0", "-1", "x", str(10**30), "999999999"])
def test_nobody_to_add_it_to(marketer, lead_id):
    assert marketer.get(f"/policies/new?lead_id={lead_id}").status_code == 404


def test_of_another_organisation_nothing_is_there(marketer, sign_in, lead, cast):
    marketer.post(f"/policies/new?lead_id={lead}", FORM)
    with transaction(cast.org):
        policy = policies.of_lead(lead)[0].id
    stranger = sign_in("stranger")
    for path in (f"/policies/{policy}/edit", f"/policies/new?lead_id={lead}"):
        assert stranger.get(path).status_code == 404
        assert stranger.post(path, FORM).status_code == 404
    assert stranger.post(f"/policies/{policy}/delete").status_code == 404
    assert "LIC-9" not in stranger.get("/policies").text


@pytest.mark.parametrize("sort", ["renews", "-renews", "premium", "-premium", "number", "-number", "nonsense"])
def test_the_list_is_walked_page_by_page_in_any_order(marketer, cast, lead, sort):
    with transaction(cast.org):
        run(MANY, lead=lead)
    seen, path = [], f"/policies?sort={sort}"
    while path:
        page = marketer.get(path).text
        seen += re.findall(r'class="row-link" href="[^"]*">(M-\d+)<', page)
        following = re.search(r'href="([^"]*after=[^"]*)"', page)
        path = following and following[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 120


def test_the_list_is_searched_filtered_and_exported(marketer, sign_in, cast, lead):
    with transaction(cast.org):
        run(MANY, lead=lead)
        policies.create(lead, {"number": "Odd-1", "type": "home", "status": "lapsed", "payment_status": "overdue"})
    for query in ("q=oDD", "type=home", "status=lapsed", "payment_status=overdue", "q=odd&type=home&status=lapsed"):
        fragment = marketer.get(f"/policies?{query}", headers=htmx()).text
        assert re.findall(r'class="row-link" href="[^"]*">([^<]*)<', fragment) == ["Odd-1"], query
    lines = table(marketer.get("/policies?export=csv&type=auto"))
    assert len(lines) == 121 and lines[0][:3] == ["Number", "Lead", "Type"]
    assert lines[1][:4] == ["M-1", "Ada", "auto", "active"]
    assert lines[1][7] == str(value_of_today() + timedelta(1))
    assert sign_in("agent").get("/policies?export=csv").mimetype == "text/html"


def value_of_today() -> date:
    with transaction():
        return value("SELECT current_date")


def test_a_viewer_sees_them_and_may_not_change_them(sign_in, cast, lead):
    with transaction(cast.org):
        policy = policies.create(lead, {"number": "LIC-9"}).id
    viewer = sign_in("viewer")
    assert f'href="/leads/{lead}">LIC-9' in viewer.get("/policies").text
    assert "LIC-9" in viewer.get(f"/leads/{lead}").text
    assert viewer.post(f"/policies/{policy}/delete").status_code == 403
