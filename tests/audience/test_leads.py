"""Leads: what is typed is cleaned or refused at its field, nobody is there twice, a deletion can be undone, and people are
found by how they are known."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from webapp.audience import lead_values, leads
from webapp.audience.lead_values import EDITABLE
from webapp.audience.leads import ALIVE, Lead
from webapp.platform import organizations
from webapp.platform.clock import now
from webapp.platform.db import db, refresh_statistics, rows, run, transaction, value
from webapp.platform.errors import Invalid, NotFound, Refused


def facts(lead_id: int) -> list[tuple[str, dict]]:
    found = rows("SELECT type, payload FROM lead_events WHERE lead_id = :id ORDER BY id", id=lead_id)
    return [(row.type, row.payload) for row in found]


def refused(values: dict, lead: Lead | None = None) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        leads.update(lead, values) if lead else leads.create(values)
    return caught.value.errors


def found(term: str) -> list[str]:
    return list(db.session.scalars(select(Lead.first_name).where(ALIVE, leads.search(term)).order_by(Lead.first_name)))


def test_fields_are_kept_in_their_usual_form(cast, tx):
    with tx():
        lead = leads.create({
            "first_name": "  Ada\0 ", "last_name": "", "email": " Ada@EXAMPLE.com ", "phone": "(415) 200-1234",
            "tags": " VIP, new ;vip|gold\0,, ", "value_estimate": Decimal("12.50"), "attributes": {"a\0": ["b\0", 1, None]},
            "date_of_birth": date(1980, 2, 29), "timezone": "America/Chicago", "city": "Zürich",
        })  # fmt: skip
        db.session.refresh(lead)
        assert (lead.first_name, lead.last_name, lead.email, lead.phone) == (
            "Ada",
            None,
            "Ada@example.com",
            "+14152001234",
        )
        assert lead.tags == ["vip", "new", "gold"] and lead.attributes == {"a": ["b", 1, None]}
        assert (lead.status, lead.priority, lead.source) == ("new", "medium", "manual")
        assert facts(lead.id) == [("lead_created", {"source": "manual"})]
        assert lead.name == "Ada" and leads.get(lead.id) is lead


@pytest.mark.parametrize(
    ("values", "field"),
    [({"email": "not an address"}, "email"), ({"email": "a@b@c.de"}, "email"), ({"phone": "12"}, "phone"), ({"phone": "call me"}, "phone"),
     ({"status": "sleeping"}, "status"), ({"status": ""}, "status"), ({"priority": None}, "priority"),
     ({"insurance_type": "Auto"}, "insurance_type"), ({"customer_tier": "tin"}, "customer_tier"), ({"timezone": "Mars"}, "timezone"),
     ({"value_estimate": Decimal("-1")}, "value_estimate"), ({"value_estimate": Decimal("1e10")}, "value_estimate"),
     ({"value_estimate": Decimal("9999999999.999")}, "value_estimate"), ({"value_estimate": Decimal("NaN")}, "value_estimate"),
     ({"value_estimate": "a lot"}, "value_estimate"),
     ({"date_of_birth": date(1899, 12, 31)}, "date_of_birth"), ({"date_of_birth": now().date() + timedelta(1)}, "date_of_birth"),
     ({"city": "x" * 201}, "city"), ({"attributes": {"x": "y" * 20_001}}, "attributes"), ({"id": 5}, "id"),
     ({"org_id": 5}, "org_id"), ({"deleted_at": None}, "deleted_at"), ({"score": 5}, "score")],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_kept(cast, tx, values, field):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        assert list(refused({"first_name": "Bob"} | values)) == [field]
        assert list(refused(values, lead)) == [field]
        assert leads.count() == 1 and len(facts(lead.id)) == 1


def test_every_refusal_is_said_at_once():
    with pytest.raises(Invalid) as caught:
        lead_values.clean({"status": "x", "timezone": "x", "city": "Austin", "priority": "x"})
    assert set(caught.value.errors) == {"status", "timezone", "priority"}


def test_somebody_known_by_nothing_is_nobody(cast, tx):
    with tx():
        assert list(refused({"city": "Austin", "email": " "})) == ["email"]
        for field in ("email", "phone", "external_id", "first_name", "last_name"):
            assert leads.create({field: {"email": "a@b.example", "phone": "+14152001234"}.get(field, "X1")}).name


@pytest.mark.parametrize(
    ("field", "one", "same"),
    [
        ("email", "Ada@example.com", "aDA@Example.com"),
        ("phone", "+14152001234", "415-200-1234"),
        ("external_id", "X1", "X1"),
    ],
)
def test_an_address_belongs_to_one_lead_and_the_refusal_leaves_the_transaction_whole(cast, tx, field, one, same):
    with tx():
        first, other = leads.create({field: one}), leads.create({"first_name": "Bob"})
        assert refused({field: same}) == {field: "Another lead has this already."}
        assert refused({"first_name": "Bert", field: same}, other) == {field: "Another lead has this already."}
        assert (other.first_name, getattr(other, field)) == ("Bob", None)
        assert leads.update(first, {field: same, "city": "Austin"}).keys() >= {"city"}
        leads.remove([first.id])
        assert leads.update(other, {field: same})
    with tx(cast.other_org):
        assert leads.create({field: one}).id


def test_a_change_is_told_as_before_and_after(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada", "value_estimate": Decimal("5"), "tags": ["a"]})
        changed = leads.update(
            lead, {"first_name": "Ada", "status": "qualified", "value_estimate": Decimal("7.5"), "tags": "a, B"}
        )
        assert changed == {
            "status": ["new", "qualified"],
            "value_estimate": ["5.00", "7.50"],
            "tags": [["a"], ["a", "b"]],
        }
        assert facts(lead.id)[1:] == [
            ("status_changed", {"from": "new", "to": "qualified"}),
            ("lead_updated", {"changes": {"value_estimate": ["5.00", "7.50"], "tags": [["a"], ["a", "b"]]}}),
        ]
        assert leads.update(lead, {"first_name": " Ada ", "tags": ["A", "b", "a"]}) == {}
        assert len(facts(lead.id)) == 3


def test_every_field_that_can_be_edited_can_be_emptied_or_says_why_not(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada", "city": "Austin"})
        for field in EDITABLE:
            if field in ("status", "priority"):
                assert refused({field: None}, lead) == {field: "Choose one."}
            else:
                leads.update(lead, {field: None})
        db.session.refresh(lead)
        assert (lead.city, lead.tags, lead.attributes) == (None, [], {}) and lead.name == f"Lead {lead.id}"


def test_deleting_can_be_undone(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada", "email": "ada@example.com"})
        lead_id = lead.id
        assert leads.remove([lead_id, 99_999]) == 1 and leads.remove([lead_id]) == 0
        assert leads.count() == 0 and found("ada") == []
        with pytest.raises(NotFound):
            leads.get(lead_id)
        assert leads.restore([lead_id, 99_999]) == 1 and leads.restore([lead_id]) == 0
        assert leads.get(lead_id).email == "ada@example.com"
        assert [fact for fact, _ in facts(lead_id)] == ["lead_created", "lead_deleted", "lead_restored"]


def test_an_undo_is_refused_when_the_address_was_taken_meanwhile(cast, tx):
    with tx():
        first = leads.create({"email": "ada@example.com"})
        leads.remove([first.id])
        second = leads.create({"email": "ADA@example.com"})
        with pytest.raises(Refused, match="Another lead uses the same address now"):
            leads.restore([first.id])
        db.session.refresh(first)
        assert first.deleted_at is not None and leads.get(second.id)
        leads.remove([second.id])
        assert leads.restore([first.id]) == 1


def test_deleting_and_restoring_stay_inside_the_organisation(cast, tx):
    with tx():
        lead_id = leads.create({"first_name": "Ada"}).id
    with tx(cast.other_org):
        assert leads.remove([lead_id]) == 0 and leads.restore([lead_id]) == 0
        with pytest.raises(NotFound):
            leads.get(lead_id)


def test_what_was_deleted_long_ago_is_removed_for_good_with_its_timeline(cast, tx):
    with tx():
        kept, gone = leads.create({"first_name": "Kept"}).id, leads.create({"first_name": "Gone"}).id
        leads.remove([kept, gone])
        run("UPDATE leads SET deleted_at = now() - interval '31 days' WHERE id = :id", id=gone)
        assert leads.purge() == 1
        assert leads.restore([kept, gone]) == 1
        assert value("SELECT count(*) FROM lead_events WHERE lead_id = :id", id=gone) == 0


@pytest.fixture
def people(cast, tx):
    with tx():
        for values in (
            {
                "first_name": "Ada",
                "last_name": "Lovelace",
                "email": "Countess@analytical.example",
                "phone": "+14152001234",
            },
            {
                "first_name": "Åsa",
                "last_name": "O'Brien-Smith",
                "email": "asa%_x@mail.example",
                "phone": "+442079460018",
            },
            {"first_name": "İpek", "last_name": "ΟΔΟΣ", "phone": "+390612345678"},
            {"first_name": "Zoë", "last_name": "adams", "email": "zoe@mail.example"},
        ):
            leads.create(values)
    with tx(cast.other_org):
        leads.create({"first_name": "Adam", "phone": "+14152009999"})


@pytest.mark.parametrize(
    ("term", "expected"),
    [("ada", ["Ada", "Zoë"]), ("ADA LOVE", ["Ada"]), ("lovelace", ["Ada"]), (" countess@ ", ["Ada"]), ("o'brien", ["Åsa"]),
     ("ÅSA", ["Åsa"]), ("İPEK", ["İpek"]), ("οδος", []), ("ΟΔΟΣ", ["İpek"]), ("zoë", ["Zoë"]), ("asa%_x", ["Åsa"]), ("%", []),
     ("_", []), ("lace", []), ("'; DROP TABLE leads; --", []), ("\0ada\0", ["Ada", "Zoë"]), ("\U0010ffff", [])],
)  # fmt: skip
def test_people_are_found_by_how_their_names_and_addresses_begin(people, tx, term, expected):
    with tx():
        assert found(term) == expected


@pytest.mark.parametrize(
    ("country", "term", "expected"),
    [("US", "(415) 200", ["Ada"]), ("US", "+1 415", ["Ada"]), ("US", "1-415-200-1234", ["Ada"]), ("US", "1234", []), ("US", "41", []),
     ("GB", "020 7946", ["Åsa"]), ("GB", "+44 20", ["Åsa"]), ("GB", "0044", []), ("IT", "06 1234", ["İpek"]), ("IT", "+39 06", ["İpek"])],
)  # fmt: skip
def test_people_are_found_by_their_number_as_it_is_dialled_at_home(people, cast, tx, country, term, expected):
    with tx():
        organizations.current().country = country
        assert found(term) == expected


def test_numbers_without_a_country_are_those_of_the_house(cast):
    with transaction(cast.org):
        organizations.current().country = "DE"
        assert leads.create({"phone": "030 901820"}).phone == "+4930901820"
        assert list(refused({"phone": "+1 555"})) == ["phone"]


def test_a_search_reads_the_indexes_and_not_every_lead(cast, tx):
    """Two of them hold the living only, and are not used where that is not said."""
    with tx():
        run("INSERT INTO leads (last_name, email, phone) SELECT 'L' || g, 'p' || g || '@example.com', '+1415200' || g"
            " FROM generate_series(1000, 6000) g")  # fmt: skip
    refresh_statistics("leads")
    with tx():
        run("SET LOCAL enable_seqscan = off")
        asked = (
            select(Lead.id)
            .where(ALIVE, leads.search("4152001"))
            .compile(db.engine, compile_kwargs={"literal_binds": True})
        )
        plan = "\n".join(row[0] for row in rows(f"EXPLAIN {asked}".replace(":", "\\:")))
        for key in ("name_key", "last_name_key", "email_key", "phone"):
            assert f"ix_leads_org_id_{key}" in plan, plan


def test_what_several_do_at_once_is_done_by_one(app, cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada"}).id

    def at_once(verb) -> list[int]:
        ready = threading.Barrier(4)

        def act() -> int:
            with app.app_context(), transaction(cast.org):
                ready.wait(10)
                return verb([lead])

        with ThreadPoolExecutor(4) as pool:
            return [done.result(20) for done in [pool.submit(act) for _ in range(4)]]

    for verb, fact in ((leads.remove, "lead_deleted"), (leads.restore, "lead_restored")):
        assert sorted(at_once(verb)) == [0, 0, 0, 1]
        with tx():
            assert value("SELECT count(*) FROM lead_events WHERE type = :type", type=fact) == 1


def test_an_anonymised_lead_is_neither_filled_in_nor_restored(cast, tx):
    with tx():
        lead = leads.create({"first_name": "Ada"})
        lead.anonymized_at = lead.created_at
        with pytest.raises(Refused):
            leads.update(lead, {"first_name": "Bo"})
        leads.remove([lead.id])
        assert leads.restore([lead.id]) == 0
