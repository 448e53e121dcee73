"""Senders and links: identities are checked before anything goes out under them, credentials are kept sealed, and a link
is one link however often it is asked for."""

import threading

import pytest

from tests.messaging import desk
from webapp.messaging import links, senders
from webapp.platform.db import run, transaction, value
from webapp.platform.errors import Invalid, NotFound

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
