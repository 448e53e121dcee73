"""Reading a sender's mailbox over IMAP: each message is taken once, whatever breaks off in between; none is lost, none goes
round in circles, and a server that is away is left alone for longer and longer."""

import threading
import time

import pytest

from tests.messaging import desk
from tests.messaging.desk import send_of
from tests.messaging.reports import arf, dsn, letter, message_id, return_path
from tests.messaging.scripted_imap import Server
from webapp import schedule
from webapp.messaging import bouncing, inbound, mailbox_polling, outbox, outcomes, senders
from webapp.messaging.mailbox_polling import REST_SECONDS, poll
from webapp.messaging.senders import Sender
from webapp.platform import secrets
from webapp.platform.db import db, rows, run, transaction, value

NEVER = threading.Event()


@pytest.fixture(autouse=True)
def rested():
    mailbox_polling._resting.clear()


@pytest.fixture
def sent(cast):
    """Three sends that went out: their ids."""
    campaign_id = desk.started(cast.org)
    return desk.settle(cast.org, campaign_id, ["accepted"] * 3)


def at(org: int, server: Server, **changed: str | int) -> int:
    """Gives the organisation's sender a mailbox. Returns the sender's id."""
    with transaction(org):
        sender = senders.ensure_local("Lone Star", "hello@lone.example")
        box = {"host": "127.0.0.1", "port": server.port, "tls": "none", "username": "desk", "folder": "INBOX"}
        sender.config = {"imap": box | changed}
        sender.secrets = secrets.seal({"imap_password": "secret"})
        return sender.id


def error_of(org: int, sender_id: int) -> str | None:
    with transaction(org):
        return value("SELECT last_error FROM senders WHERE id = :id", id=sender_id)


def statuses(org: int, ids: list[int]) -> list[str]:
    with transaction(org):
        return [send_of(id).status for id in ids]


@pytest.mark.parametrize("script", [{}, {"uid_behind": True}, {"moves": False}, {"prefix": "INBOX."}], ids=str)
def test_what_waits_is_taken_and_put_away(cast, sent, script):
    with Server(**script) as server:
        at(cast.org, server)
        server.put(dsn(return_path(cast.org, sent[0])))
        server.put(arf("fbl@lone.example", returned=message_id(cast.org, sent[1])))
        read_already = server.put(dsn(return_path(cast.org, sent[2])), "\\Seen")
        stranger = server.put(
            letter("hello@lone.example", "Undelivered Mail Returned to Sender", "not delivered", "Return-Path: <>")
        )
        assert poll(cast.org, NEVER) == 3
        with transaction(cast.org):
            assert [send_of(id).bounce_type for id in sent] == ["hard", "complaint", None]
        put_away = [box for name, box in server.folders.items() if name.endswith("Canvass")]
        if script.get("moves", True):
            assert len(put_away[0]) == 2 and server.folders["INBOX"] == [read_already, stranger]
        else:
            assert not put_away and len(server.folders["INBOX"]) == 4
        assert all("\\Seen" in stored.flags for box in server.folders.values() for stored in box)
        assert poll(cast.org, NEVER) == 0


def test_a_crash_after_the_commit_reads_it_again_and_changes_nothing(cast, sent):
    with Server(drop_at=("UID STORE", 0)) as server:
        sender_id = at(cast.org, server)
        for n, id in enumerate(sent):
            server.put(dsn(return_path(cast.org, id), name=str(n)))
        assert poll(cast.org, NEVER) == 0
        assert statuses(cast.org, sent) == ["bounced", "sent", "sent"]
        assert not server.folders["INBOX"][0].flags and error_of(cast.org, sender_id).startswith("Mailbox: ")
        mailbox_polling._resting.clear()
        assert poll(cast.org, NEVER) == 3
        assert statuses(cast.org, sent) == ["bounced"] * 3 and error_of(cast.org, sender_id) is None
        with transaction(cast.org):
            assert value("SELECT count(*) FROM engagement_events") == 3


@pytest.mark.parametrize(
    "command", ["CAPABILITY", "LOGIN", "SELECT", "CREATE", "UID SEARCH", "UID FETCH", "UID MOVE", "LOGOUT"]
)
def test_wherever_it_breaks_off_everything_is_taken_once_in_the_end(cast, sent, command):
    with Server(drop_at=(command, 0)) as server:
        at(cast.org, server)
        for n, id in enumerate(sent):
            server.put(dsn(return_path(cast.org, id), name=str(n)))
        for _ in range(3):
            poll(cast.org, NEVER)
            mailbox_polling._resting.clear()
        assert statuses(cast.org, sent) == ["bounced"] * 3
        with transaction(cast.org):
            assert value("SELECT count(*) FROM engagement_events") == 3
        assert all("\\Seen" in stored.flags for box in server.folders.values() for stored in box)


def test_a_message_that_breaks_us_is_flagged_and_left_to_people(cast, sent, monkeypatch):
    whole = bouncing.bounced

    def breaks(send_id, *args):
        if send_id == sent[0]:
            raise RuntimeError("a fault of ours")
        return whole(send_id, *args)

    monkeypatch.setattr(bouncing, "bounced", breaks)
    with Server() as server:
        at(cast.org, server)
        broken = server.put(dsn(return_path(cast.org, sent[0])))
        server.put(dsn(return_path(cast.org, sent[1])))
        assert poll(cast.org, NEVER) == 2
        assert server.folders["INBOX"] == [broken] and broken.flags == {"\\Flagged"}
        assert statuses(cast.org, sent) == ["sent", "bounced", "sent"]
        fetched = server.commands.count("UID FETCH")
        assert poll(cast.org, NEVER) == 0 and server.commands.count("UID FETCH") == fetched


