"""Lists: pages, their limits, and a cursor that sees every row once while others are added and taken away."""

import pytest

from tests.api.client import data, problem
from webapp.audience import leads
from webapp.platform.db import run

LISTS = ("/leads", "/segments", "/templates", "/automations/email-templates", "/campaigns")
ROWS = 23


@pytest.fixture
def many(tx) -> list[int]:
    """Ids of leads, newest first."""
    with tx():
        made = [leads.create({"first_name": f"Lead {n}", "state": "TX"}).id for n in range(ROWS)]
    return made[::-1]


def walk(api, path: str, size: int, between=lambda: None) -> list[int]:
    """Reads a list to its end by cursor. between: what happens after each page."""
    seen, cursor = [], ""
    while True:
        answer = api.get(f"{path}{'&' if '?' in path else '?'}page_size={size}{cursor}")
        seen += [row["id"] for row in data(answer)]
        if answer.json["next_cursor"] is None:
            return seen
        cursor = f"&cursor={answer.json['next_cursor']}"
        between()


def test_a_list_says_where_it_stands(api, many):
    answer = api.get("/leads?page=2&page_size=10")
    assert [row["id"] for row in data(answer)] == many[10:20]
    assert (answer.json["total"], answer.json["page"], answer.json["page_size"]) == (ROWS, 2, 10)
    last = api.get("/leads?page=3&page_size=10")
    assert [row["id"] for row in data(last)] == many[20:]
    assert last.json["next_cursor"] is None


def test_behind_the_last_page_is_nothing(api, many):
    answer = api.get("/leads?page=99")
    assert data(answer) == []
    assert answer.json["total"] == ROWS


def test_a_page_has_fifty_rows_unless_asked(api):
    assert api.get("/leads").json["page_size"] == 50


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("name", "bad"),
    [("page", "0"), ("page", "-1"), ("page", "x"), ("page", "1e9"), ("page", str(10**30)), ("page_size", "0"),
     ("page_size", "201"), ("page_size", ""), ("cursor", "x"), ("cursor", "²"), ("cursor", "-1"), ("cursor", "9" * 19),
     ("cursor", "")],
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused(api, path, name, bad):
    assert set(problem(api.get(path, query_string={name: bad}), 422)) == {name}


@pytest.mark.parametrize("path", LISTS)
def test_the_largest_page_is_two_hundred(api, path):
    assert api.get(f"{path}?page_size=200").json["page_size"] == 200


@pytest.mark.parametrize("size", [1, 7, ROWS - 1, ROWS, ROWS + 1])
def test_a_cursor_sees_every_row_once(api, many, size):
    assert walk(api, "/leads", size) == many


def test_a_cursor_sees_every_row_once_while_rows_are_added(api, many):
    added = iter(range(100))
    seen = walk(api, "/leads", 5, lambda: api.post("/leads", {"first_name": f"Late {next(added)}"}))
    assert seen == many


def test_a_cursor_misses_nobody_while_rows_are_deleted(api, many):
    seen = walk(api, "/leads", 5, lambda: api.delete(f"/leads/{data(api.get('/leads?page_size=1'))[0]['id']}"))
    assert seen == many


def test_a_cursor_keeps_to_the_filter(api, many):
    for lead in many[::2]:
        data(api.put(f"/leads/{lead}", {"status": "lost"}))
    assert walk(api, "/leads?status=lost", 4) == many[::2]


def test_the_leads_of_a_segment_are_read_by_cursor(api, world, many):
    assert walk(api, f"/segments/{world.segment_id}/leads", 4) == [*many, world.lead_id]


def test_the_sends_of_a_campaign_are_read_by_cursor(api, world, tx):
    with tx():
        run(
            "INSERT INTO sends (campaign_id, kind, channel, recipient_address, dedup_key, status)"
            " SELECT :id, 'campaign', 'email', n || '@example.com', 'k' || n, 'sent' FROM generate_series(1, 12) n",
            id=world.campaign_id,
        )
    path = f"/campaigns/{world.campaign_id}/sends"
    seen = walk(api, path, 5)
    assert len(seen) == len(set(seen)) == 12
    assert seen == sorted(seen, reverse=True)
    assert api.get(path).json["total"] == 12


@pytest.mark.parametrize("path", LISTS)
def test_an_empty_list_is_a_list(api, path):
    answer = api.get(path)
    assert data(answer) == []
    assert (answer.json["total"], answer.json["page"], answer.json["next_cursor"]) == (0, 1, None)
