"""Idempotency keys: a call made twice under one key is carried out once and answered the same."""

import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.api.client import data, problem
from tests.api.world import CSV, RULES, TEMPLATE
from webapp.platform import idempotency
from webapp.platform.db import run, value

KEY = {"Idempotency-Key": "order-66"}


def keys() -> int:
    return value("SELECT count(*) FROM idempotency_keys")


def test_the_same_call_twice_makes_one_row_and_one_answer(api, tx):
    first, second = (api.post("/leads", {"first_name": "Ada"}, headers=KEY) for _ in range(2))
    assert first.json == second.json
    assert first.status_code == second.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    with tx():
        assert value("SELECT count(*) FROM leads") == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("/segments", {"name": "A", "rules": RULES}), ("/templates", TEMPLATE), ("/campaigns", {"name": "A"}),
     ("/automations/email-templates", {"name": "A", "subject": "Hi", "body_html": "<p>Hi</p>"})],
)  # fmt: skip
def test_everything_that_can_be_made_is_made_once(api, path, body):
    first, second = (api.post(path, body, headers=KEY) for _ in range(2))
    assert data(first, 201) == data(second, 201)
    assert api.get(path).json["total"] == 1


def upload(api, content: bytes = CSV, name: str = "leads.csv"):
    return api.post("/leads/import", data={"file": (io.BytesIO(content), name)}, headers=KEY)


def test_a_file_uploaded_again_is_taken_once(api, tx):
    assert data(upload(api), 202) == data(upload(api), 202)
    problem(upload(api, CSV + b"Cid,cid@import.example,CA\n"), 409)
    problem(upload(api, name="others.csv"), 409)
    with tx():
        assert value("SELECT count(*) FROM imports") == 1


def test_a_move_repeated_is_no_conflict(api, world):
    path = f"/campaigns/{world.campaign_id}/launch"
    assert data(api.post(path, headers=KEY)) == data(api.post(path, headers=KEY))
    problem(api.post(path), 409)


def test_a_deletion_repeated_is_no_404(api, world):
    for _ in range(2):
        data(api.delete(f"/leads/{world.lead_id}", headers=KEY))
    problem(api.delete(f"/leads/{world.lead_id}"), 404)


def test_the_same_key_for_another_call_is_a_conflict(api, world):
    data(api.post("/leads", {"first_name": "Ada"}, headers=KEY), 201)
    for other in (
        api.post("/leads", {"first_name": "Bea"}, headers=KEY),
        api.post("/segments", {"name": "Ada"}, headers=KEY),
        api.put(f"/leads/{world.lead_id}", {"first_name": "Ada"}, headers=KEY),
        api.post("/leads?x=1", {"first_name": "Ada"}, headers=KEY),
    ):
        problem(other, 409)
    assert api.get("/leads").json["total"] == 2


def test_a_call_that_fails_leaves_no_key(api, tx):
    problem(api.post("/leads", {"email": "no"}, headers=KEY), 422)
    problem(api.delete("/leads/1", headers=KEY), 404)
    problem(api.post("/leads", data="{", content_type="application/json", headers=KEY), 400)
    with tx():
        assert keys() == 0
    data(api.post("/leads", {"first_name": "Ada"}, headers=KEY), 201)


def test_a_refused_role_leaves_no_key(caller, tx):
    problem(caller("viewer").post("/leads", {"first_name": "Ada"}, headers=KEY), 403)
    with tx():
        assert keys() == 0


def test_everybody_has_keys_of_their_own(caller):
    for who in ("marketer", "admin", "stranger"):
        made = caller(who).post("/leads", {"first_name": who}, headers=KEY)
        assert data(made, 201)["first_name"] == who


def test_reading_takes_no_key(api, tx):
    assert data(api.get("/leads", headers=KEY)) == []
    with tx():
        assert keys() == 0


def test_a_key_is_at_most_two_hundred_characters(api):
    data(api.post("/leads", {"first_name": "Ada"}, headers={"Idempotency-Key": "k" * 200}), 201)
    answer = api.post("/leads", {"first_name": "Ada"}, headers={"Idempotency-Key": "k" * 201})
    assert set(problem(answer, 422)) == {"Idempotency-Key"}


def test_without_a_key_every_call_counts(api):
    for _ in range(2):
        data(api.post("/leads", {"first_name": "Ada"}), 201)
    assert api.get("/leads").json["total"] == 2


def test_many_at_once_make_one_row(api, tx):
    start = Barrier(6)

    def call(_: int):
        start.wait()
        return api.post("/leads", {"first_name": "Ada"}, headers=KEY)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(call, range(6)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["data"]["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
    with tx():
        assert value("SELECT count(*) FROM leads") == 1


def test_a_key_is_forgotten_after_a_day(api, tx):
    data(api.post("/leads", {"first_name": "Ada"}, headers=KEY), 201)
    with tx():
        run("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
        idempotency.prune()
        assert keys() == 0
