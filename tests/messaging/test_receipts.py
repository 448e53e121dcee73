"""Receipts: each is counted once, in the send, the timeline and the counters alike; people and machines stand apart; and
nothing ever goes backwards."""

import threading
from datetime import timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messaging import desk
from tests.messaging.desk import APPLE_PROXY, FIREFOX, counters, facts, recount, send_of
from webapp.audience import consents
from webapp.messaging import links, outbox, outcomes, receipts, resolving
from webapp.messaging.receipts import is_machine
from webapp.messaging.sends import LADDER
from webapp.platform.clock import now
from webapp.platform.db import run, transaction, value
from webapp.platform.errors import NotFound

ADA = {"user_agent": FIREFOX, "ip": "10.0.0.1"}
URL = "https://offer.example/?s=TX"


@pytest.fixture
def post(cast):
    """A campaign with three sends that went out an hour ago: (campaign id, their ids)."""
    campaign_id = desk.started(cast.org)
    return campaign_id, desk.settle(cast.org, campaign_id, ["accepted"] * 3)


def counted(campaign_id: int) -> dict[str, int]:
    """The counters that are not 0, after holding them against the sends."""
    found = counters(campaign_id)
    assert found == recount(campaign_id)
    return {name: n for name, n in found.items() if n and name not in ("planned", "sent", "delivered")}


def test_a_first_open_counts_once_for_the_person_and_every_time_for_the_opens(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        receipts.opened(first, ADA)
        receipts.opened(first, ADA | {"ip": "10.0.0.2"})
        send = send_of(first)
        assert (send.status, send.open_count, send.click_count) == ("opened", 2, 0)
        assert counted(campaign_id) == {"opens": 2, "opened": 1}
        assert facts(send.lead_id).count("email_opened") == 1
        assert value("SELECT last_activity_at > now() - interval '5 s' FROM leads WHERE id = :id", id=send.lead_id)


def test_the_same_open_told_again_within_twenty_seconds_is_one(post, tx):
    campaign_id, (first, *_) = post
    moment = now().replace(microsecond=0)
    with tx():
        # Across any border of the clock: 19 seconds later is a repetition, 21 seconds later is not.
        for seconds in (0, 1, 19, 21, 22, 40, 42):
            with time_machine.travel(moment + timedelta(seconds=seconds), tick=False):
                receipts.opened(first, ADA)
        assert counted(campaign_id) == {"opens": 3, "opened": 1}


@pytest.mark.parametrize(
    ("agent", "machine"),
    [(FIREFOX, False), (APPLE_PROXY, True), ("", True), (None, True), ("Googlebot/2.1", True), ("curl/8.1", True),
     ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", True),
     ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)", False),
     ("Outlook-iOS/720.1 (4.2)", False), ("BarracudaSentinel", True), ("python-requests/2", True)],
)  # fmt: skip
def test_machines_are_known_by_their_names(agent, machine):
    assert is_machine(agent, 3600) == machine


def test_machines_are_known_by_their_haste():
    assert is_machine(FIREFOX, 0.5) and not is_machine(FIREFOX, 5) and not is_machine(FIREFOX, None)


