"""The people of an organisation: inviting, changing and shutting out; and superusers, who may visit others."""

import re

import pytest

from tests.conftest import PASSWORD
from tests.web.visitor import Visitor, form_of
from webapp.platform import users
from webapp.platform.db import one, rows, run, transaction, value

NEW = "a longer password"


@pytest.fixture
def sign_in(app, cast):
    """Returns a function from a role to somebody of it who is signed in."""

    def arrive(role: str) -> Visitor:
        visitor = Visitor(app)
        assert visitor.sign_in(cast.emails[role]).status_code == 303
        return visitor

    return arrive


@pytest.fixture
def root(app, cast):
    """A superuser of the cast's organisation, whose role there is viewer."""
    email = f"root-{cast.org}@example.com"
    with transaction(cast.org):
        users.add(email, "Root Person", "viewer", password=PASSWORD, is_superuser=True)
    visitor = Visitor(app)
    visitor.sign_in(email)
    return visitor


def invite(admin: Visitor, cast, role: str = "agent") -> str:
    """Returns the path of a new invitation."""
    form = {"name": "New Person", "email": f"new-{cast.org}@example.com", "role": role}
    page = admin.post("/users", form)
    assert page.status_code == 200, page.text
    return re.search(r"data-link>https?://[^/]+(/welcome/[^<]+)<", page.text)[1]


def test_an_invitation_lets_somebody_in_with_a_password_of_their_own(app, cast, sign_in):
    link, guest = invite(sign_in("admin"), cast), Visitor(app)
    assert guest.get(link).status_code == 200
    assert guest.post(link, {"password": NEW}).location == "/"
    assert guest.is_in
    assert Visitor(app).sign_in(f"new-{cast.org}@example.com", NEW).status_code == 303
    with transaction(cast.org):
        assert one("SELECT role, is_active FROM users WHERE name = 'New Person'") == ("agent", True)


def test_an_invitation_works_once(app, cast, sign_in):
    link = invite(sign_in("admin"), cast)
    Visitor(app).post(link, {"password": NEW})
    late = Visitor(app)
    assert late.post(link, {"password": "another password"}).status_code == 404
    assert not late.is_in


def test_a_short_password_does_not_spend_the_invitation(app, cast, sign_in):
    link, guest = invite(sign_in("admin"), cast), Visitor(app)
    for password in ("short", "", "x" * 201):
        answer = guest.post(link, {"password": password})
        assert answer.status_code == 422
        assert set(form_of(answer)[1]) == {"password"}
    assert guest.post(link, {"password": NEW}).status_code == 303


def test_who_was_invited_cannot_sign_in_without_a_password(app, cast, sign_in):
    invite(sign_in("admin"), cast)
    for password in ("", "None", "nobody's password", PASSWORD):
        assert Visitor(app).sign_in(f"new-{cast.org}@example.com", password).status_code == 422


def test_a_new_link_takes_the_place_of_the_old_and_ends_the_sessions(app, cast, sign_in):
    admin, marketer = sign_in("admin"), sign_in("marketer")
    page = admin.post(f"/users/{cast.marketer}/link").text
    link = re.search(r"data-link>https?://[^/]+(/welcome/[^<]+)<", page)[1]
    assert not marketer.is_in
    assert Visitor(app).post(link, {"password": NEW}).status_code == 303
    assert Visitor(app).sign_in(cast.emails["marketer"], NEW).status_code == 303


@pytest.mark.parametrize(
    ("field", "bad"),
    [("email", "no address"), ("email", ""), ("name", ""), ("name", " "), ("role", "king"), ("name", "x" * 121)],
)
def test_an_invitation_that_cannot_be_is_told_at_its_field(cast, sign_in, field, bad):
    form = {"name": "New Person", "email": f"new-{cast.org}@example.com", "role": "agent"} | {field: bad}
    answer = sign_in("admin").post("/users", form)
    assert answer.status_code == 422
    kept, errors = form_of(answer)
    assert set(errors) == {field}
    assert kept["email"] == form["email"]


@pytest.mark.parametrize("whose", ["marketer", "stranger"])
def test_an_address_has_one_account_in_the_whole_house(cast, sign_in, whose):
    form = {"name": "Twice", "email": cast.emails[whose].upper(), "role": "agent"}
    answer = sign_in("admin").post("/users", form)
    assert set(form_of(answer)[1]) == {"email"}


def test_who_is_deactivated_is_out_at_once(app, cast, sign_in):
    admin, marketer = sign_in("admin"), sign_in("marketer")
    assert marketer.is_in
    admin.post(f"/users/{cast.marketer}/change", {"active": "no"})
    assert not marketer.is_in
    assert Visitor(app).sign_in(cast.emails["marketer"]).status_code == 422
    admin.post(f"/users/{cast.marketer}/change", {"active": "yes"})
    assert Visitor(app).sign_in(cast.emails["marketer"]).status_code == 303


