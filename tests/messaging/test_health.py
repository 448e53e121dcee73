"""Health of senders: the score follows what happened, the brake holds what goes wrong and lets alone what does not."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messaging import desk
from tests.messaging.desk import send_of
from webapp import schedule
from webapp.messaging import health, meters, policy, resolving, sender_figures, senders
from webapp.messaging.meters import HEALTH, MEASURES
from webapp.platform import organizations, work
from webapp.platform.db import one, run, value

GOOD = {"name": "Lone Star", "address": "hello@lone.example", "host": "mail.lone.example", "tls": "none"}
counts = st.integers(0, 5000)


def sums(**given):
    return SimpleNamespace(**dict.fromkeys(MEASURES, 0) | given)


def minutes(sender_id: int, ago: str, **counted: int) -> None:
    names = ", ".join(counted)
    run(
        f"INSERT INTO sender_minutes (sender_id, minute, {names})"
        f" VALUES (:id, date_trunc('minute', now()) - CAST(:ago AS interval), {', '.join(':' + name for name in counted)})",
        id=sender_id, ago=ago, **counted,
    )  # fmt: skip


@given(
    st.fixed_dictionaries(dict.fromkeys(MEASURES, counts)), st.sampled_from(["failed", "bounced", "complaints"]), counts
)
def test_a_score_is_between_its_ends_and_more_trouble_never_lifts_it(given, kind, more):
    before = health.of(sums(**given))
    assert 0 <= before.score <= 100 and (before.score == 100 or before.reasons or before.score >= 98)
    if kind == "failed":
        # One of the sent ones failed instead.
        more = min(more, given["sent"])
        after = given | {"sent": given["sent"] - more, "failed": given["failed"] + more, "complaints": 0}
        before = health.of(sums(**given | {"complaints": 0}))
    else:
        after = given | {kind: given[kind] + more}
    assert health.of(sums(**after)).score <= before.score


def test_a_score_says_what_costs_it():
    assert health.of(sums()) == health.Health(100, ())
    assert health.of(sums(sent=1000)).score == 100
    few, many = health.of(sums(sent=1, failed=1)), health.of(sums(sent=1000, failed=1000))
    assert few.score > 90 and many.score < 45
    assert many.reasons == ("1,000 of 2,000 failed or bounced (50.0 %)",)
    wanted, never = (health.of(sums(sent=100_000, complaints=n)).score for n in (100, 300))
    assert (wanted, never) == (80, 20)


def test_looking_brings_score_and_usage_up_to_date_and_leaves_the_stamp(cast, tx):
    with tx():
        sender = senders.save_smtp(None, GOOD | {"daily_limit": 500})
        quiet = senders.save_smtp(None, GOOD | {"name": "Quiet"})
        minutes(sender.id, "2 hours", claimed=120, sent=100, bounced=2)
        minutes(sender.id, "26 hours", claimed=90, sent=90)
        minutes(sender.id, "9 days", claimed=900, sent=900, failed=900)
        run("UPDATE senders SET used_last_24h = 7, updated_at = '2026-01-01' ")
        assert health.refresh() == 1
        found = one("SELECT * FROM senders WHERE id = :id", id=sender.id)
        assert (found.used_last_24h, found.held_at) == (120, None) and 90 < found.health_score < 100
        assert value("SELECT count(*) FROM senders WHERE updated_at = '2026-01-01'") == 2
        assert value("SELECT used_last_24h FROM senders WHERE id = :id", id=quiet.id) == 0
        assert sender_figures.over(sender.id, 24).sent == 100 and sender_figures.over(sender.id, 168).sent == 190
        assert [row.sent for _, row in sender_figures.by_hour(sender.id) if row] == [100]
        assert len(sender_figures.by_hour(sender.id)) == 24


@pytest.mark.parametrize(
    ("ago", "counted", "words"),
    [("5 minutes", {"sent": 79, "bounced": 41, "unknown": 41}, "41 of the last 120 messages bounced (34 %) within an hour"),
     ("5 minutes", {"sent": 60, "failed": 20, "bounced": 1}, "21 of the last 80 messages failed or bounced (26 %) within an hour"),
     ("3 hours", {"sent": 40, "failed": 60}, "60 of the last 100 messages failed (60 %) within 24 hours"),
     ("3 hours", {"sent": 1000, "complaints": 4}, "4 of the last 1,000 messages brought a complaint (0.40 %) within 24 hours")],
)  # fmt: skip
def test_a_sender_that_goes_wrong_is_held_with_the_reason(cast, tx, ago, counted, words):
    with tx():
        sender = senders.save_smtp(None, GOOD)
        minutes(sender.id, ago, **counted)
        assert health.auto_hold(sender) and not health.auto_hold(sender)
        reason = value("SELECT hold_reason FROM senders WHERE id = :id", id=sender.id)
        assert reason.startswith(words) and "more than the" in reason
        assert value("SELECT count(*) FROM audit_log WHERE action = 'sender.held'") == 1
    with tx():
        # A person has looked: what was then does not hold it again, what comes after does.
        assert senders.let_go_on(sender.id)
        assert not health.auto_hold(sender)
        run(
            "UPDATE senders SET config = config || jsonb_build_object('judged_from', CAST(now() - interval '1 day' AS text))"
        )
        assert health.auto_hold(sender)


@pytest.mark.parametrize(
    ("ago", "counted"),
    [("5 minutes", {"sent": 0, "failed": 49}), ("5 minutes", {"sent": 80, "failed": 20}), ("25 hours", {"failed": 500}),
     ("5 minutes", {"sent": 1000, "complaints": 3})],
)  # fmt: skip
def test_what_the_policy_lets_pass_holds_nothing(cast, tx, ago, counted):
    with tx():
        sender = senders.save_smtp(None, GOOD)
        minutes(sender.id, ago, **counted)
        assert not health.auto_hold(sender)
        policy.save(organizations.current(), {"error_sample": 10, "error_rate": 0.1, "complaint_rate": 0.001})
        assert health.auto_hold(sender) == (ago != "25 hours")


def test_counting_wakes_the_job_and_it_sleeps_when_all_is_forgotten(app, cast, tx):
    with tx():
        sender_id = senders.save_smtp(None, GOOD).id
    with tx():
        meters.count(sender_id, Counter(sent=3, failed=60))
    work.tell()
    assert cast.org in work.due(HEALTH)
    schedule.judge_senders()
    assert cast.org not in work.due(HEALTH)
    with tx():
        assert value("SELECT held_at IS NOT NULL FROM senders WHERE id = :id", id=sender_id)
        assert value("SELECT due_at - now() < interval '6 minutes' FROM work_due WHERE kind = :kind", kind=HEALTH)
        run("UPDATE sender_minutes SET minute = minute - interval '2 hours'")
        health.refresh()
        assert value("SELECT due_at - now() > interval '50 minutes' FROM work_due WHERE kind = :kind", kind=HEALTH)
        run("UPDATE sender_minutes SET minute = minute - interval '9 days'")
        assert health.refresh() == 0
        assert value("SELECT health_score FROM senders WHERE id = :id", id=sender_id) == 100
        assert not value("SELECT count(*) FROM work_due WHERE kind = :kind", kind=HEALTH)


def test_what_became_known_of_what_is_long_forgotten_leaves_nothing_below_nothing(cast, tx):
    campaign_id = desk.started(cast.org, 30)
    ids = desk.settle(cast.org, campaign_id, ["unknown"] * 30)
    with tx():
        run("UPDATE sender_minutes SET minute = minute - interval '30 days'")
        assert resolving.as_sent(ids, "Ada").done == 30
        sender_id = send_of(ids[0]).sender_id
        week = sender_figures.over(sender_id, 168)
        assert (week.sent, week.unknown) == (30, 0) and health.of(week).score == 100
        assert all(sums is None or sums.unknown == 0 for _, sums in sender_figures.by_hour(sender_id))
        assert health.refresh() == 1
        assert value("SELECT health_score FROM senders WHERE id = :id", id=sender_id) == 100
