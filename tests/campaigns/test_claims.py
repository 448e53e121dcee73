"""Between planning and sending much may change: what was withdrawn by then is obeyed, a pause holds, and a campaign that
is cancelled accounts for every row."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.messaging import desk
from webapp.audience import consents, leads, merges
from webapp.campaigns import campaigns, dispatch, replanning
from webapp.messaging import delivery, meters, outbox, outcomes
from webapp.messaging.delivery import NothingToDo
from webapp.messaging.outbox import Outcome
from webapp.platform import tenancy, work
from webapp.platform.db import one, rows, run, transaction, value

CHANGES = {
    "unsubscribed": lambda id: consents.set_consent(id, "email", "unsubscribed", source="phone"),
    "consent_pending": lambda id: consents.set_consent(id, "email", "pending", source="form"),
    "no_consent": lambda id: run("DELETE FROM consents WHERE lead_id = :id", id=id),
    "suppressed": lambda id: consents.suppress("email", leads.get(id).email.upper(), "complaint"),
    "address_changed": lambda id: leads.update(leads.get(id), {"email": "moved@example.com"}),
    "lead_removed": lambda id: leads.remove([id]),
    None: lambda id: leads.update(leads.get(id), {"email": leads.get(id).email.upper(), "first_name": "New"}),
}


def statuses(campaign_id: int) -> dict[str, int]:
    return dict(rows("SELECT status, count(*) FROM sends WHERE campaign_id = :id GROUP BY 1", id=campaign_id))


@pytest.mark.parametrize("reason", CHANGES)
def test_what_changed_since_the_plan_is_obeyed_at_the_claim(cast, tx, reason):
    campaign_id = desk.started(cast.org, 2)
    with tx():
        lead_id, other = (row.lead_id for row in rows("SELECT lead_id FROM sends ORDER BY id"))
        CHANGES[reason](lead_id)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test")
        assert {row.lead_id for row in claimed.rows} == ({other, lead_id} if reason is None else {other})
        assert value("SELECT skip_reason FROM sends WHERE lead_id = :id", id=lead_id) == reason
        assert ("email_skipped" in desk.facts(lead_id)) == (reason is not None)
        assert desk.counters(campaign_id)["skipped"] == (reason is not None)


def test_an_address_that_left_the_lead_altogether_is_not_used(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        lead = leads.get(value("SELECT lead_id FROM sends"))
        leads.update(lead, {"email": None, "phone": "+14152000000"})
    with tx():
        assert outbox.claim(campaign_id, "email", "test").rows == []
        assert value("SELECT skip_reason FROM sends") == "address_changed"


def test_a_lead_removed_for_good_is_skipped(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        run("DELETE FROM leads")
        assert outbox.claim(campaign_id, "email", "test").rows == []
        assert value("SELECT skip_reason FROM sends") == "lead_removed"
        assert desk.counters(campaign_id)["skipped"] == 1


def test_a_claim_is_nobody_elses_and_its_record_needs_its_token(cast, tx):
    campaign_id = desk.started(cast.org, 3)
    with tx():
        mine = outbox.claim(campaign_id, "email", "one", limit=2)
    with tx():
        theirs = outbox.claim(campaign_id, "email", "two")
        assert not {row.id for row in mine.rows} & {row.id for row in theirs.rows} and len(theirs.rows) == 1
        stolen = outbox.Claim("a guess", campaign_id, "email", mine.rows, 0)
        assert not outcomes.finalise(stolen, [Outcome(row.id, "accepted") for row in mine.rows])
        assert outcomes.finalise(mine, [Outcome(row.id, "accepted") for row in mine.rows]) == {"sent": 2}
        assert not outcomes.finalise(mine, [Outcome(row.id, "rejected") for row in mine.rows])
        assert statuses(campaign_id) == {"sent": 2, "sending": 1}


def test_a_pause_stops_claims_and_lets_what_is_under_way_be_recorded(cast, tx):
    campaign_id = desk.started(cast.org, 3)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test", limit=1)
    with tx():
        campaigns.pause(campaign_id)
    with tenancy.scope(cast.org):
        assert delivery.send_batch(lambda: dispatch.order_of(campaign_id), "test") is None
        dispatch.settle()
    with tx():
        with pytest.raises(NothingToDo):
            dispatch.order_of(campaign_id)
        outcomes.finalise(claimed, [Outcome(claimed.rows[0].id, "accepted")])
        assert statuses(campaign_id) == {"sent": 1, "pending": 2} and campaigns.get(campaign_id).status == "paused"
        campaigns.resume(campaign_id)
        assert dispatch.order_of(campaign_id).campaign_id == campaign_id
    with tenancy.scope(cast.org):
        assert delivery.send_batch(lambda: dispatch.order_of(campaign_id), "test") == {"sent": 2}
        dispatch.settle()
    with tx():
        assert campaigns.get(campaign_id).status == "completed"


@pytest.mark.parametrize("kind", ["accepted", "retry", "released", "unknown", "rejected", None])
def test_cancelling_accounts_for_every_row(cast, tx, kind):
    campaign_id = desk.started(cast.org, 4)
    desk.settle(cast.org, campaign_id, ["accepted", "rejected", "unknown", "retry"])
    with tx():
        run("UPDATE sends SET not_before = now() WHERE status = 'pending'")
        claimed = outbox.claim(campaign_id, "email", "test")
    with tx():
        campaigns.cancel(campaign_id)
    with tx():
        if kind:
            outcomes.finalise(claimed, [Outcome(claimed.rows[0].id, kind)])
        else:
            run("UPDATE sends SET lease_until = now() - interval '1 second' WHERE status = 'sending'")
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        found = desk.counters(campaign_id)
        assert found == desk.recount(campaign_id)
        assert found["planned"] == 4 == found["sent"] + found["failed"] + found["unknown"] + found["skipped"]
        assert campaigns.get(campaign_id).status == "cancelled" and not outbox.unfinished(campaign_id)


def test_a_lease_that_ran_out_leaves_a_send_unknown_and_never_sends_it_again(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test")
        run("UPDATE sends SET lease_until = now() - interval '1 second'")
    with tx():
        assert outcomes.expire() == 1
        assert outbox.claim(campaign_id, "email", "test").rows == []
        assert not outcomes.finalise(claimed, [Outcome(claimed.rows[0].id, "accepted")])
        assert statuses(campaign_id) == {"unknown": 1}
        assert desk.facts(claimed.rows[0].lead_id)[-1] == "email_unknown"
        assert desk.counters(campaign_id) == desk.recount(campaign_id)


def test_what_may_be_tried_again_is_tried_three_times_more_and_then_failed(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    for attempt in range(1, 5):
        with tx():
            claimed = outbox.claim(campaign_id, "email", "test")
            assert claimed.rows[0].attempts == attempt
            ended = outcomes.finalise(claimed, [Outcome(claimed.rows[0].id, "retry", "451", "451 later")])
            assert ended == {"pending" if attempt < 4 else "failed": 1}
            if attempt < 4:
                assert outbox.claim(campaign_id, "email", "test").rows == []
            run("UPDATE sends SET not_before = now() - interval '1 second'")
    with transaction(cast.org):
        assert value("SELECT error_message FROM sends") == "451 later"
        assert desk.counters(campaign_id) == desk.recount(campaign_id)


def test_what_ran_out_waits_for_a_batch_without_holding_the_meter_behind_it(app, cast, tx):
    """Whoever records a claim locks the batch and then the sender's minute; in another order two of them would wait for
    each other."""
    campaign_id = desk.started(cast.org, 2)
    with tx():
        sender_id = one("SELECT sender_id FROM campaigns WHERE id = :id", id=campaign_id).sender_id
        assert len(outbox.claim(campaign_id, "email", "test", sender_id=sender_id).rows) == 2
        run(
            "UPDATE sends SET lease_until = now() - interval '1 second', provider_message_id = CASE WHEN id % 2 = 0 THEN 'x' END"
        )
        run(
            "UPDATE campaign_batches SET send_date = (now() AT TIME ZONE 'UTC')::date, batch_size = 2, done = 0, sent = 0"
        )

    def expire() -> int:
        with app.app_context(), transaction(cast.org):
            return outcomes.expire()

    # Not of pg_stat_activity: a transaction sees that as it was when it first looked.
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    with ThreadPoolExecutor(1) as pool:
        with tx():
            run("SELECT FROM campaign_batches FOR UPDATE")
            expiring = pool.submit(expire)
            until = time.monotonic() + 30
            while not value(blocked) and time.monotonic() < until:
                time.sleep(0.02)
            assert value(blocked) == 1
            meters.count(sender_id, Counter(sent=5))
        assert expiring.result(60) == 2
    with tx():
        assert tuple(one("SELECT done, sent, status FROM campaign_batches")) == (2, 1, "completed")
        assert tuple(one("SELECT sum(sent)::int, sum(unknown)::int FROM sender_minutes")) == (6, 1)


@pytest.mark.parametrize("first", ["accepted", "unknown", "rejected", None])
def test_two_leads_that_are_one_person_hear_of_a_campaign_once(cast, tx, first):
    """One has got the message, or waits for it, when it turns out that the other is the same person."""
    with tx():
        ada, other = desk.add_lead(1), desk.add_lead(2)
        campaign_id = desk.draft().id
    desk.start(cast.org, campaign_id)
    if first:
        with tx():
            claimed = outbox.claim(campaign_id, "email", "test", 1)
            outcomes.finalise(claimed, [Outcome(row.id, first) for row in claimed.rows])
    with tx():
        merges.merge(ada, other, {"email"})
        run("UPDATE sends SET recipient_address = 'lead2@example.com' WHERE status = 'pending'")
        claimed = outbox.claim(campaign_id, "email", "test")
        assert len(claimed.rows) == (1 if first in ("rejected", None) else 0)
        skipped = value("SELECT count(*) FROM sends WHERE skip_reason = 'duplicate_address'")
        assert skipped == (0 if first == "rejected" else 1)


def test_what_comes_back_after_a_cancelling_keeps_the_work_alive(cast, tx):
    campaign_id = desk.started(cast.org, 2)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test")
    with tx():
        campaigns.cancel(campaign_id)
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        outcomes.finalise(claimed, [Outcome(row.id, "retry") for row in claimed.rows])
        # Whoever recorded that is gone; somebody else had looked before.
        work.settle(campaigns.WORK, dispatch._next_due)
        assert value("SELECT count(*) FROM work_due WHERE kind = :kind", kind=campaigns.WORK) == 1
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        assert statuses(campaign_id) == {"skipped": 2}
        assert desk.counters(campaign_id) == desk.recount(campaign_id)
        assert value("SELECT count(*) FROM work_due WHERE kind = :kind", kind=campaigns.WORK) == 0


def test_what_is_asked_of_the_plan_while_it_is_made_is_not_forgotten(app, cast, tx, monkeypatch):
    desk.started(cast.org, 1)
    plan = replanning.replan

    def replan() -> int:
        moved = plan()
        with ThreadPoolExecutor(1) as beside:
            beside.submit(ask).result()
        return moved

    def ask() -> None:
        with app.app_context(), transaction(cast.org):
            work.announce(replanning.PLANS)

    monkeypatch.setattr(replanning, "replan", replan)
    with tenancy.scope(cast.org):
        replanning.run_due()
    with tx():
        assert value("SELECT due_at <= now() FROM work_due WHERE kind = :kind", kind=replanning.PLANS)
