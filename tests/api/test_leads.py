"""Leads by API: what is kept, what is refused at which field, the timeline, and an import from file to leads."""

import io

import pytest

from tests.api.client import data, problem
from tests.api.world import CSV
from webapp.audience.imports import imports
from webapp.platform.db import value

FULL = {
    "external_id": "A-1", "first_name": " Ada ", "last_name": "Lopez", "email": "Ada@Example.COM", "phone": "(415) 200-0000",
    "status": "qualified", "priority": "high", "source": "fair", "insurance_type": "auto", "state": "TX", "city": "Austin",
    "country": "US", "timezone": "America/Chicago", "language": "en", "value_estimate": "1500.50",
    "customer_tier": "gold", "date_of_birth": "1980-02-29", "tags": ["VIP", "vip", " spring "], "attributes": {"pets": 2},
}  # fmt: skip
KEPT = FULL | {
    "first_name": "Ada", "email": "Ada@example.com", "phone": "+14152000000", "value_estimate": 1500.5,
    "tags": ["vip", "spring"],
}  # fmt: skip
BAD = [
    ("email", "no address"), ("email", 5), ("phone", "12"), ("phone", "call me"), ("status", "unheard of"), ("status", None),
    ("priority", "very"), ("insurance_type", "boat"), ("customer_tier", "tin"), ("timezone", "Mars/Olympus"),
    ("value_estimate", "a lot"), ("value_estimate", "-1"), ("value_estimate", "1e10"), ("value_estimate", "NaN"),
    ("value_estimate", "1e-999999999"), ("date_of_birth", "1899-12-31"), ("date_of_birth", "2999-01-01"),
    ("date_of_birth", "30.02.1980"), ("first_name", "x" * 201), ("city", ["Austin"]), ("tags", "vip"),
    ("attributes", "pets"), ("id", 1), ("owner_id", 1), ("org_id", 1), ("deleted_at", None), ("score", 100),
]  # fmt: skip


def test_a_lead_is_kept_as_it_is_cleaned(api):
    made = data(api.post("/leads", FULL), 201)
    assert {field: made[field] for field in KEPT} == KEPT
    assert data(api.get(f"/leads/{made['id']}")) == made


@pytest.mark.parametrize(("field", "bad"), BAD)
def test_what_a_field_cannot_hold_is_refused_at_it(api, world, field, bad):
    assert set(problem(api.post("/leads", {"first_name": "Bea", field: bad}), 422)) == {field}
    assert set(problem(api.put(f"/leads/{world.lead_id}", {field: bad}), 422)) == {field}


def test_every_bad_field_is_named_at_once(api):
    said = problem(api.post("/leads", {"email": "no", "phone": "1", "timezone": "Mars"}), 422)
    assert set(said) == {"email", "phone", "timezone"}
    assert "+1 415 200 0000" in said["phone"]


def test_a_lead_is_somebody(api):
    assert set(problem(api.post("/leads", {"city": "Austin"}), 422)) == {"email"}
    assert set(problem(api.post("/leads", {}), 422)) == {"email"}


@pytest.mark.parametrize("field", ["email", "phone", "external_id"])
def test_two_leads_do_not_share_what_they_are_known_by(api, field):
    data(api.post("/leads", {"first_name": "Ada", field: FULL[field]}), 201)
    assert set(problem(api.post("/leads", {"first_name": "Bea", field: FULL[field]}), 422)) == {field}
    bea = data(api.post("/leads", {"first_name": "Bea"}), 201)["id"]
    assert set(problem(api.put(f"/leads/{bea}", {field: FULL[field]}), 422)) == {field}


def test_two_organisations_may_know_the_same_person(caller, api):
    data(api.post("/leads", FULL), 201)
    data(caller("stranger").post("/leads", FULL), 201)


def test_only_the_fields_given_are_changed(api):
    made = data(api.post("/leads", FULL), 201)
    changed = data(api.put(f"/leads/{made['id']}", {"city": "Dallas", "email": None}))
    assert changed | {"updated_at": None} == made | {"city": "Dallas", "email": None, "updated_at": None}


def test_a_refused_change_changes_nothing(api, world):
    before = data(api.get(f"/leads/{world.lead_id}"))
    problem(api.put(f"/leads/{world.lead_id}", {"city": "Dallas", "phone": "12"}), 422)
    assert data(api.get(f"/leads/{world.lead_id}")) == before


def test_a_deleted_lead_is_gone_from_every_answer(api, world):
    data(api.delete(f"/leads/{world.lead_id}"))
    for path in ("", "/timeline"):
        problem(api.get(f"/leads/{world.lead_id}{path}"), 404)
    problem(api.put(f"/leads/{world.lead_id}", {"city": "Dallas"}), 404)
    problem(api.delete(f"/leads/{world.lead_id}"), 404)
    assert data(api.get("/leads")) == data(api.get(f"/segments/{world.segment_id}/leads")) == []


def test_leads_are_found_by_the_beginning_of_what_one_knows(api):
    ada = data(api.post("/leads", FULL), 201)["id"]
    data(api.post("/leads", {"first_name": "Bea", "status": "lost"}), 201)
    for term in ("ada", "Ada L", "lopez", "ada@ex", "415 200", "+1415"):
        assert [lead["id"] for lead in data(api.get("/leads", query_string={"q": term}))] == [ada], term
    assert data(api.get("/leads", query_string={"q": "dal"})) == []
    assert [lead["first_name"] for lead in data(api.get("/leads?status=lost"))] == ["Bea"]
    assert set(problem(api.get("/leads?status=unheard"), 422)) == {"status"}


def test_the_timeline_tells_what_happened_and_who_did_it(api, cast):
    lead = data(api.post("/leads", {"first_name": "Ada", "city": "Austin"}), 201)["id"]
    data(api.put(f"/leads/{lead}", {"city": "Dallas", "status": "lost"}))
    facts = data(api.get(f"/leads/{lead}/timeline"))
    assert [fact["type"] for fact in facts] == ["lead_updated", "status_changed", "lead_created"]
    assert facts[0]["payload"] == {"changes": {"city": ["Austin", "Dallas"]}}
    assert facts[2]["payload"] == {"source": "api"}
    assert {fact["actor"] for fact in facts} == {f"user:{cast.marketer}"}


def test_a_file_becomes_leads(api, cast, tx):
    started = data(api.post("/leads/import", data={"file": (io.BytesIO(CSV), "leads.csv")}), 202)
    assert started["status"] == "queued"
    assert started["mapping"] == {"0": "first_name", "1": "email", "2": "state"}
    with tx():
        assert value("SELECT created_by FROM imports") == cast.marketer
    with tx():
        assert imports.run_next("test")
    done = data(api.get(f"/leads/import/{started['id']}"))
    figures = {name: done[name] for name in ("status", "total", "created", "updated", "skipped", "failed")}
    assert figures == {"status": "done", "total": 3, "created": 2, "updated": 0, "skipped": 0, "failed": 1}
    assert {lead["email"] for lead in data(api.get("/leads"))} == {"ada@import.example", "bob@import.example"}


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02" * 99, b"just one line", b"PK\x03\x04 not a workbook", b"%PDF-1.7\n\xff\xfe"]
)
def test_junk_is_no_import(api, content):
    said = problem(api.post("/leads/import", data={"file": (io.BytesIO(content), "leads.csv")}), 422)
    assert set(said) == {"file"}
    assert said["file"]


def test_an_import_needs_a_file(api):
    assert set(problem(api.post("/leads/import"), 422)) == {"file"}
    assert set(problem(api.post("/leads/import", data={"file": "not a file"}), 422)) == {"file"}
