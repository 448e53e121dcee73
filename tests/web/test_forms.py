"""Forms: what was typed stays when something is refused, the message stands at its field, and nothing was saved."""

import io
from decimal import Decimal

import pytest

from tests.api.world import TEMPLATE, build
from tests.web.visitor import Visitor, form_of
from webapp.audience.imports import imports
from webapp.messaging import senders
from webapp.platform.db import one, transaction, value

LEAD = {
    "first_name": "Ada", "last_name": "Lopez", "email": "ada@example.com", "phone": "415 200 0000", "status": "qualified",
    "priority": "high", "insurance_type": "auto", "value_estimate": "1500.50", "source": "fair", "owner_id": "", "city": "Austin",
    "state": "TX", "timezone": "America/Chicago", "date_of_birth": "1980-02-29", "customer_tier": "gold",
    "external_id": "A-1", "tags": "vip, spring",
}  # fmt: skip
TEMPLATE_FORM = TEMPLATE | {"category": "retention", "preview_text": "A look inside", "text_content": "In plain words"}
CAMPAIGN = {
    "name": "Spring", "goal": "engagement", "subject_line": "Hello", "schedule_type": "scheduled",
    "scheduled_at": "2031-05-01T09:30", "template_id": "", "segment_id": "", "sender_id": "",
}  # fmt: skip
SENDER = {
    "name": "Office", "address": "office@test.example", "reply_to": "", "host": "smtp.test.example", "port": "587",
    "tls": "starttls", "username": "ada", "password": "a secret word", "status": "active",
}  # fmt: skip
SEGMENT = {"name": "Texans", "description": "Near us", "match": "any"}
RULE = {"node": "rule:a", "a-field": "value_estimate", "a-operator": "greater_than", "a-value": "1000"}
COLUMNS = {"duplicates": "update", "shared_phone": "merge", "country": "DE", "consent_source": "At the fair"}
ROOMS = {"leads": LEAD, "templates": TEMPLATE_FORM, "campaigns": CAMPAIGN, "senders": SENDER}
LONG = "x" * 5000
BAD = [
    ("leads", "email", "no address"), ("leads", "phone", "call me"), ("leads", "value_estimate", "a lot"),
    ("leads", "value_estimate", "-5"), ("leads", "value_estimate", "NaN"), ("leads", "value_estimate", "sNaN"),
    ("leads", "value_estimate", "1e99"), ("leads", "value_estimate", "1e-999999999"), ("leads", "value_estimate", "Infinity"),
    ("leads", "date_of_birth", "1899-12-31"), ("leads", "date_of_birth", "2999-01-01"), ("leads", "date_of_birth", "29.2.80"),
    ("leads", "first_name", LONG), ("leads", "status", "unheard of"), ("leads", "owner_id", "x"), ("leads", "owner_id", "²"),
    ("leads", "timezone", "Mars/Olympus"), ("leads", "insurance_type", "boat"), ("leads", "tags", LONG),
    ("templates", "name", ""), ("templates", "name", LONG), ("templates", "subject_line", "{{ frist_name }}"),
    ("templates", "subject_line", " "), ("templates", "html_content", ""), ("templates", "html_content", "{% if %}"),
    ("templates", "text_content", "{{ nobody }}"), ("templates", "preview_text", "{{ nobody }}"), ("templates", "category", "x"),
    ("campaigns", "name", ""), ("campaigns", "name", LONG), ("campaigns", "goal", "fame"), ("campaigns", "subject_line", "{{ x }}"),
    ("campaigns", "template_id", "999999999"), ("campaigns", "segment_id", "²"), ("campaigns", "sender_id", str(10**30)),
    ("campaigns", "scheduled_at", "tomorrow"), ("campaigns", "scheduled_at", "9999-12-31T23:59"),
    ("campaigns", "scheduled_at", "0001-01-01T00:00"), ("campaigns", "subject_line", LONG),
    ("senders", "name", ""), ("senders", "address", "no address"), ("senders", "reply_to", "no address"), ("senders", "host", ""),
    ("senders", "host", "two words"), ("senders", "port", "0"), ("senders", "port", "65536"), ("senders", "port", "x"),
    ("senders", "port", str(10**30)), ("senders", "tls", "maybe"), ("senders", "status", "asleep"),
]  # fmt: skip


