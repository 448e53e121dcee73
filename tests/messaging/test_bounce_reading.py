"""What comes back by e-mail is told apart: over a hundred real bounces, the shapes of today's large systems, answers of
machines and of people; and nothing that comes can break the reading."""

import email
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import corpus
from tests.messaging.reports import AUTO_REPLIES, MODERN, arf, dsn, letter, message_id, return_path
from webapp.messaging.bounce_reading import KINDS, read
from webapp.platform import signing

# The corpus knows temporary and permanent. Of the permanent ones these say no word against the address itself, read by
# hand: it was full, the wait was over, the message was too long or unwelcome, or the server had troubles of its own.
NOT_THE_ADDRESS = {
    "full": ("bounce_01 dsn_01 dsn_04 hotpop_01 newmailru_01 postfix_04 qmail_02 qmail_06 qmail_07 simple_01 simple_07"
             " simple_09 simple_14 simple_38 simple_45 yahoo_02 yahoo_04"),
    "waited": "bounce_03 dsn_02 dumbass_01 netscape_01 postfix_02 simple_32 simple_44 smtp32_01 smtp32_02 yahoo_01",
    "message": "dsn_03 postfix_05 sendmail_01 simple_02 simple_18",
    "unwelcome": "aol_01 dsn_09 simple_42",
    "server": "postfix_03",
}  # fmt: skip
SOFT = {f"{name}.txt" for names in NOT_THE_ADDRESS.values() for name in names.split()}
# Without an address in them, so the corpus' own table says nothing of what they are.
BY_HAND = {
    "qmail_08.txt": "auto_reply", "groupwise_03.txt": "reply", "simple_43.txt": "hard", "llnl_01.txt": "hard",
    "simple_03.txt": "delay",
}  # fmt: skip


def expected(name: str, said: str) -> str:
    return BY_HAND.get(name) or ("soft" if name in SOFT else {"temporary": "delay", "permanent": "hard"}[said])


def test_real_bounces_are_told_apart_and_no_soft_one_is_taken_for_a_hard_one():
    said, messages = corpus.table(), corpus.bounces()
    wanted = {name: expected(name, said.get(name, "nothing")) for name in messages}
    got = {name: read(raw).kind for name, raw in messages.items()}
    wrong = {name: (wanted[name], got[name]) for name in messages if got[name] != wanted[name]}
    print(
        f"\n{len(messages)} real bounces, {len(messages) - len(wrong)} told right: {dict(Counter(got.values()))} {wrong}"
    )
    assert len(messages) >= 100
    assert not [name for name in wrong if got[name] == "hard"]
    assert len(wrong) <= len(messages) * 0.02


def test_the_addresses_of_real_bounces_are_found():
    found = [
        read(raw).recipient for name, raw in corpus.bounces().items() if name.startswith(("dsn", "exim", "qmail_0"))
    ]
    assert sum("@" in recipient for recipient in found) >= 25


@pytest.mark.parametrize(
    ("action", "status", "diagnostic", "kind"), [row[1:] for row in MODERN], ids=[r[0] for r in MODERN]
)
def test_todays_systems(action, status, diagnostic, kind):
    report = read(dsn("bounce-x@lone.example", action=action, status=status, diagnostic=diagnostic))
    assert report.kind == kind
    if kind != "other":
        assert (report.recipient, report.status) != ("", "")
        assert report.recipient == "lead0@example.com"


@pytest.mark.parametrize(
    ("subject", "headers", "body"), [row[1:] for row in AUTO_REPLIES], ids=[r[0] for r in AUTO_REPLIES]
)
def test_answers_of_machines_are_no_bounces(subject, headers, body):
    for returned in ([], ["Return-Path: <>"]):
        assert read(letter("bounce-x@lone.example", subject, body, *headers, *returned)).kind == "auto_reply"


@pytest.mark.parametrize(
    ("subject", "body", "headers"),
    [
        ("Re: Your offer", "Yes please, call me.\n\nOn Monday Lone Star wrote:\n> Hello", []),
        ("Re: Your offer", "My last mail to you could not be delivered: 550 5.1.1 user unknown. What is wrong?",
         [f"In-Reply-To: <{'0f' * 20}@lone.example>"]),
        ("A question", "Is the office on holiday next week?", []),
        ("Quota", "What is my quota share?", []),
    ],
)  # fmt: skip
def test_answers_of_people_are_answers(subject, body, headers):
    assert read(letter("hello@lone.example", subject, body, *headers)).kind == "reply"


def test_complaints_and_what_only_looks_like_one():
    for kind in ("abuse", "fraud", "ABUSE ", "opt-out", "other"):
        assert read(arf("fbl@lone.example", feedback=kind)).kind == "complaint"
    for kind in ("not-spam", "auth-failure", "virus", ""):
        assert read(arf("fbl@lone.example", feedback=kind)).kind == "other"
    assert read(arf("fbl@lone.example")).recipient == "lead0@example.com"


def test_a_read_receipt_is_no_bounce():
    raw = dsn("x@lone.example").replace(b"report-type=delivery-status", b"report-type=disposition-notification")
    raw = raw.replace(b"message/delivery-status", b"message/disposition-notification")
    raw = raw.replace(b"Action: failed", b"Disposition: manual-action/MDN-sent-manually; displayed")
    raw = raw.replace(b"Reporting-MTA: dns; mx.example.com\r\n", b"").replace(
        b"\r\n\r\nFinal-Recip", b"\r\nFinal-Recip"
    )
    assert read(raw.replace(b"Auto-Submitted: auto-replied\r\n", b"")).kind == "other"


