"""Whatever goes wrong under /api/v1 is told as a problem document."""

import pytest

from tests.api.client import Caller, problem
from webapp import UPLOAD_LIMIT
from webapp.platform.db import run


def test_an_address_that_is_none(app, api):
    for path in ("/nothing", "/leads/", "/leads/1/nothing", "/leads/-1", f"/leads/{2**63}", "", "/"):
        problem(api.get(path), 404)
        problem(Caller(app).get(path), 404)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/leads"), ("PATCH", "/leads/1"), ("GET", "/auth/token")])
def test_a_method_that_is_none(api, method, path):
    answer = api(method, path)
    problem(answer, 405)
    assert answer.headers["Allow"]
    assert method not in answer.headers["Allow"]


def test_more_than_is_taken(api):
    for path in ("/leads", "/leads/import", "/auth/token"):
        large = {"CONTENT_LENGTH": str(UPLOAD_LIMIT + 1)}
        answer = api.post(path, data=b"{}", content_type="application/json", environ_overrides=large)
        problem(answer, 413)


@pytest.mark.parametrize("raw", [b"{", b"", b"\xff", b"{'a': 1}", b'{"a": 1} {"b": 2}'])
def test_what_is_no_json(api, raw):
    answer = api.post("/leads", data=raw, content_type="application/json")
    assert problem(answer, 400 if raw else 422)


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_json_that_is_no_object(api, body):
    assert problem(api.post("/segments", body) if body is not None else api.post("/segments", data=b"null"), 422)


def test_a_form_is_no_json(api):
    assert set(problem(api.post("/segments", data={"name": "A"}), 422)) == {"name"}


def test_unknown_fields_are_named_each(api):
    said = problem(api.post("/campaigns", {"name": "A", "colour": "red", "size": 5}), 422)
    assert set(said) == {"colour", "size"}


def test_what_we_got_wrong_is_told_without_our_insides(api, world, tx):
    with tx():
        run("UPDATE campaigns SET scheduled_at = 'infinity'")  # which Python's calendar does not have
    answer = api.get(f"/campaigns/{world.campaign_id}")
    assert problem(answer, 500) == {}
    assert "psycopg" not in answer.text


def test_the_callers_own_number_stands_in_the_problem(api):
    answer = api.get("/nothing", headers={"X-Request-Id": "my-number"})
    assert answer.json["instance"] == "urn:request:my-number"
