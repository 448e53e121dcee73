"""What the columns of a file are: guessed, remembered, checked."""

import pytest

from tests.audience.imports_data import HEADER, Desk, csv_of
from webapp.audience.imports import columns, imports, options
from webapp.audience.imports.reading import read
from webapp.audience.imports.survey import survey
from webapp.platform.db import transaction
from webapp.platform.errors import Invalid, Refused

MESSY = [
    "First Name", "Last Name", "E-Mail Address", "Mobile Phone", "State/Province", "City", "Insurance Type",
    "Est. Value", "Lead Source", "Created", "Tags", "Opt-in Email", "Birthday", "Notes", "Notes",
]  # fmt: skip
MESSY_ROW = [
    "Bianca", "Lee", "b@example.com", "415.200.0000", "Florida", "Tannerhaven", "life", "4257.53", "partner",
    "2024-11-08 10:07:00", "newsletter|broker", "TRUE", "04/06/1955", "met at expo", "",
]  # fmt: skip


def guess(header: list[str], *lines: list[str], **known) -> dict[str, str]:
    table = read(csv_of(header, *lines, delimiter=";"))
    mapping = columns.guess(table.header, survey(table).sample, **known)
    return {table.header[int(place)]: target for place, target in mapping.items()}


def test_an_american_export():
    assert guess(MESSY, MESSY_ROW) == {
        "First Name": "first_name", "Last Name": "last_name", "E-Mail Address": "email", "Mobile Phone": "phone",
        "State/Province": "state", "City": "city", "Insurance Type": "insurance_type", "Est. Value": "value_estimate",
        "Lead Source": "source", "Created": "created_at", "Tags": "tags", "Opt-in Email": "consent_email",
        "Birthday": "date_of_birth", "Notes": "attributes.notes", "Notes (2)": "",
    }  # fmt: skip


def test_a_german_export():
    header = ["Vorname", "Nachname", "E-Mail", "Telefon", "Ort", "Sparte", "Wert", "Angelegt am", "Straße"]
    line = ["Geert", "Stey", "k0@example.de", "030 / 1000000", "Jena", "Kfz", "5.034,30", "22.09.2024", "Weg 1"]
    assert list(guess(header, line).values()) == [
        "first_name", "last_name", "email", "phone", "city", "insurance_type", "value_estimate", "created_at",
        "attributes.strasse",
    ]  # fmt: skip


def test_an_agency_export():
    header = ["Lead ID", "Name", "Email", "Phone", "State", "Line", "Value", "Created", "Owner"]
    line = [
        "1000",
        "Lee, Ann",
        "a@example.com",
        "12122000037",
        "NY",
        "health",
        "3042.72",
        "2024-10-22T17:42:00",
        "jane@example.com",
    ]
    expected = ["external_id", "name", "email", "phone", "state", "insurance_type", "value_estimate", "created_at"]
    assert list(guess(header, line).values()) == [*expected, "attributes.owner"]
    assert list(guess(header, line, owners={"jane@example.com"}).values()) == [*expected, "owner"]


def test_cells_overrule_names():
    found = guess(
        ["Email opt in", "Phone type", "Status", "Kontakt", "E-Mail"],
        ["yes", "mobile", "42", "a@example.com", "none of it"],
    )
    assert found["Email opt in"] == "consent_email"
    assert found["Phone type"] == "attributes.phone_type"
    assert found["Status"] == "attributes.status"
    assert found["Kontakt"] == "email"


def test_of_two_phones_the_mobile_one_counts():
    found = guess(["Home Phone", "Mobile", "Mail"], ["415 200 0000", "415 200 0001", "a@example.com"])
    assert found == {"Home Phone": "attributes.home_phone", "Mobile": "phone", "Mail": "email"}


def test_attributes_never_share_a_key():
    found = guess(["Mail", "Größe", "Groesse", "GRÖSSE!", "हिन्दी"], ["a@example.com", "1", "2", "3", "4"])
    assert len(set(found.values())) == 5
    assert all(columns.ATTRIBUTE.match(target) for target in list(found.values())[1:])


def test_the_country_of_the_numbers():
    def likely(header, *lines):
        mapping = columns.guess(header, list(lines))
        return columns.likely_country(header, list(lines), mapping, "US")

    assert likely(["Telefon", "Ort"], ["030 / 1000000", "Jena"], ["0171 / 1016837", "Jena"]) == "DE"
    assert likely(["mobile", "premium"], ["98765 10001", "₹5"], ["09876510000", "₹5"], ["+91-9876510002", ""]) == "IN"
    assert likely(["Phone", "City"], ["415.200.0000", "X"], ["1-512-200-0074", "Y"]) == "US"
    assert likely(["City"], ["X"]) == "US"


