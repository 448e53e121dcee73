"""Many leads in one call: each row is found or made by itself, in order, and what is wrong with one refuses no other."""

import pytest

from tests.api.client import data, problem
from webapp.audience import consents, leads, upserting
from webapp.platform.db import rows, value

ADA = {"external_id": "A-1", "first_name": "Ada", "email": "Ada@example.com", "phone": "415 200 0001", "city": "Austin"}


def bulk(api, *given, **more) -> dict:
    return data(api.post("/leads/bulk", {"leads": list(given)} | more))


def outcome(answer: dict) -> list[str]:
    return [row["result"] for row in answer["results"]]


def timeline_of(api, lead_id: int) -> list[tuple]:
    return [(fact["type"], fact["payload"]) for fact in data(api.get(f"/leads/{lead_id}/timeline"))][::-1]


def test_a_row_makes_a_lead_then_changes_it_then_leaves_it(api):
    first, second, third = (
        bulk(api, ADA),
        bulk(api, ADA | {"city": "Dallas", "email": None}),
        bulk(api, {"external_id": "A-1"}),
    )
    assert [outcome(answer) for answer in (first, second, third)] == [["created"], ["updated"], ["unchanged"]]
    (lead_id,) = {answer["results"][0]["id"] for answer in (first, second, third)}
    kept = data(api.get(f"/leads/{lead_id}"))
    assert (kept["city"], kept["email"], kept["phone"], kept["source"]) == ("Dallas", None, "+14152000001", "api")
    assert (kept["status"], kept["tags"], kept["attributes"]) == ("new", [], {})
    assert timeline_of(api, lead_id) == [
        ("lead_created", {"source": "api"}),
        ("lead_updated", {"changes": {"city": ["Austin", "Dallas"], "email": ["Ada@example.com", None]}}),
    ]
    assert first | {"results": None} == {"created": 1, "updated": 0, "unchanged": 0, "refused": 0, "results": None}


def test_it_writes_what_single_calls_write(api):
    """The same changes by PUT and in bulk leave the same lead and the same facts."""
    rows_ = [
        {"status": "contacted", "tags": ["VIP", "vip"], "attributes": {"cars": 2, "sold": False}},
        {"status": "lost", "value_estimate": "1200.005", "date_of_birth": "1980-02-29"},
        {"value_estimate": None, "tags": [], "attributes": {}, "customer_tier": "gold", "insurance_type": "auto"},
    ]
    one = data(api.post("/leads", ADA), 201)["id"]
    for row in rows_:
        data(api.put(f"/leads/{one}", row))
    data(api.put(f"/leads/{one}", {"external_id": None, "email": None, "phone": None}))
    bulk(api, ADA, *(row | {"external_id": "A-1"} for row in rows_))
    other = bulk(api, ADA)["results"][0]["id"]
    data(api.put(f"/leads/{other}", {"external_id": None, "email": None, "phone": None}))
    kept = [data(api.get(f"/leads/{lead}")) for lead in (one, other)]
    assert kept[0] | dict.fromkeys(("id", "created_at", "updated_at")) == kept[1] | dict.fromkeys(
        ("id", "created_at", "updated_at")
    )
    by_kind = [sorted(timeline_of(api, lead), key=lambda fact: fact[0]) for lead in (one, other)]
    assert by_kind[0] == by_kind[1]


def test_leads_are_found_by_what_is_asked_for_in_order(api):
    made = bulk(api, ADA)["results"][0]["id"]
    assert bulk(api, {"email": "ADA@EXAMPLE.COM", "city": "Waco"})["results"][0] == {
        "index": 0, "id": made, "result": "updated", "errors": {},
    }  # fmt: skip
    assert bulk(api, {"phone": "+1 (415) 200-0001", "city": "El Paso"})["results"][0]["id"] == made
    told = bulk(api, {"phone": "415 200 0001", "external_id": "B-2"}, match_on=["external_id"])["results"][0]
    assert (told["result"], set(told["errors"])) == ("refused", {"phone"})
    told = bulk(api, {"phone": "415 200 0001", "city": "Waco"}, match_on=["external_id", "email"])["results"][0]
    assert (told["result"], set(told["errors"])) == ("refused", {"external_id"})


def test_a_row_that_is_two_people_is_refused_and_the_others_are_taken(api):
    ada, bea = (row["id"] for row in bulk(api, ADA, {"external_id": "B-1", "email": "bea@example.com"})["results"])
    answer = bulk(
        api,
        {"external_id": "B-1", "city": "Waco"},
        {"external_id": "A-1", "email": "bea@example.com"},
        {"email": "c@example.com"},
    )
    assert outcome(answer) == ["updated", "refused", "created"]
    assert answer["results"][1] == {
        "index": 1,
        "id": None,
        "result": "refused",
        "errors": {"email": "Another lead has this already."},
    }
    assert data(api.get(f"/leads/{ada}"))["email"] == "Ada@example.com"


