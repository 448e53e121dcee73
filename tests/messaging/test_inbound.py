"""Replies: kept once, with whom they are from and what they answer; a stop holds before the next claim."""

from datetime import timedelta

import pytest
import time_machine

from tests.messaging import desk
from tests.messaging.callbacks import posted, recount, said, state, told, twilio, whatsapp
from tests.messaging.desk import counters, facts, send_of
from webapp.audience import consents, leads, merges, privacy
from webapp.messaging import inbound, senders
from webapp.messaging.inbound import SERVICE_WINDOW, window_open_until
from webapp.platform.clock import now
from webapp.platform.db import one, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.signing import signer

ADA = "+14152000000"


def texted(app, post, text: str, n: int = 0, who: str = ADA, **more: str):
    form = {"MessageSid": f"SMin{n}", "SmsStatus": "received", "From": who, "To": "+15550783881", "Body": text}
    return twilio(app, post.path, form | more)


def last() -> inbound.InboundMessage:
    return inbound.get(value("SELECT max(id) FROM inbound_messages"))


def test_a_reply_is_kept_with_its_lead_and_what_it_answers(app, cast, tx):
    post = posted(cast.org)
    body = told([], [said(1, "How much is it?", answers="wamid.0"), said(1, "How much is it?", answers="wamid.0")])
    for _ in range(3):
        assert whatsapp(app, post.path, body).status_code == 200
    with tx():
        assert value("SELECT count(*) FROM inbound_messages") == 1
        message = last()
        assert (message.lead_id, message.send_id, message.intent) == (post.leads[0], post.ids[0], "question")
        assert (message.from_address, message.to_address) == (ADA, "+15550783881") and message.handled_at is None
        send = send_of(post.ids[0])
        assert send.status == "replied" and send.opened_at and send.delivered_at
        told_of = one("SELECT * FROM lead_events WHERE type = 'whatsapp_replied'")
        assert told_of.payload["text"] == "How much is it?" and told_of.payload["send_id"] == post.ids[0]
        assert told_of.campaign_id == post.campaign_id and facts(post.leads[0]).count("whatsapp_replied") == 1
        kinds = {row.kind for row in rows("SELECT kind FROM engagement_events")}
        assert kinds == {"read", "replied"}
        assert {k: n for k, n in counters(post.campaign_id).items() if n} == {
            "sent": 3,
            "delivered": 1,
            "opened": 1,
            "opens": 1,
        }
        assert inbound.waiting() == 1


def test_without_a_name_it_answers_the_latest_message_of_thirty_days(app, cast, tx):
    post = posted(cast.org, "sms", ("sent", "sent", "sent"))
    with tx():
        run("UPDATE sends SET lead_id = :lead, recipient_address = :ada, sent_at = now() - id % 3 * interval '1 day'",
            lead=post.leads[0], ada=ADA)  # fmt: skip
        latest = value("SELECT id FROM sends ORDER BY sent_at DESC LIMIT 1")
    texted(app, post, "Nice")
    with tx():
        assert last().send_id == latest and send_of(latest).status == "replied"
        assert value("SELECT count(*) FROM sends WHERE status = 'replied'") == 1
        run("UPDATE sends SET sent_at = now() - interval '31 days'")
    texted(app, post, "Nice", 2)
    with tx():
        assert last().send_id is None and last().lead_id == post.leads[0]


def test_a_stranger_is_kept_and_can_stop(app, cast, tx):
    post = posted(cast.org, "sms")
    assert texted(app, post, "STOP", who="+14159999999").status_code == 200
    with tx():
        assert (last().lead_id, last().send_id, last().intent) == (None, None, "stop")
        assert consents.is_suppressed("sms", "+14159999999")


def test_stop_and_start_by_sms(app, cast, tx):
    post = posted(cast.org, "sms")
    answer = texted(app, post, "Stop.")
    assert answer.mimetype == "text/xml" and answer.text.endswith("<Response></Response>")
    texted(app, post, "STOP", 1)
    with tx():
        consent = consents.of_lead(post.leads[0])["sms"]
        assert (consent.status, consent.source, consent.evidence) == ("unsubscribed", "reply", f"{ADA} wrote: Stop.")
        assert consents.is_suppressed("sms", ADA) and not consents.is_suppressed("whatsapp", ADA)
        assert facts(post.leads[0]).count("sms_unsubscribed") == 1 and last().handled_at
        found = counters(post.campaign_id)
        assert found == recount(post.campaign_id) and found["unsubscribed"] == 1
        assert value(f"SELECT {consents.verdict('sms')} FROM leads l " + " ".join(
            f"LEFT JOIN {t} ON {c}" for t, c in consents.verdict_joins("sms")) + " WHERE l.id = :id", id=post.leads[0]
        ) == "unsubscribed"  # fmt: skip
    texted(app, post, "start", 2)
    with tx():
        consent = consents.of_lead(post.leads[0])["sms"]
        assert (consent.status, consent.evidence) == ("subscribed", f"{ADA} wrote: start")
        assert not consents.is_suppressed("sms", ADA) and "sms_resubscribed" in facts(post.leads[0])
    texted(app, post, "STOP", 3)
    with tx():
        assert counters(post.campaign_id)["unsubscribed"] == 1 and consents.is_suppressed("sms", ADA)
        kinds = [r.kind for r in rows("SELECT kind FROM engagement_events WHERE kind <> 'replied' ORDER BY id")]
        assert kinds == ["unsubscribed", "resubscribed", "unsubscribed"]


