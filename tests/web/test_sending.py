"""How an organisation sends, on screen: what is typed is kept or refused at its field, and plans follow."""

from datetime import date

import pytest

from tests.web.visitor import Visitor, form_of
from webapp.messaging import holidays, policy, portfolios
from webapp.platform import organizations
from webapp.platform.db import run, transaction, value


@pytest.fixture
def admin(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["admin"])
    return visitor


def planned_again(org: int) -> bool:
    with transaction(org):
        return bool(run("DELETE FROM work_due WHERE kind = 'plans'"))


def test_hours_cap_and_limits_are_kept(admin, cast):
    assert (
        admin.post(
            "/sending/hours", {"sms_from": "09:00", "sms_to": "18:00", "email_from": "", "email_to": ""}
        ).status_code
        == 303
    )
    assert planned_again(cast.org)
    assert admin.post("/sending/cap", {"sends": "3", "days": "7"}).status_code == 303 and planned_again(cast.org)
    limits = {"error_rate": "12.5", "complaint_rate": "0.1", "error_sample": "20", "overdue_hours": "6", "soft_bounces": "2",
              "soft_window": "4", "calls_per_agent": "30"}  # fmt: skip
    assert admin.post("/sending/limits", limits).status_code == 303 and planned_again(cast.org)
    with transaction(cast.org):
        organization = organizations.current()
        assert organization.quiet_hours == {"sms": {"from": "09:00", "to": "18:00"}}
        assert organization.frequency_cap == {"sends": 3, "days": 7}
        kept = policy.of(organization)
        assert (kept.error_rate, kept.complaint_rate, kept.error_sample, kept.overdue_hours) == (0.125, 0.001, 20, 6)
    shown = form_of(admin.get("/sending"))[0]
    assert (shown["sms_from"], shown["sends"], float(shown["error_rate"])) == ("09:00", "3", 12.5)
    assert admin.post("/sending/cap", {"sends": "", "days": ""}).status_code == 303


@pytest.mark.parametrize(
    ("path", "form", "field"),
    [("hours", {"sms_from": "18:00", "sms_to": "09:00"}, "sms_to"), ("hours", {"call_from": "9", "call_to": "10:00"}, "call_from"),
     ("hours", {"email_from": "09:00", "email_to": ""}, "email_to"), ("cap", {"sends": "3", "days": ""}, "days"),
     ("cap", {"sends": "x", "days": "7"}, "sends"), ("cap", {"sends": "9" * 30, "days": "7"}, "sends"),
     ("limits", {"error_rate": "0"}, "error_rate"),
     ("limits", {"error_rate": "nan"}, "error_rate"), ("limits", {"soft_bounces": "9", "soft_window": "5"}, "soft_bounces"),
     ("limits", {"error_sample": "1"}, "error_sample"), ("limits", {"overdue_hours": "inf"}, "overdue_hours"),
     ("holidays", {"country": "USA", "on_date": "2031-01-01", "name": "x"}, "country"),
     ("holidays", {"country": "ZZ", "on_date": "2031-01-01", "name": "x"}, "country"),
     ("holidays", {"country": "US", "on_date": "never", "name": "x"}, "on_date"),
     ("holidays", {"country": "US", "on_date": "9999-01-01", "name": "x"}, "on_date"),
     ("holidays/public", {"country": "ZZ", "year": "2031"}, "country"), ("holidays/public", {"country": "US", "year": "1"}, "year")],
)  # fmt: skip
def test_what_cannot_be_is_said_at_its_field(admin, cast, path, form, field):
    limits = form_of(admin.get("/sending"))[0] if path == "limits" else {}
    answer = admin.post(f"/sending/{path}", limits | form)
    assert answer.status_code == 422 and field in form_of(answer)[1], form_of(answer)[1]
    assert not planned_again(cast.org)


def test_holidays_are_added_by_hand_and_by_the_calendar(admin, cast):
    assert (
        admin.post("/sending/holidays", {"country": "us", "on_date": "2031-05-05", "name": "Office party"}).status_code
        == 303
    )
    assert admin.post("/sending/holidays/public", {"country": "US", "year": "2031"}).status_code == 303
    page = admin.get("/sending").text
    assert "Office party" in page and "Independence Day" in page and "public holidays came" in page
    with transaction(cast.org):
        found = {holiday.on_date: holiday.id for holiday in holidays.every()}
    assert admin.post(f"/sending/holidays/{found[date(2031, 7, 4)]}/remove").status_code == 303
    assert "Remove Independence Day" not in admin.get("/sending").text


def test_a_portfolio_gets_its_tier_by_hand(admin, cast):
    form = {"name": "Lone Star", "external_id": "123", "daily_people": "2000"}
    assert admin.post("/sending/portfolios/new", form).status_code == 303 and planned_again(cast.org)
    with transaction(cast.org):
        portfolio = portfolios.every()[0]
        address = f"/sending/portfolios/{portfolio.id}"
        assert (portfolio.daily_people, portfolio.tier_source) == (2000, "hand")
    assert form_of(admin.get(address))[0]["daily_people"] == "2000"
    assert admin.post(address, form | {"daily_people": ""}).status_code == 303
    with transaction(cast.org):
        assert value("SELECT daily_people IS NULL FROM portfolios")
    assert form_of(admin.get(address))[0]["daily_people"] == ""
    again = admin.post("/sending/portfolios/new", form | {"name": "Other"})
    assert again.status_code == 422 and "external_id" in form_of(again)[1]
    assert admin.post(f"{address}/remove").status_code == 303 and admin.get(address).status_code == 404


def test_a_viewer_reads_and_a_marketer_changes_nothing(app, cast):
    for role in ("viewer", "marketer"):
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        page = visitor.get("/sending")
        assert page.status_code == 200 and ">Save<" not in page.text
        assert visitor.post("/sending/cap", {"sends": "3", "days": "7"}).status_code == 403


def test_a_request_without_the_fields_of_its_form_changes_nothing(admin, cast, tx):
    admin.post("/sending/hours", {"sms_from": "09:00", "sms_to": "18:00"})
    admin.post("/sending/cap", {"sends": "3", "days": "7"})
    for form in ("hours", "cap", "limits", "holidays", "holidays/public"):
        assert admin.post(f"/sending/{form}", {}).status_code == 422, form
    # What is not in a form stays as it is.
    assert admin.post("/sending/hours", {"call_from": "10:00", "call_to": "11:00"}).status_code == 303
    with tx():
        kept = organizations.current()
        assert kept.quiet_hours == {"sms": {"from": "09:00", "to": "18:00"}, "call": {"from": "10:00", "to": "11:00"}}
        assert kept.frequency_cap == {"sends": 3, "days": 7}
