"""Policies: what is typed is cleaned or refused at its field, numbers are unique, each change is told on the timeline, and
a removal can be undone."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp.audience import leads, policies, policy_values
from webapp.platform.db import db, rows, value
from webapp.platform.errors import Invalid, NotFound, Refused

TODAY = date.today()


def facts(lead_id: int) -> list[tuple[str, dict]]:
    found = rows("SELECT type, payload FROM lead_events WHERE lead_id = :id ORDER BY id", id=lead_id)
    return [(row.type, row.payload) for row in found if row.type.startswith(("policy", "payment"))]


@pytest.fixture
def lead(cast, tx) -> int:
    with tx():
        return leads.create({"first_name": "Ada", "email": "ada@example.com"}).id


def refused(act) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        act()
    return caught.value.errors


def test_a_policy_is_added_in_its_usual_form(lead, tx):
    with tx():
        policy = policies.create(lead, {"number": "  LIC-7\0 1 ", "type": "auto", "premium": "1200.505"})
        db.session.refresh(policy)
        assert (policy.number, policy.status, policy.payment_status) == ("LIC-7 1", "active", "paid")
        assert policy.premium == Decimal("1200.51")
        told = {"policy_id": policy.id, "number": "LIC-7 1", "type": "auto", "premium": "1200.51"}
        assert facts(lead) == [("policy_added", told)]
        assert policies.get(policy.id) is policy and policies.of_lead(lead) == [policy]


@pytest.mark.parametrize(
    ("values", "field"),
    [({"number": " "}, "number"), ({"number": "x" * 81}, "number"), ({"type": "boat"}, "type"),
     ({"status": "asleep"}, "status"), ({"status": None}, "status"), ({"payment_status": ""}, "payment_status"),
     ({"premium": -1}, "premium"), ({"premium": "1e10"}, "premium"), ({"coverage": "NaN"}, "coverage"),
     ({"coverage": "9999999999.999"}, "coverage"), ({"premium": "a lot"}, "premium"), ({"renews_on": date(1899, 1, 1)}, "renews_on"),
     ({"started_on": date(2200, 1, 1)}, "started_on"), ({"next_due_on": "soon"}, "next_due_on"), ({"colour": "red"}, "colour"),
     ({"started_on": TODAY, "renews_on": TODAY - timedelta(1)}, "renews_on"),
     ({"started_on": TODAY, "lapsed_on": TODAY - timedelta(1)}, "lapsed_on"),
     ({"status": "lapsed", "lapsed_on": TODAY + timedelta(3)}, "lapsed_on")],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(lead, tx, values, field):
    with tx():
        assert set(refused(lambda: policies.create(lead, {"number": "A-1"} | values))) == {field}
        assert value("SELECT count(*) FROM policies") == 0
        policy = policies.create(lead, {"number": "A-1"})
        assert set(refused(lambda: policies.update(policy, values))) == {field}


def test_no_number_twice_in_an_organisation(lead, cast, tx):
    with tx():
        policies.create(lead, {"number": "A-1"})
        other = policies.create(lead, {"number": "A-2"})
        other_id = other.id
        assert refused(lambda: policies.create(lead, {"number": "A-1"})) == {"number": policies.TAKEN}
        assert refused(lambda: policies.update(other, {"number": "A-1"})) == {"number": policies.TAKEN}
        assert [p.number for p in policies.of_lead(lead)] == ["A-1", "A-2"]
    with tx(cast.other_org):
        stranger = leads.create({"first_name": "Eve"}).id
        policies.create(stranger, {"number": "A-1"})
        with pytest.raises(NotFound):
            policies.create(lead, {"number": "A-3"})
        with pytest.raises(NotFound):
            policies.get(other_id)


def test_a_lapse_has_its_day_and_loses_it_when_the_policy_is_in_force_again(lead, tx):
    with tx():
        policy = policies.create(lead, {"number": "A-1"})
        changed = policies.update(policy, {"status": "lapsed"})
        assert changed == {"status": ["active", "lapsed"], "lapsed_on": [None, str(policy_values.today())]}
        policies.update(policy, {"status": "active", "lapsed_on": policy.lapsed_on})
        assert policy.lapsed_on is None
        assert [kind for kind, _ in facts(lead)] == ["policy_added", "policy_lapsed", "policy_updated"]
        # A day given is the day.
        policies.update(policy, {"status": "lapsed", "lapsed_on": date(2020, 5, 1)})
        assert policy.lapsed_on == date(2020, 5, 1)


def test_each_kind_of_change_is_its_own_fact(lead, tx):
    with tx():
        policy = policies.create(lead, {"number": "A-1", "renews_on": date(2026, 1, 1), "premium": 100})
        policies.update(
            policy, {"renews_on": date(2027, 1, 1), "payment_status": "overdue", "premium": 120, "number": "A-1"}
        )
        about = {"policy_id": policy.id, "number": "A-1"}
        assert facts(lead)[1:] == [
            ("policy_renewed", about | {"changes": {"renews_on": ["2026-01-01", "2027-01-01"]}}),
            ("payment_overdue", about | {"changes": {"payment_status": ["paid", "overdue"]}}),
            ("policy_updated", about | {"changes": {"premium": ["100.00", "120.00"]}}),
        ]
        policies.update(policy, {"renews_on": date(2026, 6, 1)})
        assert facts(lead)[-1][0] == "policy_updated", "an earlier day is no renewal"
        n = len(facts(lead))
        assert policies.update(policy, {"premium": Decimal("120.0"), "renews_on": date(2026, 6, 1)}) == {}
        assert len(facts(lead)) == n


def test_a_removed_policy_comes_back_as_it_was(lead, cast, tx):
    with tx():
        given = {"number": "A-1", "type": "home", "premium": Decimal("9.50"), "renews_on": date(2027, 2, 28)}
        policy = policies.create(lead, given)
        before = {field: getattr(policy, field) for field in policy_values.EDITABLE}
    with tx():
        policies.remove(policies.get(policy.id, lock=True))
        removal = policies.latest_removal(lead)
        assert policies.of_lead(lead) == []
    with tx(cast.other_org), pytest.raises(NotFound):
        policies.restore(removal)
    with tx():
        back = policies.restore(removal)
        assert {field: getattr(back, field) for field in policy_values.EDITABLE} == before
        with pytest.raises(Refused, match="already"):
            policies.restore(removal)
        assert [kind for kind, _ in facts(lead)] == ["policy_added", "policy_removed", "policy_added"]
        with pytest.raises(NotFound):
            policies.restore(value("SELECT min(id) FROM lead_events"))


def test_a_policy_of_a_deleted_lead_is_not_there(lead, tx):
    with tx():
        policy = policies.create(lead, {"number": "A-1"})
        leads.remove([lead])
        with pytest.raises(NotFound):
            policies.get(policy.id)


def test_numbers_are_found_by_their_beginning(lead, tx):
    with tx():
        for number in ("LIC-1", "lic-12", "XLIC-1"):
            policies.create(lead, {"number": number})
        wanted = (
            db.select(policies.Policy.number).where(policies.search(" lIc-1\0")).order_by(policies.Policy.number_key)
        )
        assert list(db.session.scalars(wanted)) == ["LIC-1", "lic-12"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.dictionaries(
    st.sampled_from([*policy_values.EDITABLE, "x"]),
    st.none() | st.text(max_size=90) | st.integers() | st.floats() | st.dates() | st.sampled_from(["lapsed", "auto", "due"]),
))  # fmt: skip
def test_anything_at_all_is_either_stored_or_refused(lead, tx, values):
    with tx():
        policy = policies.create(lead, {"number": "A-1"})
        try:
            policies.update(policy, values)
        except Invalid as problem:
            assert problem.errors.keys() <= {*policy_values.EDITABLE, "x"}
        db.session.rollback()