def test_rows_of_one_call_build_on_each_other(api):
    answer = bulk(
        api,
        {"external_id": "A-1", "email": "one@example.com"},
        {"email": "ONE@example.com", "phone": "415 200 0002"},
        {"phone": "415 200 0002", "email": "two@example.com"},
        {"email": "one@example.com", "first_name": "Somebody else"},
        {"external_id": "A-1"},
    )
    assert outcome(answer) == ["created", "updated", "updated", "created", "unchanged"]
    ids = [row["id"] for row in answer["results"]]
    assert ids[0] == ids[1] == ids[2] == ids[4] != ids[3]
    assert [data(api.get(f"/leads/{lead}"))["email"] for lead in (ids[0], ids[3])] == [
        "two@example.com",
        "one@example.com",
    ]
    assert [kind for kind, _ in timeline_of(api, ids[0])] == ["lead_created", "lead_updated", "lead_updated"]


def test_known_leads_may_exchange_what_they_are_known_by(api):
    a, b = (
        row["id"]
        for row in bulk(
            api, {"external_id": "A", "email": "a@example.com"}, {"external_id": "B", "email": "b@example.com"}
        )["results"]
    )
    answer = bulk(
        api,
        {"external_id": "A", "email": None},
        {"external_id": "B", "email": "a@example.com"},
        {"external_id": "A", "email": "b@example.com"},
    )
    assert outcome(answer) == ["updated"] * 3
    assert [data(api.get(f"/leads/{lead}"))["email"] for lead in (a, b)] == ["b@example.com", "a@example.com"]


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"email": "no", "phone": "1"}, {"email", "phone"}), ({"external_id": "X", "status": "asleep"}, {"status"}),
        ({"external_id": "X", "shoe_size": 42}, {"shoe_size"}), ({"first_name": "Nobody"}, {"external_id"}),
        ({}, {"external_id"}), ("a lead", {"row"}), (None, {"row"}), ([], {"row"}),
        ({"external_id": " ", "email": None}, {"external_id"}), ({"external_id": "X", "attributes": {"a": "b" * 30_000}}, {"attributes"}),
        ({"external_id": "X", "value_estimate": "1e99"}, {"value_estimate"}), ({"external_id": "X", "tags": "a"}, {"tags"}),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_at_its_fields_and_keeps_no_other_out(api, row, fields):
    answer = bulk(api, {"external_id": "Good 1"}, row, {"external_id": "Good 2"})
    assert outcome(answer) == ["created", "refused", "created"]
    assert set(answer["results"][1]["errors"]) == fields
    assert all(isinstance(words, str) and words for words in answer["results"][1]["errors"].values())


@pytest.mark.parametrize(
    "body", [{}, {"leads": []}, {"leads": {}}, {"leads": [{}], "match_on": []}, {"leads": [{}], "match_on": ["city"]},
             {"leads": [{"external_id": "X"}] * 10_001}, {"leads": [{}], "more": 1}, []]
)  # fmt: skip
def test_a_call_that_is_none_is_refused_whole(api, body):
    assert problem(api.post("/leads/bulk", body), 422)


def test_the_deleted_and_the_strangers_are_not_found(api, caller, tx):
    made = bulk(api, ADA)["results"][0]["id"]
    data(api.delete(f"/leads/{made}"))
    assert outcome(bulk(api, ADA)) == ["created"]
    assert outcome(bulk(caller("stranger"), ADA)) == ["created"]


def test_consents_are_never_changed(api, tx):
    made = bulk(api, ADA)["results"][0]["id"]
    with tx():
        consents.set_consent(made, "email", "unsubscribed", source="test")
    bulk(api, ADA | {"city": "Waco"})
    with tx():
        assert value("SELECT status FROM consents") == "unsubscribed"


def test_the_same_key_carries_it_out_once(api):
    answers = [api.post("/leads/bulk", {"leads": [ADA]}, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert len(data(api.get("/leads"))) == 1


def test_somebody_who_makes_the_same_lead_meanwhile_is_found(api, tx, monkeypatch):
    made = upserting._make

    def late(people):
        monkeypatch.setattr(upserting, "_make", made)
        upserting.run("INSERT INTO leads (external_id) VALUES ('A-1')")
        made(people)

    monkeypatch.setattr(upserting, "_make", late)
    assert outcome(bulk(api, ADA)) == ["created"]
    assert len(data(api.get("/leads"))) == 1


def test_ten_thousand_rows_are_added_and_changed_in_one_call(api, tx):
    given = [
        {"external_id": f"N-{n}", "email": f"n{n}@example.com", "phone": f"+1415{2_000_000 + n}", "first_name": "N",
         "last_name": str(n), "city": "Austin", "tags": ["bulk"]}
        for n in range(10_000)
    ]  # fmt: skip
    for change in ({}, {"city": "Dallas"}):
        answer = bulk(api, *(row | change for row in given))
    assert answer["updated"] == 10_000
    with tx():
        assert rows("SELECT type, count(*) FROM lead_events GROUP BY type ORDER BY type") == [
            ("lead_created", 10_000), ("lead_updated", 10_000),
        ]  # fmt: skip
        assert leads.count() == 10_000
