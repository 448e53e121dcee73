"""SMTP against a scripted server that breaks at every point of the dialogue: each message gets exactly one outcome, the
right one, and what the server took is what was called accepted, and at most what was called unknown."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messaging.scripted_smtp import Fault, Server
from webapp.messaging.compose import Message
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import smtp
from webapp.messaging.providers.smtp import connection
from webapp.messaging.providers.smtp.connection import Pool, Unreachable

BOTH = pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "stepwise"])
LETTERS = {"accepted": "A", "rejected": "J", "retry": "R", "released": "L", "unknown": "U"}
LEAVING, GONE, NONSENSE = Fault("421 4.3.2 leaving", drop=True), Fault(drop=True), Fault("hello there")


@pytest.fixture(autouse=True)
def pool(monkeypatch):
    fresh = Pool()
    monkeypatch.setattr(smtp, "_pool", fresh)
    yield fresh
    for kept in [each for free in fresh._free.values() for each in free]:
        kept.close()


def letter(n: int, body: bytes = b"") -> Message:
    data = b"Subject: number %d\r\n\r\n" % n + (body or b"..a dot\r\n....\r\nlast line\r\n")
    return Message(n, f"bounce-{n}@lone.example", f"lead{n}@example.com", f"<{n}@lone.example>", data)


def five() -> list[Message]:
    return [letter(n) for n in range(1, 6)]


def deliver(server: Server, messages: Iterable[Message], seconds: float = 20, **changed: str) -> list[Outcome]:
    """Delivers as a batch does: who was never tried because nobody answered goes back untouched."""
    key = {"host": "127.0.0.1", "port": server.port, "tls": "none", "username": "", "password": ""} | changed
    try:
        return list(smtp.deliver_to(tuple(key.values()), iter(messages), time.monotonic() + seconds))
    except Unreachable:
        return [Outcome(message.send_id, "released") for message in messages]


def kinds(server: Server, messages: list[Message], outcomes: list[Outcome]) -> str:
    """Checks the promise and returns how the messages ended, a letter each."""
    assert sorted(o.send_id for o in outcomes) == [m.send_id for m in messages]
    ended = {o.send_id: o.kind for o in outcomes}
    taken = Counter(recipient for recipient, _ in server.accepted)
    sure = {m.recipient for m in messages if ended[m.send_id] == "accepted"}
    unsure = {m.recipient for m in messages if ended[m.send_id] == "unknown"}
    assert sure <= set(taken) <= sure | unsure and set(taken.values()) <= {1}
    meant = {m.recipient: m.data.replace(b"\r\n..", b"\r\n.") for m in messages}
    assert all(data == meant[recipient] for recipient, data in server.accepted)
    assert not server.hurried and not server.astray
    return "".join(LETTERS[ended[m.send_id]] for m in messages)


def run_through(server: Server, messages: list[Message]) -> str:
    """Delivers, then delivers again what may be tried again: nobody gets it twice. Returns how the first time ended."""
    outcomes = deliver(server, messages)
    first = kinds(server, messages, outcomes)
    server.faults.clear()
    open_ids = {o.send_id for o in outcomes if o.kind in ("retry", "released")}
    again = [m for m in messages if m.send_id in open_ids]
    assert {o.kind for o in deliver(server, again)} <= {"accepted"}
    taken = Counter(recipient for recipient, _ in server.accepted)
    assert set(taken.values()) <= {1} and {m.recipient for m in again} <= set(taken)
    return first


# What goes wrong with the third of five messages, where, and how the five end.
REFUSALS = [
    ("MAIL", Fault("451 later"), "AARAA"),
    ("RCPT", Fault("450 later"), "AARAA"), ("RCPT", Fault("550 5.1.1 nobody here"), "AAJAA"),
    ("RCPT", Fault("252 perhaps"), "AAAAA"), ("DATA", Fault("451 later"), "AARAA"), ("DATA", Fault("554 never"), "AAJAA"),
    ("end", Fault("452 full"), "AARAA"), ("end", Fault("554 spam"), "AAJAA"), ("end", Fault("299 odd", keep=True), "AAAAA"),
]  # fmt: skip
BREAKS = [
    *[(point, fault, "AARLL") for point in ("MAIL", "RCPT", "DATA") for fault in (LEAVING, GONE, NONSENSE)],
    # We are refused, and so would be whoever comes next.
    ("MAIL", Fault("550 5.7.1 not from you"), "AARLL"), ("RCPT", Fault("530 5.7.0 sign in first"), "AARLL"),
    ("end", LEAVING, "AARLL"), ("end", GONE, "AAULL"), ("end", Fault(drop=True, keep=True), "AAULL"),
    ("end", Fault("hello there", keep=True), "AAULL"), ("end", Fault("354 go on", keep=True), "AAULL"),
    ("end", Fault("25", keep=True, drop=True), "AAULL"), ("end", Fault("250-more", keep=True, drop=True), "AAULL"),
    ("end", Fault("2" * 5000, keep=True), "AAULL"), ("end", Fault("250-x\n" * 500 + "250 x", keep=True), "AAULL"),
    ("DATA", Fault("250 ok"), "AARLL"), ("MAIL", Fault("999 ok"), "AARLL"),
    ("MAIL", Fault("354 go on"), "AARLL"), ("DATA", Fault("354-", drop=True), "AARLL"),
]  # fmt: skip


def ids(cases: list[tuple[str, Fault, str]]) -> list[str]:
    return [f"{point}-{fault.reply[:12] or 'gone'}{'-kept' * fault.keep}" for point, fault, _ in cases]


@BOTH
@pytest.mark.parametrize("lenient", [False, True], ids=["strict", "lenient"])
@pytest.mark.parametrize(("point", "fault", "expected"), REFUSALS, ids=ids(REFUSALS))
def test_a_refusal_concerns_its_own_message_only(pipelining, lenient, point, fault, expected):
    with Server({(point, 3): fault}, pipelining, lenient) as server:
        assert run_through(server, five()) == expected
        assert server.connections == 1


@BOTH
@pytest.mark.parametrize(("point", "fault", "expected"), BREAKS, ids=ids(BREAKS))
def test_where_a_connection_breaks_decides(pipelining, point, fault, expected):
    with Server({(point, 3): fault}, pipelining) as server:
        assert run_through(server, five()) == expected
        assert server.connections == 2


@BOTH
@pytest.mark.parametrize(
    ("point", "reply", "bounce", "effect"),
    [
        ("MAIL", "550 5.1.8 sender domain unknown", None, "hold_sender"), ("MAIL", "451 later", None, None),
        ("RCPT", "535 5.7.8 no", None, "hold_sender"), ("RCPT", "450 4.2.1 try later", None, None),
        ("RCPT", "550 5.1.1 nobody here", "hard", None), ("RCPT", "550 no such user", "hard", None),
        ("RCPT", "550 denied", "soft", None), ("RCPT", "550 5.7.1 unknown user of a blocklist", "soft", None),
        ("RCPT", "552 5.2.2 mailbox full", "soft", None), ("RCPT", "554 relay access denied", "soft", None),
        ("DATA", "554 no such user", "soft", None), ("end", "550 5.1.1 nobody here", "hard", None),
        ("end", "550 user unknown to the filter", "soft", None), ("end", "554 5.7.1 spam", "soft", None),
    ],
)  # fmt: skip
def test_what_a_refusal_says_of_the_address_and_of_us(pipelining, point, reply, bounce, effect):
    with Server({(point, 3): Fault(reply)}, pipelining) as server:
        told = {outcome.send_id: outcome for outcome in deliver(server, five())}
    assert (told[3].bounce, told[3].effect, told[3].message) == (bounce, effect, reply)
    assert told[1].bounce is told[2].bounce is told[1].effect is None


@BOTH
@pytest.mark.parametrize(
    ("point", "keep", "expected"),
    [("MAIL", False, "AARLL"), ("RCPT", False, "AARLL"), ("DATA", False, "AARLL"), ("end", True, "AAULL")],
)
def test_silence_is_waited_for_and_then_is_a_break(pipelining, point, keep, expected, monkeypatch):
    monkeypatch.setattr(connection, "REPLY_SECONDS", 0.5)
    with Server({(point, 3): Fault(silent=True, keep=keep)}, pipelining) as server:
        assert run_through(server, five()) == expected


@BOTH
@pytest.mark.parametrize(("point", "expected"), [("MAIL", "AARLL"), ("RCPT", "AARLL"), ("end", "AAULL")])
def test_a_conversation_ends_while_its_outcomes_can_still_be_written_down(pipelining, point, expected, monkeypatch):
    """A server may take its time for each answer, but not for so many of them that the claim runs out meanwhile."""
    monkeypatch.setattr(smtp, "TALK_SECONDS", -19)  # beyond what deliver() gives: a second is left
    with Server({(point, 3): Fault(silent=True, keep=point == "end")}, pipelining) as server:
        assert run_through(server, five()) == expected


@BOTH
def test_a_break_in_the_middle_of_a_long_message_is_known_for_one(pipelining):
    messages = [*five()[:2], letter(3, b"a line of a long message\r\n" * 400_000), *five()[3:]]
    with Server({("body", 3): GONE}, pipelining) as server:
        assert run_through(server, messages) == "AARLL"
    with Server(pipelining=pipelining) as server:
        assert run_through(server, messages) == "AAAAA"


@BOTH
def test_a_break_in_the_middle_of_a_short_one_is_never_called_sent(pipelining):
    with Server({("body", 3): GONE}, pipelining) as server:
        assert run_through(server, five()) in ("AAULL", "AARLL")


@BOTH
def test_a_refused_recipient_stays_refused_when_the_connection_breaks_behind_it(pipelining):
    with Server(
        {("RCPT", 3): Fault("550 nobody here"), ("DATA", 3): GONE, ("end", 3): GONE}, pipelining, True
    ) as server:
        assert run_through(server, five()) in ("AAJLL", "AAJAA")


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    faults=st.dictionaries(
        st.tuples(st.sampled_from(("MAIL", "RCPT", "DATA", "end")), st.integers(1, 8)),
        st.builds(Fault, st.sampled_from(("", "421 bye", "450 later", "550 no", "hm", "250 ok")), st.booleans(),
                  keep=st.just(False)) | st.builds(Fault, st.sampled_from(("", "250 ok")), drop=st.just(True), keep=st.just(True)),
        max_size=4,
    ),
    pipelining=st.booleans(), lenient=st.booleans(),
)  # fmt: skip
def test_whatever_goes_wrong_nobody_gets_it_twice(faults, pipelining, lenient, pool):
    pool._free.clear()
    # An answer is given or the line is cut; a good answer at the end means that the message was kept.
    sane = {
        at: fault for at, fault in faults.items()
        if (fault.reply or fault.drop) and not (at[0] == "end" and fault.reply == "250 ok" and not fault.keep)
    }  # fmt: skip
    with Server(sane, pipelining, lenient) as server:
        run_through(server, [letter(n) for n in range(1, 9)])


@BOTH
def test_many_messages_go_over_one_connection_in_order(pipelining):
    with Server(pipelining=pipelining, chatty=True) as server:
        messages = [letter(n) for n in range(1, 121)]
        outcomes = deliver(server, messages[:100])
        assert [(o.send_id, o.kind, o.provider_id) for o in outcomes] == [
            (n, "accepted", f"<{n}@lone.example>") for n in range(1, 101)
        ]
        outcomes += deliver(server, messages[100:])
        assert kinds(server, messages, outcomes) == "A" * 120
        assert [recipient for recipient, _ in server.accepted] == [m.recipient for m in messages]
        assert server.connections == 1


@BOTH
def test_past_the_deadline_nothing_is_begun(pipelining, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(smtp, "time", clock)

    def each_takes_ten_seconds():
        for message in five():
            clock.now += 10
            yield message

    with Server(pipelining=pipelining) as server:
        key = ("127.0.0.1", server.port, "none", "", "")
        assert kinds(server, five(), list(smtp.deliver_to(key, iter(five()), -1))) == "LLLLL"
        assert "MAIL" not in server.commands
        ended = kinds(server, five(), list(smtp.deliver_to(key, each_takes_ten_seconds(), 25)))
        assert ended in ("AAALL", "AALLL") and server.messages == ended.count("A")
        assert list(smtp.deliver_to(key, iter([]), 1000)) == []


def test_two_threads_use_two_connections_at_once():
    begun = threading.Barrier(2)

    def batch(first: int):
        # A connection is taken before the first message is asked for: here both threads have theirs.
        begun.wait(10)
        yield from (letter(n) for n in range(first, first + 40))

    with Server() as server, ThreadPoolExecutor(2) as threads:
        outcomes = [o for done in threads.map(lambda first: deliver(server, batch(first)), (1, 41)) for o in done]
        assert kinds(server, [letter(n) for n in range(1, 81)], outcomes) == "A" * 80
        assert server.connections == 2
