"""A rate a second holds whatever stalls: who is late books new moments, and nothing leaves closer together than it may."""

import itertools
from collections import Counter
from contextlib import nullcontext
from datetime import date
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from tests.messaging import desk
from webapp.messaging import caps, delivery, moments, outbox
from webapp.messaging.caps import Limits
from webapp.messaging.outbox import Outcome
from webapp.platform.db import run, transaction, value

GAP = 0.05
DAY = date(2026, 11, 25)


def delivered(monkeypatch, book) -> tuple[list[float], Counter]:
    """Returns when 40 messages left a provider that stalls twice, and how they ended. book: stands for `caps.book`."""
    clock = SimpleNamespace(
        now=100.0, monotonic=lambda: clock.now, sleep=lambda s: setattr(clock, "now", clock.now + s)
    )
    left: list[float] = []

    def deliver(_sender, messages, _deadline):
        for n, message in enumerate(messages):
            left.append(clock.now)
            clock.now += {3: 0.15, 6: 0.9, 20: 3.0}.get(n, 0.001)
            yield Outcome(message.id, "accepted")

    monkeypatch.setattr(delivery, "time", clock)
    monkeypatch.setattr(moments, "time", clock)
    monkeypatch.setattr(moments, "transaction", nullcontext)
    monkeypatch.setattr(moments.caps, "book", book)
    monkeypatch.setattr(delivery.providers, "of", lambda _: SimpleNamespace(deliver=deliver))
    waiting = [SimpleNamespace(id=n, lead_id=n) for n in range(40)]
    claimed = outbox.Claim("t", 1, "sms", waiting, 0, gap=GAP, starts_in=0.2)
    composer = SimpleNamespace(build=lambda row, _extra: row)
    told = list(delivery._attempt(SimpleNamespace(id=1, provider=""), claimed, composer, {}, 200.0))
    return left, Counter(outcome.kind for outcome in told)


def test_what_is_late_does_not_catch_up(monkeypatch):
    booked = []

    def book(_sender, gap, n):
        booked.append((gap, n))
        return 0.7

    left, kinds = delivered(monkeypatch, book)
    assert left[0] == pytest.approx(100.2) and kinds == {"accepted": 40}
    assert all(later - earlier > GAP - 0.0001 for earlier, later in itertools.pairwise(left))
    assert booked == [(GAP, 33), (GAP, 19)]
    # From when the server came back, as long as it was told to wait.
    assert left[7] - left[6] == pytest.approx(0.9 + 0.7) and left[21] - left[20] == pytest.approx(3.7)


@pytest.mark.parametrize("away", [False, True])
def test_where_there_are_no_moments_what_is_left_is_claimed_anew(monkeypatch, away):
    def book(*_):
        if away:
            raise OperationalError("", {}, Exception("gone"))

    left, kinds = delivered(monkeypatch, book)
    assert len(left) == 7 and kinds == {"accepted": 7, "released": 33}


def test_moments_are_booked_where_claims_find_them_taken(cast, tx):
    campaign_id = desk.started(cast.org, 40)
    with tx():
        sender_id = value("SELECT sender_id FROM campaigns")
    limits = Limits(DAY, rate=10)

    def claim() -> outbox.Claim:
        with transaction(cast.org):
            return outbox.claim(campaign_id, "email", "test", 5, sender_id=sender_id, limits=limits)

    first = claim()
    assert len(first.rows) == 5 and first.starts_in == 0
    with tx():
        run("UPDATE sender_meters SET next_free_at = now() + interval '1.5 seconds'")
        assert 0 < caps.book(sender_id, first.gap, 100) <= 1.5
    assert claim().rows == []  # more than is given away ahead of the clock
    with tx():
        assert caps.book(sender_id, first.gap, 10) is None
        run("UPDATE sender_meters SET next_free_at = now() - interval '1 hour'")
        assert caps.book(sender_id, first.gap, 10) == 0
        assert 1 <= value("SELECT EXTRACT(EPOCH FROM next_free_at - now())::float8 FROM sender_meters") < 10
