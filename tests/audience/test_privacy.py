"""Privacy requests: everything kept about a person is handed out; and after they are forgotten no table says who they were."""

import json

import pytest

from tests.messaging import desk
from tests.messaging.desk import FIREFOX
from webapp.audience import bulk, consents, leads, merges, policies, privacy, timeline
from webapp.audience.policies import Policy
from webapp.messaging import links, mailbox, receipts
from webapp.platform import idempotency
from webapp.platform.db import db, one, rows, run, transaction, value
from webapp.platform.errors import Invalid, Refused
from webapp.tables import HOUSE_TABLES, metadata

WHO = {
    "first_name": "Zebulon", "last_name": "Quarrington", "email": "Zebulon@Quarrington.example", "phone": "+14152007777",
    "external_id": "QX-7777", "city": "Zwolleville", "tags": ["quarrel"], "attributes": {"pet": "zebrafish"}, "state": "TX",
}  # fmt: skip
# What must be nowhere afterwards, in any spelling. (Addresses alone stay on the suppression list.)
TRACES = ("zebulon", "quarr", "4152007777", "qx-7777", "zwolle", "zebrafish", "pol-7777", "10.7.7.7", "sesame")
ADA = {"user_agent": f"{FIREFOX} sesame", "ip": "10.7.7.7"}


def traces() -> set[tuple[str, str]]:
    """Returns (table, trace) wherever one is found."""
    found = set()
    for table in metadata.tables:
        if table not in HOUSE_TABLES | {"suppressions", "audit_log"}:
            for row in rows(f"SELECT lower(to_jsonb(t)::text) AS said FROM {table} t"):
                found |= {(table, trace) for trace in TRACES if trace in row.said}
    return found


@pytest.fixture
def person(cast) -> int:
    """A lead with something in every place that keeps things about leads."""
    with transaction(cast.org):
        lead_id = desk.add_lead(1, **WHO)
        other = leads.create({"first_name": "Zebulon", "last_name": "Quarr", "email": "z.quarr@other.example"}).id
        db.session.add(Policy(lead_id=lead_id, number="POL-7777"))
        leads.update(leads.get(lead_id), {"city": "Zwolle"})
        consents.note(leads.get(lead_id), "sms", "subscribed", by="Alex", evidence="Zebulon said so")
        timeline.record(lead_id, "custom", {"name": "quarrel", "note": "met Zebulon"})
        timeline.record(lead_id, "call_logged", {"reason": "zebrafish", "to": "Zebulon"})
        timeline.record(lead_id, "email_failed", {"send_id": 1, "error": "no zebulon here", "reason": "No Zebulon"})
        merges.merge(lead_id, other)
        campaign_id = desk.draft().id
    desk.start(cast.org, campaign_id)
    (send_id,) = desk.settle(cast.org, campaign_id, ["accepted"])
    with transaction(cast.org):
        url = "https://offer.example/?who=Zebulon"
        receipts.clicked(send_id, links.store(campaign_id, "https://offer.example/?who={{ first_name }}"), url, ADA)
        mailbox.keep("zebulon@quarrington.example", b"Subject: Zebulon\r\n\r\nHello", send_id)
        run(
            "UPDATE sends SET rendered = '{\"subject\": \"Zebulon\"}', error_message = '250 zebulon' WHERE id = :id",
            id=send_id,
        )
        import_id = value("INSERT INTO imports (file_name) VALUES ('list.csv') RETURNING id")
        run(
            "INSERT INTO import_changes (import_id, lead_id, before, after) VALUES (:i, :l, '{\"city\": \"Zwolleville\"}', '{}')",
            i=import_id, l=lead_id,
        )  # fmt: skip
        run(
            'INSERT INTO import_errors (import_id, "row", message, raw, value) VALUES (:i, 1, \'x\','
            " '[\"Zebulon@quarrington.example\", \"Zebulon\"]', NULL), (:i, 2, 'x', NULL, '+14152007777')",
            i=import_id,
        )  # fmt: skip
    return lead_id


