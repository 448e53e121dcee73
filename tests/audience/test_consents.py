"""Consent and suppression: a person's last word counts, a bounce outlasts it, and every change is on the timeline."""

import threading

import pytest
from sqlalchemy.exc import IntegrityError

from webapp.audience import consents, leads
from webapp.audience.consents import SKIP_REASONS
from webapp.platform.db import rows, transaction, value
from webapp.platform.errors import Invalid


@pytest.fixture
def lead(cast, tx) -> int:
    with tx():
        return leads.create({"first_name": "Ada", "email": "Ada@Example.com", "phone": "+14152001234"}).id


def changes(lead_id: int) -> list[dict]:
    found = rows(
        "SELECT payload FROM lead_events WHERE lead_id = :id AND type = 'consent_changed' ORDER BY id", id=lead_id
    )
    return [row.payload for row in found]


def verdict(lead_id: int, channel: str = "email", **asked: bool) -> str | None:
    joins = " ".join(f"LEFT JOIN {table} ON {condition}" for table, condition in consents.verdict_joins(channel))
    return value(f"SELECT {consents.verdict(channel, **asked)} FROM leads l {joins} WHERE l.id = :id", id=lead_id)


def test_a_consent_is_written_when_it_changes_and_told_each_time(lead, tx):
    with tx():
        assert consents.set_consent(lead, "email", "subscribed", source="form", evidence="form 7")
        assert not consents.set_consent(lead, "email", "subscribed", source="import", evidence="file")
        consent = consents.of_lead(lead)["email"]
        assert (consent.status, consent.source, consent.evidence) == ("subscribed", "form", "form 7")
        assert consents.set_consent(lead, "email", "unsubscribed", source="phone")
    with tx():
        consent = consents.of_lead(lead)["email"]
        assert (consent.status, consent.source, consent.evidence) == ("unsubscribed", "phone", None)
        assert changes(lead) == [
            {"channel": "email", "to": "subscribed", "source": "form", "evidence": "form 7"},
            {"channel": "email", "to": "unsubscribed", "source": "phone"},
        ]  # fmt: skip


def test_a_consent_noted_by_hand_needs_its_evidence_and_an_address(lead, tx):
    with tx():
        ada, nobody = leads.get(lead), leads.create({"first_name": "Nobody"})
        for evidence in ("", " ", "\0", "x" * 501):
            with pytest.raises(Invalid) as refused:
                consents.note(ada, "email", "subscribed", by="Alex", evidence=evidence)
            assert set(refused.value.errors) == {"evidence"}
        for channel, status in (("pigeon", "subscribed"), ("email", "pending")):
            with pytest.raises(Invalid):
                consents.note(ada, channel, status, by="Alex", evidence="call")
        for channel in consents.CHANNELS:
            with pytest.raises(Invalid):
                consents.note(nobody, channel, "subscribed", by="Alex", evidence="call")
        assert consents.note(ada, "email", "subscribed", by="Alex", evidence="call on 3 May")
        assert consents.note(ada, "email", "unsubscribed", by="Maya")
        assert consents.note(nobody, "sms", "unsubscribed", by="Maya")
    with tx():
        told = [(fact.payload["to"], fact.payload["source"]) for fact in consents.history(lead)]
        assert told == [("unsubscribed", "noted by Maya"), ("subscribed", "noted by Alex")]
        assert consents.history(lead)[1].payload["evidence"] == "call on 3 May"


def test_it_is_known_which_of_a_leads_addresses_are_barred(lead, tx):
    with tx():
        consents.suppress("sms", "+14152001234", "stop")
        consents.suppress("email", "else@example.com", "manual")
        assert consents.suppressed_of(leads.get(lead)) == {"email": False, "sms": True, "whatsapp": False}


def test_each_channel_is_asked_for_itself(lead, tx):
    with tx():
        consents.set_consent(lead, "email", "subscribed", source="form")
        consents.set_consent(lead, "sms", "unsubscribed", source="form")
        assert {channel: consent.status for channel, consent in consents.of_lead(lead).items()} == {
            "email": "subscribed", "sms": "unsubscribed",
        }  # fmt: skip
        assert [verdict(lead, channel) for channel in consents.CHANNELS] == [None, "unsubscribed", "no_consent"]


