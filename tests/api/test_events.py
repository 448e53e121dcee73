"""Events of other systems on the timeline, one or many; and the timeline read to its end."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.api.client import data, problem
from webapp.audience import leads, timeline
from webapp.platform.clock import now
from webapp.platform.db import value


@pytest.fixture
def ada(tx) -> int:
    with tx():
        return leads.create({"first_name": "Ada", "email": "Ada@events.example", "external_id": "A-1"}).id


def facts(api, lead_id: int, **query) -> dict:
    answer = api.get(f"/leads/{lead_id}/timeline", query_string=query)
    data(answer)
    return answer.json


def test_an_event_stands_on_the_timeline(api, cast, ada):
    event = {
        "lead_id": ada,
        "type": "quote_requested",
        "payload": {"amount": 12.5, "kind": "auto"},
        "occurred_at": "2026-01-02T03:04:05+02:00",
    }
    told = data(api.post("/events", event), 201)
    assert told | {"results": None} == {"recorded": 1, "refused": 0, "results": None}
    kept = told["results"][0]["event"]
    assert (kept["type"], kept["payload"], kept["actor"]) == (
        "quote_requested",
        event["payload"],
        f"user:{cast.marketer}",
    )
    assert datetime.fromisoformat(kept["occurred_at"]) == datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)
    assert kept in facts(api, ada)["data"]


@pytest.mark.parametrize("name", [{"external_id": "A-1"}, {"email": "ADA@events.example"}])
def test_a_lead_may_be_named_by_what_it_is_known_by(api, ada, name):
    told = data(api.post("/events", name | {"type": "custom"}), 201)
    assert told["results"][0]["lead_id"] == ada


def test_the_last_activity_is_only_ever_later(api, ada, tx):
    with tx():
        leads.get(ada).last_activity_at = now() - timedelta(days=5)
    for days in (9, 2, 3):
        data(
            api.post(
                "/events",
                {"lead_id": ada, "type": "visited_branch", "occurred_at": (now() - timedelta(days=days)).isoformat()},
            ),
            201,
        )
    with tx():
        assert timedelta(days=2) <= now() - leads.get(ada).last_activity_at < timedelta(days=2, minutes=1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "email_opened"}, "type"), ({"type": "score_threshold_crossed"}, "type"),
        ({"type": "Quote"}, "type"), ({"type": "9lives"}, "type"), ({"type": ""}, "type"), ({"type": "a"}, "type"),
        ({"type": "a" * 61}, "type"), ({"type": None}, "type"), ({"type": "a b"}, "type"),
        ({"type": "naïve"}, "type"), ({"type": "quote\n"}, "type"), ({"payload": {"a": "é" * 5_000}}, "payload"),
        ({"payload": []}, "payload"), ({"payload": "x"}, "payload"), ({"occurred_at": "tomorrow"}, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at"),
        ({"occurred_at": "2999-01-01T00:00:00Z"}, "occurred_at"), ({"lead_id": None}, "lead_id"),
        ({"lead_id": 2**63}, "lead_id"), ({"lead_id": "x"}, "lead_id"), ({"email": "ada@events.example"}, "lead_id"),
        ({"more": 1}, "more"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused_at_its_field(api, ada, change, field):
    assert set(problem(api.post("/events", {"lead_id": ada, "type": "quote_requested"} | change), 422)) == {field}


def test_nobody_and_the_deleted_and_the_strangers_have_no_timeline(api, ada, other_world):
    for lead_id in (2**40, other_world.lead_id):
        problem(api.post("/events", {"lead_id": lead_id, "type": "quote_requested"}), 404)
    for name in ({"external_id": "Z"}, {"email": "nobody@events.example"}):
        assert set(problem(api.post("/events", name | {"type": "quote_requested"}), 422)) == set(name)
    data(api.delete(f"/leads/{ada}"))
    problem(api.post("/events", {"lead_id": ada, "type": "quote_requested"}), 404)


def test_of_many_each_is_taken_or_refused_by_itself(api, ada, tx):
    many = [
        {"email": "ada@events.example", "type": "quote_requested"}, {"email": "nobody@events.example", "type": "quote_requested"},
        {"lead_id": ada, "type": "email_opened"}, "nonsense", {"external_id": "A-1", "type": "claim_made", "payload": {"n": 1}},
        {"lead_id": -1, "type": "claim_made"}, {"lead_id": ada, "type": "claim_made", "shoe_size": 1}, {},
    ]  # fmt: skip
    told = data(api.post("/events", {"events": many}), 201)
    assert [row["result"] for row in told["results"]] == ["recorded", *["refused"] * 3, "recorded", *["refused"] * 3]
    assert [set(row["errors"]) for row in told["results"] if row["errors"]] == [
        {"email"}, {"type"}, {"row"}, {"lead_id"}, {"shoe_size"}, {"lead_id", "type"},
    ]  # fmt: skip
    assert (told["recorded"], told["refused"]) == (2, 6)
    with tx():
        assert value("SELECT count(*) FROM lead_events WHERE type IN ('quote_requested', 'claim_made')") == 2


@pytest.mark.parametrize(
    "body", [{"events": []}, {"events": {}}, {"events": [{"type": "ab", "external_id": "A-1"}] * 1001},
             {"events": [{}], "type": "ab"}, {}, []],
)  # fmt: skip
def test_a_call_that_is_none_is_refused_whole(api, body):
    assert problem(api.post("/events", body), 422)


def test_a_thousand_at_once(api, ada, tx):
    many = [{"lead_id": ada, "type": "page_seen", "payload": {"n": n}} for n in range(1000)]
    assert data(api.post("/events", {"events": many}), 201)["recorded"] == 1000


def test_the_timeline_is_read_to_its_end_each_fact_once(api, ada, tx):
    same = now() - timedelta(hours=1)
    with tx():
        timeline.record_many([(ada, {"n": n}) for n in range(25)], "page_seen", at=same)
        timeline.record_many([(ada, {"n": n}) for n in range(5)], "claim_made")
    seen, cursor = [], None
    while True:
        page = facts(api, ada, page_size=7, **({"cursor": cursor} if cursor else {}))
        assert (page["total"], page["page"], page["page_size"]) == (31, 1, 7)
        seen += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    whole = facts(api, ada)
    assert seen == whole["data"] and len({fact["id"] for fact in seen}) == 31
    assert (whole["page_size"], whole["next_cursor"]) == (200, None)


def test_the_timeline_of_some_kinds(api, ada, tx):
    with tx():
        for kind in ("page_seen", "page_seen", "claim_made"):
            timeline.record(ada, kind)
    page = facts(api, ada, types="page_seen, lead_created", page_size=2)
    assert ([fact["type"] for fact in page["data"]], page["total"]) == (["page_seen", "page_seen"], 3)
    assert [f["type"] for f in facts(api, ada, types="page_seen,lead_created", cursor=page["next_cursor"])["data"]] == [
        "lead_created"
    ]
    assert facts(api, ada, types="never_seen")["data"] == []


@pytest.mark.parametrize(
    "query", ["types=", "types=A", "types=a b", "types=a,,b", "page_size=0", "page_size=201", "cursor=", "cursor=x", "cursor=1",
              "cursor=1.", "cursor=.5", "cursor=99999999999999999999.1", "cursor=1.99999999999999999999", "cursor=1.²", "cursor=-1e9.5"],
)  # fmt: skip
def test_what_is_no_page_of_a_timeline_is_refused(api, ada, query):
    assert set(problem(api.get(f"/leads/{ada}/timeline?{query}"), 422)) == {query.partition("=")[0]}
