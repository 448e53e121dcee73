"""Signing in and staying signed in: passwords, locks, links, invitations, and how a session ends."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import time_machine

from tests.conftest import PASSWORD
from tests.web.visitor import Visitor, form_of, htmx
from webapp.platform import users
from webapp.platform.clock import now
from webapp.platform.db import one, rows, transaction

WRONG = "That e-mail address and password do not belong together."
NEW = "a longer password"
OUTSIDE = (
    "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example", "/\t/evil.example", "https:evil.example",
    "javascript:alert(1)", "evil.example", "///evil.example", "/\n/evil.example",  " //evil.example", "http:///evil.example", "//[", "http://[",
)  # fmt: skip


@pytest.fixture
def door(app) -> Visitor:
    return Visitor(app)


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


def said(response) -> str:
    return response.text.partition("data-form-errors>")[2].partition("</div>")[0]


def cookie(visitor: Visitor) -> str:
    return visitor.client.get_cookie("session").value


def with_cookie(app, value: str) -> Visitor:
    """Returns somebody who has a copy of a session."""
    thief = Visitor(app)
    thief.client.set_cookie("session", value)
    return thief


def link_for(cast, user_id: int, purpose: str) -> str:
    with transaction(cast.org):
        token = users.link_token(users.get(user_id), purpose)
    return f"/{'welcome' if purpose == 'invite' else purpose}/{token}"


def test_address_and_password_let_one_in(door, cast):
    answer = door.sign_in(cast.emails["marketer"].upper())
    assert (answer.status_code, answer.location) == (303, "/")
    assert door.is_in
    assert door.get("/sign-in").location == "/"
    with transaction(cast.org):
        assert one("SELECT actor_id, ip FROM audit_log WHERE action = 'user.signed_in'")


@pytest.mark.parametrize(
    ("email", "password"), [("marketer", "wrong password"), ("nobody", PASSWORD), ("nobody", ""), ("marketer", "")]
)
def test_anything_else_does_not(door, cast, email, password):
    answer = door.sign_in(cast.emails.get(email, "nobody@example.com"), password)
    assert answer.status_code == 422
    assert not door.is_in


def test_a_wrong_password_and_an_unknown_address_are_told_the_same(door, cast):
    wrong = door.sign_in(cast.emails["marketer"], "wrong password")
    unknown = door.sign_in("nobody@example.com", "wrong password")
    assert WRONG in said(wrong)
    assert said(wrong) == said(unknown)
    assert wrong.status_code == unknown.status_code == 422


def test_the_address_stays_and_the_password_does_not(door, cast):
    kept, _ = form_of(door.sign_in(cast.emails["marketer"], "wrong password"))
    assert kept["email"] == cast.emails["marketer"]
    assert kept["password"] == ""


def test_five_wrong_passwords_lock_the_door_for_a_while(door, cast):
    for _ in range(users.FAILURES_BEFORE_LOCK):
        assert door.sign_in(cast.emails["marketer"], "wrong password").status_code == 422
    locked = door.sign_in(cast.emails["marketer"])
    assert locked.status_code == 429
    assert "Too many wrong passwords" in said(locked)
    assert not door.is_in
    with time_machine.travel(now() + timedelta(minutes=users.LOCK_MINUTES + 1)):
        assert door.sign_in(cast.emails["marketer"]).status_code == 303


def test_signing_in_begins_a_new_session(app, door, cast):
    door.get("/sign-in")
    before = cookie(door)
    door.sign_in(cast.emails["marketer"])
    assert cookie(door) != before
    assert not with_cookie(app, before).is_in


@pytest.mark.parametrize("wanted", OUTSIDE)
def test_nobody_is_sent_out_of_the_house(app, cast, wanted):
    door = Visitor(app)
    door.get("/sign-in")
    form = {"email": cast.emails["marketer"], "password": PASSWORD}
    answer = door.post("/sign-in", form, query_string={"next": wanted})
    assert (answer.status_code, answer.location) == (303, "/")


def test_one_comes_to_the_page_one_wanted(door, cast):
    to_the_door = door.get("/leads?q=ada")
    assert to_the_door.status_code == 303
    answer = door.sign_in(cast.emails["marketer"], path=to_the_door.location)
    assert answer.location == "/leads?q=ada"


def test_signing_out_ends_the_session(app, marketer):
    assert marketer.post("/sign-out").location == "/sign-in"
    assert not marketer.is_in


def test_signing_out_everywhere_ends_every_copy_of_it(app, marketer, cast):
    copy, elsewhere = with_cookie(app, cookie(marketer)), Visitor(app)
    elsewhere.sign_in(cast.emails["marketer"])
    marketer.post("/account/sign-out-everywhere")
    assert not (marketer.is_in or copy.is_in or elsewhere.is_in)


def test_a_new_password_ends_every_other_session(app, marketer, cast):
    copy = with_cookie(app, cookie(marketer))
    marketer.get("/account")
    assert marketer.post("/account", {"old_password": PASSWORD, "password": NEW}).status_code == 303
    assert marketer.is_in
    assert not copy.is_in
    assert Visitor(app).sign_in(cast.emails["marketer"]).status_code == 422
    assert Visitor(app).sign_in(cast.emails["marketer"], NEW).status_code == 303


@pytest.mark.parametrize(
    ("old", "new", "field"), [("wrong", NEW, "old_password"), ("", NEW, "old_password"), (PASSWORD, "short", "password"),
                              (PASSWORD, "", "password"), (PASSWORD, "x" * 201, "password")]
)  # fmt: skip
def test_a_password_that_cannot_be_set_is_told_at_its_field(marketer, old, new, field):
    answer = marketer.post("/account", {"old_password": old, "password": new})
    assert answer.status_code == 422
    assert set(form_of(answer)[1]) == {field}
    assert marketer.is_in


def test_a_one_time_link_only_asks_when_it_is_opened(door, cast):
    link = link_for(cast, cast.marketer, "sign-in")
    for verb in ("GET", "HEAD", "GET"):
        assert door.open(link, method=verb).status_code == 200
        assert not door.is_in
    door.get(link)
    assert door.post(link).location == "/"
    assert door.is_in


def test_a_one_time_link_works_once(app, door, cast):
    link = link_for(cast, cast.marketer, "sign-in")
    door.post(link)
    late = Visitor(app)
    answer = late.post(link)
    assert answer.status_code == 404
    assert "used already" in answer.text
    assert not late.is_in


def test_of_two_who_follow_it_at_once_one_gets_in(app, cast):
    link, start = link_for(cast, cast.marketer, "sign-in"), Barrier(4)
    visitors = [Visitor(app) for _ in range(4)]

    def follow(visitor: Visitor) -> int:
        visitor.get("/sign-in")
        start.wait()
        return visitor.post(link).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(follow, visitors)) == [303, 404, 404, 404]
    assert sum(visitor.is_in for visitor in visitors) == 1


@pytest.mark.parametrize("ends", ["password", "time", "purpose", "garbage"])
def test_a_link_that_does_not_count_any_more(app, door, cast, ends):
    link = link_for(cast, cast.marketer, "sign-in")
    door.get("/sign-in")
    if ends == "password":
        with transaction(cast.org):
            users.set_password(users.get(cast.marketer), NEW)
    if ends == "purpose":
        link = link.replace("/sign-in/", "/welcome/")
    if ends == "garbage":
        link = link[:-3] + "xyz"
    with time_machine.travel(now() + timedelta(seconds=users.LINK_SECONDS + 5 if ends == "time" else 0)):
        assert door.post(link, {"password": NEW}).status_code == 404
    assert not door.is_in


def test_the_theme_stays_with_the_person(app, marketer, cast):
    assert 'data-theme="auto"' in marketer.get("/").text
    marketer.post("/account/theme", {"theme": "dark"})
    assert 'data-theme="dark"' in marketer.get("/leads").text
    again = Visitor(app)
    again.sign_in(cast.emails["marketer"])
    assert 'data-theme="dark"' in again.get("/").text
    marketer.post("/account/theme", {"theme": "<script>"})
    assert 'data-theme="dark"' in marketer.get("/").text


def test_a_part_of_a_page_asked_for_without_a_session_leads_to_the_door(door, cast):
    here = htmx(**{"HX-Current-URL": "http://localhost/leads?q=ada"})
    answer = door.get("/leads?q=ada&after=x", headers=here)
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/leads?q%3Dada"
    assert answer.text == ""
    for odd in ("http://[", "", "https://evil.example/leads"):
        answer = door.get("/leads", headers=htmx(**{"HX-Current-URL": odd}))
        assert answer.headers["HX-Redirect"] in ("/sign-in", "/sign-in?next=/leads")


def test_a_form_sent_without_a_session_is_not_asked_for_as_a_page_later(door):
    door.get("/sign-in")
    assert door.post("/leads/delete").location == "/sign-in"


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(door, cast):
    answer = door.sign_in(cast.emails["marketer"])
    (header,) = [h for h in answer.headers.getlist("Set-Cookie") if h.startswith("session=")]
    attributes = {part.strip().lower() for part in header.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= attributes
    assert not any(part.startswith(("expires", "max-age", "domain")) for part in attributes)


def test_failures_are_on_the_audit_log_without_the_password(door, cast):
    for _ in range(users.FAILURES_BEFORE_LOCK):
        door.sign_in(cast.emails["marketer"], "my secret guess")
    with transaction(cast.org):
        assert one("SELECT 1 FROM audit_log WHERE action = 'user.locked'")
        assert not [row for row in rows("SELECT l::text AS line FROM audit_log l") if "guess" in row.line]