@pytest.mark.parametrize(
    ("mapping", "at"),
    [
        ({"0": "email", "1": "email"}, "0"),
        ({"0": "email", "1": "colour"}, "1"),
        ({"0": "email", "1": "attributes.Bad Key"}, "1"),
        ({"0": "email", "1": "attributes.a", "2": "attributes.a"}, "2"),
        ({"0": "email", "1": "name", "2": "first_name"}, "1"),
        ({"0": "first_name", "1": "name"}, "1"),
        ({"0": "first_name"}, "mapping"),
        ({}, "mapping"),
        ({"0": "email", "9": "city"}, "mapping"),
        ({"x": "email"}, "mapping"),
    ],
)
def test_mappings_that_will_not_do(mapping, at):
    with pytest.raises(Invalid) as refused:
        columns.check(mapping, ["a", "b", "c"])
    assert at in refused.value.errors


def test_a_mapping_in_its_usual_form():
    assert columns.check({"0": "email", "1": "tags", "2": "tags"}, ["a", "b", "c", "d"]) == {
        "0": "email", "1": "tags", "2": "tags", "3": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"duplicates": "maybe"}, "duplicates"), ({"shared_phone": ""}, "shared_phone"), ({"country": "XX"}, "country"),
        ({"consent": ["fax"], "consent_source": "x"}, "consent"), ({"consent": "email"}, "consent"),
        ({"consent": ["email"]}, "consent_source"), ({"colour": "red"}, "options"),
    ],
)  # fmt: skip
def test_options_that_will_not_do(given, at):
    with pytest.raises(Invalid) as refused:
        options.check(given, {"country": "US"})
    assert at in refused.value.errors


@pytest.fixture
def desk(app, cast):
    return Desk(app, cast.org, cast.marketer)


def test_the_last_choice_is_remembered_for_the_same_header(desk, cast):
    content = csv_of([*HEADER, "Extra"], ["Ann", "Lee", "a@example.com", "4152000000", "x"])
    desk.take(content, {"4": "city"})
    with transaction(cast.org):
        again = imports.start(
            "again.csv", csv_of([h.upper() for h in [*HEADER, "Extra"]], ["Bo", "Lee", "b@example.com", "", "y"])
        )
        assert again.mapping["4"] == "city"
        other = imports.start("other.csv", csv_of([*HEADER, "Other"], ["Bo", "Lee", "b@example.com", "", "y"]))
        assert other.mapping["4"] == "attributes.other"
    with transaction(cast.other_org):
        assert imports.start("theirs.csv", content).mapping["4"] == "attributes.extra"


def test_configuring_says_what_is_wrong_where(desk, cast):
    with transaction(cast.org):
        started = imports.start("x.csv", csv_of(HEADER, ["Ann", "Lee", "a@example.com", "1"]))
        before = dict(started.mapping)
        with pytest.raises(Invalid) as refused:
            imports.configure(started, {"0": "email", "1": "email"}, {"duplicates": "maybe"})
        assert set(refused.value.errors) == {"0", "1", "duplicates"}
        assert started.mapping == before
        imports.configure(started, {"2": "email"}, {"duplicates": "fill"})
        imports.configure(started, {"2": "email"}, {"country": "de"})
        assert (started.options["duplicates"], started.options["country"]) == ("fill", "DE")
        imports.queue(started)
        with pytest.raises(Refused):
            imports.configure(started, {"2": "email"})
        with pytest.raises(Refused):
            imports.queue(started)


def test_a_preview_shows_every_cell_and_its_problem(desk, cast):
    header = ["Name", "Mail", "Value", "Created", "Tags", "Agreed to e-mail"]
    content = csv_of(
        header,
        ["Lee, Ann", "a@example.com", "$1,000", "08/22/2024", "VIP;x", "yes"],
        ["Bo", "b at example", "lots", "31/02/2025", "", "no"],
        ["Cy", "c@example.com", "", "", "", "", "", "too much"],
    )
    with transaction(cast.org):
        started = imports.start("x.csv", content)
        imports.configure(started, started.mapping | {"3": "created_at", "5": "consent_email", "2": "value_estimate"})
        shown = imports.preview(started, limit=2)
    assert shown.columns[0] == ("Name", "name")
    assert (shown.checked, shown.refused, shown.total, len(shown.rows)) == (3, 2, 3, 2)
    assert [cell.shown for cell in shown.rows[0].cells] == [
        "Ann · Lee", "a@example.com", "1000.00", "2024-08-22 00:00", "vip, x", "yes",
    ]  # fmt: skip
    assert [bool(cell.problem) for cell in shown.rows[1].cells] == [False, True, True, True, False, False]
    assert "reach or identify" in shown.rows[1].refused
    assert shown.problems == {"Mail": 1, "Value": 1, "Created": 1}
