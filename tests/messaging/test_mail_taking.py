"""Only a token of ours makes a report count: forged, foreign and misdirected ones change nothing, and a report never
touches an address it merely names."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.messaging import desk
from tests.messaging.desk import send_of
from tests.messaging.reports import DOMAIN, arf, dsn, letter, message_id, return_path
from webapp import create_app
from webapp.messaging import inbound, mail_pipe, mail_taking, outbox, senders
from webapp.messaging.bounce_reading import read
from webapp.messaging.bouncing import NotYet
from webapp.messaging.mail_taking import take, whose
from webapp.messaging.reply_text import written
from webapp.platform.config import ROOT
from webapp.platform.db import db, rows, value
from webapp.platform.signing import Signer, signer


@pytest.fixture
def sent(cast):
    """Three sends that went out, the last one unknown: their ids."""
    campaign_id = desk.started(cast.org)
    return desk.settle(cast.org, campaign_id, ["accepted", "accepted", "unknown"])


def taken(tx, raw: bytes, org: int | None = None, delivered_to: str = "") -> str:
    report = read(raw, delivered_to)
    with tx(org):
        return take(report, whose(report, org))


def state(tx) -> list:
    """Everything a report could change."""
    with tx():
        return [
            rows(f"SELECT * FROM {table} ORDER BY {order}")
            for table, order in (
                ("sends", "id"), ("engagement_events", "id"), ("suppressions", "id"), ("consents", "id"),
                ("lead_events", "id"), ("campaign_analytics", "campaign_id"), ("sender_minutes", "id"),
            )
        ]  # fmt: skip


def test_a_bounce_to_the_return_path_counts(cast, tx, sent):
    assert taken(tx, dsn(return_path(cast.org, sent[0])), cast.org) == "bounced"
    assert taken(tx, dsn(return_path(cast.org, sent[0])), cast.org) == "repeated"
    with tx():
        send = send_of(sent[0])
        assert (send.status, send.bounce_type, send.error_code) == ("bounced", "hard", "5.1.1")
        assert "User unknown" in send.error_message


def test_so_does_one_that_returns_our_message_id(cast, tx, sent):
    raw = dsn(
        "hello@lone.example", status="4.2.2", diagnostic="smtp; 452 4.2.2 full", returned=message_id(cast.org, sent[0])
    )
    assert taken(tx, raw, cast.org) == "bounced"
    assert taken(tx, arf("fbl@lone.example", returned=message_id(cast.org, sent[1])), cast.org) == "complained"
    with tx():
        assert [send_of(id).bounce_type for id in sent[:2]] == ["soft", "complaint"]


def test_a_delay_or_a_machines_answer_proves_only_that_it_went_out(cast, tx, sent):
    path = return_path(cast.org, sent[2])
    with tx():
        assert send_of(sent[2]).status == "unknown"
    assert taken(tx, dsn(path, action="delayed", status="4.4.1"), cast.org) == "noted"
    assert taken(tx, letter(path, "Automatic reply: Hi", "Away"), cast.org) == "noted"
    with tx():
        send = send_of(sent[2])
        assert (send.status, send.bounce_type) == ("sent", None) and send.delivered_at
        assert not value("SELECT count(*) FROM suppressions")


def forged(org: int, send: int, other_org: int) -> list[str]:
    """Local parts of return paths that are not those of the send, each in another way."""
    good = signer().pack("bounce", org, send)
    flips = []
    for at, letter_ in enumerate(good):
        flips += [
            good[:at] + flipped + good[at + 1 :]
            for flipped in {"0123456789abcdef"[int(letter_, 16) ^ bit] for bit in (1, 8)}
        ]
    others = [
        signer().pack("message", org, send), signer().pack("unsubscribe", org, send), signer().pack("bounce", send, org + 10**6),
        Signer("another house's secret, long enough").pack("bounce", org, send), good[:-2], good + "00", good[2:], "0" * 40,
        signer().pack("bounce", org), signer().pack("bounce", org, send, 1), signer().pack("bounce", org, 2**64),
    ]  # fmt: skip
    return [f"bounce-{token}" for token in flips + others] + [good, f"{good}", f"bounce-{send}", "bounce-"]


def test_forged_return_paths_change_nothing(cast, tx, sent):
    before = state(tx)
    paths = forged(cast.org, sent[0], cast.other_org)
    assert len(paths) > 80
    for n, local in enumerate(paths):
        assert taken(tx, dsn(f"{local}@{DOMAIN}", name=f"f{n}"), cast.org) == "stranger", local
        report = read(arf("fbl@lone.example", returned=f"<{local.removeprefix('bounce-')}@{DOMAIN}>", name=f"f{n}"))
        # A return path's token is none of a Message-ID, nor the other way round.
        assert whose(report) is None or local == f"bounce-{signer().pack('message', cast.org, sent[0])}"
    assert state(tx) == before


def test_another_organisations_token_does_nothing_here(cast, tx, sent):
    before = state(tx)
    raw = dsn(return_path(cast.org, sent[0]))
    assert taken(tx, raw, cast.other_org) == "stranger"
    # Not even where both are told: the mailbox's own organisation must be named by the token itself.
    stolen = dsn(return_path(cast.other_org, sent[0]), returned=message_id(cast.org, sent[0]))
    assert taken(tx, stolen, cast.other_org) == "stranger"
    assert state(tx) == before


def test_a_report_bars_the_address_written_to_and_none_that_it_names(cast, tx, sent):
    raw = dsn(return_path(cast.org, sent[0]), recipient="lead1@example.com")
    assert taken(tx, raw, cast.org) == "bounced"
    with tx():
        assert [row.address for row in rows("SELECT address FROM suppressions")] == ["lead0@example.com"]
        assert send_of(sent[1]).status == "sent"


def test_the_return_path_goes_before_what_a_report_returns(cast, tx, sent):
    report = read(dsn(return_path(cast.org, sent[0]), returned=message_id(cast.org, sent[1])))
    assert whose(report) == (cast.org, sent[0])
    report = read(dsn("x@lone.example", returned=message_id(cast.org, sent[1])), return_path(cast.org, sent[0]))
    assert whose(report, cast.org) == (cast.org, sent[0])


def piped(app, raw: bytes, recipient: str = "") -> int:
    return app.test_cli_runner().invoke(args=["bounce", recipient], input=raw).exit_code


def test_the_pipe_takes_what_is_ours_and_lets_go_of_the_rest(cast, tx, sent, app):
    assert piped(app, dsn("list@lone.example"), return_path(cast.org, sent[0])) == 0
    assert piped(app, dsn(return_path(cast.org, sent[1]), status="4.4.7", diagnostic="smtp; 450 4.4.7 late")) == 0
    with tx():
        assert [(send_of(id).status, send_of(id).bounce_type) for id in sent[:2]] == [
            ("bounced", "hard"),
            ("bounced", "soft"),
        ]
    before = state(tx)
    for odd in (b"", b"\xff\x00\r\n", b"a" * 100_000, dsn("x@lone.example"), dsn(return_path(cast.org, 10**9))):
        assert piped(app, odd) == 0
    assert piped(app, dsn(return_path(cast.org, sent[0])), "nobody@lone.example") == 0
    assert state(tx) == before


def test_the_pipe_wants_it_again_where_it_cannot_be_written_down(cast, tx, app):
    # First: it sets the house's signer, and whoever was here before may have set another one.
    away = create_app(app.config["SETTINGS"], "postgresql://nobody@127.0.0.1:9/nothing")
    campaign_id = desk.started(cast.org, 1)
    with tx():
        (row,) = outbox.claim(campaign_id, "email", "test").rows
    raw = dsn(return_path(cast.org, row.id))
    with pytest.raises(NotYet):
        taken(tx, raw, cast.org)
    assert piped(app, raw) == 75
    # In a context of its own: the command line would stay in the one the test is in.
    with away.app_context():
        db.session.remove()
        assert mail_pipe.take(raw) == 75
        # None of ours: nothing is to be written down.
        assert mail_pipe.take(dsn("x@lone.example")) == 0
        db.session.remove()


def test_the_command_itself(cast, tx, sent, database_url, tmp_path):
    raw = dsn(return_path(cast.org, sent[0]))
    env = {"PATH": os.environ["PATH"], "SECRET_KEY": "test secret " * 4, "CANVASS_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "bounce", return_path(cast.org, sent[0])]
    with tx():
        assert send_of(sent[0]).status == "sent"
    done = subprocess.run(command, input=raw, env=env | {"DATABASE_URL": database_url}, cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    with tx():
        assert send_of(sent[0]).status == "bounced"


@pytest.fixture
def inbox(monkeypatch):
    """What was handed on as answers of people."""
    received = []

    def receive(sender, channel, **told):
        received.append(SimpleNamespace(sender=sender.id, channel=channel, **told))

    monkeypatch.setattr(inbound, "receive", receive, raising=False)
    return received


def test_answers_of_people_are_handed_on(cast, tx, sent, inbox):
    raw = letter("hello@lone.example", "Re: Hi Lead0", "Yes, call me!\n\nOn Mon, Lone Star wrote:\n> Hello",
                 f"In-Reply-To: {message_id(cast.org, sent[0])}")  # fmt: skip
    assert taken(tx, raw, cast.org) == "replied"
    (told,) = inbox
    assert (told.channel, told.from_address, told.to_address) == ("email", "lead0@example.com", "hello@lone.example")
    assert (told.body, told.answers) == ("Yes, call me!", signer().pack("message", cast.org, sent[0]))
    assert told.received_at == datetime(2026, 11, 25, 12, tzinfo=UTC) or told.received_at <= datetime.now(UTC)
    assert told.provider_message_id == f"mail:{read(raw).key}"


def test_an_answer_without_a_token_counts_where_the_mailbox_says_whose_it_is(cast, tx, sent, inbox):
    raw = letter("hello@lone.example", "A question", "Are you open?")
    assert taken(tx, raw, cast.org) == "stranger" and not inbox
    report = read(raw)
    with tx():
        assert take(report, whose(report, cast.org), senders.usable()[0]) == "replied"
    assert (inbox[0].body, inbox[0].answers) == ("Are you open?", None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("STOP", "STOP"),
        ("Yes\n\nOn Mon, 3 Nov 2026 at 10:00, Lone Star <hello@lone.example> wrote:\n> Hi\n> there", "Yes"),
        ("Ja\n\nAm 03.11.2026 um 10:00 schrieb Lone Star <hello@lone.example>:\n\n> Hallo", "Ja"),
        ("Oui\n\nLe lun. 3 nov. 2026 à 10:00, Lone Star <hello@lone.example> a écrit :\n> Bonjour", "Oui"),
        ("Yes\n\nOn Mon, 3 Nov 2026 at 10:00, Lone Star Insurance\n<hello@lone.example> wrote:\n\n> Hi", "Yes"),
        ("Yes\n\n-----Original Message-----\nFrom: Lone Star\n\nHi", "Yes"),
        ("Yes\n\n________________________________\nFrom: Lone Star\nSent: Monday", "Yes"),
        ("Yes\n\nFrom: Lone Star <hello@lone.example>\nSent: Monday\nTo: Ada\nSubject: Hi\n\nHi", "Yes"),
        ("Call me\n-- \nAda Lead\n+1 555", "Call me"),
        ("> Are you there?\nYes\n", "> Are you there?\nYes"),
        ("", ""),
        ("On balance I wrote nothing of the kind.\nBye", "On balance I wrote nothing of the kind.\nBye"),
    ],
)  # fmt: skip
def test_what_a_person_wrote_stands_above_what_they_quote(body, said):
    assert written(read(letter("x@lone.example", "Re: Hi", body)).parts) == said


def test_the_outcomes_are_the_ones_named():
    assert set(mail_taking.OUTCOMES) == {"bounced", "complained", "replied", "noted", "repeated", "stranger"}


@pytest.mark.parametrize("what", ["answer", "delivered"])
def test_who_answers_a_message_or_whose_server_has_it_shows_that_it_went_out(cast, tx, sent, what):
    unknown, named = sent[2], message_id(cast.org, sent[2])
    if what == "answer":
        raw = letter("hello@lone.example", "Re: Hi", "Thanks!", f"In-Reply-To: {named}", author="lead2@example.com")
    else:
        raw = dsn(return_path(cast.org, unknown), action="delivered", status="2.0.0")
    assert taken(tx, raw, cast.org) == ("replied" if what == "answer" else "noted")
    with tx():
        send = send_of(unknown)
        assert (
            send.status == ("replied" if what == "answer" else "sent") and send.sent_at and send.error_message is None
        )
        assert desk.counters(send.campaign_id) == desk.recount(send.campaign_id)