def test_a_machines_open_stands_apart_and_moves_no_status(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        receipts.opened(first, ADA | {"user_agent": APPLE_PROXY})
        receipts.opened(first, ADA | {"user_agent": APPLE_PROXY, "ip": "17.0.0.9"})
        send = send_of(first)
        assert (send.status, send.open_count, send.machine_open_count, send.opened_at) == ("sent", 0, 2, None)
        assert counted(campaign_id) == {"machine_opened": 1}
        assert "email_opened" not in facts(send.lead_id) and facts(send.lead_id).count("email_machine_opened") == 1


def test_a_click_implies_the_open(post, tx):
    campaign_id, (first, second, _) = post
    with tx():
        link_id = links.store(campaign_id, URL)
        receipts.clicked(first, link_id, URL, ADA)
        send = send_of(first)
        assert (send.status, send.open_count, send.click_count) == ("clicked", 1, 1) and send.opened_at
        assert [(each["url"], bool(each["clicked_at"])) for each in send.links_clicked] == [(URL, True)]
        assert counted(campaign_id) == {"opens": 1, "opened": 1, "clicks": 1, "clicked": 1}
        receipts.opened(second, ADA)
        receipts.clicked(second, link_id, URL, ADA)
        receipts.clicked(second, links.store(campaign_id, "https://terms.example/"), "https://terms.example/", ADA)
        receipts.opened(first, ADA)
        assert send_of(first).status == "clicked"
        assert counted(campaign_id) == {"opens": 3, "opened": 2, "clicks": 3, "clicked": 2}
        assert [each["url"] for each in send_of(second).links_clicked] == [URL, "https://terms.example/"]


def test_a_link_scanner_clicks_nothing(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        receipts.clicked(first, links.store(campaign_id, URL), URL, {"user_agent": "Proofpoint", "ip": "1.1.1.1"})
        assert counted(campaign_id) == {} and send_of(first).status == "sent" and send_of(first).links_clicked == []


def test_unsubscribing_takes_the_lead_off_and_tells_it_once(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        assert receipts.unsubscribed(first, ADA, source="one-click")
        send = send_of(first)
        assert consents.is_suppressed("email", send.recipient_address)
        consent = consents.of_lead(send.lead_id)["email"]
        assert (consent.status, consent.source, consent.evidence) == ("unsubscribed", "one-click", f"send {first}")
        assert facts(send.lead_id)[-2:] == ["consent_changed", "email_unsubscribed"]
        assert not receipts.unsubscribed(first, ADA, source="page")
        assert facts(send.lead_id).count("email_unsubscribed") == 1
        assert counted(campaign_id) == {"unsubscribed": 1}
        assert send.status == "sent"


def test_coming_back_lifts_the_bar_and_going_again_counts_nobody_twice(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        receipts.unsubscribed(first, ADA, source="page")
        send = send_of(first)
        assert receipts.resubscribed(first, ADA) and not receipts.resubscribed(first, ADA)
        assert not consents.is_suppressed("email", send.recipient_address)
        assert consents.of_lead(send.lead_id)["email"].status == "subscribed"
        assert receipts.unsubscribed(first, ADA, source="page")
        assert counted(campaign_id) == {"unsubscribed": 1}
        kinds = value("SELECT array_agg(kind ORDER BY id) FROM engagement_events WHERE send_id = :id", id=first)
        assert kinds == ["unsubscribed", "resubscribed", "unsubscribed"]


def test_a_bar_for_a_bounce_survives_coming_back(post, tx):
    _, (first, *_) = post
    with tx():
        consents.suppress("email", send_of(first).recipient_address, "hard_bounce")
        receipts.unsubscribed(first, ADA, source="page")
        receipts.resubscribed(first, ADA)
        assert consents.is_suppressed("email", send_of(first).recipient_address)


RECEIPTS = {
    "open": lambda id, link, seen=ADA: receipts.opened(id, seen),
    "machine open": lambda id, link, seen=ADA: receipts.opened(id, seen | {"user_agent": APPLE_PROXY}),
    "click": lambda id, link, seen=ADA: receipts.clicked(id, link, URL, seen),
    "machine click": lambda id, link, seen=ADA: receipts.clicked(id, link, URL, seen | {"user_agent": "bot"}),
    "unsubscribe": lambda id, link, seen=ADA: receipts.unsubscribed(id, seen, source="page"),
}


@pytest.mark.parametrize("kind", RECEIPTS)
def test_any_receipt_of_an_unknown_send_shows_that_it_went_out(cast, tx, kind):
    campaign_id = desk.started(cast.org)
    first, *_ = desk.settle(cast.org, campaign_id, ["unknown", "accepted", "rejected"])
    with tx():
        assert (counters(campaign_id)["unknown"], counters(campaign_id)["sent"]) == (1, 1)
        # A scanner may have come before the outcome was lost; what is known is known from the next receipt on.
        run("UPDATE sends SET machine_open_count = 1 WHERE id = :id AND :kind = 'machine open'", id=first, kind=kind)
        RECEIPTS[kind](first, links.store(campaign_id, URL))
        RECEIPTS[kind](first, links.store(campaign_id, URL))
        send = send_of(first)
        assert send.status == {"open": "opened", "click": "clicked"}.get(kind, "sent")
        assert send.sent_at and send.delivered_at and send.error_message is None
        found = counters(campaign_id)
        assert (found["unknown"], found["sent"], found["delivered"], found["failed"]) == (0, 2, 2, 1)
        if kind != "machine open":
            assert found == recount(campaign_id)


def test_a_receipt_of_a_send_that_is_gone_is_not_found_and_writes_nothing(cast, tx):
    with tx():
        for record in RECEIPTS.values():
            with pytest.raises(NotFound):
                record(987_654_321, 1)
        assert value("SELECT count(*) FROM engagement_events") == 0


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([*RECEIPTS, "back"]), st.integers(0, 2)), max_size=14)
)
def test_after_any_receipts_the_counters_say_what_counting_says_and_nothing_went_back(cast, steps):
    with transaction(cast.org):
        run("DELETE FROM campaigns")
        run("DELETE FROM leads")
        run("DELETE FROM suppressions")
        run("DELETE FROM segments")
        run("DELETE FROM templates")
    campaign_id = desk.started(cast.org, 4)
    ids = desk.settle(cast.org, campaign_id, ["accepted", "accepted", "unknown", "rejected"])
    with transaction(cast.org):
        link_id = links.store(campaign_id, URL)
        for who, kind, ip in steps:
            before = send_of(ids[who]).status
            if kind == "back":
                receipts.resubscribed(ids[who], ADA)
            else:
                RECEIPTS[kind](ids[who], link_id, ADA | {"ip": f"10.0.0.{ip}"})
            after = send_of(ids[who]).status
            assert after == before or before in ("unknown", "failed") or LADDER.index(after) > LADDER.index(before)
        assert counters(campaign_id) == recount(campaign_id)


def test_two_first_opens_at_once_count_one_person(app, cast, post, tx):
    campaign_id, (first, *_) = post
    barrier = threading.Barrier(4)

    def open_it(n: int) -> None:
        with app.app_context(), transaction(cast.org):
            value("SELECT 1")
            barrier.wait()
            receipts.opened(first, ADA | {"ip": f"10.1.0.{n}"})

    threads = [threading.Thread(target=open_it, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tx():
        assert counted(campaign_id) == {"opens": 4, "opened": 1}
        assert facts(send_of(first).lead_id).count("email_opened") == 1


def test_a_receipt_that_comes_before_the_outcome_is_kept_and_the_outcome_too(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test")
    with tx():
        receipts.opened(claimed.rows[0].id, ADA)
    with tx():
        outcomes.finalise(claimed, [outbox.Outcome(claimed.rows[0].id, "accepted")])
        assert counters(campaign_id) == recount(campaign_id)
        assert send_of(claimed.rows[0].id).opened_at and send_of(claimed.rows[0].id).status == "opened"
        assert facts(claimed.rows[0].lead_id)[-2:] == ["email_opened", "email_sent"]


@pytest.mark.parametrize("outcome", ["accepted", "unknown", "retry", "released", None])
@pytest.mark.parametrize(("receipt", "expected"), [("open", "opened"), ("click", "clicked"), ("machine", "sent")])
def test_what_was_seen_while_it_was_being_sent_went_out(cast, tx, receipt, expected, outcome):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test")
        send_id = claimed.rows[0].id
    with tx():
        if receipt == "click":
            receipts.clicked(send_id, links.store(campaign_id, "https://x.example/"), "https://x.example/", ADA)
        else:
            receipts.opened(send_id, ADA if receipt == "open" else {"user_agent": "Mozilla/5.0", "ip": "17.0.0.1"})
    with tx():
        if outcome:
            ended = outcomes.finalise(claimed, [outbox.Outcome(send_id, outcome, "451", "later")])
            assert ended == {"sent": 1}
        else:
            run("UPDATE sends SET lease_until = now() - interval '1 second'")
            assert outcomes.expire() == 1
    with tx():
        send = send_of(send_id)
        assert (send.status, send.error_message, send.claim_token) == (expected, None, None)
        assert send.sent_at and send.delivered_at and send.attempts == 1
        assert counters(campaign_id) == recount(campaign_id) and counters(campaign_id)["sent"] == 1
        assert facts(send.lead_id).count("email_sent") == 1 and "email_unknown" not in facts(send.lead_id)
        assert outbox.claim(campaign_id, "email", "test").rows == []


@pytest.mark.parametrize("receipt", ["opened", "clicked", "machine", "unsubscribed"])
@pytest.mark.parametrize("waits", ["unknown", "retry"])
def test_what_arrived_although_it_was_to_be_tried_again_is_not_sent_again(cast, tx, receipt, waits):
    campaign_id = desk.started(cast.org, 1)
    (send_id,) = desk.settle(cast.org, campaign_id, [waits])
    with tx():
        link_id = links.store(campaign_id, URL)
        if waits == "unknown":
            assert resolving.as_not_sent([send_id], "Ada").done == 1
        assert send_of(send_id).status == "pending"
        if receipt == "clicked":
            receipts.clicked(send_id, link_id, URL, ADA)
        elif receipt == "unsubscribed":
            receipts.unsubscribed(send_id, ADA, source="page")
        else:
            receipts.opened(send_id, ADA if receipt == "opened" else {"user_agent": APPLE_PROXY, "ip": "10.0.0.1"})
        send = send_of(send_id)
        assert send.status not in ("pending", "skipped") and send.sent_at and send.delivered_at
        assert counters(campaign_id) == recount(campaign_id)
        run("UPDATE sends SET not_before = now()")
        assert outbox.claim(campaign_id, "email", "test").rows == []


def test_a_machines_open_is_no_sign_of_life(post, tx):
    _, (first, *_) = post
    with tx():
        run("UPDATE leads SET last_activity_at = NULL")
        receipts.opened(first, {"user_agent": APPLE_PROXY, "ip": "10.0.0.1"})
        assert "email_machine_opened" in facts(send_of(first).lead_id)
        assert value("SELECT count(*) FROM leads WHERE last_activity_at IS NOT NULL") == 0
