"""How an organisation sends: hours, caps, holidays and portfolios are taken or refused whole, and plans follow them."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.messaging import holidays, policy, portfolios, senders
from webapp.platform import organizations
from webapp.platform.db import run, value
from webapp.platform.errors import Invalid, NotFound

HOURS = {"from": "08:00", "to": "21:00"}
times = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["08:00", "21:00", "24:00", "8:00", "00:00", "23:59"]),
    st.none(),
    st.integers(),
)


def planned_again() -> bool:
    """True if plans are to be made again, once."""
    return bool(run("DELETE FROM work_due WHERE kind = 'plans'"))


def test_quiet_hours_are_set_by_channel(cast, tx):
    with tx():
        organizations.set_quiet_hours({"sms": HOURS, "email": HOURS})
        assert planned_again()
        organizations.set_quiet_hours({"email": None, "call": {"from": "09:00", "to": "18:30"}})
        assert organizations.current().quiet_hours == {"sms": HOURS, "call": {"from": "09:00", "to": "18:30"}}
        with pytest.raises(Invalid) as caught:
            organizations.set_quiet_hours(
                {"sms": {"from": "9", "to": "21:00"}, "whatsapp": {"from": "21:00", "to": "08:00"}, "fax": HOURS}
            )
        assert set(caught.value.errors) == {"sms.from", "whatsapp.to", "fax"}
        assert organizations.current().quiet_hours["sms"] == HOURS
        assert value("SELECT count(*) FROM audit_log WHERE action = 'organization.quiet_hours'") == 2


@given(times, times)
@settings(max_examples=100)
def test_only_hours_that_follow_each_other_are_hours(begins, ends):
    problems = organizations._hours_problems({"from": begins, "to": ends})
    if not problems:
        assert begins < ends and len(begins) == len(ends) == 5


def test_a_frequency_cap_is_both_numbers_or_none(cast, tx):
    with tx():
        assert organizations.set_frequency_cap(3, 7).frequency_cap == {"sends": 3, "days": 7} and planned_again()
        for sends, days, fields in (
            (0, 7, {"sends"}),
            (3, None, {"days"}),
            (None, 7, {"sends"}),
            (3, 10**30, {"days"}),
            (True, 1.5, {"sends", "days"}),
        ):
            with pytest.raises(Invalid) as caught:
                organizations.set_frequency_cap(sends, days)
            assert set(caught.value.errors) == fields
        assert organizations.set_frequency_cap(None, None).frequency_cap is None


def test_a_policy_is_audited_and_plans_follow(cast, tx):
    with tx():
        policy.save(organizations.current(), {"error_rate": 0.3})
        assert (
            planned_again()
            and value("SELECT count(*) FROM audit_log WHERE action = 'organization.sending_policy'") == 1
        )


def test_holidays_come_by_hand_and_by_the_calendar(cast, tx):
    with tx():
        made = holidays.add(" us ", date(2027, 12, 24), " Christmas  Eve ")
        assert (made.country, made.name) == ("US", "Christmas Eve") and planned_again()
        with pytest.raises(Invalid) as caught:
            holidays.add("US", date(2027, 12, 24), "Again")
        assert set(caught.value.errors) == {"on_date"}
        came = holidays.add_public("US", 2027)
        assert came >= 10 and planned_again()
        assert holidays.add_public("us", 2027) == 0 and not planned_again()
        assert date(2027, 7, 4) in {holiday.on_date for holiday in holidays.every("US", 2027)}
        assert holidays.add_public("DE", 2027) > 5 and len(holidays.every("DE")) < len(holidays.every())
        holidays.remove(made.id)
        with pytest.raises(NotFound):
            holidays.remove(made.id)
    with tx(cast.other_org):
        assert holidays.every() == []


@pytest.mark.parametrize(
    ("country", "year", "fields"),
    [
        ("", 2027, {"country"}),
        ("USA", 1, {"country", "year"}),
        ("ÄÖ", 2027, {"country"}),
        ("ZZ", 2027, {"country"}),
        ("US", None, {"year"}),
    ],
)
def test_a_calendar_we_do_not_have_is_refused(cast, tx, country, year, fields):
    with tx():
        with pytest.raises(Invalid) as caught:
            holidays.add_public(country, year)
        assert set(caught.value.errors) == fields


def test_a_tier_is_changed_and_plans_follow(cast, tx):
    with tx():
        portfolio = portfolios.save(None, "Lone Star", "123")
        assert portfolio.daily_people == 250 and portfolios.set_tier(portfolio.id, 2000) and planned_again()
        assert not portfolios.set_tier(portfolio.id, 2000) and not planned_again()
        assert portfolios.set_tier(portfolio.id, None, "webhook") and portfolio.tier_source == "webhook"
        for people in (0, -1, True, "250", 10**12):
            with pytest.raises(Invalid):
                portfolios.set_tier(portfolio.id, people)
        for name, external in (("", "1"), ("x" * 121, "1"), ("Other", "123"), ("Other", "no number")):
            with pytest.raises(Invalid):
                portfolios.save(None, name, external)
        assert len(portfolios.every()) == 1
        own = senders.save(
            None, {"provider": "local", "channel": "whatsapp", "name": "Desk", "portfolio_id": portfolio.id}
        )
        assert [number.id for number in portfolios.numbers()[portfolio.id]] == [own.id]
        with pytest.raises(Invalid):
            portfolios.remove(portfolio)
        senders.save(own, {"portfolio_id": None})
        portfolios.remove(portfolio)
        assert [each.id for each in portfolios.every()] == [own.portfolio_id]
        portfolio_id = portfolio.id
    with tx(), pytest.raises(NotFound):
        portfolios.set_tier(portfolio_id, 5)
