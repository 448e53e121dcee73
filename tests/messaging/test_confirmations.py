"""Double opt-in: the one message that goes to a pending consent, and to no other; what its link does, and when no more."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import pytest

from tests.messaging import desk
from tests.messaging.desk import FIREFOX, facts, send_of
from webapp.audience import consents, leads
from webapp.messaging import caps, confirmations, mailbox, outbox, senders, templates
from webapp.messaging.mailbox import MailboxMessage
from webapp.platform import tenancy
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run, transaction, value
from webapp.platform.errors import Invalid, Refused
from webapp.platform.signing import signer


@pytest.fixture
def lead(cast, tx) -> int:
    with tx():
        senders.ensure_local("Lone Star", "hello@lone.example")
        return leads.create({"first_name": "Ada", "email": "ada@example.com"}).id


def ask(lead_id: int) -> bool:
    return confirmations.ask(leads.get(lead_id), by="Alex")


def deliver(org: int) -> int:
    with tenancy.scope(org):
        return confirmations.send_due("test", threading.Event())


def letters() -> list[dict]:
    return [mailbox.parts(message) for message in db.session.query(MailboxMessage).order_by(MailboxMessage.id)]


def consent(lead_id: int) -> str | None:
    found = consents.of_lead(lead_id).get("email")
    return found and found.status


def link(org: int, send_id: int) -> str:
    return f"/confirm/{signer().pack('confirm', org, send_id)}"


@pytest.fixture
def asked(cast, tx, lead) -> tuple[int, int]:
    """(lead id, send id) of a request that has arrived."""
    with tx():
        assert ask(lead)
    deliver(cast.org)
    with tx():
        return lead, value("SELECT id FROM sends WHERE kind = 'confirmation'")


@pytest.fixture
def browser(app):
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    return client


def test_somebody_asked_gets_one_message_with_a_link_and_agrees_by_its_button(app, cast, tx, browser, asked):
    lead, send_id = asked
    with tx():
        (letter,) = letters()
        assert consent(lead) == "pending" and send_of(send_id).status == "sent"
        assert facts(lead)[-3:] == ["consent_changed", "consent_asked", "email_sent"]
    path = re.search(r"(/confirm/[0-9a-f]+)", unescape(letter["html"]))[1]
    assert path == link(cast.org, send_id) and path in letter["text"]
    assert "/t/o/" not in letter["html"] and "/t/c/" not in letter["html"]
    for ask_again in (browser.get, browser.head):
        assert ask_again(path).status_code == 200
    with tx():
        assert consent(lead) == "pending"
    assert "May we write to ad•••@example.com?" in browser.get(path).text
    for _ in range(2):
        answer = browser.post(path)
        assert answer.status_code == 200 and "Thank you" in answer.text
        assert not answer.headers.getlist("Set-Cookie")
    with tx():
        found = consents.of_lead(lead)["email"]
        assert (found.status, found.source) == ("subscribed", "double opt-in")
        assert re.fullmatch(rf"confirmed on .* UTC from 127\.0\.0\.1, send {send_id}", found.evidence)
        assert facts(lead).count("consent_changed") == 2


def test_asking_again_soon_sends_nothing_and_later_sends_another(cast, tx, asked):
    lead, _ = asked
    with tx():
        assert not ask(lead)
        run("UPDATE sends SET created_at = created_at - interval '2 hours'")
        assert ask(lead)
        assert not ask(lead)
    deliver(cast.org)
    with tx():
        assert len(letters()) == 2


def test_two_who_ask_at_once_send_one(app, cast, tx, lead):
    with tx():
        confirmations.template()
    barrier, results = threading.Barrier(2), []

    def press() -> None:
        with app.app_context(), transaction(cast.org):
            value("SELECT 1")
            barrier.wait()
            results.append(ask(lead))

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tx():
        assert sorted(results) == [False, True]
        assert value("SELECT count(*) FROM sends") == 1


def test_who_cannot_be_asked_is_told_why(cast, tx, lead):
    with tx():
        nobody = leads.create({"first_name": "Nobody"}).id
        with pytest.raises(Refused, match="no e-mail address"):
            ask(nobody)
        for status, words in (("subscribed", "agreed to e-mails already"), ("unsubscribed", "have unsubscribed")):
            consents.set_consent(lead, "email", status, source="form")
            with pytest.raises(Refused, match=words):
                ask(lead)
        run("DELETE FROM consents")
        consents.suppress("email", "ada@example.com", "complaint")
        with pytest.raises(Refused, match="suppressed"):
            ask(lead)
        run("DELETE FROM suppressions")
        run("UPDATE senders SET status = 'inactive'")
        with pytest.raises(Refused, match="no sender"):
            ask(lead)
        assert value("SELECT count(*) FROM sends") == 0 and consent(lead) is None


@pytest.mark.parametrize(
    ("since", "reason"),
    [("subscribed", "confirmed"), ("unsubscribed", "unsubscribed"), ("barred", "suppressed"), ("deleted", "lead_removed"),
     ("moved", "address_changed")],
)  # fmt: skip
def test_a_request_on_its_way_goes_to_a_pending_consent_only(cast, tx, lead, since, reason):
    with tx():
        ask(lead)
        if since in consents.STATUSES:
            consents.set_consent(lead, "email", since, source="phone")
        elif since == "barred":
            consents.suppress("email", "ada@example.com", "manual")
        elif since == "deleted":
            leads.remove([lead])
        else:
            leads.update(leads.get(lead), {"email": "ada@other.example"})
    deliver(cast.org)
    with tx():
        assert [(row.status, row.skip_reason) for row in rows("SELECT * FROM sends")] == [("skipped", reason)]
        assert letters() == []


def test_everything_else_keeps_away_from_a_pending_consent(cast, tx, asked):
    lead, _ = asked
    with tx():
        campaign_id = desk.draft().id
    desk.start(cast.org, campaign_id)
    with tx():
        assert rows("SELECT skip_reason FROM campaign_recipients")[0].skip_reason == "consent_pending"
        assert outbox.claim(campaign_id, "email", "test").rows == []


def test_a_link_grows_old_and_says_so(cast, tx, browser, asked):
    lead, send_id = asked
    with tx():
        run("UPDATE sends SET created_at = now() - interval '14 days 1 minute'")
    for answer in (browser.get(link(cast.org, send_id)), browser.post(link(cast.org, send_id))):
        assert answer.status_code == 200 and "This link is too old" in answer.text
    with tx():
        assert consent(lead) == "pending"


def test_a_link_does_not_take_back_an_unsubscribe_nor_follow_another_address(cast, tx, browser, asked):
    lead, send_id = asked
    with tx():
        consents.set_consent(lead, "email", "unsubscribed", source="phone")
    assert "You have unsubscribed since" in browser.post(link(cast.org, send_id)).text
    with tx():
        run("UPDATE consents SET status = 'pending'")
        leads.update(leads.get(lead), {"email": "ada@other.example"})
    assert "no use any more" in browser.post(link(cast.org, send_id)).text
    with tx():
        assert consent(lead) == "pending"
        leads.update(leads.get(lead), {"email": "ada@example.com"})
        leads.remove([lead])
    assert "no use any more" in browser.post(link(cast.org, send_id)).text


def test_a_link_of_another_kind_or_house_is_none(cast, tx, browser, asked):
    _, send_id = asked
    for purpose, org in (("unsubscribe", cast.org), ("confirm", cast.other_org)):
        assert browser.post(f"/confirm/{signer().pack(purpose, org, send_id)}").status_code == 404
    with tx():
        desk.add_lead(7)
        other = value(
            "INSERT INTO sends (kind, lead_id, channel, recipient_address, dedup_key) SELECT 'test', id, 'email',"
            " email_key, 'x' FROM leads WHERE email_key = 'lead7@example.com' RETURNING id"
        )
        assert confirmations.confirm(other, {}) == "gone"


def test_a_sender_gone_since_is_stood_in_for(cast, tx, lead):
    with tx():
        ask(lead)
        smtp = {"name": "Two", "address": "two@lone.example", "host": "127.0.0.1", "port": 9, "tls": "none"}
        run("UPDATE sends SET sender_id = :id", id=senders.save_smtp(None, smtp).id)
        run("DELETE FROM senders WHERE provider = 'smtp'")
    deliver(cast.org)
    with tx():
        assert len(letters()) == 1


def test_its_words_are_the_admins_and_its_link_stays(cast, tx, lead):
    with tx():
        template = confirmations.template()
        assert confirmations.template().id == template.id
        assert template.is_system and template.category == "transactional" and template not in templates.usable()
        words = {"name": "Ours", "subject_line": "Say yes", "html_content": "<p>Hello</p>"}
        with pytest.raises(Invalid) as refused:
            templates.save(template, words)
        assert set(refused.value.errors) == {"html_content"}
        with pytest.raises(Invalid):
            templates.save(template, words | {"html_content": "{{ confirm_url }}", "text_content": "no link"})
        changed = {"html_content": '<a href="{{ confirm_url }}">OK</a>', "is_active": False, "category": "acquisition"}
        templates.save(template, words | changed | {"slug": "ours"})
        assert (
            confirmations.template().id == template.id and template.is_active and template.category == "transactional"
        )
        with pytest.raises(Refused):
            templates.remove(template)
        with pytest.raises(Invalid):
            templates.save(None, words | changed)
        ask(lead)
    deliver(cast.org)
    with tx():
        assert dict(letters()[0]["headers"])["Subject"] == "Say yes"


def test_a_template_of_that_name_is_left_alone(cast, tx):
    with tx():
        own = templates.save(None, desk.LETTER | {"name": "Confirm subscription"})
        assert confirmations.template().id != own.id and not own.is_system


def test_they_count_against_the_sender_and_wait_for_its_limits(cast, tx, lead):
    with tx():
        other = leads.create({"first_name": "Bo", "email": "bo@example.com"}).id
        run("UPDATE senders SET daily_limit = 1, rate_per_second = 50")
        assert ask(lead) and ask(other)
    deliver(cast.org)
    with tx():
        assert len(letters()) == 1
        assert [row.status for row in rows("SELECT status FROM sends ORDER BY id")] == ["sent", "pending"]
        assert caps.used(value("SELECT id FROM senders")) == 1
        assert value("SELECT sum(sent)::int FROM sender_minutes") == 1
        due = value("SELECT due_at FROM work_due WHERE kind = :kind", kind=confirmations.WORK)
        assert due > now(), "it is not asked for at once again"
        run("UPDATE senders SET daily_limit = 2")
    deliver(cast.org)
    with tx():
        assert len(letters()) == 2
        assert caps.used(value("SELECT id FROM senders")) == 2


def test_two_who_need_the_message_at_once_make_one(app, cast, tx):
    gate = threading.Barrier(4)

    def need(_: int) -> int:
        with app.app_context(), transaction(cast.org):
            value("SELECT 1")
            gate.wait()
            return confirmations.template().id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(need, range(4)))) == 1
    with tx():
        assert value("SELECT count(*) FROM templates WHERE is_system") == 1