@pytest.mark.parametrize(("channel", "status"), [("pigeon", "subscribed"), ("email", "maybe")])
def test_words_that_do_not_exist_are_not_written(lead, tx, channel, status):
    with pytest.raises(IntegrityError), tx():
        consents.set_consent(lead, channel, status, source="x")


def test_an_address_is_barred_whatever_its_case(cast, lead, tx):
    with tx():
        assert consents.suppress("email", "ADA@example.COM", "manual")
        assert not consents.suppress("email", "ada@example.com", "complaint")
        assert consents.is_suppressed("email", "Ada@Example.com") and not consents.is_suppressed(
            "sms", "ada@example.com"
        )
        assert not consents.release("email", "ada@example.com", "complaint")
        assert consents.release("email", "ada@EXAMPLE.com", "manual")
        assert not consents.is_suppressed("email", "ada@example.com")
    with tx(cast.other_org):
        assert not consents.is_suppressed("email", "ada@example.com")


@pytest.mark.parametrize(
    ("reason", "lifted"),
    [
        ("unsubscribe", True),
        ("stop", True),
        ("hard_bounce", False),
        ("complaint", False),
        ("manual", False),
        ("invalid", False),
    ],
)
@pytest.mark.parametrize(("channel", "address"), [("email", "ada@example.com"), ("sms", "+14152001234")])
def test_their_own_later_word_lifts_what_their_own_earlier_word_barred(lead, tx, channel, address, reason, lifted):
    with tx():
        consents.suppress(channel, address, reason)
        consents.suppress(channel, "else@example.com", reason)
        consents.set_consent(lead, channel, "pending", source="form")
        assert consents.is_suppressed(channel, address)
        consents.set_consent(lead, channel, "subscribed", source="form")
        assert consents.is_suppressed(channel, address) != lifted
        assert consents.is_suppressed(channel, "else@example.com")


@pytest.mark.parametrize(
    ("consent", "bar", "expected"),
    [(None, None, "no_consent"), ("subscribed", None, None), ("pending", None, "consent_pending"), ("unsubscribed", None, "unsubscribed"),
     ("subscribed", "hard_bounce", "suppressed"), ("pending", "manual", "suppressed"), ("unsubscribed", "complaint", "unsubscribed"),
     (None, "invalid", "suppressed")],
)  # fmt: skip
def test_the_verdict_says_why_a_person_may_not_be_reached(lead, tx, consent, bar, expected):
    with tx():
        if consent:
            consents.set_consent(lead, "email", consent, source="form")
        if bar:
            consents.suppress("email", "ada@example.com", bar)
        assert verdict(lead) == expected
        asked = {None: "confirmed", "consent_pending": None}.get(expected, expected)
        assert verdict(lead, confirming=True) == asked
        leads.remove([lead])
        assert verdict(lead) == "lead_removed"


def test_without_an_address_that_is_the_reason(cast, tx):
    with tx():
        by_phone, by_mail = leads.create({"phone": "+14152001234"}).id, leads.create({"email": "ada@example.com"}).id
        assert (verdict(by_phone), verdict(by_mail, "sms")) == ("no_email", "no_phone")


def test_every_reason_has_words(cast):
    assert consents.reason_words("no_email") == "No e-mail address"
    assert consents.reason_words("a_new_one") == "a new one" and consents.reason_words(None) == ""
    assert all(SKIP_REASONS.values())


def test_two_unsubscribes_at_once_are_one_change(app, cast, lead, tx):
    barrier, results = threading.Barrier(2), []

    def leave() -> None:
        with app.app_context(), transaction(cast.org):
            value("SELECT 1")
            barrier.wait()
            results.append(consents.set_consent(lead, "email", "unsubscribed", source="page"))

    threads = [threading.Thread(target=leave) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with tx():
        assert sorted(results) == [False, True] and len(changes(lead)) == 1
