"""Values made to break things, put into every field of every body and every parameter: refused or kept, never a 500,
and nothing is kept that cannot be read back."""

import json
import sys
from contextlib import contextmanager
from typing import Any

import pytest

from tests.api.client import Caller
from tests.api.test_endpoints import ENDPOINTS, FILE, call
from webapp.api import reading

NESTED: Any = "deep"
for _ in range(reading.DEPTH + 5):
    NESTED = [NESTED]
VALUES = {
    "NUL": "a\0b", "half a surrogate": "\ud800", "beyond bigint": 10**30, "just beyond bigint": 2**63, "zero": 0,
    "huge float": 1e308, "not a number": float("nan"), "endless": float("inf"), "nothing": None, "list": [], "object": {},
    "nested": NESTED, "NUL inside": {"a": ["\0"]}, "NUL as a name": {"\0": 1}, "NaN inside": {"a": float("nan")},
    "surrogate inside": ["\ud800"], "tiny": "1e-999999999", "large": "1e999999999", "signalling": "sNaN",
    "before the calendar": "0001-01-01T00:00:00+14:00", "after it": "9999-12-31T23:59:59-14:00", "squared": "²",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "long": "x" * 10_000,
}  # fmt: skip
RULES = [
    {"field": {}, "operator": [], "value": "x"}, {"field": "city", "operator": "contains", "value": 1e308}, None, [], 5,
    {"field": "value_estimate", "operator": "in", "value": ["1e-999999"]},
    {"field": "value_estimate", "operator": "greater_than", "value": 10**14},
    {"field": "created_at", "operator": "equals", "value": "9999-12-31"},
    {"field": "created_at", "operator": "greater_than", "value": "9999-12-31"},
    {"field": "created_at", "operator": "less_than", "value": "0001-01-01"},
    {"rules": None}, {"match": ["all"], "rules": []},
]  # fmt: skip
RAW = {
    "unended": b"{", "no text": b"\xff\xfe", "endless lists": b"[" * 100_000, "endless objects": b'{"a":' * 100_000,
    "many digits": b'{"name": ' + b"1" * 5000 + b"}", "null": b"null", "a string": b'"x"', "nothing": b"",
}  # fmt: skip
# One of each kind: the others are read the same way.
SENDER_FIELDS = {"name", "address", "port", "password", "warming", "reason"}
WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body and endpoint.body is not FILE]


@pytest.fixture
def api(caller) -> Caller:
    """The admin: to them everything opens."""
    return caller("admin")


@pytest.fixture(scope="module")
def document(app) -> dict:
    return Caller(app).get("/api/openapi.json").json


def operation(document: dict, endpoint: Any) -> dict:
    path = f"/api/v1{endpoint.path}".replace("<", "{").replace(">", "}")
    return document["paths"][path][endpoint.method.lower()]


def send(api: Caller, endpoint: Any, ids: dict, body: Any) -> None:
    path = endpoint.path
    for name, one in ids.items():
        path = path.replace(f"<{name}>", str(one))
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = api(endpoint.method, path, data=raw, content_type="application/json")
    assert answer.status_code < 500, (endpoint, raw[:200], answer.text)


@contextmanager
def readable(api: Caller):
    """What was kept in the block can be read back after it."""
    yield
    for path in ("/leads", "/segments", "/templates", "/campaigns", "/senders"):
        assert api.get(f"{path}?page_size=200").status_code == 200, path


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
def test_no_value_in_any_field_breaks_it(document, api, world, endpoint):
    schema = operation(document, endpoint)["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    with readable(api):
        fields = document["components"]["schemas"][schema.rpartition("/")[2]]["properties"]
        for field in SENDER_FIELDS & set(fields) if "/senders" in endpoint.path else fields:
            for name, bad in VALUES.items():
                own = {"name": f"{field} {name}"} if "name" in endpoint.body else {}
                send(api, endpoint, world.ids(), endpoint.body | own | {field: bad})


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=str)
def test_no_body_breaks_it(api, world, endpoint):
    for raw in RAW.values():
        send(api, endpoint, world.ids(), raw)


def test_no_rule_breaks_a_segment(api, world):
    endpoint = next(e for e in WITH_BODY if str(e) == "POST /segments")
    with readable(api):
        for n, rule in enumerate(RULES):
            send(api, endpoint, {}, {"name": f"Flat {n}", "rules": [rule]})
            send(api, endpoint, {}, {"name": f"Tree {n}", "criteria": {"match": "all", "rules": [rule]}})
            for segment in api.get("/segments?page_size=200").json["data"]:
                assert api.get(f"/segments/{segment['id']}/leads").status_code == 200, rule


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_no_parameter_breaks_it(document, api, world, endpoint):
    texts = ("\0", "²", str(10**30), "-1", "nan", "x" * 5000, "'", "%ff")
    for parameter in operation(document, endpoint).get("parameters", []):
        if parameter["in"] == "query":
            for text in texts:
                answer = call(api, endpoint, world.ids(), query_string={parameter["name"]: text})
                assert answer.status_code < 500, (parameter["name"], text)
    for bad in (0, 2**63 - 1, 2**63, 10**30):
        assert call(api, endpoint, dict.fromkeys(world.ids(), bad)).status_code < 500, bad


def test_the_guard_against_long_numbers_is_on():
    assert 0 < sys.get_int_max_str_digits() < 5000