def test_everything_kept_about_a_person_is_handed_out(cast, tx, person):
    with tx():
        everything = json.loads(json.dumps(privacy.export(leads.get(person)), default=str))
        assert {name for name, part in everything.items() if not part} == {
            "groups",
            "personas",
            "replies",
            "scores",
            "segments",
            "suppressions",
        }
        assert [lead["first_name"] for lead in everything["lead"]] == ["Zebulon", "Zebulon"]
        assert everything["policies"][0]["number"] == "POL-7777"
        assert everything["sends"][0]["receipts"][0]["ip"] == "10.7.7.7"
        assert everything["campaigns"][0]["name"] == "Offer"
        assert {fact["type"] for fact in everything["timeline"]} >= {"custom", "consent_changed", "email_sent"}
        assert "org_id" not in json.dumps(everything)
        assert desk.facts(person)[-1] == "lead_exported"
        assert one("SELECT entity_id FROM audit_log WHERE action = 'privacy.exported'").entity_id == person


def test_afterwards_nobody_can_be_recognised(cast, tx, person):
    with tx():
        assert {trace for _, trace in traces()} == set(TRACES)
        privacy.anonymise(leads.get(person), " Zebulon  Quarrington ")
    with tx():
        assert traces() == set()
        lead = leads.get(person)
        assert lead.anonymized_at and lead.name == f"Lead {person}" and lead.state == "TX"
        assert (lead.tags, lead.attributes) == ([], {})
        assert {c.status for c in consents.of_lead(person).values()} == {"unsubscribed"}
        send = one("SELECT * FROM sends")
        assert (send.status, send.click_count, send.lead_id) == ("clicked", 1, person)
        assert desk.counters(send.campaign_id) == desk.recount(send.campaign_id)
        assert policies.of_lead(person)[0].number.startswith("anonymised-")
        told = {
            row.type: row.payload
            for row in rows("SELECT type, payload FROM lead_events WHERE lead_id = :id ORDER BY id", id=person)
        }
        assert told["custom"] == told["call_logged"] == {} and told["email_failed"] == {"send_id": 1}
        assert told["lead_updated"]["changes"]["email"] == [None, None] and "lead_anonymized" in told
        assert (
            value("SELECT count(*) FROM audit_log WHERE action = 'privacy.anonymised' AND entity_id = :id", id=person)
            == 1
        )
        with pytest.raises(Refused):
            privacy.anonymise(lead, lead.name)


def test_an_import_does_not_bring_them_back_to_be_written_to(cast, tx, person):
    with tx():
        privacy.anonymise(leads.get(person), "Zebulon Quarrington")
    with tx():
        barred = rows("SELECT channel, address, reason, note FROM suppressions ORDER BY channel, address")
        assert [(row.channel, row.address) for row in barred] == [
            ("email", "z.quarr@other.example"), ("email", "zebulon@quarrington.example"), ("sms", "+14152007777"),
            ("whatsapp", "+14152007777"),
        ]  # fmt: skip
        assert {(row.reason, row.note) for row in barred} == {("manual", privacy.NOTE)}
        again = desk.add_lead(2, email="zebulon@quarrington.example", phone="+14152007777")
        assert consents.suppressed_of(leads.get(again)) == dict.fromkeys(consents.CHANNELS, True)


@pytest.mark.parametrize("typed", ["", "Zebulon", "zebulon quarrington", "\0", "x" * 5000])
def test_another_name_is_not_enough(cast, tx, person, typed):
    with tx(), pytest.raises(Invalid) as refused:
        privacy.anonymise(leads.get(person), typed)
    assert set(refused.value.errors) == {"typed"}
    with tx():
        assert leads.get(person).first_name == "Zebulon"


def test_a_lead_of_whom_little_is_known_is_forgotten_too(cast, tx):
    with tx():
        lead = leads.create({"external_id": "only"})
        privacy.anonymise(lead, lead.name)
        assert value("SELECT count(*) FROM suppressions") == 0 and lead.external_id is None


def test_an_old_reason_outlasts_the_note(cast, tx):
    with tx():
        lead = leads.create({"email": "ada@example.com"})
        consents.suppress("email", "ada@example.com", "complaint")
        run("UPDATE suppressions SET note = 'Ada was angry'")
        privacy.anonymise(lead, "ada@example.com")
        assert one("SELECT reason, note FROM suppressions") == ("complaint", privacy.NOTE)


