"""Files to leads on the real database: counts, duplicates, consents, facts, and what was refused."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tests.audience.imports_data import HEADER, Desk, csv_of, many, xlsx_of
from webapp.audience import consents, leads, timeline
from webapp.audience.imports import imports
from webapp.platform import tenancy, work
from webapp.platform.db import one, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.organizations import current


@pytest.fixture
def desk(app, cast):
    return Desk(app, cast.org, cast.marketer)


def as_csv(lines) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(lines).removeprefix("\ufeff"), newline="")))


MESSY = [
    "First Name", "Last Name", "E-Mail Address", "Mobile Phone", "State/Province", "Insurance Type", "Est. Value",
    "Created", "Tags", "Opt-in Email", "Birthday", "Notes", "Notes",
]  # fmt: skip


def messy() -> bytes:
    """The defects of leads_messy.csv, one row each, between clean ones."""
    lines = [
        ["Ann", "Lee", " Ann@Example.COM ", "415.200.0000", "Florida", "life", "$7,097.87", "2024-11-08 10:07:00",
         "a|b;c,A", "TRUE", "04/06/1955", "x\ny", ""],
        ["Bo", "Roe", "bo at example.net", "1-305-200-0111", "TX", "HOME ", "1,086", "08/22/2024", "", "no", "11/21/1956", "null", ""],
        [],
        ["Cy", "Fox", "cy@example.com", "12345", "New York", "Travel", "a lot", "31/02/2025", "", "", "", "=1+1", ""],
        ["Di", "Poe", "", "", "CA", "auto", "5", "28 Apr 2024", "vip", "yes", "", "naïve ☕ 👍", ""],
        ["ANN", "LEE", "ANN@EXAMPLE.com", "+14152000000", "Florida", "life", "", "", "d", "no", "", "", ""],
        [],
    ]  # fmt: skip
    return csv_of(MESSY, *lines, encoding="utf-8-sig")


def test_a_messy_export(desk):
    import_id = desk.bring(messy(), name="C:\\exports\\leads.csv")
    assert desk.work() == 1
    assert desk.counts(import_id) == (5, 3, 0, 1, 1)
    assert desk.problems(import_id) == [
        (3, "E-Mail Address", False), (5, "Created", False), (5, "Est. Value", False), (5, "Mobile Phone", False), (6, None, True),
    ]  # fmt: skip
    row = desk.row(import_id)
    assert (row.status, row.progress, row.file_name, row.message) == ("done", 5, "leads.csv", None)
    ann = desk.lead("ann@example.com")
    assert (ann.first_name, ann.email, ann.phone, ann.state, ann.value_estimate) == (
        "ANN", "ANN@example.com", "+14152000000", "FL", Decimal("7097.87"),
    )  # fmt: skip
    assert (ann.tags, ann.date_of_birth, ann.attributes) == (["a", "b", "c", "d"], date(1955, 4, 6), {"notes": "x\ny"})
    assert ann.created_at == ann.last_activity_at == datetime(2024, 11, 8, 16, 7, tzinfo=UTC)
    assert (ann.source, ann.status, ann.priority) == ("import", "new", "medium")
    # A no in any row of a person is a no.
    assert desk.consents(ann.id) == {"email": "unsubscribed"}


def test_the_refused_rows_come_back_as_a_file_to_put_right(desk, cast):
    lines = [["=Di", "Poe", "", "+", "@x", 'quote " here'], ["Bo", "Poe", "-", "123", "ok", "-1"]]
    lines += [["A", "B", "c@example.com", "", "", "", "x", "y"], ["Ok", "Ok", "ok@example.com", "", "", ""]]
    row = desk.take(csv_of([*HEADER, "Hobby", "Note"], *lines), {"3": "phone"})
    assert (row.total, row.created, row.failed) == (4, 1, 3)
    with transaction(cast.org):
        refused = as_csv(imports.refused_csv(imports.get(row.id)))
        problems = as_csv(imports.problems_csv(imports.get(row.id)))
    assert refused[0] == [*HEADER, "Hobby", "Note", "Problem"]
    assert refused[1][:6] == ["'=Di", "Poe", "", "'+", "'@x", 'quote " here']
    assert "Phone: This does not look like a phone number" in refused[2][6]
    assert refused[2][5] == "'-1"
    assert refused[3][6:] == [refused[3][6], "x", "y"]
    assert "8 cells" in refused[3][6]
    assert problems[0] == ["Row", "Column", "Value", "Problem", "Outcome"]
    assert [line[0] for line in problems[1:]] == ["2", "3", "4"]


def test_a_german_export(desk):
    header = ["Vorname", "Nachname", "E-Mail", "Telefon", "Ort", "Sparte", "Wert", "Angelegt am"]
    lines = [
        ["Geert", "Stey", "k0@example.de", "030 / 1000000", "Eichstätt", "Wohngebäude", "5.034,30", "22.09.2024"],
        ["Gesa", "Schön", "k1@example.de", "0171 / 1016837", "Köln", "Kfz", "1.234", "03.04.2025"],
    ]
    row = desk.take(csv_of(header, *lines, delimiter=";", encoding="cp1252"))
    assert (row.created, row.options["country"]) == (2, "DE")
    gesa = desk.lead("k1@example.de")
    assert (gesa.last_name, gesa.phone, gesa.city, gesa.insurance_type) == ("Schön", "+491711016837", "Köln", "auto")
    assert gesa.value_estimate == Decimal(1234)
    assert gesa.created_at.date() == date(2025, 4, 3)


def test_an_indian_list_with_one_name_column(desk):
    header = ["customer_name", "mobile", "email", "policy_number", "policy_type", "premium_amount", "dob"]
    lines = [
        ["दर्शना गावडे", "09876510000", "", "LIC-700000", "motor", "₹8,220.06", "12-02-1946"],
        ["पूर्णिमा ताम्बे", "98765 10001", "in1@example.in", "LIC-700001", "health", "₹2,080.13", "23-12-1955"],
        ["श्यामल जोशी", "+91-9876510002", "in2@example.in", "LIC-700002", "life", "₹2,713.70", "26-05-1966"],
    ]
    row = desk.take(csv_of(header, *lines, delimiter="\t", encoding="utf-16"), name="policies.txt")
    assert (row.created, row.failed, row.options["country"]) == (3, 0, "IN")
    found = desk.lead("in1@example.in")
    assert (found.first_name, found.last_name, found.phone) == ("पूर्णिमा", "ताम्बे", "+919876510001")
    assert found.attributes == {"policy_number": "LIC-700001", "premium_amount": "₹2,080.13"}
    assert {lead.date_of_birth for lead in desk.leads()} == {date(1946, 2, 12), date(1955, 12, 23), date(1966, 5, 26)}


def test_an_agency_workbook(desk, cast):
    owner = cast.emails["agent"]
    content = xlsx_of(
        Export=[
            ["Agency export 2026"], [],
            ["Lead ID", "Name", "Email", "Phone", "State", "Line", "Value", "Created", "Owner"],
            [1000, "Wiggins, Susan", "", "(415) 200-0000", "NY", "health", 3042.72, "2024/01/25", owner],
            [1001, "Smith, Lindsay", "l@example.org", 12122000037, "CA", "life", 3381.86, datetime(2024, 10, 22, 17, 42), None],
            ["Total", None, 2, None, None, None, 6424.58],
        ],
        Notes=[["do not import"]],
    )  # fmt: skip
    row = desk.take(content, name="agency_export.xlsx")
    assert (row.total, row.created, row.failed) == (3, 2, 1)
    susan, lindsay = desk.leads()
    assert (susan.external_id, susan.first_name, susan.last_name, susan.owner_id) == (
        "1000",
        "Susan",
        "Wiggins",
        cast.agent,
    )
    assert (lindsay.phone, lindsay.owner_id) == ("+12122000037", None)
    assert lindsay.created_at == datetime(2024, 10, 22, 22, 42, tzinfo=UTC)


def test_a_file_twice_changes_nothing_the_second_time(desk):
    first, second = desk.bring(messy()), desk.bring(messy())
    assert desk.work() == 2
    assert desk.counts(first) == (5, 3, 0, 1, 1)
    assert desk.counts(second) == (5, 0, 0, 4, 1)
    facts = desk.facts(desk.lead("ann@example.com").id)
    assert [type_ for type_, _ in facts] == ["lead_created", "consent_changed"]


KNOWN = {"first_name": "Ann", "email": "ann@example.com", "city": "Reno", "tags": ["old"], "attributes": {"a": "1"}}
UPDATE = csv_of(
    ["Mail", "First Name", "City", "State", "Status", "Tags", "a", "b"],
    ["ANN@example.com", "Anna", "", "TX", "qualified", "old;new", "2", "3"],
    ["bo@example.com", "Bo", "Elko", "NV", "", "", "", ""],
)


@pytest.mark.parametrize(
    ("rule", "first_name", "attributes", "status", "tags", "updated"),
    [
        ("update", "Anna", {"a": "2", "b": "3"}, "qualified", ["old", "new"], 1),
        ("fill", "Ann", {"a": "1", "b": "3"}, "new", ["old", "new"], 1),
        ("skip", "Ann", {"a": "1"}, "new", ["old"], 0),
    ],
)
def test_what_happens_to_known_leads(desk, cast, rule, first_name, attributes, status, tags, updated):
    with transaction(cast.org):
        known = leads.create(KNOWN).id
    mapping = {
        "0": "email",
        "2": "city",
        "3": "state",
        "4": "status",
        "5": "tags",
        "6": "attributes.a",
        "7": "attributes.b",
    }
    row = desk.take(UPDATE, mapping, duplicates=rule)
    assert (row.total, row.created, row.updated, row.skipped) == (2, 1, updated, 1 - updated)
    ann = desk.lead("ann@example.com")
    assert (ann.id, ann.first_name, ann.city, ann.email) == (known, first_name, "Reno", "ann@example.com")
    assert (ann.attributes, ann.status, ann.tags, ann.state) == (
        attributes,
        status,
        tags,
        None if rule == "skip" else "TX",
    )
    facts = dict(desk.facts(known))
    if rule == "update":
        assert facts["lead_updated"]["changes"]["first_name"] == ["Ann", "Anna"]
        assert facts["lead_updated"]["import"] == row.id
        assert facts["status_changed"] == {"from": "new", "to": "qualified", "import": row.id}
    if rule == "fill":
        assert facts["lead_updated"]["changes"].keys() == {"state", "tags", "attributes"}
        assert "status_changed" not in facts


@pytest.mark.parametrize(
    ("rule", "first_name", "city"), [("update", "Anna", "Elko"), ("fill", "Ann", "Reno"), ("skip", "Ann", None)]
)
def test_rows_of_one_person_become_one_lead(desk, rule, first_name, city):
    content = csv_of(
        ["Lead ID", "First Name", "Mail", "Phone", "City", "Tags", "Note", "Newsletter"],
        ["", "Ann", "ann@example.com", "4152000000", "", "x", "", "yes"],
        ["", "", "ANN@example.com", "", "Reno", "y;x", "one", ""],
        ["", "Anna", "", "415-200-0000", "Elko", "z", "two", ""],
        ["A1", "Bo", "bo@example.com", "", "", "", "", "yes"],
        ["A1", "Bob", "", "", "", "", "", "no"],
    )
    row = desk.take(content, {"2": "email", "7": "consent_email"}, duplicates=rule)
    assert (row.total, row.created, row.skipped) == (5, 2, 3)
    ann = desk.lead("ann@example.com")
    assert (ann.first_name, ann.city) == (first_name, city)
    if rule != "skip":
        assert ann.tags == ["x", "y", "z"]
        assert ann.attributes == {"note": "two" if rule == "update" else "one"}
    bo = desk.lead("bo@example.com")
    assert desk.consents(bo.id) == {"email": "subscribed" if rule == "skip" else "unsubscribed"}


def test_two_people_with_one_phone(desk):
    couple = csv_of(
        HEADER, ["Ann", "Lee", "ann@example.com", "4152000000"], ["Bo", "Lee", "bo@example.com", "4152000000"]
    )
    row = desk.take(couple)
    assert (row.created, row.skipped) == (2, 0)
    assert (desk.lead("ann@example.com").phone, desk.lead("bo@example.com").phone) == ("+14152000000", None)
    assert desk.problems(row.id) == [(3, "Phone", False)]
    merged = csv_of(
        HEADER, ["Cy", "Lee", "cy@example.com", "4152000001"], ["Di", "Lee", "di@example.com", "4152000001"]
    )
    row = desk.take(merged, shared_phone="merge")
    assert (row.created, row.skipped) == (1, 1)
    assert (desk.lead("cy@example.com"), desk.lead("di@example.com").first_name) == (None, "Di")


def test_a_row_between_two_leads_keeps_to_its_address(desk, cast):
    with transaction(cast.org):
        ann = leads.create({"email": "ann@example.com", "external_id": "X1"}).id
        bo = leads.create({"email": "bo@example.com", "phone": "4152000000"}).id
    content = csv_of(
        ["Lead ID", *HEADER],
        ["", "Ann", "Lee", "ann@example.com", "4152000000"],
        ["X1", "Ann", "Lee", "bo@example.com", ""],
    )
    row = desk.take(content)
    assert (row.created, row.updated, row.skipped) == (0, 1, 1)
    assert {(column, refused) for _, column, refused in desk.problems(row.id)} == {("Phone", False), ("E-Mail", False)}
    assert (desk.lead("ann@example.com").id, desk.lead("ann@example.com").phone) == (ann, None)
    assert (desk.lead("bo@example.com").id, desk.lead("bo@example.com").phone) == (bo, "+14152000000")


def test_a_lead_found_by_its_number_gets_its_new_address(desk, cast):
    with transaction(cast.org):
        known = leads.create({"email": "old@example.com", "external_id": "X1"}).id
    row = desk.take(
        csv_of(
            ["Lead ID", *HEADER],
            ["X1", "Ann", "Lee", "new@example.com", ""],
            ["", "", "", "OLD@example.com", "4152000000"],
        )
    )
    assert (row.created, row.updated, row.skipped) == (0, 1, 1)
    assert (desk.lead("old@example.com").id, desk.lead("old@example.com").phone) == (known, "+14152000000")


def test_deleted_leads_are_not_found_again(desk, cast):
    with transaction(cast.org):
        gone = leads.create({"email": "ann@example.com"}).id
        consents.set_consent(gone, "email", "unsubscribed", source="page")
        leads.remove([gone])
    row = desk.take(csv_of([*HEADER, "Newsletter"], ["Ann", "Lee", "ann@example.com", "", "yes"]))
    assert row.created == 1
    back = desk.lead("ann@example.com")
    assert back.id != gone
    # Who said no and comes back by a file still says no.
    assert desk.consents(back.id) == {"email": "unsubscribed"}


CONSENTS = csv_of(
    ["Mail", "Newsletter", "SMS opt-in", "Phone"],
    ["yes@example.com", "yes", "no", "4152000001"],
    ["no@example.com", "no", "", "4152000002"],
    ["blank@example.com", "", "maybe", ""],
)


def test_consents_of_the_file(desk):
    row = desk.take(CONSENTS, {"0": "email", "1": "consent_email", "2": "consent_sms", "3": "phone"})
    assert desk.consents(desk.lead("yes@example.com").id) == {"email": "subscribed", "sms": "unsubscribed"}
    assert desk.consents(desk.lead("no@example.com").id) == {"email": "unsubscribed"}
    assert desk.consents(desk.lead("blank@example.com").id) == {}
    assert desk.problems(row.id) == [(4, "SMS opt-in", False)]
    facts = [payload for type_, payload in desk.facts(desk.lead("yes@example.com").id) if type_ == "consent_changed"]
    assert {"channel": "email", "to": "subscribed", "source": f"import {row.id}", "import": row.id} in facts


def test_consents_the_importer_states(desk, cast):
    mapping = {"0": "email", "1": "consent_email", "2": "", "3": "phone"}
    row = desk.take(CONSENTS, mapping, consent=["email", "sms"], consent_source="Fair in Reno, list signed by all")
    assert desk.consents(desk.lead("yes@example.com").id) == {"email": "subscribed", "sms": "subscribed"}
    # The file's own no outweighs what is stated for all; and nobody agrees for a number that was not given.
    assert desk.consents(desk.lead("no@example.com").id) == {"email": "unsubscribed", "sms": "subscribed"}
    assert desk.consents(desk.lead("blank@example.com").id) == {"email": "subscribed"}
    with transaction(cast.org):
        found = one("SELECT source, evidence FROM consents WHERE channel = 'sms' LIMIT 1")
    assert (found.source, found.evidence) == (f"import {row.id}", "leads.csv: Fair in Reno, list signed by all")


@pytest.mark.parametrize("rule", ["update", "fill", "skip"])
@pytest.mark.parametrize("before", ["subscribed", "unsubscribed", "pending"])
def test_a_consent_there_is_never_overwritten(desk, cast, rule, before):
    with transaction(cast.org):
        for name in ("yes", "no", "blank"):
            known = leads.create({"email": f"{name}@example.com"}).id
            consents.set_consent(known, "email", before, source="form", evidence="of their own")
    mapping = {"0": "email", "1": "consent_email", "2": "", "3": ""}
    row = desk.take(CONSENTS, mapping, duplicates=rule, consent=["email"], consent_source="all of them, really")
    assert (row.updated, row.skipped) == (0, 3)
    with transaction(cast.org):
        assert {tuple(r) for r in rows("SELECT status, source, evidence FROM consents")} == {
            (before, "form", "of their own")
        }


def test_only_a_consent_added_is_an_update(desk, cast):
    with transaction(cast.org):
        leads.create({"email": "yes@example.com"})
    mapping = {"0": "email", "1": "consent_email", "2": "", "3": ""}
    row = desk.take(CONSENTS, mapping)
    assert (row.created, row.updated) == (2, 1)
    row = desk.take(CONSENTS, mapping, duplicates="skip")
    assert (row.created, row.updated, row.skipped) == (0, 0, 3)


def test_facts_name_the_import_and_who_asked_for_it(desk, cast):
    row = desk.take(many(3))
    with transaction(cast.org):
        facts = timeline.of_lead(desk.leads()[0].id)
        assert (facts[0].type, facts[0].payload, facts[0].actor) == (
            "lead_created", {"source": "import", "import": row.id}, f"user:{cast.marketer}",
        )  # fmt: skip
        entry = one("SELECT actor_id, after FROM audit_log WHERE action = 'leads.imported'")
    assert (entry.actor_id, entry.after["created"], row.created_by) == (cast.marketer, 3, cast.marketer)
    assert row.created_ids == [lead.id for lead in desk.leads()]


def test_organisations_do_not_meet(desk, cast, app):
    theirs = Desk(app, cast.other_org, cast.stranger)
    assert desk.take(many(20)).created == 20
    assert theirs.take(many(20)).created == 20
    assert (len(desk.leads()), len(theirs.leads())) == (20, 20)
    with transaction(cast.other_org), pytest.raises(NotFound):
        imports.get(desk.take(many(1)).id)


def test_text_that_would_trip_a_copy(desk):
    nasty = ["a\\b", "tab\there", "new\nline", "\\N", "\\.", '{"x"}', "quote'\"", "\\u0041", "é☕", "\x01"]
    lines = [[f"n{k}@example.com", text, f"{text};2", text] for k, text in enumerate(nasty)]
    row = desk.take(csv_of(["Mail", "City", "Tags", "Note"], *lines), {"0": "email", "1": "city", "2": "tags"})
    assert (row.created, row.failed) == (len(nasty), 0)
    for k, text in enumerate(nasty):
        lead = desk.lead(f"n{k}@example.com")
        assert lead.city == (" ".join(text.split()) if text != "\\N" else None)
        assert lead.attributes == ({"note": text} if text != "\\N" else {})
        assert lead.tags == [" ".join(text.split()).lower(), "2"]


def test_a_file_that_cannot_be_read_is_not_taken(desk, cast):
    with transaction(cast.org):
        with pytest.raises(Invalid):
            imports.start("x.csv", b"\x89PNG....")
        assert value("SELECT count(*) FROM imports") == 0


def test_the_file_may_be_gone_by_the_time(desk, cast):
    import_id = desk.bring(many(3))
    with transaction(cast.org):
        run("DELETE FROM import_files")
    desk.work()
    row = desk.row(import_id)
    assert (row.status, row.message) == ("failed", "The file of this import is not kept any more. Upload it again.")


def test_what_we_got_wrong_is_said_and_changes_nothing(desk, cast):
    import_id = desk.bring(many(3))
    with transaction(cast.org):
        run(
            'UPDATE imports SET options = options || \'{"duplicates": null}\', mapping = mapping || \'{"0": "nonsense"}\''
        )
    desk.work()
    assert (desk.row(import_id).status, desk.leads()) == ("failed", [])
    assert "nothing was changed" in desk.row(import_id).message
    with transaction(cast.org):
        found = imports.get(import_id)
        imports.configure(found, found.mapping | {"0": "first_name"}, {"duplicates": "update"})
        imports.queue(found)
    desk.work()
    assert (desk.row(import_id).status, len(desk.leads())) == ("done", 3)


def test_the_house_is_told_of_work_and_of_its_end(desk, cast):
    desk.bring(many(2))
    assert cast.org in work.due("imports")
    desk.work()
    assert cast.org not in work.due("imports")
    with tenancy.scope(cast.org):
        assert imports.run_next("test") is False


def test_a_large_file_among_many_leads(desk, cast):
    first = desk.take(many(12_000))
    assert (first.created, first.failed) == (12_000, 0)
    changed = many(12_500).replace(b"First1", b"Fast1")
    second = desk.take(changed, consent=["email"], consent_source="all signed")
    assert (second.created, second.updated, second.skipped) == (500, 12_000, 0)
    with transaction(cast.org):
        assert value("SELECT count(*) FROM consents") == 12_500
        assert value("SELECT count(*) FROM lead_events WHERE type = 'lead_updated'") == sum(
            str(k).startswith("1") for k in range(12_000)
        )
        assert json.loads(json.dumps(current().name))