BLOCK = "\nFinal-Recipient: rfc822; {}\nAction: {}\nStatus: {}\n"


def test_of_several_recipients_the_mildest_fate_counts():
    def kind(*fates: tuple[str, str]) -> str:
        more = "".join(BLOCK.format(f"r{n}@example.com", *fate) for n, fate in enumerate(fates))
        return read(dsn("bounce-x@lone.example", more=more)).kind

    assert kind(("failed", "5.1.1")) == "hard"
    assert kind(("failed", "5.1.1"), ("failed", "4.2.2")) == "soft"
    assert kind(("failed", "5.2.2"), ("delayed", "4.4.1")) == "delay"
    assert kind(("delivered", "2.0.0")) == kind(("relayed", "2.0.0"), ("failed", "4.4.7")) == "delivered"
    report = read(dsn("bounce-x@lone.example", more=BLOCK.format("two@example.com", "failed", "4.2.2")))
    assert [(f.address, f.kind) for f in report.failures] == [
        ("lead0@example.com", "hard"),
        ("two@example.com", "soft"),
    ]


def test_the_tokens_are_found_where_they_stand():
    signing.configure("the secret of a test " * 2)
    path, returned = return_path(7, 42), message_id(7, 42)
    token, of_message = path.partition("@")[0].removeprefix("bounce-"), returned.strip("<>").partition("@")[0]
    report = read(dsn(path, returned=returned))
    assert (report.return_token, report.message_token) == (token, of_message)
    for header in ("X-Original-To", "Delivered-To", "Envelope-To"):
        assert read(f"{header}: {path.upper()}\r\n".encode() + dsn("list@lone.example")).return_token == token
    assert read(dsn("list@lone.example"), path).return_token == token
    assert read(dsn("x@lone.example"), path.partition("@")[0]).return_token == token
    assert read(arf("fbl@lone.example", returned=returned)).message_token == of_message
    plain = f"Sorry.\n\n--- Below this line is a copy of the message.\n\nMessage-ID: {returned}\n"
    assert read(letter("x@lone.example", "failure notice", plain)).message_token == of_message
    assert read(letter("x@lone.example", "Re: Hi", "Yes", f"In-Reply-To: {returned}")).answer_token == of_message
    assert not read(dsn("x@lone.example")).message_token


def test_a_report_is_the_same_by_whichever_way_it_comes():
    raw = dsn("x@lone.example")
    assert (
        read(raw).key
        == read(b"Delivered-To: x@lone.example\r\n" + raw).key
        != read(dsn("x@lone.example", name="2")).key
    )
    assert read(b"a").key != read(b"b").key


PIECES = st.sampled_from([
    b"\r\n", b"\n", b"\r\n\r\n", b"--b1\r\n", b"--b1--\r\n", b"Content-Type: multipart/report; boundary=b1\r\n",
    b"Content-Type: message/delivery-status\r\n", b"Content-Type: message/feedback-report\r\n", b"Action: failed\r\n",
    b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n", b"Status: 5.1.1\r\n", b"\xff\xfe\x00",
    b"Final-Recipient: rfc822; \xe9@x\r\n", b"Subject: =?utf-8?b?/////?=\r\n", b"From: <>\r\n", b"Return-Path: <>\r\n",
    b"Content-Type: text/html; charset=nonsense\r\n", b"Content-Type: text/plain; charset*=utf-8''utf-8\r\n",
    b"Content-Type: text/plain; charset=idna\r\n", b"Content-Type: text/plain; charset=unicode_escape\r\n",
    b"\\ud800", b"\xe4", b"Diagnostic-Code: smtp; 550", b"To: bounce-", b"00" * 20, b"@x\r\n",
    b"Content-Type: message/disposition-notification\r\n", b"Content-Type: text/rfc822-headers\r\n", b"Date: never\r\n",
    b"Subject: Undelivered Mail Returned to Sender\r\n", b"could not be delivered", b"Feedback-Type: abuse\r\n", b"; ", b"=",
])  # fmt: skip
hostile = st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=400)


@settings(max_examples=600, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=hostile)
@example(raw=b"Content-Type: message/rfc822\r\n" * 3)
@example(raw=b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\n----\r\n')
@example(raw=b"<" * 5000)
@example(raw=b"Content-Type: text/plain; charset*=utf-8''utf-8\r\n\r\n\xe4\r\n")
@example(raw=b"Content-Type: text/plain; charset=idna\r\n\r\n\xe4\r\n")
@example(raw=b"Content-Type: text/plain; charset=unicode_escape\r\n\r\n\\ud800\r\n")
def test_whatever_comes_is_read(raw):
    report = read(raw)
    assert report.kind in KINDS
    # As a database can hold it.
    f"{report.parts.says}{report.parts.returned}{report.diagnostic}{report.parts.subject}".encode()


def test_real_bounces_broken_off_and_mixed_up_are_read_too():
    for name, raw in corpus.bounces().items():
        for damaged in (raw[: len(raw) // 2], raw[len(raw) // 3 :], raw[::-1], raw.replace(b"\n", b""), raw * 2):
            assert read(damaged).kind in KINDS, name
        assert email.message_from_bytes(raw) is not None
