"""The rate limit: so many calls a token and minute, counted in the database by all processes together."""

import dataclasses
from threading import Thread

import pytest

from tests.api.client import Caller, data, problem
from webapp.platform.db import run, value

LIMIT = 5


@pytest.fixture
def few(app, monkeypatch) -> None:
    """Few calls are allowed."""
    monkeypatch.setitem(app.config, "SETTINGS", dataclasses.replace(app.config["SETTINGS"], api_rate_limit=LIMIT))


def spend(api) -> None:
    for _ in range(LIMIT):
        data(api.get("/leads"))


def test_beyond_the_limit_one_is_told_when_to_come_back(api, few, tx):
    spend(api)
    refused = api.post("/leads", {"first_name": "Ada"})
    assert problem(refused, 429) == {}
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert str(LIMIT) in refused.json["detail"]
    with tx():
        assert value("SELECT count(*) FROM leads") == 0
        assert value("SELECT calls FROM api_tokens") == LIMIT


def test_after_the_minute_it_goes_on(api, few, tx):
    spend(api)
    problem(api.get("/leads"), 429)
    with tx():
        run("UPDATE api_tokens SET counted_from = counted_from - interval '1 minute'")
    spend(api)
    problem(api.get("/leads"), 429)


def test_each_token_has_calls_of_its_own(caller, few):
    first, second = caller("marketer"), caller("marketer")
    spend(first)
    problem(first.get("/leads"), 429)
    spend(second)


def test_calls_that_are_refused_for_what_they_say_count_too(api, few):
    for _ in range(LIMIT):
        problem(api.get("/leads/999999999"), 404)
    problem(api.get("/leads"), 429)


def test_calls_at_the_same_time_are_each_counted(app, api, few):
    seen: list[int] = []
    threads = [Thread(target=lambda: seen.append(Caller(app, api.token).get("/leads").status_code)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [200] * LIMIT + [429] * (12 - LIMIT)


def test_unless_set_it_is_six_hundred(app):
    assert app.config["SETTINGS"].api_rate_limit == 600