@pytest.mark.parametrize(("text", "expected"), [("YES", None), ("START", "subscribed")])
def test_a_bare_yes_is_no_consent_of_somebody_who_never_gave_one(app, cast, tx, text, expected):
    post = posted(cast.org, "sms")
    with tx():
        run("DELETE FROM consents WHERE channel = 'sms'")
        run("DELETE FROM lead_events WHERE type = 'consent_changed'")
    texted(app, post, text)
    with tx():
        found = consents.of_lead(post.leads[0]).get("sms")
        assert last().intent == "start" and (found.status if found else None) == expected


def test_a_bounce_or_a_hand_bars_whatever_they_write(app, cast, tx):
    post = posted(cast.org, "sms")
    with tx():
        consents.suppress("sms", ADA, "manual")
    texted(app, post, "STOP")
    texted(app, post, "START", 1)
    with tx():
        assert consents.is_suppressed("sms", ADA)


def test_help_over_whatsapp_waits_for_a_person(app, cast, tx):
    post = posted(cast.org)
    whatsapp(app, post.path, told([], [said(1, "HELP")]))
    with tx():
        assert last().intent == "help" and last().handled_at is None and inbound.waiting() == 1


def test_help_is_answered_once_by_whoever_answers(app, cast, tx):
    post = posted(cast.org, "sms")
    with tx():
        run("UPDATE organizations SET name = 'Smith & <Sons> ' || id WHERE id = :id", id=cast.org)
    answer = texted(app, post, "HELP").text
    assert "<Message>This is Smith &amp; &lt;Sons&gt;" in answer and "Reply STOP" in answer
    assert "<Message>" not in texted(app, post, "HELP").text  # told again
    assert "<Message>" not in texted(app, post, "HELP", 1, OptOutType="HELP").text  # Twilio has answered
    with tx():
        assert last().intent == "help" and last().handled_at
        assert consents.of_lead(post.leads[0])["sms"].status == "subscribed"


def test_the_service_window_is_open_for_a_day(app, cast, tx):
    post = posted(cast.org)
    moment = now()
    body = said(1, "Hi") | {"timestamp": str(int(moment.timestamp()) - 60)}
    whatsapp(app, post.path, told([], [body]))
    with tx():
        until = window_open_until("whatsapp", ADA)
        assert until == moment.replace(microsecond=0) - timedelta(seconds=60) + SERVICE_WINDOW
        assert window_open_until("sms", ADA) is None and window_open_until("whatsapp", "+1") is None
        with time_machine.travel(until + timedelta(seconds=1), tick=False):
            assert window_open_until("whatsapp", ADA) is None
        # Nobody can write from the future and hold it open.
        sender = senders.get(post.sender_id)
        kept = inbound.receive(sender, "whatsapp", ADA, None, "Hi", "x", None, now() + timedelta(days=9))
        assert kept.received_at <= now()


def test_an_email_answers_by_the_message_id_in_it(cast, tx):
    campaign_id = desk.started(cast.org)
    first, second, _ = desk.settle(cast.org, campaign_id, ["accepted"] * 3)
    with tx():
        sender = senders.get(value("SELECT max(id) FROM senders"))
        message_id = f"<{signer().pack('message', cast.org, first)}@lone.example>"
        reply = inbound.receive(
            sender, "email", "Lead0@Example.com", "hello@lone.example", "Thanks, call me", "<a@b>", message_id, now()
        )
        assert (reply.send_id, reply.intent, reply.from_address) == (first, "callback", "lead0@example.com")
        assert reply.lead_id == send_of(first).lead_id and "email_replied" in facts(reply.lead_id)
        # From another address of theirs it is still known whom it was sent to.
        other = inbound.receive(sender, "email", "ada@home.example", None, "unsubscribe", "<c@d>", message_id, now())
        assert other.lead_id == reply.lead_id
        assert consents.is_suppressed("email", "lead0@example.com") and consents.is_suppressed(
            "email", "ada@home.example"
        )
        assert consents.of_lead(reply.lead_id)["email"].status == "unsubscribed"
        foreign = f"<{signer().pack('message', cast.other_org, second)}@lone.example>"
        assert inbound.receive(sender, "email", "x@y.example", None, "Hi", "<e@f>", foreign, now()).send_id is None
        assert inbound.receive(sender, "email", "x@y.example", None, "Hi", "<e@f>", foreign, now()) is None
        assert counters(campaign_id) == desk.recount(campaign_id)


