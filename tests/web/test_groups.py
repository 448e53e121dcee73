"""Groups and personas in the browser: made, filled, decided, and refused at the field with nothing typed lost."""

import re

import pytest

from tests.web.test_lists import toast
from tests.web.visitor import Visitor, form_of, htmx
from webapp.audience import groups, leads, personas
from webapp.platform.db import transaction, value

GROUP = {
    "name": "Texas drivers", "description": "They talk about cars", "region": "South", "state": "TX", "district": "Travis",
    "segment_tags": "cars, texas", "external_group_id": "1@g.us", "sender_id": "", "is_active": "y",
}  # fmt: skip
PERSONA = {
    "name": "The driver", "persona_type": "driver", "description": "Drives", "primary_segment_id": "", "segment_tags": "cars",
    "region": "south", "state": "",
}  # fmt: skip
LONG = "x" * 5000


@pytest.fixture
def sign_in(app, cast):
    def arrive(role: str) -> Visitor:
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        return visitor

    return arrive


@pytest.fixture
def marketer(sign_in) -> Visitor:
    return sign_in("marketer")


@pytest.fixture
def lead(cast) -> int:
    with transaction(cast.org):
        return leads.create({"first_name": "Ada", "last_name": "Lopez", "phone": "+14152000001"}).id


def test_from_a_group_to_an_approved_persona(marketer, cast, lead):
    group = marketer.post("/groups/new", GROUP).location
    persona = marketer.post("/personas/new", PERSONA).location
    values, _ = form_of(marketer.get(f"{group}/edit"))
    assert {name: values[name] for name in GROUP} == GROUP
    assert "Ada Lopez" in marketer.get(f"{group}/add?q=ada", headers=htmx()).text
    words, _ = toast(marketer.post(f"{group}/numbers", {
        "numbers": "415 200 0001", "unknown": "stop", "role": "admin", "persona_weight": "0.5", "contributes_to_persona": "y",
    }), marketer)  # fmt: skip
    assert words == "1 added to Texas drivers."
    assert "Nobody outside" in marketer.get(f"{group}/add?q=ada", headers=htmx()).text, "they are in it now"
    people = marketer.get(persona).text
    assert "100 %" in people and "Very high" in people and "1 of 1" in people
    score = re.search(r'name="ids" value="(\d+)"', people)[1]
    words, _ = toast(marketer.post(f"{persona}/approve", {"ids": score}), marketer)
    assert words == "1 lead approved as The driver."
    page = marketer.get(f"/leads/{lead}").text
    assert "Persona approved" in page and "Approved" in page
    assert marketer.post(f"{persona}/refuse?lead_id={lead}", {"ids": score}).location == f"/leads/{lead}"
    with transaction(cast.org):
        assert leads.get(lead).persona_type is None
        member = value("SELECT id FROM whatsapp_group_members")
    values, _ = form_of(marketer.get(f"{group}/members/{member}"))
    assert (values["role"], values["persona_weight"], values["contributes_to_persona"]) == ("admin", "0.50", "y")
    marketer.post(f"{group}/members/{member}", values | {"persona_weight": "1"})
    words, _ = toast(marketer.post(f"{group}/members/{member}/leave"), marketer)
    assert words == "Ada Lopez is not in Texas drivers any more."
    assert marketer.post(f"{group}/members/{member}/leave").status_code == 404
    assert marketer.post(f"{group}/members", {"ids": lead}).location == f"{group}/add"
    assert marketer.post(f"{group}/delete").location == "/groups"
    assert marketer.post(f"{persona}/delete").location == "/personas"
    assert marketer.get(f"/leads/{lead}").status_code == 200