def test_one_about_a_message_still_being_sent_waits(cast):
    campaign_id = desk.started(cast.org, 1)
    with transaction(cast.org):
        claimed = outbox.claim(campaign_id, "email", "test")
    with Server() as server:
        at(cast.org, server)
        stored = server.put(dsn(return_path(cast.org, claimed.rows[0].id)))
        assert poll(cast.org, NEVER) == 0 and not stored.flags
        with transaction(cast.org):
            outcomes.finalise(claimed, [outbox.Outcome(claimed.rows[0].id, "accepted")])
        assert poll(cast.org, NEVER) == 1 and statuses(cast.org, [claimed.rows[0].id]) == ["bounced"]


def test_other_organisations_tokens_do_nothing_in_this_mailbox(cast, sent):
    with Server() as server:
        at(cast.other_org, server)
        stored = server.put(dsn(return_path(cast.org, sent[0]), returned=message_id(cast.org, sent[0])))
        assert poll(cast.other_org, NEVER) == 1
        assert stored.flags == {"\\Seen"} and server.folders["INBOX"] == [stored]
        assert statuses(cast.org, sent) == ["sent"] * 3


def test_answers_of_people_are_handed_on_with_their_sender(cast, sent, monkeypatch):
    received = []
    monkeypatch.setattr(
        inbound, "receive", lambda sender, channel, **told: received.append((sender.id, channel, told)), raising=False
    )
    with Server() as server:
        sender_id = at(cast.org, server)
        server.put(letter("hello@lone.example", "Hello", "Call me", name="a"))
        server.put(letter("hello@lone.example", "Automatic reply: Hi", "Away", name="b"))
        assert poll(cast.org, NEVER) == 2
    ((sender, channel, told),) = received
    assert (sender, channel, told["body"], told["answers"]) == (sender_id, "email", "Call me", None)


@pytest.mark.parametrize(
    ("script", "changed", "words"),
    [
        ({"login": ("desk", "other")}, {}, "Invalid credentials"),
        ({}, {"folder": "Bounces"}, "no such folder"),
        ({}, {"folder": "Post für uns"}, "plain letters"),
        ({"refuses": ("UID SEARCH",)}, {}, "not today"),
        ({}, {"tls": "tls"}, "SSL"),
        ({}, {"tls": "starttls"}, "TLS not supported"),
    ],
)  # fmt: skip
def test_a_mailbox_that_cannot_be_read_says_why_at_its_sender(cast, script, changed, words):
    with Server(**script) as server:
        sender_id = at(cast.org, server, **changed)
        assert poll(cast.org, NEVER) == 0
        assert words.lower() in error_of(cast.org, sender_id).lower()
        with transaction(cast.org):
            assert value("SELECT rate_limited_until FROM senders WHERE id = :id", id=sender_id) is None
            run("UPDATE senders SET last_error = 'of its sending' WHERE id = :id", id=sender_id)


def test_it_is_left_alone_for_longer_and_longer(cast, monkeypatch):
    moment = [time.monotonic()]
    monkeypatch.setattr(mailbox_polling.time, "monotonic", lambda: moment[0])
    with Server(login=("nobody", "x")) as server:
        at(cast.org, server)
        tried = []
        for _ in range(0, 7200, 30):
            before = server.connections
            poll(cast.org, NEVER)
            if server.connections > before:
                tried.append(round(moment[0]))
            moment[0] += 30
        gaps = [later - earlier for earlier, later in zip(tried, tried[1:], strict=False)]
        assert gaps[:5] == list(REST_SECONDS) and set(gaps[5:]) <= {REST_SECONDS[-1]}


def test_what_is_said_of_the_sending_is_not_taken_back(cast):
    with Server() as server:
        sender_id = at(cast.org, server)
        with transaction(cast.org):
            run("UPDATE senders SET last_error = 'of its sending' WHERE id = :id", id=sender_id)
        poll(cast.org, NEVER)
        assert error_of(cast.org, sender_id) == "of its sending"


def test_the_timer_reads_every_organisations_mailbox(cast, sent, app, monkeypatch):
    visited = []
    monkeypatch.setattr(mailbox_polling, "poll", lambda org_id, stopping: visited.append(org_id))

    class Runner:
        stopping = NEVER

    Runner.app = app
    monkeypatch.setitem(app.extensions, "runner", Runner)
    schedule.read_mailboxes()
    assert {cast.org, cast.other_org} <= set(visited)
    assert [job.everywhere for job in schedule.JOBS if job.name == "mailboxes"] == [False]
    with transaction():
        assert rows("SELECT 1")


def test_a_mailbox_whose_password_cannot_be_opened_keeps_no_other_from_being_read(cast, tx, sent):
    with Server() as server:
        first = at(cast.org, server)
        with tx():
            sealed = senders.get(first)
            other = Sender(channel="email", provider="local", name="Second", address="second@lone.example",
                           config=sealed.config, secrets=sealed.secrets)  # fmt: skip
            db.session.add(other)
            db.session.flush()
            run("UPDATE senders SET secrets = 'sealed under another key' WHERE id = :id", id=first)
        server.put(dsn(return_path(cast.org, sent[0])))
        assert poll(cast.org, NEVER) == 1
    assert statuses(cast.org, sent)[0] == "bounced"
    assert "Mailbox: " in error_of(cast.org, first)