def test_who_was_merged_over_several_steps_is_the_same_person(cast, tx):
    with tx():
        a, b, c, other = (
            leads.create({"first_name": name, "email": f"{name}@steps.example"}).id
            for name in ("ann", "bea", "cat", "dan")
        )
        merges.merge(b, c)
        merges.merge(a, b)
        merges.undo(merges.merge(a, other))
    with tx():
        everything = privacy.export(leads.get(a))
        assert [lead["email"] for lead in everything["lead"]] == [
            f"{name}@steps.example" for name in ("ann", "bea", "cat")
        ]
        privacy.anonymise(leads.get(a), "ann")
    with tx():
        left = rows("SELECT id, first_name, email FROM leads WHERE anonymized_at IS NULL")
        assert [tuple(row) for row in left] == [(other, "dan", "dan@steps.example")]
        assert value("SELECT count(*) FROM leads WHERE first_name IS NULL AND email IS NULL") == 3
        barred = rows("SELECT address FROM suppressions WHERE channel = 'email' ORDER BY address")
        assert [row.address for row in barred] == [f"{name}@steps.example" for name in ("ann", "bea", "cat")]


def test_what_a_bulk_action_could_bring_back_is_forgotten(cast, tx, person):
    with tx():
        other = desk.add_lead(2)
        done = bulk.start("status", {"status": "contacted"}, {"ids": [person, other]}).id
        gone = bulk.start("delete", {}, {"ids": [person]}).id
        run("UPDATE leads SET deleted_at = NULL WHERE id = :id", id=person)
        privacy.anonymise(leads.get(person), "Zebulon Quarrington")
    with tx():
        assert list(bulk.get(done).selection["before"]) == [str(other)]
        assert bulk.get(gone).selection["before"] == {} and not bulk.get(gone).can_be_undone
        assert bulk.undo(bulk.get(done)) == 1


@pytest.mark.parametrize(
    ("searched", "kept"),
    [("Zebulon@Quarrington.example", False), (" zebulon quarr", False), ("QUARRINGTON", False), ("zeb", False), ("z.quarr@", False),
     ("(415) 200-7777", False), ("+1415200", False), ("qx-7777", False), ("ze", True), ("ada", True), ("+4420794600", True)],
)  # fmt: skip
def test_a_finished_bulk_action_does_not_tell_whom_it_searched(cast, tx, person, searched, kept):
    with tx():
        ids = [
            value(
                "INSERT INTO bulk_actions (action, argument, selection, status, finished_at) VALUES ('delete', '{}',"
                " jsonb_build_object('filter', jsonb_build_object('q', CAST(:q AS text), 'status', 'new'), 'upto', 9), :status,"
                " CASE WHEN :over THEN now() END) RETURNING id",
                q=searched, status="done" if over else "queued", over=over,
            )
            for over in (True, False)
        ]  # fmt: skip
        privacy.anonymise(leads.get(person), "Zebulon Quarrington")
    with tx():
        over, waiting = (bulk.get(id).selection["filter"] for id in ids)
        assert waiting == {"q": searched, "status": "new"}
        assert over == (waiting if kept else {"status": "new"})


def test_answers_kept_for_calls_made_twice_are_forgotten(cast, tx, person):
    answers = {
        "lead": {"data": {"id": person, "first_name": "Zebedee"}},
        "list": {"data": [{"note": "Zebulon@Quarrington.example wrote"}]},
        "merged": {"data": {"id": 10**9, "email": "z.quarr@other.example"}},
        "other": {"data": {"id": person + 10**6, "first_name": "Ada"}},
        "campaign": {"data": {"id": person, "name": "Offer"}},
        "nothing": None,
    }
    with tx():
        for key, body in answers.items():
            idempotency.begin(1, key, key)
            idempotency.finish(1, key, 200, body)
        # The call that asks for it may have a key too, and is not answered yet.
        idempotency.begin(1, "asking", "asking")
        privacy.anonymise(leads.get(person), "Zebulon Quarrington")
        idempotency.finish(1, "asking", 200, None)
    with tx():
        left = {row.key for row in rows("SELECT key FROM idempotency_keys")}
        assert left == {"other", "campaign", "nothing", "asking"}
