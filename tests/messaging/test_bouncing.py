"""Bounces and complaints: each is counted once, in the send, the address, the timeline and the counters alike; soft ones
harden by the organisation's policy; nothing goes backwards."""

import threading
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messaging import desk
from tests.messaging.desk import FIREFOX, counters, facts, recount, send_of
from webapp.audience import consents, suppressions
from webapp.messaging import bouncing, outbox, policy, receipts
from webapp.messaging.bouncing import NotYet
from webapp.platform import organizations
from webapp.platform.db import one, rows, run, transaction, value
from webapp.platform.errors import NotFound

ADA = {"user_agent": FIREFOX, "ip": "10.0.0.1"}


@pytest.fixture
def post(cast):
    """A campaign with four sends an hour old, the last one unknown: (campaign id, their ids)."""
    campaign_id = desk.started(cast.org, 4)
    return campaign_id, desk.settle(cast.org, campaign_id, ["accepted"] * 3 + ["unknown"])


def counted(campaign_id: int) -> dict[str, int]:
    found = counters(campaign_id)
    assert found == recount(campaign_id)
    return {name: n for name, n in found.items() if n and name != "planned"}


def metered(send_id: int) -> tuple[int, int]:
    """Returns what the sender's meter has counted: (bounced, complaints)."""
    asked = "SELECT COALESCE(sum(bounced), 0)::int, COALESCE(sum(complaints), 0)::int FROM sender_minutes WHERE sender_id = :s"
    return tuple(one(asked, s=send_of(send_id).sender_id))


def bar_of(send_id: int) -> str | None:
    return value("SELECT reason FROM suppressions WHERE address = :a", a=send_of(send_id).recipient_address)


