"""Caps hold in the database: in any number of threads, over a rolling day, for a sender, a portfolio, a campaign's day and a
lead; and what provably did not go out is given back."""

import threading
import time
from collections import Counter
from datetime import date, timedelta

import pytest

from tests.messaging import desk
from webapp.audience import consents, leads
from webapp.campaigns import dispatch
from webapp.messaging import caps, outbox, outcomes, resting, senders
from webapp.messaging.caps import Limits
from webapp.messaging.outbox import Outcome
from webapp.messaging.portfolios import Portfolio
from webapp.platform import organizations, tenancy
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run, transaction, value

DAY = date(2026, 11, 25)


@pytest.fixture
def campaign(cast):
    """Returns a function that starts a campaign to n people: its id and its sender's."""

    def started(n: int) -> tuple[int, int]:
        campaign_id = desk.started(cast.org, n)
        with transaction(cast.org):
            return campaign_id, value("SELECT sender_id FROM campaigns WHERE id = :id", id=campaign_id)

    return started


def claim(org: int, campaign_id: int, sender_id: int, limits: Limits, n: int = 200) -> outbox.Claim:
    with transaction(org):
        return outbox.claim(campaign_id, "email", "test", n, sender_id=sender_id, limits=limits)


def end(org: int, claimed: outbox.Claim, kind: str) -> None:
    with transaction(org):
        outcomes.finalise(claimed, [Outcome(row.id, kind) for row in claimed.rows])


def test_a_campaigns_day_is_never_overrun_and_what_did_not_go_out_is_given_back(cast, campaign):
    campaign_id, sender_id = campaign(12)
    limits = Limits(DAY, campaign_daily=5)
    first = claim(cast.org, campaign_id, sender_id, limits)
    assert len(first.rows) == 5 and claim(cast.org, campaign_id, sender_id, limits).rows == []
    end(cast.org, first, "retry")
    again = claim(cast.org, campaign_id, sender_id, limits)
    assert len(again.rows) == 5
    end(cast.org, again, "accepted")
    assert claim(cast.org, campaign_id, sender_id, limits).rows == []
    with transaction(cast.org):
        batch = rows("SELECT claimed, sent, done FROM campaign_batches WHERE send_date = :day", day=DAY)[0]
        assert tuple(batch) == (5, 5, 5)
    assert len(claim(cast.org, campaign_id, sender_id, Limits(DAY + timedelta(days=1), campaign_daily=5)).rows) == 2


@pytest.mark.parametrize("kind", ["accepted", "unknown", "rejected", "released"])
def test_a_rolling_day_of_a_sender_counts_what_may_have_gone(cast, campaign, kind):
    campaign_id, sender_id = campaign(9)
    limits = Limits(DAY, sender_daily=4)
    claimed = claim(cast.org, campaign_id, sender_id, limits)
    assert len(claimed.rows) == 4
    end(cast.org, claimed, kind)
    gone = kind in ("accepted", "unknown")
    with transaction(cast.org):
        assert caps.used(sender_id) == (4 if gone else 0)
        run("UPDATE sender_minutes SET minute = minute - interval '24 hours'")
        assert caps.used(sender_id) == (4 if gone else 0)  # a lease and a minute longer
        run("UPDATE sender_minutes SET minute = minute - interval '4 minutes'")
        assert caps.used(sender_id) == 0
    assert len(claim(cast.org, campaign_id, sender_id, limits).rows) == 4


def test_eight_threads_share_one_cap_to_the_last_message(cast, campaign, app):
    campaign_id, sender_id = campaign(60)
    limits, taken, lock = Limits(DAY, sender_daily=41, campaign_daily=50), Counter(), threading.Lock()

    def work() -> None:
        with app.app_context(), tenancy.scope(cast.org):
            for _ in range(6):
                claimed = claim(cast.org, campaign_id, sender_id, limits, 7)
                with lock:
                    taken.update(row.id for row in claimed.rows)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == sum(taken.values()) == 41


def test_a_rate_is_exact_over_all_who_claim(cast, campaign):
    campaign_id, sender_id = campaign(40)
    limits = Limits(DAY, rate=5)
    first, second = (claim(cast.org, campaign_id, sender_id, limits) for _ in range(2))
    assert len(first.rows) == 10 and first.starts_in == pytest.approx(0, abs=0.2) and first.gap == pytest.approx(0.2)
    assert len(second.rows) <= 1  # two seconds are given away already
    time.sleep(0.5)
    third = claim(cast.org, campaign_id, sender_id, limits)
    assert 1 <= len(third.rows) <= 3 and third.starts_in > 1
    taken = len(first.rows) + len(second.rows)
    assert first.starts_in + taken * first.gap <= third.starts_in + 0.9


