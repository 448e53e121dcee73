"""Policies out of files: joined to their leads, told apart by their numbers, refused with a reason, and taken back."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.audience.imports_data import Desk, csv_of
from webapp.audience import leads, policies
from webapp.audience.imports import imports, kinds
from webapp.platform.db import one, rows, transaction, value
from webapp.platform.errors import Invalid

HEADER = ["Name", "Mobile", "Email", "Policy Number", "Policy Type", "Premium", "Renewal Date", "Policy Status"]
MAPPING = {
    "0": "name", "1": "phone", "2": "email", "3": "policy_number", "4": "policy_type", "5": "premium", "6": "renews_on",
    "7": "policy_status",
}  # fmt: skip
HINDI = csv_of(
    ["customer_name", "mobile", "email", "policy_number", "policy_type", "premium_amount", "due_date", "dob"],
    ["दर्शना गावडे", "09876510000", "", "LIC-1", "motor", "₹8,220.06", "29/10/2026", "12-02-1946"],
    ["हरि खान", "+91-9876510004", "in4@example.in", "LIC-2", "health", "₹2,080.13", "12/10/2026", "16-12-1975"],
    delimiter="\t", encoding="utf-16",
)  # fmt: skip


class PolicyDesk(Desk):
    """Imports files of policies."""

    def bring(self, content: bytes, mapping=None, name: str = "policies.csv", **options) -> int:
        with transaction(self.org):
            started = imports.start(name, content, self.user, kind="policies")
            imports.configure(started, started.mapping | (mapping or {}), options)
            imports.queue(started)
            return started.id


@pytest.fixture
def desk(app, cast):
    return PolicyDesk(app, cast.org, cast.marketer)


@pytest.fixture
def ada(cast, tx) -> int:
    with tx():
        return leads.create({"first_name": "Ada", "email": "ada@example.com", "phone": "+14152000001"}).id


def take(desk, *lines: list[str], **options):
    return desk.take(csv_of(HEADER, *lines), MAPPING, **options)


def counts(row) -> tuple[int, ...]:
    return row.total, row.created, row.updated, row.skipped, row.failed


def held(cast) -> list[tuple]:
    with transaction(cast.org):
        return [
            tuple(row)
            for row in rows("SELECT lead_id, number, status, premium, renews_on FROM policies ORDER BY number")
        ]


def everything(cast) -> list:
    with transaction(cast.org):
        return [
            *rows("SELECT id, email, phone, first_name, last_name FROM leads WHERE deleted_at IS NULL ORDER BY id"),
            *rows("SELECT lead_id, number, type, status, premium, coverage, started_on, renews_on, lapsed_on, next_due_on,"
                  " payment_status FROM policies ORDER BY number"),
        ]  # fmt: skip


def said(cast, kind: str) -> list[dict]:
    with transaction(cast.org):
        return [
            row.payload for row in rows("SELECT payload FROM lead_events WHERE type = :kind ORDER BY id", kind=kind)
        ]


def problems(cast, import_id: int) -> list[tuple]:
    with transaction(cast.org):
        found = imports.problems(imports.get(import_id))
        return [(p.row, p.column, p.value, p.message, p.refused) for p in found]


def test_the_kind_is_told_by_the_names_of_the_columns():
    assert kinds.likely(["customer_name", "mobile", "policy_number", "premium_amount", "due_date"]) == "policies"
    assert kinds.likely(HEADER) == "policies"
    assert kinds.likely(["First Name", "E-Mail", "Insurance Type", "Status", "Amount"]) == "leads"
    assert kinds.likely(["Vorname", "E-Mail", "Sparte", "Wert", "Versicherungsnummer"]) == "leads"


def test_a_foreign_file_of_policies_comes_with_its_people(desk, cast):
    with transaction(cast.org):
        started = imports.start("p.txt", HINDI, None, kind=None)
        assert started.kind == "policies" and started.options["country"] == "IN"
        assert list(started.mapping.values()) == [
            "name", "phone", "email", "policy_number", "policy_type", "premium", "next_due_on", "date_of_birth",
        ]  # fmt: skip
        imports.queue(started)
        first = started.id
    desk.work()
    row = desk.row(first)
    assert counts(row) == (2, 2, 0, 0, 0)
    with transaction(cast.org):
        assert imports.leads_made(imports.get(row.id)) == 2
        found = one(
            "SELECT p.*, l.phone, l.first_name FROM policies p JOIN leads l ON l.id = p.lead_id WHERE number = 'LIC-1'"
        )
        assert (found.type, found.premium, found.next_due_on) == ("auto", Decimal("8220.06"), date(2026, 10, 29))
        assert (found.phone, found.first_name, found.status) == ("+919876510000", "दर्शना", "active")
    before = everything(cast)
    with transaction(cast.org):
        again = imports.start("p.txt", HINDI, None, kind=None)
        imports.queue(again)
        second = again.id
    desk.work()
    assert counts(desk.row(second)) == (2, 0, 0, 2, 0), "a second run changes nothing"
    assert everything(cast) == before


def test_policies_are_joined_to_the_leads_there_are(desk, cast, ada):
    row = take(desk, ["Ada L", "", "ADA@example.com", "A-1", "auto", "100", "2027-01-01", ""],
               ["Ada", "415 200 0001", "", "A-2", "home", "200", "", "lapsed"],
               ["Bo", "", "bo@example.com", "B-1", "life", "300", "", "active"])  # fmt: skip
    assert counts(row) == (3, 3, 0, 0, 0)
    with transaction(cast.org):
        bo = value("SELECT id FROM leads WHERE email = 'bo@example.com'")
        assert leads.get(ada).last_name == "L", "what was empty is filled"
        lapsed = value("SELECT lapsed_on FROM policies WHERE number = 'A-2'")
    assert [line[:3] for line in held(cast)] == [(ada, "A-1", "active"), (ada, "A-2", "lapsed"), (bo, "B-1", "active")]
    assert lapsed is not None
    assert [fact["number"] for fact in said(cast, "policy_added")] == ["A-1", "A-2", "B-1"]
    assert all(fact["import"] == row.id for fact in said(cast, "policy_added"))


def test_a_known_policy_takes_over_what_the_file_says(desk, cast, ada):
    with transaction(cast.org):
        policies.create(ada, {"number": "A-1", "premium": 100, "renews_on": date(2026, 1, 1), "coverage": 5000})
        policies.create(ada, {"number": "A-2", "premium": 100})
    row = take(desk, ["", "", "", "A-1", "auto", "120", "2027-01-01", "lapsed"], ["", "", "", "A-2", "", "", "", ""])
    assert counts(row) == (2, 0, 1, 1, 0), "the number alone leads to its lead"
    assert held(cast)[0] == (ada, "A-1", "lapsed", Decimal("120.00"), date(2027, 1, 1))
    assert said(cast, "policy_renewed")[0]["changes"] == {"renews_on": ["2026-01-01", "2027-01-01"]}
    lapse = said(cast, "policy_lapsed")[0]["changes"]
    assert lapse["status"] == ["active", "lapsed"] and lapse["lapsed_on"][0] is None
    assert said(cast, "policy_updated")[0]["changes"] == {"type": [None, "auto"], "premium": ["100.00", "120.00"]}
    with transaction(cast.org):
        assert value("SELECT coverage FROM policies WHERE number = 'A-1'") == 5000
    back = take(desk, ["", "", "", "A-1", "", "", "", "active"])
    assert counts(back)[2] == 1
    with transaction(cast.org):
        assert value("SELECT lapsed_on FROM policies WHERE number = 'A-1'") is None


def test_rows_that_cannot_be_are_refused_with_their_reason(desk, cast, ada):
    with transaction(cast.org):
        eve = leads.create({"first_name": "Eve", "email": "eve@example.com"}).id
        policies.create(eve, {"number": "E-1", "started_on": date(2025, 1, 1)})
    row = take(
        desk,
        ["Ada", "", "ada@example.com", "", "auto", "1", "", ""],
        ["Ada", "", "", "N-1", "auto", "1", "", ""],
        ["Ada", "", "ada@example.com", "E-1", "auto", "1", "", ""],
        ["Eve", "", "eve@example.com", "E-1", "boat", "1", "2024-01-01", ""],
        ["Ada", "", "ada@example.com", "A-1", "boat", "a lot", "soon", "asleep"],
        ["Bo", "", "bo@example.com", "A-1", "auto", "1", "", ""],
    )
    assert counts(row) == (6, 1, 0, 0, 5)
    refused = [
        (number, column, value, message) for number, column, value, message, gone in problems(cast, row.id) if gone
    ]
    assert [(number, column, value) for number, column, value, _ in refused] == [
        (2, None, None), (3, None, None), (4, "Policy Number", "E-1"), (5, "Renewal Date", "2024-01-01"),
        (7, "Policy Number", "A-1"),
    ]  # fmt: skip
    assert "no policy number" in refused[0][3] and "not known" in refused[1][3]
    assert "another lead" in refused[2][3] and "before it began" in refused[3][3] and "somebody else" in refused[4][3]
    dropped = [(number, column) for number, column, _, _, gone in problems(cast, row.id) if not gone]
    assert {(6, "Policy Type"), (6, "Premium"), (6, "Renewal Date"), (6, "Policy Status")} <= set(dropped)
    assert [line[1] for line in held(cast)] == ["A-1", "E-1"]
    with transaction(cast.org):
        assert value("SELECT count(*) FROM leads") == 2, "nobody is made for a row that is refused"
        assert "bo@example.com" in "".join(imports.refused_csv(imports.get(row.id)))


def test_only_known_leads_where_that_was_asked(desk, cast, ada):
    row = take(desk, ["Ada", "", "ada@example.com", "A-1", "", "", "", ""], ["Bo", "", "bo@example.com", "B-1", "", "", "", ""],
               new_leads=False)  # fmt: skip
    assert counts(row) == (2, 1, 0, 0, 1)
    assert "No lead has" in problems(cast, row.id)[0][3]


def test_a_policy_never_goes_to_somebody_else_by_its_number(desk, cast, ada):
    """A row that names somebody nobody knows does not become the holder of the policy; one that says nothing against it
    does."""
    with transaction(cast.org):
        policies.create(ada, {"number": "A-1"})
        cy = leads.create({"first_name": "Cy", "email": "cy@example.com"}).id
        policies.create(cy, {"number": "C-1"})
    row = take(
        desk, ["Bo", "", "bo@example.com", "A-1", "", "7", "", ""], ["Cy", "+14152000009", "", "C-1", "", "7", "", ""]
    )
    assert counts(row) == (2, 0, 1, 0, 1)
    assert "another lead" in problems(cast, row.id)[0][3]
    with transaction(cast.org):
        assert leads.get(cy).phone == "+14152000009"
        assert value("SELECT count(*) FROM leads") == 2


def test_a_policy_of_a_deleted_lead_goes_to_whoever_brings_it(desk, cast, ada):
    with transaction(cast.org):
        policies.create(ada, {"number": "A-1"})
        leads.remove([ada])
    row = take(desk, ["Ada", "", "ada@example.com", "A-1", "", "", "", ""])
    assert counts(row) == (1, 0, 1, 0, 0)
    assert held(cast)[0][0] != ada
    with transaction(cast.org):
        imports.undo(imports.get(row.id))
    assert held(cast)[0][0] == ada


def test_an_import_is_taken_back_whole(desk, cast, ada):
    with transaction(cast.org):
        policies.create(ada, {"number": "A-1", "premium": 100, "status": "lapsed"})
    before = everything(cast)
    row = take(desk, ["Ada Lopez", "", "ada@example.com", "A-1", "auto", "120", "2027-01-01", "active"],
               ["Ada", "", "ada@example.com", "A-2", "", "", "", ""], ["Bo", "", "bo@example.com", "B-1", "", "", "", ""])  # fmt: skip
    assert counts(row) == (3, 2, 1, 0, 0)
    with transaction(cast.org):
        undone = imports.undo(imports.get(row.id))
    assert everything(cast) == before
    assert str(undone) == "Taken back: 2 policies removed, 1 changed back; 1 leads removed, 1 changed back."
    assert len(said(cast, "policy_removed")) == 2
    assert said(cast, "policy_updated")[-1]["changes"]["premium"] == ["120.00", "100.00"]
    assert counts(take(desk, ["Bo", "", "bo@example.com", "B-1", "", "", "", ""])) == (1, 1, 0, 0, 0)


def test_what_was_changed_since_stays(desk, cast):
    row = take(
        desk, ["Bo", "", "bo@example.com", "B-1", "", "1", "", ""], ["Cy", "", "cy@example.com", "C-1", "", "1", "", ""]
    )
    with transaction(cast.org):
        policies.update(policies.get(value("SELECT id FROM policies WHERE number = 'B-1'")), {"premium": 2})
        undone = imports.undo(imports.get(row.id))
    assert undone.policies == (1, 0, 1)
    assert (undone.removed, undone.kept) == (1, 1)
    assert [line[1] for line in held(cast)] == ["B-1"]


def test_the_kind_is_chosen_again(cast, tx):
    with tx():
        started = imports.start("p.csv", csv_of(HEADER, ["Bo", "", "bo@example.com", "B-1", "", "1", "", ""]), None)
        assert started.kind == "leads" and "policy_number" not in started.mapping.values()
        imports.choose_kind(started, "policies")
        assert started.mapping["3"] == "policy_number" and started.options["duplicates"] == "fill"
        for bad in (
            {str(n): "" for n in range(8)},
            started.mapping | {"0": "tags"},
            started.mapping | {"0": "attributes.x"},
        ):
            with pytest.raises(Invalid):
                imports.configure(started, bad)
        with pytest.raises(Invalid):
            imports.choose_kind(started, "boats")


PEOPLE = st.sampled_from(["", "a@example.com", "b@example.com", "c@example.com"])
PHONES = st.sampled_from(["", "+14152000001", "+14152000002"])
LINES = st.lists(st.tuples(PHONES, PEOPLE, st.sampled_from(["", "P-1", "P-2", "P-3"]), st.sampled_from(["", "1", "2"])),
                 min_size=1, max_size=7)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    known=LINES,
    lines=LINES,
    shared=st.sampled_from(["apart", "merge"]),
    duplicates=st.sampled_from(["update", "fill", "skip"]),
)
def test_any_file_keeps_its_promises(app, cast, known, lines, shared, duplicates):
    """Whatever stands in two files: all rows are accounted for, numbers stay with their leads, and a second run of a
    file changes nothing."""
    with app.app_context():
        desk = PolicyDesk(app, cast.org, cast.marketer)
        clear(cast)
        for given_lines in (known, lines):
            file = [["X", phone, email, number, "", premium, "", ""] for phone, email, number, premium in given_lines]
            owners = {line[1]: line[0] for line in held(cast)}
            row = take(desk, *file, shared_phone=shared, duplicates=duplicates)
            assert row.status == "done", row.message
            assert row.created + row.updated + row.skipped + row.failed == row.total
            assert row.skipped >= 0
            after = {line[1]: line[0] for line in held(cast)}
            assert {number: after[number] for number in owners} == owners
        again = take(desk, *file, shared_phone=shared, duplicates=duplicates)
        assert (again.created, again.status) == (0, "done")
        with transaction(cast.org):
            imports.undo(imports.get(again.id))


def clear(cast) -> None:
    with transaction(cast.org):
        rows("DELETE FROM policies RETURNING id")
        rows("DELETE FROM leads RETURNING id")