def test_a_hard_bounce_takes_the_delivery_back_and_bars_the_address(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        assert bouncing.bounced(first, "hard", "5.1.1", "550 5.1.1 User unknown\0", "event-1")
        send = send_of(first)
        assert (send.status, send.bounce_type, send.delivered_at) == ("bounced", "hard", None)
        assert (send.error_code, send.error_message) == ("5.1.1", "550 5.1.1 User unknown")
        assert send.bounced_at and send.sent_at and bar_of(first) == "hard_bounce"
        assert counted(campaign_id) == {"sent": 3, "delivered": 2, "bounced": 1, "unknown": 1}
        assert metered(first) == (1, 0)
        assert facts(send.lead_id)[-2:] == ["suppressed", "email_bounced"]


def test_told_twice_it_counts_once(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        assert bouncing.bounced(first, "hard", "5.1.1", "no", "event-1")
        before = send_of(first), counted(campaign_id), facts(send_of(first).lead_id)
        assert not bouncing.bounced(first, "hard", "5.1.1", "no", "event-1")
        assert (send_of(first), counted(campaign_id), facts(send_of(first).lead_id)) == before
        # Another report of the same end adds that it was told, and counts nothing.
        assert bouncing.bounced(first, "soft", "4.4.7", "expired", "event-2")
        assert (send_of(first).bounce_type, send_of(first).error_code) == ("hard", "5.1.1")
        assert counted(campaign_id) == before[1] and metered(first) == (1, 0)


def test_the_next_claim_writes_to_nobody_barred(post, tx, cast):
    _, (first, *_) = post
    with tx():
        bouncing.bounced(first, "hard", "5.1.1", "no", "event-1")
        address = send_of(first).recipient_address
        campaign_id = desk.draft("Second").id
    desk.start(cast.org, campaign_id)
    with tx():
        claimed = outbox.claim(campaign_id, "email", "test")
        assert len(claimed.rows) == 3 and address not in {row.recipient_address for row in claimed.rows}


def test_a_soft_bounce_bars_nobody_and_a_hard_one_after_it_does(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        bouncing.bounced(first, "soft", "5.2.2", "mailbox full", "event-1")
        assert (send_of(first).bounce_type, bar_of(first)) == ("soft", None)
        bouncing.bounced(first, "hard", "5.1.1", "gone", "event-2")
        assert (send_of(first).bounce_type, bar_of(first), send_of(first).error_code) == (
            "hard",
            "hard_bounce",
            "5.1.1",
        )
        assert counted(campaign_id)["bounced"] == 1


def test_a_bounce_proves_that_an_unknown_one_went_out(post, tx):
    campaign_id, (*_, last) = post
    with tx():
        assert send_of(last).status == "unknown"
        bouncing.bounced(last, "soft", "4.2.2", "full", "event-1")
        send = send_of(last)
        assert (send.status, send.delivered_at, send.sent_at is not None) == ("bounced", None, True)
        assert counted(campaign_id) == {"sent": 4, "delivered": 3, "bounced": 1}


def test_what_a_person_opened_stays_opened(post, tx):
    campaign_id, (first, *_) = post
    with tx():
        receipts.opened(first, ADA)
        before = counted(campaign_id)
        assert bouncing.bounced(first, "soft", "4.4.7", "expired", "event-1")
        send = send_of(first)
        assert (send.status, send.bounce_type) == ("opened", "soft") and send.delivered_at and send.bounced_at
        assert counted(campaign_id) == before and metered(first) == (0, 0)


def test_while_it_is_being_sent_it_is_told_later(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        (row,) = outbox.claim(campaign_id, "email", "test").rows
    for verb in (
        lambda: bouncing.bounced(row.id, "hard", "5.1.1", "no", "e"),
        lambda: bouncing.complained(row.id, "e"),
    ):
        with pytest.raises(NotYet), tx():
            verb()
    with tx():
        assert not value("SELECT count(*) FROM engagement_events") and not value("SELECT count(*) FROM suppressions")


def test_one_that_waits_again_stays_in_the_queue_and_its_address_is_barred(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        (send_id,) = [row.id for row in rows("SELECT id FROM sends WHERE campaign_id = :c", c=campaign_id)]
        assert bouncing.bounced(send_id, "hard", "5.1.1", "no", "event-1")
        send = send_of(send_id)
        assert (send.status, send.bounce_type, bar_of(send_id)) == ("pending", None, "hard_bounce")
        assert not counted(campaign_id)


def test_a_message_nobody_knows_is_nobodys(cast, tx):
    with tx(), pytest.raises(NotFound):
        bouncing.bounced(987654321, "hard", "5.1.1", "no", "event-1")


def test_a_complaint_ends_the_consent_and_bars_the_address(post, tx):
    campaign_id, (first, *_, last) = post
    with tx():
        assert bouncing.complained(first, "event-1") and not bouncing.complained(first, "event-1")
        send = send_of(first)
        assert (send.status, send.bounce_type, bar_of(first)) == ("sent", "complaint", "complaint")
        assert send.delivered_at and consents.of_lead(send.lead_id)["email"].status == "unsubscribed"
        assert counted(campaign_id) == {"sent": 3, "delivered": 3, "unknown": 1, "complaints": 1}
        assert facts(send.lead_id)[-3:] == ["suppressed", "consent_changed", "email_complained"]
        assert bouncing.complained(first, "event-2") and metered(first) == (0, 1)
        # Whoever complains has it.
        bouncing.complained(last, "event-3")
        assert counted(campaign_id) == {"sent": 4, "delivered": 4, "complaints": 2}


def test_a_stronger_reason_outlives_the_leads_own_word(post, tx):
    _, (first, second, *_) = post
    with tx():
        for send_id, verb in (
            (first, lambda: bouncing.bounced(first, "hard", "5.1.1", "no", "event-1")),
            (second, lambda: bouncing.complained(second, "event-2")),
        ):
            receipts.unsubscribed(send_id, ADA, source="page")
            assert bar_of(send_id) == "unsubscribe"
            verb()
            receipts.resubscribed(send_id, ADA)
            assert bar_of(send_id) in ("hard_bounce", "complaint")


def written_to_again(org: int, lead: int, n: int) -> list[int]:
    """Returns n more sends to a lead, which went out one after the other."""
    made = (
        "INSERT INTO sends (kind, lead_id, channel, recipient_address, dedup_key, status, sent_at, delivered_at)"
        " SELECT 'drip', id, 'email', email_key, 'more-' || id || '-' || :n, 'sent', now(), now() FROM leads WHERE id = :lead"
        " RETURNING id"
    )
    start = value("SELECT count(*) FROM sends WHERE lead_id = :lead", lead=lead)
    return [value(made, n=start + n, lead=lead) for n in range(n)]


def test_soft_bounces_harden_by_the_policy(post, tx, cast):
    _, (first, *_) = post
    with tx():
        assert (policy.of(organizations.current()).soft_bounces, policy.of(organizations.current()).soft_window) == (
            3,
            5,
        )
        lead = send_of(first).lead_id
        more = written_to_again(cast.org, lead, 3)
        for n, send_id in enumerate((first, more[0])):
            bouncing.bounced(send_id, "soft", "4.2.2", "full", f"event-{n}")
        assert bar_of(first) is None
        bouncing.bounced(more[2], "soft", "4.2.2", "full", "event-last")
        assert bar_of(first) == "hard_bounce"
        told = value(
            "SELECT payload ->> 'error' FROM lead_events WHERE type = 'email_bounced' ORDER BY id DESC LIMIT 1"
        )
        assert told == "full (3 of its last 5 messages came back)"


def test_soft_bounces_further_back_than_the_window_are_forgotten(post, tx, cast):
    _, (first, *_) = post
    with tx():
        lead = send_of(first).lead_id
        for n, send_id in enumerate([first, *written_to_again(cast.org, lead, 1)]):
            bouncing.bounced(send_id, "soft", "4.2.2", "full", f"event-{n}")
        *_, last = written_to_again(cast.org, lead, 4)
        bouncing.bounced(last, "soft", "4.2.2", "full", "event-last")
        assert bar_of(first) is None


def test_the_policy_is_the_organisations_own(post, tx, cast):
    _, (first, *_) = post
    with tx():
        policy.save(organizations.current(), {"soft_bounces": 1, "soft_window": 1})
        bouncing.bounced(first, "soft", "4.2.2", "full", "event-1")
        assert bar_of(first) == "hard_bounce"


def test_made_reachable_again_an_address_starts_afresh(post, tx, cast):
    _, (first, *_) = post
    with tx():
        lead = send_of(first).lead_id
        for n, send_id in enumerate([first, *written_to_again(cast.org, lead, 2)]):
            bouncing.bounced(send_id, "soft", "4.2.2", "full", f"event-{n}")
        (bar,) = [row.id for row in rows("SELECT id FROM suppressions")]
    with tx():
        suppressions.lift([bar], "they called")
    with tx():
        (again,) = written_to_again(cast.org, lead, 1)
        bouncing.bounced(again, "soft", "4.2.2", "full", "event-again")
        assert bar_of(first) is None


def test_an_anonymised_address_is_not_barred_by_its_empty_name(post, tx):
    _, (first, *_) = post
    with tx():
        run("UPDATE sends SET recipient_address = '' WHERE id = :id", id=first)
        assert bouncing.bounced(first, "hard", "5.1.1", "no", "event-1")
        assert not value("SELECT count(*) FROM suppressions")


def test_told_by_many_at_once_it_counts_once(post, tx, app, cast):
    campaign_id, (first, second, *_) = post
    start = threading.Barrier(8)

    def tell(n: int) -> None:
        with app.app_context():
            start.wait(10)
            for send_id in (first, second)[:: 1 if n % 2 else -1]:
                with transaction(cast.org):
                    bouncing.bounced(send_id, "hard", "5.1.1", "no", f"event-{send_id}-{n % 3}")

    threads = [threading.Thread(target=tell, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with tx():
        assert counted(campaign_id) == {"sent": 3, "delivered": 1, "bounced": 2, "unknown": 1}
        assert metered(first) == (2, 0)
        assert value("SELECT count(*) FROM engagement_events WHERE kind = 'bounced'") == 6


class Undo(Exception):
    """Ends an example and takes back what it wrote."""


TOLD = st.tuples(st.sampled_from(("hard", "soft", "complaint", "open")), st.integers(0, 3), st.integers(0, 4))
many = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@many
@given(told=st.lists(TOLD, max_size=8))
def test_in_any_order_and_however_often_the_counters_are_those_of_the_sends(post, tx, told):
    campaign_id, ids = post
    with suppress(Undo), tx():
        for what, which, event in told:
            send_id, before = ids[which], send_of(ids[which])
            if what == "open":
                receipts.opened(send_id, ADA)
            elif what == "complaint":
                bouncing.complained(send_id, f"{which}-{what}-{event}")
            else:
                bouncing.bounced(send_id, what, "5.0.0", "x", f"{which}-{what}-{event}")
            after = send_of(send_id)
            assert before.status not in ("opened", "bounced") or after.status == before.status
        counted(campaign_id)
        raise Undo