def test_different_people_of_a_portfolio_are_counted_over_all_its_numbers(cast, campaign, monkeypatch):
    campaign_id, sender_id = campaign(10)
    with transaction(cast.org):
        portfolio = Portfolio(name="House", daily_people=3)
        db.session.add(portfolio)
        db.session.flush()
        portfolio_id = portfolio.id
        other = senders.save_smtp(
            None, {"name": "Other", "address": "other@x.example", "host": "127.0.0.1", "port": 25, "tls": "none"}
        ).id
    limits = Limits(DAY, portfolio_id=portfolio_id, people=3)
    first = claim(cast.org, campaign_id, sender_id, limits)
    assert len(first.rows) == 3 and claim(cast.org, campaign_id, other, limits).rows == []
    end(cast.org, first, "rejected")
    second = claim(cast.org, campaign_id, other, limits)
    assert len(second.rows) == 3 and claim(cast.org, campaign_id, sender_id, limits).rows == []
    end(cast.org, second, "unknown")
    with transaction(cast.org):
        assert caps.people_used(portfolio_id) == 3
        waiting = value("SELECT recipient_address FROM sends WHERE status = 'pending' ORDER BY id DESC LIMIT 1")
        run(
            "INSERT INTO inbound_messages (channel, sender_id, from_address, body, intent, provider_message_id, received_at)"
            " VALUES ('email', :s, :a, 'hi', 'other', 'x1', now() - interval '23 hours')",
            a=waiting,
            s=sender_id,
        )
    # Nobody was free a moment ago, and that is not asked again at once.
    assert claim(cast.org, campaign_id, sender_id, limits).rows == []
    monkeypatch.setattr(caps, "_none_free", {})
    free = claim(cast.org, campaign_id, sender_id, limits)
    assert [row.recipient_address for row in free.rows] == [waiting]  # inside the service window: takes no place
    with transaction(cast.org):
        run("UPDATE portfolio_people SET last_at = last_at - interval '24 hours 3 minutes'")
    assert len(claim(cast.org, campaign_id, sender_id, limits).rows) == 3


def test_nobody_gets_more_marketing_than_the_frequency_allows(cast, campaign):
    campaign_id, sender_id = campaign(2)
    end(cast.org, claim(cast.org, campaign_id, sender_id, Limits(DAY)), "accepted")
    with transaction(cast.org):
        second = desk.draft("Second").id
    desk.start(cast.org, second)
    held = claim(cast.org, second, sender_id, Limits(DAY, frequency=(1, 7)))
    assert held.rows == [] and held.waiting == 2
    with transaction(cast.org):
        waits = rows("SELECT wait_reason, not_before - now() AS ahead FROM sends WHERE status = 'pending'")
        assert {row.wait_reason for row in waits} == {"frequency"}
        assert all(timedelta(days=6, hours=23) < row.ahead <= timedelta(days=7) for row in waits)
        run("UPDATE sends SET not_before = now() WHERE status = 'pending'")
    assert len(claim(cast.org, second, sender_id, Limits(DAY, frequency=(2, 7))).rows) == 2


def test_outside_their_hours_messages_wait_and_say_so(cast, tx):
    with tx():
        organization = organizations.current()
        ends = now() + timedelta(hours=1)
        organization.quiet_hours = {"email": {"from": f"{ends:%H:00}", "to": f"{ends + timedelta(hours=1):%H:00}"}}
        for zone in ("UTC", "Africa/Abidjan"):
            leads.update(leads.get(desk.add_lead(zone)), {"timezone": zone})
        campaign_id = desk.draft().id
    desk.start(cast.org, campaign_id)
    with tx():
        run("UPDATE sends SET not_before = now()")  # planned for the opening; here somebody is early
    with tenancy.scope(cast.org):
        dispatch.send_for("test", 5, desk.NEVER)
    with tx():
        found = rows("SELECT status, wait_reason, not_before FROM sends")
        assert {(row.status, row.wait_reason) for row in found} == {("pending", "quiet_hours")}
        assert {row.not_before for row in found} == {ends.replace(minute=0, second=0, microsecond=0)}


def test_a_sender_that_rests_rests_longer_each_time_and_is_up_again_after_a_message(cast, tx):
    def rest() -> float:
        with tx():
            sender_id = senders.ensure_local("A", "a@x.example").id
            run("UPDATE senders SET rate_limited_until = NULL")
            resting.rest(sender_id, "421 too many")
            return value("SELECT EXTRACT(EPOCH FROM rate_limited_until - now())::float8 FROM senders")

    lengths = [round(rest()) for _ in range(7)]
    assert lengths[:3] == [20, 40, 80] and max(lengths) == resting.LONGEST_REST_SECONDS
    with tx():
        resting.up_again(senders.ensure_local("A", "a@x.example").id)
    assert round(rest()) == 20


def test_an_unsubscribe_is_obeyed_whatever_the_caps(cast, campaign):
    campaign_id, sender_id = campaign(3)
    with transaction(cast.org):
        lead_id = value("SELECT min(lead_id) FROM sends")
        consents.set_consent(lead_id, "email", "unsubscribed", source="test")
    claimed = claim(cast.org, campaign_id, sender_id, Limits(DAY, campaign_daily=2))
    assert lead_id not in {row.lead_id for row in claimed.rows} and claimed.skipped == 1


@pytest.mark.parametrize("of", ["campaign", "sender"])
def test_a_limit_set_while_it_is_sending_counts_what_is_on_its_way(cast, campaign, of):
    campaign_id, sender_id = campaign(20)
    end(cast.org, claim(cast.org, campaign_id, sender_id, Limits(DAY), 5), "accepted")
    for _ in range(2):
        claim(cast.org, campaign_id, sender_id, Limits(DAY), 3)
    limits = Limits(DAY, campaign_daily=12) if of == "campaign" else Limits(DAY, sender_daily=12)
    assert len(claim(cast.org, campaign_id, sender_id, limits).rows) == 1
    assert claim(cast.org, campaign_id, sender_id, limits).rows == []


def test_who_was_refused_leaves_room_for_somebody_else_that_day(cast, campaign):
    campaign_id, sender_id = campaign(12)
    limits = Limits(DAY, campaign_daily=5)
    first = claim(cast.org, campaign_id, sender_id, limits, 4)
    with transaction(cast.org):
        outcomes.finalise(first, [Outcome(row.id, "rejected" if n else "accepted") for n, row in enumerate(first.rows)])
    again = claim(cast.org, campaign_id, sender_id, limits)
    assert len(again.rows) == 4
    end(cast.org, again, "accepted")
    assert claim(cast.org, campaign_id, sender_id, limits).rows == []
