"""Warming: the limit of a day never falls, never passes the sender's own, and is what a person would reckon."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.messaging import senders, warming
from webapp.messaging.senders import Sender
from webapp.platform.errors import Invalid

START = date(2026, 11, 1)
plans = st.fixed_dictionaries({
    "started_on": st.dates(date(2000, 1, 1), date(2199, 12, 31)).map(str), "first": st.integers(1, 1_000_000),
    "growth": st.one_of(st.integers(1, 10), st.floats(1, 10)),
})  # fmt: skip


@given(
    plans,
    st.one_of(st.none(), st.integers(1, 100_000_000)),
    st.dates(date(1990, 1, 1), date(2210, 1, 1)),
    st.integers(0, 400),
)
def test_it_never_falls_and_never_passes_the_limit(plan, limit, day, later):
    sender = Sender(warming=plan, daily_limit=limit)
    now, then = warming.daily_limit_on(sender, day), warming.daily_limit_on(sender, day + timedelta(days=later))
    assert now is None or now >= 1
    if limit is not None:
        assert now <= then <= limit
    else:
        assert then is None or (now is not None and now <= then)
    assert warming.daily_limit_on(sender, date.fromisoformat(plan["started_on"])) == min(
        plan["first"], limit or plan["first"]
    )


@pytest.mark.parametrize(
    ("first", "growth", "expected"),
    [(50, 1.4, [50, 70, 98, 137, 192]), (100, 1.15, [100, 115, 132, 152, 174]), (7, 1, [7, 7, 7, 7, 7]), (1, 2, [1, 2, 4, 8, 16])],
)  # fmt: skip
def test_a_plan_is_what_a_person_would_reckon(first, growth, expected):
    sender = Sender(warming={"started_on": "2026-11-01", "first": first, "growth": growth})
    assert [warming.daily_limit_on(sender, START + timedelta(days=n)) for n in range(5)] == expected
    assert warming.daily_limit_on(sender, START - timedelta(days=9)) == first


def test_without_a_plan_the_limit_is_the_limit():
    assert warming.daily_limit_on(Sender(daily_limit=9), START) == 9 and warming.daily_limit_on(Sender(), START) is None
    assert warming.course(Sender(), START) == []


def test_the_course_that_is_drawn_has_today_in_it_and_ends_at_the_limit():
    sender = Sender(warming={"started_on": "2026-11-01", "first": 50, "growth": 2}, daily_limit=1000)
    assert warming.course(sender, START) == [
        (START + timedelta(days=n), limit) for n, limit in enumerate([50, 100, 200, 400, 800, 1000])
    ]
    later = [day for day, _ in warming.course(sender, START + timedelta(days=400))]
    assert START + timedelta(days=400) in later and len(later) <= warming.SHOWN_DAYS


@pytest.mark.parametrize(
    ("plan", "fields"),
    [({}, ["first", "growth", "started_on"]), ({"started_on": "soon", "first": 0, "growth": 0.9}, ["first", "growth", "started_on"]),
     ({"started_on": "2026-01-01", "first": True, "growth": float("inf")}, ["first", "growth"]),
     ({"started_on": "2026-01-01", "first": 5, "growth": "2"}, ["growth"]),
     ({"started_on": "2026-13-01", "first": 5, "growth": 2}, ["started_on"])],
)  # fmt: skip
def test_a_plan_that_cannot_be_followed_is_refused(cast, tx, plan, fields):
    with tx(), pytest.raises(Invalid) as caught:
        senders.save_smtp(None, {"name": "L", "address": "a@b.example", "host": "h", "tls": "none", "warming": plan})
    assert sorted(caught.value.errors) == [f"warming.{field}" for field in fields]
