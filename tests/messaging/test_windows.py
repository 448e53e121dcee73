"""Hours: by the clock on the lead's own wall, through changes of clocks, in every zone there is."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.messaging import windows
from webapp.messaging.hours import Holiday
from webapp.messaging.windows import Hours, clocks, is_open, minutes, next_open, state, zones_of
from webapp.platform import organizations
from webapp.platform.clock import ZONES
from webapp.platform.db import db

DAY = Hours(((480, 1260),))


@pytest.mark.parametrize(
    ("text", "minute"),
    [("08:00", 480), ("24:00", 1440), ("00:00", 0), ("23:59", 1439), ("24:01", None), ("8:00", None), ("", None), ("ab:cd", None),
     ("08:60", None), (None, None), ("٠٨:٠٠", None)],
)  # fmt: skip
def test_times_are_read_strictly(text, minute):
    assert minutes(text) == minute


def test_near_every_change_of_clocks_nobody_is_written_to_outside_their_hours():
    """Every zone, each hour of three days around each of its changes in two years, and random minutes."""
    random, asked = Random(20), 0
    for zone in ZONES:
        place, offset = ZoneInfo(zone), None
        for hour in range(0, 2 * 8766, 24):
            at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
            near = (
                [at + timedelta(minutes=60 * n + 30 * (n % 2)) for n in range(-30, 30)]
                if at.astimezone(place).utcoffset() != offset
                else []
            )
            offset = at.astimezone(place).utcoffset()
            for moment in [*near, *([at + timedelta(minutes=random.randrange(1440))] if hour % 480 == 0 else [])]:
                wall = moment.astimezone(place).strftime("%H:%M")
                assert is_open(DAY, zone, "US", moment) == ("08:00" <= wall < "21:00"), (zone, moment)
                asked += 1
    assert asked > 50_000


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES), first=st.integers(0, 1439), last=st.integers(0, 1439),
    days=st.none() | st.sets(st.integers(1, 7), min_size=1), minute=st.integers(0, 60 * 24 * 730),
)  # fmt: skip
def test_the_next_opening_is_open_and_nothing_before_it_is(zone, first, last, days, minute):
    if first == last:
        return
    hours = Hours(((first, last),), frozenset(days) if days else None)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    at = next_open(hours, zone, "US", moment)
    assert at is not None and at >= moment and is_open(hours, zone, "US", at)
    if not is_open(hours, zone, "US", moment):
        between = [moment + (at - moment) * part / 40 for part in range(40)]
        # An opening that falls into an hour the clocks leave out may be found one hour late; never early.
        early = [when for when in between if is_open(hours, zone, "US", when)]
        assert all(at - when <= timedelta(hours=1, minutes=1) for when in early)


def test_where_no_zone_is_known_it_must_be_day_in_all_of_the_country(cast, tx):
    with tx():
        organization = organizations.current()
        organization.quiet_hours = {"sms": {"from": "08:00", "to": "21:00"}}
        late = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)  # 22:00 in New York, 16:00 in Honolulu
        shut = state("sms", None, "US", organization, None, late)
        assert (shut.open, shut.reason) == (False, "quiet_hours")
        assert all(is_open(DAY, zone, "US", shut.opens_at) for zone in zones_of("US"))
        assert state("sms", "Pacific/Honolulu", "US", organization, None, late).open
        assert state("sms", None, "JP", organization, None, late).open
        assert state("email", None, "US", organization, None, late).open
        assert not state("sms", "No/Where", "XX", organization, None, late).open


def test_a_campaigns_window_is_inside_the_quiet_hours_and_holidays_are_closed(cast, tx):
    with tx():
        organization = organizations.current()
        organization.quiet_hours = {"sms": {"from": "08:00", "to": "21:00"}}
        window = {"from": "07:00", "to": "18:00", "days": [1, 2, 3, 4, 5]}
        zone, day = "Asia/Kolkata", datetime.now(UTC).date() + timedelta(days=1)
        while day.isoweekday() > 4:
            day += timedelta(days=1)
        db.session.add(Holiday(country="IN", on_date=day, name="A holiday"))
        db.session.flush()

        def asked(hour: int, on: date) -> windows.Opening:
            moment = datetime(on.year, on.month, on.day, hour, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC)
            return state("sms", zone, "IN", organization, window, moment)

        after = day + timedelta(days=1)
        assert (asked(10, day).open, asked(10, day).reason) == (False, "holiday")
        assert asked(10, day).opens_at.astimezone(ZoneInfo(zone)).date() == after
        assert asked(10, after).open and not asked(7, after).open and not asked(18, after).open
        assert state("sms", zone, "US", organization, window, asked(10, day).local.astimezone(UTC)).open


@pytest.mark.parametrize(
    "at", ["2026-11-26 15:13", "2026-11-26 15:14", "2026-11-26 15:15", "2026-03-29 00:59", "2026-11-01 07:00"]
)
def test_the_clocks_of_a_statement_say_what_the_single_ones_say(monkeypatch, at):
    """In Kathmandu the window closes at 15:15; what is claimed a minute before could leave too late."""
    hours = Hours(((480, 1260),), frozenset({1, 2, 3, 4, 5, 6}))
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    monkeypatch.setattr(windows, "now", lambda: moment + timedelta(seconds=31))
    made = clocks(hours)
    soon = moment + timedelta(minutes=1)
    for key, is_open_now, opens_at, never in zip(made.keys, made.is_open, made.opens_at, made.never, strict=True):
        zones = zones_of(key.removeprefix("country:")) if key.startswith("country:") else (key,)
        assert is_open_now == all(is_open(hours, zone, "", when) for zone in zones for when in (moment, soon)), key
        assert not (is_open_now and never), key
        if not is_open_now and not never:
            assert all(is_open(hours, zone, "", opens_at) for zone in zones), key


def test_what_never_opens_never_opens_in_the_next_minute_either(monkeypatch):
    """Nowhere in all of Russia is it between nine and twelve at once."""
    hours, at = Hours(((540, 720),)), datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
    for later in (0, 1, 2, 59, 60, 61, 1440):
        monkeypatch.setattr(windows, "now", lambda later=later: at + timedelta(minutes=later))
        made = clocks(hours)
        assert made.never[made.keys.index("country:RU")] and not made.never[made.keys.index("Europe/Moscow")]
        assert made.opens_at[made.keys.index("country:RU")] <= windows.now() + timedelta(hours=2)