def test_a_new_role_counts_at_once_and_is_on_the_audit_log(cast, sign_in, app):
    admin = sign_in("admin")
    admin.post(f"/users/{cast.agent}/change", {"role": "viewer"})
    assert sign_in("agent").get("/campaigns").status_code == 200
    with transaction(cast.org):
        entry = one("SELECT * FROM audit_log WHERE action = 'user.changed'")
        assert (entry.actor_id, entry.entity_id) == (cast.admin, cast.agent)
        assert (entry.before["role"], entry.after["role"]) == ("agent", "viewer")


@pytest.mark.parametrize("change", [{"active": "no"}, {"role": "viewer"}, {"role": "agent", "active": "yes"}])
def test_somebody_has_to_stay_admin(cast, sign_in, change):
    admin = sign_in("admin")
    answer = admin.post(f"/users/{cast.admin}/change", change)
    assert answer.status_code == 409
    assert "make another user admin first" in answer.text
    assert admin.get("/users").status_code == 200
    admin.post(f"/users/{cast.marketer}/change", {"role": "admin"})
    assert admin.post(f"/users/{cast.admin}/change", change).status_code == 303
    assert not admin.is_in


def test_a_role_that_is_none_is_refused(cast, sign_in):
    assert sign_in("admin").post(f"/users/{cast.agent}/change", {"role": "king"}).status_code == 422
    with transaction(cast.org):
        assert value("SELECT role FROM users WHERE id = :id", id=cast.agent) == "agent"


def test_a_superuser_visits_another_organisation_and_the_audit_log_says_so(root, cast):
    with transaction(cast.other_org):
        run("INSERT INTO leads (first_name, source) VALUES ('Eve', 'x')")
    assert "Eve" not in root.get("/leads").text
    assert root.post(f"/organizations/{cast.other_org}/enter").location == "/"
    assert "Eve" in root.get("/leads").text
    root.post("/leads/new", form_of(root.get("/leads/new"))[0] | {"first_name": "Made by a visitor"})
    with transaction(cast.other_org):
        entered = one("SELECT * FROM audit_log WHERE action = 'organization.entered'")
        assert entered.after == {"superuser": f"root-{cast.org}@example.com"}
        assert value("SELECT count(*) FROM leads WHERE first_name = 'Made by a visitor'") == 1
    with transaction(cast.org):
        assert rows("SELECT 1 FROM leads") == []


def test_every_visit_is_on_the_audit_log(root, cast):
    for org in (cast.other_org, cast.org, cast.other_org):
        root.post(f"/organizations/{org}/enter")
    with transaction(cast.other_org):
        assert value("SELECT count(*) FROM audit_log WHERE action = 'organization.entered'") == 2


def test_a_superuser_makes_an_organisation_with_a_sender_of_its_own(root, cast):
    name = f"Branch of {cast.org}"
    assert root.post("/organizations", {"name": name, "timezone": "Europe/Berlin"}).status_code == 303
    assert name in root.get("/organizations").text
    with transaction():
        made = value("SELECT id FROM organizations WHERE name = :name", name=name)
    with transaction(made):
        assert value("SELECT provider FROM senders") == "local"
        assert value("SELECT count(*) FROM audit_log WHERE action = 'organization.created'") == 1


def test_an_organisation_that_cannot_be_is_told_at_its_field(root, cast):
    root.post("/organizations", {"name": f"Branch of {cast.org}", "timezone": "UTC"})
    for form, field in (
        ({"name": f"branch OF {cast.org}", "timezone": "UTC"}, "name"),
        ({"name": "", "timezone": "UTC"}, "name"),
        ({"name": f"Second of {cast.org}", "timezone": "Mars/Olympus"}, "timezone"),
    ):
        answer = root.post("/organizations", form)
        assert answer.status_code == 422
        assert set(form_of(answer)[1]) == {field}


@pytest.mark.parametrize("role", ["admin", "marketer", "agent", "viewer"])
def test_nobody_else_may_visit_or_make_one(sign_in, cast, role):
    visitor = sign_in(role)
    assert visitor.get("/organizations").status_code == 404
    assert visitor.post("/organizations", {"name": "Mine", "timezone": "UTC"}).status_code == 404
    assert visitor.post(f"/organizations/{cast.other_org}/enter").status_code == 404
    assert visitor.get("/leads").status_code == (200)
    with transaction(cast.other_org):
        assert value("SELECT count(*) FROM audit_log WHERE action = 'organization.entered'") == 0


def test_an_organisation_that_is_none_cannot_be_entered(root):
    for org in (0, 2**40, 2**63 - 1, 2**63):
        assert root.post(f"/organizations/{org}/enter").status_code == 404
    assert root.get("/leads").status_code == 200


def test_who_is_no_superuser_any_more_is_at_home_again(root, cast):
    root.post(f"/organizations/{cast.other_org}/enter")
    with transaction(cast.org):
        run("UPDATE users SET is_superuser = false WHERE is_superuser")
    assert root.get("/organizations").status_code == 404
    with transaction(cast.other_org):
        run("INSERT INTO leads (first_name, source) VALUES ('Eve', 'x')")
    assert "Eve" not in root.get("/leads").text
