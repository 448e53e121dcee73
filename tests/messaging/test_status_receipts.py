"""Receipts by webhook: forward only, each once, in any order and however often; and counters that say what counting says."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.messaging import callbacks
from tests.messaging.callbacks import posted, recount, state, status, told, twilio, whatsapp
from tests.messaging.desk import counters, facts, send_of
from webapp.audience import consents
from webapp.messaging import standing
from webapp.messaging.notices import Status
from webapp.messaging.standing import Standing
from webapp.platform.clock import now
from webapp.platform.db import one, rows, run, transaction, value
from webapp.platform.signing import signer

RANK = {"unknown": 0, "failed": 1, "sent": 2, "delivered": 3, "opened": 4, "bounced": 5}


def statuses_of(post) -> list[str]:
    with transaction(post.org):
        return [send_of(id).status for id in post.ids]


def counted(post) -> dict[str, int]:
    with transaction(post.org):
        found = counters(post.campaign_id)
        assert found == recount(post.campaign_id)
        return {name: n for name, n in found.items() if n}


def test_a_message_goes_its_way(app, cast, tx):
    post = posted(cast.org)
    for word in ("sent", "delivered", "read"):
        assert whatsapp(app, post.path, told([status(0, word)])).status_code == 200
    with tx():
        send = send_of(post.ids[0])
        assert send.status == "opened" and send.delivered_at and send.read_at == send.opened_at
        assert [row.kind for row in rows("SELECT kind FROM engagement_events ORDER BY id")] == ["delivered", "read"]
        assert facts(post.leads[0])[-1] == "whatsapp_opened"
        activity = value("SELECT last_activity_at FROM leads WHERE id = :id", id=post.leads[1])
        assert value("SELECT last_activity_at FROM leads WHERE id = :id", id=post.leads[0]) <= activity
    assert counted(post) == {"sent": 3, "delivered": 1, "opened": 1, "opens": 1}


def test_whoever_has_read_it_got_it_though_nobody_says_so(app, cast):
    post = posted(cast.org)
    whatsapp(app, post.path, told([status(0, "read", at=9)]))
    assert counted(post) == {"sent": 3, "delivered": 1, "opened": 1, "opens": 1}
    whatsapp(app, post.path, told([status(0, "delivered", at=5), status(0, "sent")]))
    assert counted(post) == {"sent": 3, "delivered": 1, "opened": 1, "opens": 1} and statuses_of(post)[0] == "opened"


def test_a_receipt_shows_that_an_unknown_one_went_out(app, cast, tx):
    post = posted(cast.org, states=("unknown", "unknown", "unknown", "sent"))
    body = told([status("x", "sent", opaque=post.opaque(0)), status("y", "failed", code=131026, opaque=post.opaque(1))])
    assert whatsapp(app, post.path, body).status_code == 200
    assert statuses_of(post) == ["sent", "failed", "unknown", "sent"]
    assert counted(post) == {"sent": 2, "failed": 1, "unknown": 1}
    with tx():
        first, second = send_of(post.ids[0]), send_of(post.ids[1])
        assert (first.provider_message_id, first.error_message) == ("wamid.x", None) and first.sent_at
        assert second.error_code == "131026" and "no WhatsApp" in second.error_message
        assert facts(post.leads[0])[-1] == "whatsapp_sent" and facts(post.leads[1])[-1] == "whatsapp_failed"
        minute = one("SELECT sum(sent)::int AS sent, sum(failed)::int AS failed, sum(unknown)::int AS unknown FROM"
                     " sender_minutes")  # fmt: skip
        assert tuple(minute) == (1, 1, -2)
    # Told again, and then that it went out after all: it is not sent again, and counts as bounced.
    whatsapp(app, post.path, body)
    whatsapp(app, post.path, told([status("y", "delivered", opaque=post.opaque(1))]))
    assert statuses_of(post)[1] == "bounced"
    assert counted(post) == {"sent": 3, "unknown": 1, "delivered": 1, "bounced": 1}


def test_what_comes_while_a_message_is_being_sent_is_kept_for_whoever_sends_it(app, cast, tx):
    post = posted(cast.org, states=("sending",) * 4)
    for n, word in enumerate(("sent", "delivered", "read")):
        whatsapp(app, post.path, told([status(n, word, opaque=post.opaque(n))]))
    whatsapp(app, post.path, told([status(3, "failed", code=131026, opaque=post.opaque(3))]))
    with tx():
        found = [send_of(id) for id in post.ids]
    assert {send.status for send in found} == {"sending"} and {send.claim_token for send in found} == {"token"}
    assert [bool(send.delivered_at) for send in found] == [False, True, True, False]
    assert [bool(send.opened_at) for send in found] == [False, False, True, False]
    assert [bool(send.bounced_at) for send in found] == [False, False, False, True]
    assert [send.provider_message_id for send in found] == [f"wamid.{n}" for n in range(4)]


def test_a_failure_after_it_was_accepted_is_a_bounce_unless_somebody_has_read_it(app, cast, tx):
    post = posted(cast.org)
    whatsapp(app, post.path, told([status(0, "failed", code=131026)]))
    whatsapp(app, post.path, told([status(1, "read"), status(1, "failed", code=131026)]))
    assert statuses_of(post) == ["bounced", "opened", "sent"]
    assert counted(post) == {"sent": 3, "delivered": 1, "opened": 1, "opens": 1, "bounced": 1}
    with tx():
        assert value("SELECT count(*) FROM engagement_events WHERE kind = 'failed'") == 2
        assert facts(post.leads[0])[-1] == "whatsapp_bounced" and "whatsapp_bounced" not in facts(post.leads[1])
        assert value("SELECT bounced FROM sender_minutes") == 1


@pytest.mark.parametrize("code", [131048, 368, 131031, 131042, 190])
def test_what_is_wrong_with_the_sender_holds_it_once(app, cast, tx, code):
    post = posted(cast.org)
    whatsapp(app, post.path, told([status(n, "failed", code=code) for n in range(3)]))
    with tx():
        sender = one("SELECT held_at, hold_reason FROM senders WHERE id = :id", id=post.sender_id)
        assert sender.held_at and f"(code {code})" in sender.hold_reason
        assert value("SELECT count(*) FROM audit_log WHERE action = 'sender.held'") == 1


@pytest.mark.parametrize("code", [132001, 132015, 132016])
def test_what_is_wrong_with_the_template_holds_it(app, cast, tx, code):
    post = posted(cast.org)
    whatsapp(app, post.path, told([status(0, "failed", code=code)]))
    with tx():
        assert f"(code {code})" in value("SELECT hold_reason FROM templates WHERE hold_reason IS NOT NULL")


def test_who_stopped_marketing_at_the_provider_is_taken_off(app, cast, tx):
    post = posted(cast.org)
    whatsapp(app, post.path, told([status(0, "failed", code=131050)]))
    sms = posted(cast.org, "sms", first=7)
    form = {"MessageSid": "wamid.7", "MessageStatus": "undelivered", "ErrorCode": "21610", "To": "+14152000007"}
    for _ in range(2):
        assert twilio(app, sms.path, form).status_code == 200
    with tx():
        for n, (one_of, channel) in enumerate(((post, "whatsapp"), (sms, "sms"))):
            send = send_of(one_of.ids[0])
            assert consents.is_suppressed(channel, send.recipient_address) and send.unsubscribed_at, n
            assert consents.of_lead(send.lead_id)[channel].status == "unsubscribed"
            assert (send.status, send.bounce_type) == ("bounced", "hard")
            assert facts(send.lead_id).count(f"{channel}_unsubscribed") == 1
    assert counted(post)["unsubscribed"] == counted(sms)["unsubscribed"] == 1


def test_a_sender_told_to_slow_down_rests(app, cast, tx):
    post = posted(cast.org)
    whatsapp(app, post.path, told([status(0, "failed", code=131056)]))
    with tx():
        assert value(
            "SELECT rate_limited_until > now() AND held_at IS NULL FROM senders WHERE id = :i", i=post.sender_id
        )


def test_sms_by_twilio(app, cast, tx):
    post = posted(cast.org, "sms", ("sent", "sent", "unknown", "sent"))
    for n, word in ((0, "queued"), (0, "sent"), (0, "delivered"), (1, "sending"), (3, "canceled")):
        assert twilio(app, post.path, {"MessageSid": f"wamid.{n}", "MessageStatus": word}).status_code == 200
    late = {"MessageSid": "SM9", "MessageStatus": "delivered"}
    assert twilio(app, f"{post.path}?message={post.opaque(2)}", late).status_code == 200
    assert statuses_of(post) == ["delivered", "sent", "delivered", "bounced"]
    assert counted(post) == {"sent": 4, "delivered": 2, "bounced": 1}


def test_another_organisations_messages_are_left_alone(app, cast):
    post = posted(cast.org)
    theirs = posted(cast.other_org, first=50)
    ours, before = state(cast.org), state(cast.other_org)
    own = post.opaque(0)
    forged = own[:-1] + ("1" if own.endswith("0") else "0")
    foreign = [signer().pack("message", cast.other_org, theirs.ids[0]), signer().pack("unsubscribe", cast.org, post.ids[0]),
               forged, "", "zz", "00", "ff" * 20]  # fmt: skip
    body = told([status(50, "read"), status(51, "failed", code=131050), status("none", "read")]
                + [status(f"odd{n}", "read", opaque=token) for n, token in enumerate(foreign)])  # fmt: skip
    assert whatsapp(app, post.path, body).status_code == 200
    assert state(cast.org) == ours and state(cast.other_org) == before
    # Of this organisation but of another channel: WhatsApp tells nothing of SMS.
    sms = posted(cast.org, "sms", first=90)
    ours = state(cast.org)
    whatsapp(app, post.path, told([status(90, "read"), status("x", "read", opaque=sms.opaque(0))]))
    assert state(cast.org) == ours


STORM = 10_000


def test_ten_thousand_replays_and_reorderings_leave_the_counts_exact(app, cast):
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    post = posted(cast.org, states=("sent",) * 25 + ("unknown",) * 15)
    words = [("sent", None), ("delivered", None), ("read", None), ("failed", 131026), ("failed", 130472)]
    every = [status(n, word, at=dice.randrange(500), code=code, opaque=post.opaque(n))
             for n in range(len(post.ids)) for word, code in words if dice.random() < 0.75]  # fmt: skip
    at, sent = statuses_of(post), 0
    while sent < STORM:
        body = [dice.choice(every) for _ in range(dice.choice((1, 20, 100, 200)))]
        sent += len(body)
        assert whatsapp(app, post.path, told(body)).status_code == 200, f"seed {seed}"
        after = statuses_of(post)
        for before, then in zip(at, after, strict=True):
            assert RANK[then] >= RANK[before] and (before, then) != ("opened", "bounced"), (
                f"seed {seed}: {before}, {then}"
            )
        at = after
        counted(post)
    # By now everything has been told: once more, backwards, changes nothing.
    whatsapp(app, post.path, told(every))
    before = state(cast.org)
    assert whatsapp(app, post.path, told(every[::-1])).status_code == 200
    assert state(cast.org) == before, f"seed {seed}"
    with transaction(cast.org):
        told_of = {(e["id"], e["status"], str(e.get("errors"))) for e in every if e["status"] != "sent"}
        assert value("SELECT count(*) FROM engagement_events") == len(told_of), f"seed {seed}"
        run("DELETE FROM work_due")


MOMENT = now()
EVENTS = st.lists(
    st.sampled_from([Status("m", word, word, MOMENT) for word in ("sent", "delivered", "read", "failed")]),
    min_size=1, max_size=6,
)  # fmt: skip


def walk(begin: str, events: list[Status], sizes: list[int]) -> Standing:
    """Tells events in bodies of some sizes, each event once."""
    stands, known, failed = Standing(begin, sent_at=MOMENT if begin == "sent" else None), set(), False
    while events:
        size = sizes[len(events) % len(sizes)]
        body, events = events[:size], events[size:]
        new = [status for status in body if status.status == "sent" or status.key not in known]
        new = list({status.key: status for status in new}.values())
        known |= {status.key for status in body}
        if not new:
            continue
        before = stands
        stands = standing.after(stands, new, failed_before=failed).standing
        failed |= any(status.status == "failed" for status in new)
        assert RANK[stands.status] >= RANK[before.status]
        for name in ("sent_at", "delivered_at", "opened_at", "bounced_at"):
            assert getattr(before, name) is None or getattr(stands, name) is not None
    return stands


@settings(max_examples=1000, deadline=None, database=None)
@given(st.sampled_from(["sent", "unknown"]), EVENTS, st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms())
def test_the_order_makes_no_difference(begin, events, sizes, dice):
    shuffled = events[:]
    dice.shuffle(shuffled)
    one_way, other_way = walk(begin, events, sizes), walk(begin, shuffled, sizes[::-1])
    words = {event.status for event in events}
    if not {"read", "failed"} <= words:  # a bounce that was read later stays one; what was read never becomes one
        assert one_way == other_way


def test_a_known_number_is_looked_up_by_index(cast, tx):
    """What a burst asks for must not read all sends."""
    post = posted(cast.org)
    with tx():
        run("SET LOCAL enable_seqscan = off")
        plan = rows(
            "EXPLAIN SELECT id FROM sends WHERE org_id = :org AND channel <> 'email' AND provider_message_id = ANY(:m)",
            org=post.org, m=["wamid.0"],
        )  # fmt: skip
        assert "ix_sends_provider_message" in str(plan)


def test_what_nobody_knows_is_answered_well_and_changes_nothing(app, cast):
    post = posted(cast.org)
    before = state(cast.org)
    odd = [
        status(0, "deleted"),
        status(0, "warning"),
        {"id": "wamid.0"},
        {"status": "read"},
        {},
        {"id": 7, "status": []},
    ]
    assert whatsapp(app, post.path, told(odd)).status_code == 200
    assert whatsapp(app, post.path, callbacks.change("flows", {"a": 1})).status_code == 200
    assert (
        twilio(app, posted(cast.org, "sms", first=30).path, {"MessageSid": "x", "MessageStatus": "?"}).status_code
        == 200
    )
    after = state(cast.org)
    assert {table for table in after if after[table] != before[table]} <= {"sends", "leads", "lead_events", "consents",
            "senders", "campaign_daily", "campaign_analytics", "templates", "audit_log"}  # fmt: skip
    assert after["engagement_events"] == before["engagement_events"]


def test_the_failure_of_an_earlier_attempt_leaves_the_one_that_counts_alone(app, cast, tx):
    post = posted(cast.org, states=("sent", "sending"))
    with tx():
        run("UPDATE sends SET attempts = 2")
    late = told([status("first", "failed", code=131026, opaque=post.opaque(0))])
    assert whatsapp(app, post.path, late).status_code == 200
    assert statuses_of(post) == ["sent", "sending"] and counted(post) == {"sent": 1}
    # While it is being sent again nobody can say which of the two failed: it is to be told again.
    early = told([status("first", "failed", code=131026, opaque=post.opaque(1))])
    assert whatsapp(app, post.path, early).status_code == 503
    with tx():
        assert value("SELECT count(*) FROM engagement_events") == 0
        run(
            "UPDATE sends SET status = 'sent', sent_at = now(), provider_message_id = 'wamid.second' WHERE status = 'sending'"
        )
    assert whatsapp(app, post.path, early).status_code == 200
    assert statuses_of(post) == ["sent", "sent"]
    assert whatsapp(app, post.path, told([status("second", "failed", code=131026)])).status_code == 200
    assert statuses_of(post) == ["sent", "bounced"]