@pytest.fixture
def admin(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["admin"])
    return visitor


@pytest.fixture
def world(cast):
    return build(cast.org, cast.admin)


def counts(cast) -> dict[str, int]:
    with transaction(cast.org):
        return {room: value(f"SELECT count(*) FROM {room}") for room in (*ROOMS, "segments", "imports")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_form_filled_in_well_is_saved_as_it_stands(admin, cast, room):
    before = counts(cast)
    assert admin.post(f"/{room}/new", ROOMS[room]).status_code == 303
    assert counts(cast)[room] == before[room] + 1


@pytest.mark.parametrize(("room", "field", "bad"), BAD, ids=lambda word: str(word)[:20])
def test_what_was_typed_stays_and_the_message_stands_at_its_field(admin, cast, room, field, bad):
    before, form = counts(cast), ROOMS[room] | {field: bad}
    answer = admin.post(f"/{room}/new", form)
    assert answer.status_code == 422
    kept, errors = form_of(answer)
    assert set(errors) == {field}
    assert errors[field]
    chosen = {name: typed for name, typed in form.items() if kept.get(name) != typed}
    # A secret is never sent back, and a list shows only what may be chosen from it.
    assert set(chosen) <= {"password"} | ({field} if bad in ("unheard of", "x", "²", "boat", "fame", "maybe", "asleep",
                                                             "Mars/Olympus", "999999999", str(10**30)) else set())  # fmt: skip
    assert 'role="alert"' in answer.text
    assert counts(cast) == before


def test_every_field_in_error_says_so_to_a_screen_reader(admin):
    page = admin.post("/leads/new", LEAD | {"email": "no", "phone": "1"}).text
    for field in ("email", "phone"):
        assert f'aria-describedby="{field}-error"' in page
        assert f'id="{field}-error"' in page
    assert page.count('aria-invalid="true"') == 2


def test_a_lead_is_shown_for_editing_as_it_is_kept(admin, cast):
    made = admin.post("/leads/new", LEAD).location
    kept, errors = form_of(admin.get(f"{made}/edit"))
    assert errors == {}
    assert {name: kept[name] for name in LEAD} == LEAD | {"phone": "+14152000000"}
    assert admin.post(f"{made}/edit", kept).status_code == 303
    with transaction(cast.org):
        assert value("SELECT count(*) FROM lead_events") == 1, "nothing was changed by saving it again"
        assert value("SELECT value_estimate FROM leads") == Decimal("1500.50")


def test_an_address_somebody_has_is_told_at_its_field(admin, cast):
    admin.post("/leads/new", LEAD)
    answer = admin.post("/leads/new", LEAD | {"phone": "", "external_id": ""})
    assert form_of(answer)[1] == {"email": "Another lead has this already."}


def test_a_segment_keeps_its_rules_and_says_which_one_is_wrong(admin, cast):
    form = SEGMENT | {"node": ["rule:a", "rule:b"], **{k: v for k, v in RULE.items() if k != "node"}, "b-field": "state",
                      "b-operator": "equals", "b-value": ""}  # fmt: skip
    answer = admin.post("/segments/new", form)
    assert answer.status_code == 422
    kept, errors = form_of(answer)
    assert list(errors.values()) == ["Give a value."]
    for name, typed in (SEGMENT | RULE | {"node": "rule:b", "b-field": "state"}).items():
        assert kept[name] == typed, name
    assert counts(cast)["segments"] == 0


@pytest.mark.parametrize(
    ("field", "bad"), [("name", ""), ("name", LONG), ("description", LONG), ("match", "some"), ("a-value", "a lot"),
                       ("a-field", "password_hash"), ("a-operator", "like"), ("a-value", "1e99")]
)  # fmt: skip
def test_a_segment_that_cannot_be_is_not_saved(admin, cast, field, bad):
    answer = admin.post("/segments/new", SEGMENT | RULE | {field: bad})
    assert answer.status_code == 422
    assert "data-form-errors" in answer.text
    assert counts(cast)["segments"] == 0


def test_a_segment_is_shown_for_editing_as_it_is_kept(admin, cast):
    made = admin.post("/segments/new", SEGMENT | RULE).location
    kept, _ = form_of(admin.get(made))
    row = kept["node"].partition(":")[2]
    assert {name: kept[name] for name in SEGMENT} == SEGMENT
    assert [kept[f"{row}-{part}"] for part in ("field", "operator", "value")] == [
        "value_estimate",
        "greater_than",
        "1000",
    ]


def test_times_are_typed_and_shown_in_the_zone_of_the_house(admin, cast, world):
    made = admin.post("/campaigns/new", CAMPAIGN).location
    with transaction(cast.org):
        assert (
            one("SELECT scheduled_at FROM campaigns WHERE name = 'Spring'")[0].isoformat()
            == "2031-05-01T14:30:00+00:00"
        )
    assert form_of(admin.get(f"{made}/edit"))[0]["scheduled_at"] == CAMPAIGN["scheduled_at"]


def test_a_launch_that_cannot_be_says_what_is_missing(admin, world, cast):
    made = admin.post("/campaigns/new", CAMPAIGN | {"schedule_type": "immediate"}).location
    answer = admin.post(f"{made}/launch")
    assert answer.status_code == 422
    for words in ("Choose a template.", "Choose a segment."):
        assert words in answer.text
    with transaction(cast.org):
        assert value("SELECT status FROM campaigns WHERE name = 'Spring'") == "draft"


def test_a_senders_password_is_kept_sealed_and_never_shown(admin, cast):
    admin.post("/senders/new", SENDER)
    with transaction(cast.org):
        kept = senders.every()[0]
        edit, sealed = f"/senders/{kept.id}/edit", kept.secrets
        assert senders.secret(kept, "password") == SENDER["password"]
    assert SENDER["password"] not in admin.get(edit).text + sealed
    assert admin.post(edit, form_of(admin.get(edit))[0] | {"name": "Renamed"}).status_code == 303
    with transaction(cast.org):
        assert (senders.every()[0].name, senders.secret(senders.every()[0], "password")) == (
            "Renamed",
            SENDER["password"],
        )
        assert value("SELECT count(*) FROM audit_log a WHERE a::text LIKE '%secret word%'") == 0


@pytest.mark.parametrize("content", [b"", b"\0\1\2" * 99, b"one line", b"PK\x03\x04 no workbook", b"%PDF-1.7\n\xff"])
def test_junk_is_told_where_the_file_was_chosen(admin, cast, content):
    answer = admin.post("/imports/new", {"file": (io.BytesIO(content), "leads.csv")})
    assert answer.status_code == 422
    assert form_of(answer)[1]["file"]
    assert counts(cast)["imports"] == 0


def test_no_file_at_all_is_told_too(admin):
    for form in ({}, {"file": (io.BytesIO(b""), "")}, {"file": "text"}):
        assert form_of(admin.post("/imports/new", form))[1] == {"file": "Choose a file first."}


@pytest.mark.parametrize(
    ("field", "bad"), [("column-1", "first_name"), ("column-1", "password_hash"), ("country", "XX"),
                       ("duplicates", "x"), ("shared_phone", "x"), ("consent", "email"), ("consent", "fax")]
)  # fmt: skip
def test_columns_that_cannot_be_keep_what_was_chosen(admin, cast, world, field, bad):
    address = f"/imports/{world.import_id}"
    form = {"column-0": "last_name", "column-1": "email", "column-2": "city"} | COLUMNS | {field: bad}
    if field == "consent":
        form["consent_source"] = ""
    answer = admin.post(address, form)
    assert answer.status_code == 422
    kept, _ = form_of(answer)
    assert {name: kept[name] for name in form if name != field} == {n: v for n, v in form.items() if n != field}
    with transaction(cast.org):
        assert imports.get(world.import_id).mapping == {"0": "first_name", "1": "email", "2": "state"}
