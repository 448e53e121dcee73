"""An answer by e-mail is kept with the message it answers, and what it asks for is done: from the mailbox to the lead."""

import threading
from datetime import UTC, datetime

import pytest

from tests.messaging import desk
from tests.messaging.desk import facts, send_of
from tests.messaging.reports import letter, message_id
from tests.messaging.scripted_imap import Server
from tests.messaging.test_mailbox_polling import at
from webapp.audience import consents
from webapp.messaging import mailbox_polling
from webapp.platform.db import rows, value


@pytest.fixture
def sent(cast):
    """Two sends that went out: their ids."""
    mailbox_polling._resting.clear()
    campaign_id = desk.started(cast.org, 2)
    return desk.settle(cast.org, campaign_id, ["accepted"] * 2)


def test_answers_in_a_mailbox_reach_the_lead(cast, tx, sent):
    quoted = "\n\nOn Mon, 3 Nov 2026 at 10:00, Lone Star <hello@lone.example> wrote:\n> Hi"
    with Server() as server:
        at(cast.org, server)
        answered = f"In-Reply-To: {message_id(cast.org, sent[0])}"
        server.put(
            letter("hello@lone.example", "Re: Hi", f"STOP{quoted}", answered, author="lead0@example.com", name="a")
        )
        # From another address of theirs, without what it answers, and somebody else's.
        server.put(letter("hello@lone.example", "Re: Hi", "Which day?", author="Lead1@Example.com", name="b"))
        server.put(letter("hello@lone.example", "Hello", "Who are you?", author="nobody@elsewhere.example", name="c"))
        assert mailbox_polling.poll(cast.org, threading.Event()) == 3
        # A crash before they were put away: told again, kept once.
        for stored in server.folders["Canvass"]:
            stored.flags.clear()
        server.folders["INBOX"], server.folders["Canvass"] = server.folders["Canvass"], []
        assert mailbox_polling.poll(cast.org, threading.Event()) == 3
    with tx():
        kept = rows("SELECT * FROM inbound_messages ORDER BY id")
        assert [(row.body, row.send_id, row.intent) for row in kept[:1]] == [("STOP", sent[0], "stop")]
        assert [(row.body, row.send_id) for row in kept[1:]] == [("Which day?", sent[1]), ("Who are you?", None)]
        assert [send_of(id).status for id in sent] == ["replied", "replied"]
        assert "email_replied" in facts(send_of(sent[0]).lead_id)
        assert value("SELECT reason FROM suppressions WHERE address = 'lead0@example.com'") in ("stop", "unsubscribe")


@pytest.mark.parametrize("word", ["START", "Subscribe", "START please"])
def test_who_only_says_to_be_somebody_does_not_bring_them_back(cast, tx, sent, word):
    with tx():
        lead_id = send_of(sent[0]).lead_id
        consents.set_consent(lead_id, "email", "unsubscribed", source="page")
        consents.suppress("email", "lead0@example.com", "stop", datetime(2026, 11, 24, tzinfo=UTC))
    answered = f"In-Reply-To: {message_id(cast.org, sent[0])}"
    with Server() as server:
        at(cast.org, server)
        server.put(letter("hello@lone.example", "Re: Hi", word, author="lead0@example.com", name="a"))
        # The answer to somebody else's message.
        other = f"In-Reply-To: {message_id(cast.org, sent[1])}"
        server.put(letter("hello@lone.example", "Re: Hi", word, other, author="lead0@example.com", name="b"))
        assert mailbox_polling.poll(cast.org, threading.Event()) == 2
        with tx():
            assert consents.of_lead(lead_id)["email"].status == "unsubscribed"
            assert consents.is_suppressed("email", "lead0@example.com")
            assert value("SELECT count(*) FROM inbound_messages WHERE handled_at IS NULL") == 2
        if word == "START please":
            return
        server.put(letter("hello@lone.example", "Re: Hi", word, answered, author="lead0@example.com", name="c"))
        assert mailbox_polling.poll(cast.org, threading.Event()) == 1
    with tx():
        assert consents.of_lead(lead_id)["email"].status == "subscribed"
        assert not consents.is_suppressed("email", "lead0@example.com")