def test_what_it_means_is_changed_by_hand_and_acted_on(app, cast, tx):
    post = posted(cast.org, "sms")
    texted(app, post, "I have had enough of this")
    with tx():
        message = last()
        assert message.intent == "other" and not message.handled_at
        with pytest.raises(Invalid):
            inbound.change_intent(message, "love")
        inbound.change_intent(message, "stop")
        assert consents.is_suppressed("sms", ADA) and message.handled_at
        assert consents.of_lead(post.leads[0])["sms"].status == "unsubscribed"
        inbound.handle(message, False)
        assert message.handled_at is None and inbound.waiting() == 1
        assert value("SELECT count(*) FROM audit_log WHERE action LIKE 'reply.%'") == 2


def test_replies_follow_a_merge_and_are_forgotten_with_their_lead(app, cast, tx):
    post = posted(cast.org)
    whatsapp(
        app, post.path, told([], [said(1, "My secret", answers="wamid.0"), said(2, "Another", sender="14152000001")])
    )
    with tx():
        merges.merge(post.leads[2], post.leads[0])
        assert value("SELECT count(*) FROM inbound_messages WHERE lead_id = :id", id=post.leads[2]) == 1
        lead = leads.get(post.leads[2])
        handed = privacy.export(lead)
        assert [row["body"] for row in handed["replies"]] == ["My secret"]
        privacy.anonymise(lead, lead.name)
        bodies = [row.body for row in rows("SELECT body FROM inbound_messages ORDER BY id")]
        assert bodies == ["", "Another"]
        kept = str(rows("SELECT * FROM inbound_messages WHERE body = ''")) + str(
            rows("SELECT * FROM sends WHERE lead_id = :id", id=lead.id)) + str(
            rows("SELECT * FROM engagement_events e WHERE send_id IN (SELECT id FROM sends WHERE lead_id = :id)", id=lead.id)
        ) + str(rows("SELECT payload FROM lead_events WHERE lead_id = :id", id=lead.id))  # fmt: skip
        assert ADA not in kept and "secret" not in kept and "wamid" not in kept


def test_what_people_send_that_is_no_text(app, cast, tx):
    post = posted(cast.org)
    sent = {"from": ADA[1:], "timestamp": "x"}
    odd = [
        {"type": "button", "button": {"text": "Stop promotions", "payload": "p"}, "context": {"id": "wamid.0"}},
        {
            "type": "interactive",
            "interactive": {"type": "button_reply", "button_reply": {"id": "1", "title": "Call me"}},
        },
        {"type": "image", "image": {"caption": "My car", "id": "9"}},
        {"type": "sticker", "sticker": {"id": "9"}},
        {"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👍"}},
        {"type": "unsupported", "errors": [{"code": 131051}]},
        {},
    ]
    messages = [sent | {"id": f"in{n}"} | each for n, each in enumerate(odd)]
    assert whatsapp(app, post.path, told([], messages)).status_code == 200
    with tx():
        found = [(row.body, row.intent) for row in rows("SELECT body, intent FROM inbound_messages ORDER BY id")]
        assert found == [("Stop promotions", "stop"), ("Call me", "callback"), ("My car", "other"), ("[sticker]", "other"),
                         ("👍", "other"), ("[unsupported]", "other"), ("[message]", "other")]  # fmt: skip


def test_replies_of_another_organisation_are_not_there(app, cast, tx):
    theirs = posted(cast.other_org, first=50)
    whatsapp(app, theirs.path, told([], [said(1, "Hi", answers="wamid.50")]))
    ours = posted(cast.org, first=60)
    before = state(cast.other_org)
    # The very message of theirs, told at our address: it is ours, and answers nothing of theirs.
    whatsapp(app, ours.path, told([], [said(1, "STOP", answers="wamid.50", sender="14152000050")]))
    assert state(cast.other_org) == before
    with tx():
        assert (last().lead_id, last().send_id) == (None, None)
    with transaction(cast.other_org):
        hidden = value("SELECT id FROM inbound_messages")
    with tx(), pytest.raises(NotFound):
        inbound.get(hidden)