@pytest.mark.parametrize(
    ("room", "form", "field", "bad"),
    [("groups", GROUP, "name", ""), ("groups", GROUP, "name", LONG), ("groups", GROUP, "sender_id", "x"),
     ("groups", GROUP, "sender_id", str(10**30)), ("groups", GROUP, "description", LONG), ("personas", PERSONA, "name", ""),
     ("personas", PERSONA, "persona_type", "!"), ("personas", PERSONA, "primary_segment_id", "x"),
     ("personas", PERSONA, "segment_tags", LONG)],
)  # fmt: skip
def test_what_was_typed_stays_and_the_message_stands_at_its_field(marketer, cast, room, form, field, bad):
    answer = marketer.post(f"/{room}/new", form | {field: bad})
    assert answer.status_code == 422
    values, errors = form_of(answer)
    assert set(errors) == {field}
    assert values[field] == bad or field.endswith("_id")
    with transaction(cast.org):
        assert value(f"SELECT count(*) FROM {'whatsapp_groups' if room == 'groups' else room}") == 0


def test_numbers_nobody_has_are_told_and_stay_in_the_box(marketer, cast, lead):
    group = marketer.post("/groups/new", GROUP).location
    form = {"numbers": "+14152000001\n+14152009999", "unknown": "stop", "role": "member", "persona_weight": "1"}
    answer = marketer.post(f"{group}/numbers", form)
    assert answer.status_code == 422
    values, errors = form_of(answer)
    assert "No lead has +14152009999" in errors["numbers"]
    assert values["numbers"] == form["numbers"]
    words, _ = toast(marketer.post(f"{group}/numbers", form | {"unknown": "create"}), marketer)
    assert words == "2 added to Texas drivers. 1 of them are new leads."
    for bad in ({"persona_weight": "2"}, {"persona_weight": "NaN"}, {"role": "king"}, {"unknown": "x"}):
        assert set(form_of(marketer.post(f"{group}/numbers", form | bad))[1]) == set(bad), bad


def test_something_is_said_about_a_persona(marketer):
    persona = marketer.post("/personas/new", PERSONA).location
    said = {"type": "habits", "name": "Commutes", "value": "daily", "source": "survey", "confidence": "0.8"}
    marketer.post(f"{persona}/attributes", said)
    page = marketer.get(persona).text
    assert "Commutes" in page and "0.80" in page
    answer = marketer.post(f"{persona}/attributes", said | {"name": "", "confidence": "7"})
    assert answer.status_code == 422
    assert set(form_of(answer)[1]) == {"name", "confidence"}
    remove = re.search(r'action="([^"]*/attributes/\d+/delete)"', page)[1]
    assert marketer.post(remove).location == persona
    assert marketer.post(remove).status_code == 404


def test_of_another_organisation_nothing_is_there(sign_in, cast, lead):
    with transaction(cast.org):
        group = groups.create({"name": "A", "segment_tags": "a"})
        persona = personas.create({"name": "A", "persona_type": "a", "segment_tags": "a"})
        groups.add_members(group, [lead])
        group_id, persona_id = group.id, persona.id
        score, member = value("SELECT id FROM persona_scores"), value("SELECT id FROM whatsapp_group_members")
    stranger = sign_in("stranger")
    own = stranger.post("/groups/new", GROUP).location
    for path in (f"/groups/{group_id}", f"/groups/{group_id}/edit", f"/groups/{group_id}/add", f"/personas/{persona_id}",
                 f"/groups/{group_id}/members/{member}", f"{own}/members/{member}"):  # fmt: skip
        assert stranger.get(path).status_code == 404, path
    words, _ = toast(stranger.post(f"{own}/members", {"ids": lead}), stranger)
    assert words == "0 added to Texas drivers."
    persona = stranger.post("/personas/new", PERSONA).location
    words, _ = toast(stranger.post(f"{persona}/approve", {"ids": score}), stranger)
    assert words == "0 leads approved as The driver."
    with transaction(cast.org):
        assert value("SELECT is_approved FROM persona_scores") is None


def test_a_viewer_looks_on(sign_in, cast, lead):
    with transaction(cast.org):
        group = groups.create({"name": "Anglers", "segment_tags": "a"})
        groups.add_members(group, [lead])
        personas.create({"name": "The angler", "persona_type": "a", "segment_tags": "a"})
        group_id = group.id
    viewer = sign_in("viewer")
    assert f'href="/leads/{lead}">Ada Lopez' in viewer.get(f"/groups/{group_id}").text
    assert "The angler" in viewer.get("/personas").text
    page = viewer.get(f"/leads/{lead}").text
    assert "The angler" in page and "/approve" not in page
