"""Tokens: how one gets them, and every way in which one does not count."""

import base64
import json
from datetime import timedelta

import pytest
import time_machine

from tests.api.client import Caller, data, problem, token_of
from webapp.platform import api_tokens, users
from webapp.platform.clock import now
from webapp.platform.db import run, value

SAME_FOR_ALL = "That e-mail address and password do not belong together."


def refused(app, token: str) -> str:
    """Checks that a token is answered as none, and returns the words."""
    answer = Caller(app, token).get("/leads")
    assert problem(answer, 401) == {}
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    return answer.json["detail"]


def test_address_and_password_give_a_token_that_works(app, cast):
    answer = token_of(app, cast.emails["marketer"].upper())
    assert answer.status_code == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 3600
    assert data(Caller(app, answer.json["access_token"]).get("/leads")) == []


def test_the_command_line_prints_a_token_that_works(app, cast):
    printed = app.test_cli_runner().invoke(args=["token", cast.emails["viewer"]])
    assert printed.exit_code == 0, printed.output
    assert data(Caller(app, printed.output.strip()).get("/segments")) == []


def test_the_command_line_knows_who_is_nobody(app, cast):
    printed = app.test_cli_runner().invoke(args=["token", "nobody@example.com"])
    assert printed.exit_code == 1
    assert "Nobody signs in as nobody@example.com." in printed.output


def test_a_token_sees_its_own_organisation_only(app, caller, world, other_world):
    assert [lead["id"] for lead in data(caller("viewer").get("/leads"))] == [world.lead_id]
    assert [lead["id"] for lead in data(caller("stranger").get("/leads"))] == [other_world.lead_id]


def test_a_wrong_password_and_an_unknown_address_are_told_the_same(app, cast):
    wrong = token_of(app, cast.emails["marketer"], "not the password")
    unknown = token_of(app, "nobody@example.com", "not the password")
    assert problem(wrong, 401) == problem(unknown, 401) == {}
    assert wrong.json["detail"] == unknown.json["detail"] == SAME_FOR_ALL
    assert wrong.headers["WWW-Authenticate"] == "Bearer"


def test_five_wrong_passwords_lock_the_door_for_a_while(app, cast):
    for _ in range(users.FAILURES_BEFORE_LOCK):
        problem(token_of(app, cast.emails["marketer"], "not the password"), 401)
    locked = token_of(app, cast.emails["marketer"])
    problem(locked, 429)
    assert 0 < int(locked.headers["Retry-After"]) <= users.LOCK_MINUTES * 60 + 1
    with time_machine.travel(now() + timedelta(minutes=users.LOCK_MINUTES + 1)):
        assert token_of(app, cast.emails["marketer"]).status_code == 200


def test_a_right_password_forgets_the_wrong_ones_before_it(app, cast):
    for _ in range(2):
        for _ in range(users.FAILURES_BEFORE_LOCK - 1):
            token_of(app, cast.emails["marketer"], "not the password")
        assert token_of(app, cast.emails["marketer"]).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"email": "a@b.example"}, {"email": 1, "password": "x"}, {"email": "a", "password": "b", "more": 1}]
)
def test_credentials_that_are_none_are_named_by_field(app, body):
    assert problem(Caller(app).post("/auth/token", body), 422)


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é" * 9, "null", "0" * 5000, "eyJhbGciOiJub25lIn0.e30."])
def test_garbage_is_no_token(app, cast, token):
    refused(app, token)


def test_other_words_before_the_token_do_not_count(app, api):
    for header in (f"Basic {api.token}", api.token, "Bearer", "Bearer ", f"Token {api.token}"):
        problem(Caller(app).get("/leads", headers={"Authorization": header}), 401)


def test_a_token_signed_by_somebody_else_does_not_count(app, cast, tx, user_of):
    with tx():
        forged = api_tokens.issue(user_of(cast.admin), "another secret " * 4)
    refused(app, forged)


def test_a_token_without_a_signature_does_not_count(app, api):
    _, claims, _ = api.token.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    refused(app, f"{unsigned}.{claims}.")


def test_a_token_cannot_be_moved_to_another_organisation(app, api, cast):
    head, claims, signature = api.token.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    moved = base64.urlsafe_b64encode(json.dumps(read | {"org": cast.other_org}).encode()).decode().rstrip("=")
    refused(app, f"{head}.{moved}.{signature}")


def test_a_token_runs_out(app, api):
    with time_machine.travel(now() + timedelta(seconds=api_tokens.LIFETIME + 5)):
        assert refused(app, api.token) == "The access token has expired."


def test_a_token_can_be_taken_back(app, api, tx):
    with tx():
        assert run("UPDATE api_tokens SET revoked_at = now()") == 1
    assert refused(app, api.token) == "The access token is not valid any more."


def test_a_token_ends_with_its_user(app, api, cast, tx, user_of):
    with tx():
        users.change(user_of(cast.marketer), is_active=False)
    refused(app, api.token)
    problem(token_of(app, cast.emails["marketer"]), 401)


def test_a_token_has_the_role_its_user_has_now(app, api, cast, tx, user_of):
    with tx():
        users.change(user_of(cast.marketer), role="viewer")
    problem(api.post("/leads", {"first_name": "Ada"}), 403)


def test_the_use_of_a_token_is_noted(api, tx):
    api.get("/leads")
    with tx():
        assert value("SELECT last_used_at IS NOT NULL FROM api_tokens")
