"""An import taken back: what it did goes, what happened since stays."""

import pytest

from tests.audience.imports_data import HEADER, Desk, csv_of, many
from webapp.audience import consents, leads, timeline
from webapp.audience.imports import imports
from webapp.platform.db import one, rows, run, transaction, value
from webapp.platform.errors import Refused

COLUMNS = {
    "0": "email",
    "1": "first_name",
    "2": "city",
    "3": "value_estimate",
    "4": "tags",
    "5": "consent_email",
    "6": "status",
}
FILE = csv_of(
    ["Mail", "First Name", "City", "Value", "Tags", "Newsletter", "Status"],
    ["ann@example.com", "Anna", "Elko", "1000", "new", "yes", "qualified"],
    ["bo@example.com", "Bo", "Reno", "5", "", "no", ""],
    ["cy@example.com", "Cy", "", "", "", "yes", ""],
    ["di@example.com", "Di", "", "", "", "", ""],
)


@pytest.fixture
def desk(app, cast):
    return Desk(app, cast.org, cast.marketer)


def undo(desk: Desk, import_id: int):
    with transaction(desk.org):
        return imports.undo(imports.get(import_id))


def state(desk: Desk) -> list:
    columns = "email, first_name, last_name, phone, city, value_estimate, tags, attributes, status, external_id"
    with transaction(desk.org):
        found = rows(f"SELECT {columns} FROM leads WHERE deleted_at IS NULL ORDER BY id")
        return [*found, *rows("SELECT lead_id, channel, status, source FROM consents ORDER BY 1, 2")]


def test_everything_is_as_before(desk, cast):
    with transaction(cast.org):
        ann = leads.create(
            {"email": "ann@example.com", "first_name": "Ann", "tags": ["old"], "attributes": {"a": "1"}}
        ).id
        consents.set_consent(ann, "sms", "subscribed", source="form")
    before = state(desk)
    row = desk.take(FILE, COLUMNS)
    assert (row.created, row.updated) == (3, 1)
    assert state(desk) != before
    undone = undo(desk, row.id)
    assert (undone.removed, undone.restored, undone.kept, undone.consents) == (3, 1, 0, 3)
    assert state(desk) == before
    row = desk.row(row.id)
    assert (row.status, row.message) == ("undone", "Taken back: 3 leads removed, 1 changed back.")
    facts = desk.facts(ann)
    assert ("status_changed", {"from": "qualified", "to": "new", "import": row.id, "undone": True}) in facts
    changes = [payload["changes"] for type_, payload in facts if type_ == "lead_updated"]
    assert changes[0]["city"] == [None, "Elko"]
    assert changes[1]["city"] == ["Elko", None]
    withdrawn = [payload for type_, payload in facts if type_ == "consent_changed"][-1]
    assert (withdrawn["from"], withdrawn["to"], withdrawn["channel"]) == ("subscribed", None, "email")
    with transaction(cast.org):
        assert value("SELECT count(*) FROM lead_events WHERE type = 'lead_deleted'") == 3
        assert one("SELECT after FROM audit_log WHERE action = 'leads.import_undone'").after["removed"] == 3


def test_what_was_touched_since_stays(desk, cast):
    with transaction(cast.org):
        ann = leads.create({"email": "ann@example.com", "first_name": "Ann"}).id
    row = desk.take(FILE, COLUMNS)
    bo, cy, di = (desk.lead(f"{name}@example.com").id for name in ("bo", "cy", "di"))
    with transaction(cast.org):
        leads.update(leads.get(ann), {"city": "Paris"})
        timeline.record(bo, "call_logged", {"outcome": "reached"})
        consents.set_consent(cy, "email", "unsubscribed", source="page")
        timeline.record(di, "segment_entered", {"segment": 1})
    undone = undo(desk, row.id)
    assert (undone.removed, undone.restored, undone.kept) == (1, 1, 3)
    assert {lead.id for lead in desk.leads()} == {ann, bo, cy}
    found = desk.lead("ann@example.com")
    assert (found.first_name, found.city, found.value_estimate) == ("Ann", "Paris", None)
    assert desk.consents(cy) == {"email": "unsubscribed"}
    assert desk.consents(ann) == desk.consents(bo) == {}
    assert "3 kept" in str(undone)


def test_a_lead_with_a_message_planned_stays(desk, cast):
    row = desk.take(many(2))
    kept = desk.leads()[0].id
    with transaction(cast.org):
        run(
            "INSERT INTO sends (lead_id, kind, channel, recipient_address, dedup_key)"
            " VALUES (:lead, 'test', 'email', 'person0@example.com', 'test:1')",
            lead=kept,
        )
    assert (undo(desk, row.id).removed, [lead.id for lead in desk.leads()]) == (1, [kept])


def test_a_former_address_somebody_else_has_by_now(desk, cast):
    with transaction(cast.org):
        ann = leads.create({"email": "old@example.com", "external_id": "X1", "phone": "4152000000"}).id
    row = desk.take(csv_of(["Lead ID", *HEADER], ["X1", "Ann", "Lee", "new@example.com", "415 200 0001"]))
    with transaction(cast.org):
        leads.create({"email": "OLD@example.com"})
    undone = undo(desk, row.id)
    assert (undone.restored, undone.kept) == (1, 1)
    found = desk.lead("new@example.com")
    assert (found.id, found.first_name, found.phone) == (ann, None, "+14152000000")


def test_a_second_time_is_refused(desk):
    row = desk.take(many(3))
    undo(desk, row.id)
    with pytest.raises(Refused, match="already"):
        undo(desk, row.id)
    assert desk.leads() == []
    with transaction(desk.org), pytest.raises(Refused, match="finished"):
        imports.undo(imports.start("x.csv", many(1)))


def test_a_later_import_keeps_what_it_touched_until_it_is_taken_back_too(desk):
    first = desk.take(many(3))
    later = desk.take(many(2).replace(b"First", b"Fast"))
    assert undo(desk, later.id).restored == 2
    assert [lead.first_name for lead in desk.leads()] == ["First0", "First1", "First2"]
    assert undo(desk, first.id).removed == 3
    again = desk.take(many(3))
    third = desk.take(many(2).replace(b"First", b"Fast"))
    assert (undo(desk, again.id).removed, undo(desk, third.id).restored) == (1, 2)
    assert len(desk.leads()) == 2


def test_after_taking_back_the_file_can_be_imported_again(desk):
    row = desk.take(FILE, COLUMNS)
    undo(desk, row.id)
    again = desk.take(FILE, COLUMNS)
    assert (again.created, again.updated, again.skipped) == (4, 0, 0)
    assert desk.consents(desk.lead("ann@example.com").id) == {"email": "subscribed"}


def test_undo_of_many(desk):
    first = desk.take(many(12_000))
    second = desk.take(many(12_000).replace(b"First", b"Fast"))
    assert undo(desk, second.id).restored == 12_000
    assert undo(desk, first.id).removed == 12_000
    assert desk.leads() == []


def test_nobody_undoes_for_another_organisation(desk, cast, app):
    row = desk.take(many(3))
    theirs = Desk(app, cast.other_org, cast.stranger).take(many(3))
    undo(desk, row.id)
    assert len(Desk(app, cast.other_org, cast.stranger).leads()) == 3
    assert Desk(app, cast.other_org, cast.stranger).row(theirs.id).status == "done"
