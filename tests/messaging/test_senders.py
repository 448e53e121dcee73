"""Senders and links: identities are checked before anything goes out under them, credentials are kept sealed, and a link
is one link however often it is asked for."""

import threading
from collections import Counter

import pytest

from tests.messaging import desk
from webapp.messaging import links, meters, portfolios, senders
from webapp.platform.db import run, transaction, value
from webapp.platform.errors import Invalid, NotFound, Refused

GOOD = {
    "name": "Lone Star",
    "address": "hello@lone.example",
    "host": "mail.lone.example",
    "port": 587,
    "tls": "starttls",
}


def refused(**values) -> list[str]:
    with pytest.raises(Invalid) as caught:
        senders.save_smtp(None, GOOD | values)
    return sorted(caught.value.errors)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": " "}, "name"), ({"address": ""}, "address"), ({"address": "hello"}, "address"), ({"address": "jörg@x.example"}, "address"),
     ({"reply_to": "nobody"}, "reply_to"), ({"reply_to": "jörg@x.example"}, "reply_to"), ({"host": ""}, "host"),
     ({"host": "a b"}, "host"), ({"host": "a..b"}, "host"), ({"host": "a\nb"}, "host"), ({"host": "http://a"}, "host"),
     ({"port": 70_000}, "port"), ({"port": "25"}, "port"), ({"port": True}, "port"), ({"tls": "ssl"}, "tls"), ({"tls": None}, "tls")],
)  # fmt: skip
def test_what_no_server_would_take_is_refused_at_its_field(cast, tx, values, field):
    with tx():
        assert refused(**values) == [field]
        assert senders.every() == []


def test_an_international_domain_is_kept_as_the_wire_has_it(cast, tx):
    with tx():
        sender = senders.save_smtp(None, GOOD | {"address": "hello@exämple.de", "reply_to": "desk@exämple.de"})
        assert (sender.address, sender.reply_to, sender.domain) == (
            "hello@xn--exmple-cua.de", "desk@xn--exmple-cua.de", "xn--exmple-cua.de",
        )  # fmt: skip


def test_a_password_is_kept_sealed_and_an_empty_one_keeps_it(cast, tx):
    with tx():
        sender = senders.save_smtp(None, GOOD | {"username": "u", "password": "s3cret"})
        senders.save_smtp(sender, GOOD | {"username": "u", "password": ""})
        assert senders.secret(sender, "password") == "s3cret" and senders.secret(sender, "other") == ""
        assert "s3cret" not in value("SELECT CAST(row_to_json(senders) AS text) FROM senders")
        assert "s3cret" not in value("SELECT string_agg(CAST(after AS text), '') FROM audit_log")


def test_one_sender_is_the_default_and_comes_first(cast, tx):
    with tx():
        first = senders.ensure_local("Zed", "zed@lone.example")
        assert first.is_default and senders.ensure_local("Other", "other@lone.example") is first
        second = senders.save_smtp(None, GOOD | {"is_default": True})
        senders.save_smtp(None, GOOD | {"name": "At rest", "status": "inactive"})
        assert value("SELECT count(*) FROM senders WHERE is_default") == 1
        assert [sender.id for sender in senders.usable()] == [second.id, first.id] and len(senders.every()) == 3
        first_id = first.id
    with tx(cast.other_org):
        assert senders.every() == []
        with pytest.raises(NotFound):
            senders.get(first_id)


def test_a_sender_at_rest_stays_so_when_its_name_is_corrected(cast, tx):
    with tx():
        sender = senders.save_smtp(None, GOOD | {"status": "banned"})
        assert senders.save_smtp(sender, GOOD | {"name": "Lone Star Insurance"}).status == "banned"
        assert senders.save_smtp(sender, GOOD | {"status": "active"}).status == "active"
        assert refused(status="asleep") == ["status"]


def test_a_link_asked_for_by_many_at_once_is_one(app, cast, tx):
    with tx():
        campaign_id = desk.draft().id
    found, barrier = [], threading.Barrier(4)

    def ask() -> None:
        with app.app_context(), transaction(cast.org):
            value("SELECT 1")
            barrier.wait(10)
            found.append(links.store(campaign_id, "https://a.example/?x={{ city }}"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tx():
        assert len(found) == 4 and len(set(found)) == 1
        assert links.get(found[0]).url == "https://a.example/?x={{ city }}"
        run("DELETE FROM campaigns")
        with pytest.raises(NotFound):
            links.get(found[0])


MOVES = [("host", "evil.example"), ("port", 2525), ("tls", "none")]


@pytest.mark.parametrize(("field", "other"), MOVES)
def test_a_kept_password_goes_to_no_other_server(cast, tx, field, other):
    given = {"name": "Ours", "address": "hello@lone.example", "host": "smtp.lone.example", "port": 587, "tls": "starttls",
             "username": "ada", "password": "secret", "imap_host": "imap.lone.example", "imap_password": "other"}  # fmt: skip
    with tx():
        sender = senders.save_smtp(None, given)
        with pytest.raises(Invalid) as refused:
            senders.save(sender, {field: other})
        assert list(refused.value.errors) == ["password"]
        if field == "host":
            with pytest.raises(Invalid) as refused:
                senders.save(sender, {"imap_host": other})
            assert list(refused.value.errors) == ["imap_password"]
    with tx():
        sender = senders.get(sender.id)
        assert sender.config.get(field) == given[field] and senders.secret(sender, "password") == "secret"
        senders.save(sender, {field: other, "password": "new"})
        assert (sender.config[field], senders.secret(sender, "password")) == (other, "new")
        senders.save(sender, {"name": "Ours still", "imap_host": None})


def test_a_whatsapp_number_always_has_a_portfolio_and_its_lowest_limit(cast, tx):
    with tx():
        number = senders.save(None, {"name": "Ours", "provider": "local", "channel": "whatsapp"})
        assert portfolios.get(number.portfolio_id).daily_people == 250
        shared = number.portfolio_id
        other = senders.save(
            None, {"name": "Other", "provider": "local", "channel": "whatsapp", "portfolio_id": shared}
        )
        assert other.portfolio_id == shared
        assert senders.save(other, {"portfolio_id": None}).portfolio_id not in (None, shared)
        run(
            "INSERT INTO portfolio_people (portfolio_id, address, last_at) SELECT :p, '+1' || n,"
            " now() - n * interval '10 hours' FROM generate_series(1, 3) n",
            p=shared,
        )
        assert portfolios.used() == {shared: 2}


def test_what_has_sent_is_put_out_of_use_and_not_deleted(cast, tx):
    with tx():
        sender = senders.save_smtp(None, GOOD)
        meters.count(sender.id, Counter(sent=1))
        with pytest.raises(Refused, match="keep its name"):
            senders.remove(sender)
        run("DELETE FROM sender_minutes")
        senders.remove(sender)
