"""Shared room: never more than there is, nobody lost, nobody waiting for ever, and who is first is first."""

from collections import Counter
from datetime import date, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from webapp.campaigns.allocation import HORIZON_DAYS, WAIT_DAYS, Demand, allocate

DAY = date(2027, 1, 5)


def test_ten_thousand_at_250_a_day_are_forty_batches():
    plan = allocate([Demand("a", 10_000, 5, DAY, resources=("a",))], DAY, lambda *_: 250)["a"]
    assert [n for _, n in plan.days] == [250] * 40
    assert plan.days[-1][0] == date(2027, 2, 13) and plan.left == 0


def test_who_has_priority_one_takes_the_first_days_and_the_other_knows_of_whom_it_waits():
    flash = Demand("flash", 750, 1, date(2027, 1, 7), resources=("sender",))
    autumn = Demand("autumn", 1_000, 5, DAY, resources=("sender",))
    plans = allocate([autumn, flash], DAY, lambda *_: 250)
    assert plans["flash"].days == [(date(2027, 1, n), 250) for n in (7, 8, 9)]
    assert plans["autumn"].days == [(date(2027, 1, n), 250) for n in (5, 6, 10, 11)]
    assert plans["autumn"].behind == {date(2027, 1, n): "flash" for n in (7, 8, 9)}


def test_what_would_miss_its_date_goes_before_a_higher_priority():
    due = Demand("renewals", 500, 9, DAY, due=DAY + timedelta(days=3), resources=("sender",))
    first = Demand("first", 10_000, 1, DAY, resources=("sender",))
    plans = allocate([first, due], DAY, lambda *_: 250)
    assert [day for day, _ in plans["renewals"].days] == [DAY + timedelta(days=2), DAY + timedelta(days=3)]


def test_nobody_starves_behind_an_endless_flow():
    last = Demand("last", 100, 10, DAY, resources=("sender",))
    flood = Demand("flood", 250 * 60, 1, DAY, resources=("sender",))
    plan = allocate([flood, last], DAY, lambda *_: 250)["last"]
    assert (plan.days[0][0] - DAY).days <= 9 * WAIT_DAYS + 1


def test_closed_days_and_weekends_take_nothing():
    demand = Demand("a", 700, 5, DAY, resources=("a",), days=frozenset({1, 2, 3, 4, 5}))
    plan = allocate([demand], DAY, lambda *_: 100, frozenset({date(2027, 1, 6)}))["a"]
    assert [day.day for day, _ in plan.days] == [5, 7, 8, 11, 12, 13, 14]


def test_without_a_limit_everything_goes_on_the_first_day():
    assert allocate([Demand("a", 10**6, 5, DAY)], DAY, lambda *_: None)["a"].days == [(DAY, 10**6)]


def test_what_finds_no_room_is_said_to_be_left():
    plan = allocate([Demand("a", 5, 5, DAY, resources=("a",))], DAY, lambda *_: 0)["a"]
    assert (plan.days, plan.left) == ([], 5)


demands = st.lists(
    st.tuples(
        st.integers(0, 800), st.integers(1, 10), st.integers(0, 5), st.none() | st.integers(0, 20),
        st.lists(st.sampled_from("xyz"), max_size=3, unique=True), st.none() | st.sets(st.integers(1, 7), min_size=1),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(given_=demands, limits=st.fixed_dictionaries({name: st.none() | st.integers(1, 120) for name in "xyz"}))
def test_whatever_is_asked_no_room_is_overrun_and_everything_finds_its_day(given_, limits):
    # As far as it looks ahead, even if all of it shared the smallest room on one day of the week.
    least = min((limit for limit in limits.values() if limit), default=10**6)
    assume(sum(size for size, *_ in given_) * 7 <= least * (HORIZON_DAYS - 20))
    asked = [
        Demand(
            n,
            size,
            priority,
            DAY + timedelta(days=start),
            None if due is None else DAY + timedelta(days=due),
            tuple(shared),
            days and frozenset(days),
        )
        for n, (size, priority, start, due, shared, days) in enumerate(given_)
    ]
    plans = allocate(asked, DAY, lambda shared, _: limits[shared])
    used: Counter = Counter()
    for demand in asked:
        plan = plans[demand.key]
        assert plan.left == 0 and sum(n for _, n in plan.days) == demand.n
        assert [day for day, _ in plan.days] == sorted({day for day, _ in plan.days})
        for day, n in plan.days:
            assert n > 0 and day >= demand.start and (not demand.days or day.isoweekday() in demand.days)
            used.update({(shared, day): n for shared in demand.resources})
    assert all(limits[shared] is None or n <= limits[shared] for (shared, _), n in used.items())
