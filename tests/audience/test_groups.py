"""Groups and who is in them: leads come by name or number, once; what is typed is cleaned or refused at its field."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webapp.audience import groups, leads
from webapp.platform.db import db, value
from webapp.platform.errors import Invalid, NotFound


@pytest.fixture
def three(cast, tx) -> list[int]:
    with tx():
        return [leads.create({"first_name": f"L{n}", "phone": f"+1415200000{n}"}).id for n in range(3)]


def refused(act) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        act()
    return caught.value.errors


def members(group) -> list[int]:
    wanted = db.select(groups.GroupMember.lead_id).where(groups.GroupMember.group_id == group.id, groups.OPEN)
    return sorted(db.session.scalars(wanted))


def test_a_group_is_kept_in_its_usual_form(cast, tx):
    with tx():
        group = groups.create(
            {"name": " Texas\0  drivers ", "segment_tags": "Auto, auto|TEXAS", "state": " TX ", "region": ""}
        )
        assert (group.name, group.segment_tags, group.state, group.region) == (
            "Texas drivers",
            ["auto", "texas"],
            "TX",
            None,
        )
        assert not groups.update(group, {"name": "Texas drivers", "segment_tags": "auto,texas"})
        assert groups.update(group, {"is_active": False}) and not group.is_active
        group_id = group.id
    with tx(cast.other_org), pytest.raises(NotFound):
        groups.get(group_id)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": ""}, "name"), ({"name": "x" * 201}, "name"), ({"description": "x" * 2001}, "description"),
     ({"sender_id": 999_999_999}, "sender_id"), ({"colour": "red"}, "colour")],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(cast, tx, values, field):
    with tx():
        assert set(refused(lambda: groups.create({"name": "A"} | values))) == {field}
        assert value("SELECT count(*) FROM whatsapp_groups") == 0


def test_no_whatsapp_id_twice(cast, tx):
    with tx():
        groups.create({"name": "A", "external_group_id": "1@g.us"})
        assert set(refused(lambda: groups.create({"name": "B", "external_group_id": "1@g.us"}))) == {
            "external_group_id"
        }
        groups.create({"name": "C"})
        groups.create({"name": "D"})


def test_leads_come_once_and_leave(three, cast, tx):
    with tx(cast.other_org):
        stranger = leads.create({"first_name": "Eve"}).id
    with tx():
        group = groups.create({"name": "A"})
        assert groups.add_members(group, [three[0], three[0], stranger, 999_999]) == groups.Added(1, 0)
        assert groups.add_members(group, three, {"role": "admin", "persona_weight": "0.255"}) == groups.Added(2, 1)
        db.session.refresh(group)
        assert group.member_count == 3 and members(group) == sorted(three)
        member = db.session.query(groups.GroupMember).filter_by(lead_id=three[1]).one()
        assert (member.role, member.persona_weight) == ("admin", Decimal("0.26"))
        groups.leave(groups.member(group, member.id, lock=True))
        db.session.refresh(group)
        assert group.member_count == 2
        with pytest.raises(NotFound):
            groups.member(group, member.id)
        assert groups.add_members(group, [three[1]]) == groups.Added(1, 0), "one may come back"


def test_a_membership_is_changed(three, tx):
    with tx():
        group = groups.create({"name": "A"})
        groups.add_members(group, three[:1])
        member = db.session.query(groups.GroupMember).one()
        groups.set_member(member, {"role": "unknown", "persona_weight": 0, "contributes_to_persona": False})
        assert (member.role, member.persona_weight, member.contributes_to_persona) == ("unknown", 0, False)
        for bad in ({"role": "king"}, {"persona_weight": 1.01}, {"persona_weight": "NaN"}, {"persona_weight": None}):
            assert set(refused(lambda bad=bad: groups.set_member(member, bad))) == set(bad)


def test_numbers_are_pasted(three, tx):
    with tx():
        group = groups.create({"name": "A"})
        pasted = "(415) 200-0000\n+1 415 200 0001; 415-200-0000,\r\n"
        assert groups.add_numbers(group, pasted, {}) == groups.Added(2, 0)
        assert set(refused(lambda: groups.add_numbers(group, "call me\n+14152000002", {}))) == {"numbers"}
        assert set(refused(lambda: groups.add_numbers(group, " ,;\n", {}))) == {"numbers"}
        assert set(refused(lambda: groups.add_numbers(group, "+14152000002", {}, "maybe"))) == {"unknown"}
        strange = "+14152009999\n+14152000002"
        assert "No lead has +14152009999" in refused(lambda: groups.add_numbers(group, strange, {}))["numbers"]
        assert members(group) == sorted(three[:2]), "all or nobody"
        assert groups.add_numbers(group, strange, {}, "leave_out") == groups.Added(1, 0, 0, 1)
        assert groups.add_numbers(group, strange, {}, "create") == groups.Added(1, 1, 1, 0)
        assert value("SELECT source FROM leads WHERE phone = '+14152009999'") == "whatsapp"


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(pasted=st.text(st.sampled_from("0123456789+-() ,;\n\r\0x"), max_size=60) | st.text(max_size=60))
def test_any_paste_is_taken_or_refused(cast, tx, pasted):
    with tx():
        group = groups.create({"name": "A"})
        try:
            assert groups.add_numbers(group, pasted, {}, "create").added
        except Invalid as problem:
            assert set(problem.errors) == {"numbers"}
        db.session.rollback()
