"""What a person says of sends whose outcome nobody knows: done once, only where it can be true, and accounted for."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messaging.desk import FIREFOX, counters, facts, in_state, recount, send_of, settle, started
from webapp.audience import leads
from webapp.campaigns import campaigns
from webapp.messaging import outbox, outcomes, receipts, resolving
from webapp.messaging.outbox import Outcome
from webapp.platform import tenancy
from webapp.platform.db import one, rows, run, transaction, value
from webapp.platform.errors import Refused

BY = "Mara"


def unknown(org: int, n: int = 3) -> tuple[int, list[int]]:
    """Returns a campaign to n people and its sends, none of which anybody knows the outcome of."""
    campaign_id = started(org, n)
    return campaign_id, settle(org, campaign_id, ["unknown"] * n)


def audits() -> list:
    return rows("SELECT action, entity_id, after FROM audit_log WHERE action LIKE 'sends.%' ORDER BY id")


def test_counted_as_sent_it_went_out_when_it_became_unknown(cast, tx):
    campaign_id, ids = unknown(cast.org)
    with tx():
        before = send_of(ids[0]).updated_at
        assert resolving.as_sent(ids[:2], BY).done == 2
    with tx():
        send = send_of(ids[0])
        assert (send.status, send.sent_at, send.delivered_at, send.error_message) == ("sent", before, before, None)
        assert send_of(ids[2]).status == "unknown"
        assert counters(campaign_id) == recount(campaign_id)
        assert counters(campaign_id)["delivered"] == 2
        assert facts(send.lead_id)[-1] == "email_sent"
        payload = value("SELECT payload FROM lead_events WHERE type = 'email_sent' AND lead_id = :id", id=send.lead_id)
        assert payload == {"campaign_id": campaign_id, "send_id": ids[0], "note": "resolved by Mara"}
        (entry,) = audits()
        assert (entry.action, entry.entity_id) == ("sends.resolved_as_sent", campaign_id)
        assert entry.after == {"count": 2, "by": BY, "sends": ids[:2]}


def test_an_sms_counted_as_sent_is_not_delivered_yet(cast, tx):
    campaign_id, ids = unknown(cast.org, 1)
    with tx():
        run("UPDATE sends SET channel = 'sms' WHERE id = :id", id=ids[0])
        resolving.as_sent(ids, BY)
        assert send_of(ids[0]).delivered_at is None
        assert counters(campaign_id)["delivered"] == 0
        assert facts(send_of(ids[0]).lead_id)[-1] == "sms_sent"


def test_counted_as_not_sent_it_waits_again_and_goes_out_once_more(cast, tx):
    campaign_id, ids = unknown(cast.org, 2)
    with tx():
        run("DELETE FROM work_due")
        assert resolving.as_not_sent(ids, BY).done == 2
    with tx():
        send = send_of(ids[0])
        assert (send.status, send.attempts, send.claim_token, send.claimed_by) == ("pending", 1, None, None)
        assert counters(campaign_id) == recount(campaign_id)
        assert counters(campaign_id)["unknown"] == 0
        assert value("SELECT count(*) FROM work_due WHERE kind = 'campaigns' AND due_at <= now()") == 1
        assert [entry.after["count"] for entry in audits()] == [2]
    settle(cast.org, campaign_id, ["accepted", "accepted"])
    with tx():
        assert (send_of(ids[0]).status, send_of(ids[0]).attempts) == ("sent", 2)
        assert counters(campaign_id) == recount(campaign_id)


def test_batches_move_with_it(cast, tx):
    campaign_id, ids = unknown(cast.org)
    with tx():
        run("DELETE FROM campaign_batches")
        run(
            "INSERT INTO campaign_batches (campaign_id, send_date, batch_number, batch_size, claimed, done, status)"
            " SELECT campaign_id, planned_on, 1, 3, 3, 3, 'completed' FROM sends WHERE id = :id",
            id=ids[0],
        )
        resolving.as_sent(ids[:1], BY)
        resolving.as_not_sent(ids[1:], BY)
        batch = one("SELECT claimed, sent, done, remaining, status FROM campaign_batches")
        assert tuple(batch) == (3, 1, 1, 2, "processing")


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        ("UPDATE sends SET opened_at = now() WHERE id = :id", "seen"),
        ("UPDATE sends SET machine_open_count = 1 WHERE id = :id", "seen"),
        ("UPDATE sends SET read_at = now() WHERE id = :id", "seen"),
        ("INSERT INTO engagement_events (send_id, kind, at, provider_event_id) VALUES (:id, 'delivered', now(), 'x')", "seen"),
        ("INSERT INTO inbound_messages (channel, from_address, body, intent, provider_message_id, received_at, lead_id,"
         " send_id) SELECT 'email', 'a@b.example', 'Hi', 'other', 'x', now(), lead_id, id FROM sends WHERE id = :id", "seen"),
        ("UPDATE campaigns SET status = 'completed' WHERE id = (SELECT campaign_id FROM sends WHERE id = :id)", "ended"),
        ("UPDATE campaigns SET status = 'cancelled' WHERE id = (SELECT campaign_id FROM sends WHERE id = :id)", "cancelled"),
        ("UPDATE campaigns SET status = 'archived' WHERE id = (SELECT campaign_id FROM sends WHERE id = :id)", "cancelled"),
        ("UPDATE sends SET kind = 'test', campaign_id = NULL WHERE id = :id", "alone"),
        ("UPDATE leads SET email = 'moved@example.com' WHERE id = (SELECT lead_id FROM sends WHERE id = :id)", "address_changed"),
        ("UPDATE leads SET deleted_at = now() WHERE id = (SELECT lead_id FROM sends WHERE id = :id)", "lead_removed"),
        ("UPDATE sends SET lead_id = NULL WHERE id = :id", "lead_removed"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_or_cannot_be_done_is_left(cast, tx, cause, reason):
    campaign_id, ids = unknown(cast.org, 1)
    with tx():
        run(cause, id=ids[0])
        before = counters(campaign_id)
        resolved = resolving.as_not_sent(ids, BY)
        assert (resolved.done, resolved.left) == (0, Counter({reason: 1}))
        assert resolved.reasons == f"1: {resolving.REFUSALS[reason]}"
        assert send_of(ids[0]).status == "unknown"
        assert counters(campaign_id) == before
        assert audits() == []


def test_an_unknown_request_to_confirm_is_asked_again(cast, tx):
    _, ids = unknown(cast.org, 1)
    with tx():
        run("UPDATE sends SET kind = 'confirmation', campaign_id = NULL WHERE id = :id", id=ids[0])
        assert resolving.as_not_sent(ids, BY).done == 1
        assert value("SELECT count(*) FROM work_due WHERE kind = 'confirmations'") == 1


def test_only_a_person_says_it_and_not_of_everything_at_once(cast, tx):
    with tx():
        for act in (resolving.as_sent, resolving.as_not_sent):
            with pytest.raises(Refused, match="Only a person"):
                act([1], " ")
            with pytest.raises(Refused, match="at most"):
                act(range(1, resolving.LIMIT + 2), BY)


@pytest.mark.parametrize("state", ["active", "paused"])
def test_other_sends_and_other_organisations_are_left_alone(cast, tx, state):
    campaign_id = in_state(cast.org, state)
    with tx():
        ids = [row.id for row in rows("SELECT id FROM sends WHERE campaign_id = :id", id=campaign_id)]
        assert resolving.as_sent(ids, BY).done == resolving.as_not_sent(ids, BY).done == 0
    _, theirs = unknown(cast.other_org, 1)
    with tx():
        assert resolving.as_sent(theirs, BY).done == resolving.as_not_sent(theirs, BY).done == 0
    with tx(cast.other_org):
        assert send_of(theirs[0]).status == "unknown"


def test_all_of_a_campaign_that_were_unknown_by_then(cast, tx):
    campaign_id, ids = unknown(cast.org)
    with tx():
        until = send_of(ids[0]).updated_at
        run("UPDATE sends SET updated_at = now() WHERE id = :id", id=ids[2])
        assert resolving.unknown_of(campaign_id, until) == ids[:2]


def test_two_people_and_a_receipt_at_once_act_once(app, cast, tx):
    campaign_id, ids = unknown(cast.org, 6)
    ready = Barrier(4)

    def act(deed) -> int:
        with app.app_context(), tenancy.scope(cast.org):
            ready.wait()
            with transaction(cast.org):
                return deed()

    def opened() -> int:
        receipts.opened(ids[0], {"user_agent": FIREFOX, "ip": "127.0.0.1"})
        return 0

    deeds = [
        lambda: resolving.as_sent(ids, "Ann").done, lambda: resolving.as_sent(ids, "Ben").done,
        lambda: resolving.as_not_sent(ids, "Cy").done, opened,
    ]  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(act, deeds))
    with tx():
        assert 5 <= done <= 6  # the receipt may have resolved the one it is about
        assert sum(entry.after["count"] for entry in audits()) == done
        assert value("SELECT count(*) FROM sends WHERE status = 'unknown'") == 0
        assert counters(campaign_id) == recount(campaign_id)


DEEDS = (
    "as_sent",
    "as_not_sent",
    "claim",
    "accepted",
    "unknown",
    "retry",
    "rejected",
    "expire",
    "opened",
    "pause",
    "resume",
)


class _Desk:
    """A campaign and what has been claimed of it and not recorded."""

    def __init__(self, campaign_id: int, ids: list[int]):
        self.campaign_id, self.ids, self.claimed = campaign_id, ids, None

    def do(self, deed: str, chosen: list[int]) -> None:
        if deed in ("as_sent", "as_not_sent"):
            wanted = value("SELECT count(*) FROM sends WHERE status = 'unknown' AND id = ANY(:ids)", ids=chosen)
            resolved = getattr(resolving, deed)(chosen, BY)
            assert resolved.done + resolved.left.total() == wanted
        elif deed == "claim" and campaigns.get(self.campaign_id).status == "active":
            self.claimed = outbox.claim(self.campaign_id, "email", "test")
        elif deed in ("accepted", "unknown", "retry", "rejected") and self.claimed:
            outcomes.finalise(self.claimed, [Outcome(row.id, deed, "550", "no") for row in self.claimed.rows])
            run("UPDATE sends SET not_before = now() WHERE status = 'pending'")
            self.claimed = None
        elif deed == "expire":
            run("UPDATE sends SET lease_until = now() - interval '1 s' WHERE status = 'sending'")
            outcomes.expire()
        elif deed == "opened" and chosen:
            receipts.opened(chosen[0], {"user_agent": FIREFOX, "ip": "127.0.0.1"})
        elif deed in ("pause", "resume"):
            with suppress(Refused):
                getattr(campaigns, deed)(self.campaign_id)


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(deeds=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 7)), min_size=3, max_size=14))
def test_whatever_happens_in_whatever_order_everybody_is_accounted_for(cast, tx, deeds):
    """Each send stands at one place, the counters say so, and nobody who was seen to get it waits for it again."""
    with tx():
        for table in ("campaigns", "sends", "leads", "segments", "templates"):
            run(f"DELETE FROM {table}")
    desk = _Desk(*unknown(cast.org))
    waiting = "SELECT id FROM sends WHERE status = 'pending'"
    for deed, which in deeds:
        with tx():
            seen = {row.id for row in rows("SELECT id FROM sends WHERE opened_at IS NOT NULL")}
            before = {row.id for row in rows(waiting)}
            desk.do(deed, [id for n, id in enumerate(desk.ids) if which >> n & 1])
        with tx():
            assert counters(desk.campaign_id) == recount(desk.campaign_id)
            assert seen.isdisjoint({row.id for row in rows(waiting)} - before)


def test_the_lead_is_told_apart_by_the_address_the_message_went_to(cast, tx):
    _, ids = unknown(cast.org, 1)
    with tx():
        lead = leads.get(send_of(ids[0]).lead_id)
        leads.update(lead, {"email": lead.email.upper()})
        assert resolving.as_not_sent(ids, BY).done == 1
