"""The lists: searched, filtered, sorted and paged through forth and back, and never broken by what stands in the address."""

import base64
import json
import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.world import RULES, build
from tests.web.visitor import Visitor, htmx
from webapp.audience import leads, timeline
from webapp.platform.clock import now
from webapp.platform.db import run, transaction

ROWS = 120
LISTS = ("/leads", "/segments", "/imports", "/campaigns", "/campaigns/{campaign_id}/recipients", "/templates", "/mailbox",
         "/audit", "/policies", "/groups", "/personas")  # fmt: skip
ROW = re.compile(r'<tr data-href="/leads/(\d+)"')
TIMELINE = "/leads/{lead_id}/timeline"


@pytest.fixture
def admin(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["admin"])
    return visitor


@pytest.fixture
def many(cast) -> list[int]:
    """Ids of leads with many equal values, oldest first."""
    with transaction(cast.org):
        made = [
            leads.create(
                {"first_name": f"Name{n % 7}", "last_name": f"Last{n:03}", "value_estimate": n % 5 or None,
                 "status": ("new", "lost")[n % 2], "insurance_type": ("auto", "home", None)[n % 3]}
            ).id
            for n in range(ROWS)
        ]  # fmt: skip
        # Whole groups of them were made at the very same moment.
        run("UPDATE leads SET created_at = :now - (id % 4) * interval '1 hour'", now=now() - timedelta(days=1))
    return made


def shown(response) -> list[int]:
    assert response.status_code == 200
    return [int(found) for found in ROW.findall(response.text)]


def neighbour(response, name: str) -> str | None:
    """Returns the address of the next or previous page."""
    found = re.search(rf'href="([^"]*(?:\?|&amp;){name}=[^"]*)"', response.text)
    return unescape(found[1]) if found else None


def walk(who: Visitor, address: str) -> tuple[list[list[int]], list[list[int]]]:
    """Returns the rows of each page, going on to the end and then all the way back."""
    page = who.get(address)
    forth, back = [shown(page)], []
    while following := neighbour(page, "after"):
        page = who.get(following)
        forth.append(shown(page))
    back.append(shown(page))
    while before := neighbour(page, "before"):
        page = who.get(before)
        back.append(shown(page))
    return forth, back


@pytest.mark.parametrize("sort", ["name", "-name", "value", "-value", "created", "-created", "", "nonsense"])
def test_every_row_is_visited_once_forth_and_back(admin, many, sort):
    forth, back = walk(admin, f"/leads?sort={sort}")
    assert [len(page) for page in forth] == [50, 50, 20]
    assert sorted(row for page in forth for row in page) == many
    assert back == forth[::-1]


def test_rows_stand_in_the_order_asked_for(admin, many, cast):
    with transaction(cast.org):
        run("UPDATE leads SET first_name = 'aaa', value_estimate = 999 WHERE id = :id", id=many[60])
        run("UPDATE leads SET first_name = 'zzz', created_at = now() WHERE id = :id", id=many[61])
    assert shown(admin.get("/leads?sort=name"))[0] == many[60]
    assert shown(admin.get("/leads?sort=-name"))[0] == many[61]
    assert shown(admin.get("/leads?sort=-value"))[0] == many[60]
    assert shown(admin.get("/leads"))[0] == many[61]


def test_a_filter_holds_on_every_page(admin, many):
    forth, back = walk(admin, "/leads?status=lost&sort=name")
    assert sorted(row for page in forth for row in page) == many[1::2]
    assert back == forth[::-1]
    assert shown(admin.get("/leads?status=lost&insurance_type=home&q=name"))
    assert len(shown(admin.get("/leads?status=unheard"))) == 50


def test_a_search_finds_the_beginning_of_a_name(admin, many):
    assert shown(admin.get("/leads?q=last077")) == [many[77]]
    assert len(shown(admin.get("/leads?q=NAME1"))) == len(range(1, ROWS, 7))
    nothing = admin.get("/leads?q=nobody")
    assert shown(nothing) == []
    assert "Nothing matches" in nothing.text
    assert 'value="nobody"' in nothing.text


def test_rows_added_while_one_reads_do_not_come_twice(admin, many, cast):
    first = admin.get("/leads")
    with transaction(cast.org):
        for n in range(60):
            leads.create({"first_name": f"Late {n}"})
    second = admin.get(neighbour(first, "after"))
    assert not set(shown(first)) & set(shown(second))


@pytest.mark.parametrize("path", [path for path in LISTS if "{" not in path])
def test_an_empty_list_says_what_belongs_there(app, cast, path):
    with transaction(cast.other_org):
        run("DELETE FROM leads")
    stranger = Visitor(app)
    stranger.sign_in(cast.emails["stranger"])
    page = stranger.get(path).text
    assert path == "/audit" or re.search(r"(No [a-z]+ yet|Nothing (has arrived|was imported yet))", page), page


def cursor(*parts) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


BAD_CURSORS = [
    "x", "=", "²", "AAAA", "[]", cursor(), cursor(1), cursor(1, 2, 3), cursor("a\0b", 1), cursor("\ud800", 1),
    cursor("NaN", 1), cursor("sNaN", 1), cursor("Infinity", 1), cursor("1e999999999", 1), cursor("1e-999999999", 1),
    cursor(10**30, 1), cursor("1", 10**30), cursor("1", -(10**30)), cursor(float("inf"), 1), cursor("1", float("nan")),
    cursor("0001-01-01T00:00:00+14:00", 1), cursor("9999-12-31T23:59:59-14:00", 1), cursor("2026-01-01", 1),
    cursor(None, None), cursor({}, []), cursor("1", "²"), cursor(True, True), cursor("x" * 5000, 1),
    base64.urlsafe_b64encode(b"[" * 50_000).decode(), base64.urlsafe_b64encode(b"1" * 5000).decode(),
]  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_written_by_hand_breaks_nothing(admin, cast, path):
    address = path.format(**build(cast.org, cast.admin).ids())
    columns = set(re.findall(r"sort=-?([a-z]+)", admin.get(address).text))
    assert columns
    for sort in columns:
        for bad in BAD_CURSORS:
            for name in ("before", "after"):
                assert admin.get(address, query_string={name: bad, "sort": sort}).status_code == 200, (sort, bad[:80])


@pytest.mark.parametrize(
    "bad", ["", "x", "~", "2026-01-01~x", "2026-01-01~²", f"2026-01-01~{10**30}", "0001-01-01T00:00:00+14:00~1",
            "9999-12-31T23:59:59-14:00~1", "2026-01-01~-1", "2026-01-01\0~1"]
)  # fmt: skip
def test_a_place_in_the_timeline_written_by_hand_breaks_nothing(admin, cast, bad):
    address = TIMELINE.format(**build(cast.org, cast.admin).ids())
    assert admin.get(address, query_string={"before": bad}).status_code < 400


@pytest.mark.parametrize("ids", [["x"], ["²"], [str(10**30)], ["-1"], ["0"], ["1,2"], [""], ["\0"], []])
def test_ids_written_by_hand_break_nothing(admin, ids):
    assert admin.post("/leads/delete", {"ids": ids}).status_code == 303
    assert admin.post("/leads/restore", query_string={"ids": ",".join(ids)}).status_code == 303


NAMES = (
    "q",
    "sort",
    "before",
    "after",
    "status",
    "priority",
    "insurance_type",
    "state",
    "category",
    "export",
    "show",
    "row",
)
WORDS = st.one_of(
    st.sampled_from(
        ["csv", "name", "-name", "--", "new", "active", "\0", "%", "_", "\\", "'", '"><script>', "²", "+1415"]
    ),
    st.text(max_size=30),
    st.builds(cursor, st.one_of(st.text(max_size=5), st.integers(), st.floats(), st.none()), st.integers()),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from([*LISTS, "/segments/rule", TIMELINE, "/"]),
    query=st.dictionaries(st.sampled_from(NAMES), WORDS),
)
def test_no_address_breaks_a_list(admin, cast, path, query):
    ids = dict.fromkeys(("campaign_id", "lead_id"), 1)
    answer = admin.get(path.format(**ids), query_string=query)
    assert answer.status_code < 500, (path, query)
    if answer.status_code == 200 and "export" not in query:
        assert "<script>" not in answer.text.partition("<main")[2]


def test_htmx_gets_the_table_and_a_browser_the_page(admin, many):
    page, part = admin.get("/leads?q=name1"), admin.get("/leads?q=name1", headers=htmx())
    assert "<html" in page.text
    assert "<html" not in part.text
    assert part.text.strip().startswith("<section")
    assert shown(page) == shown(part)
    assert "HX-Request" in page.headers["Vary"]
    assert "HX-Request" in part.headers["Vary"]
    back = admin.get("/leads?q=name1", headers=htmx(**{"HX-History-Restore-Request": "true"}))
    assert "<html" in back.text


def test_a_write_by_htmx_is_told_where_to_go(admin, cast):
    made = build(cast.org, cast.admin)
    answer = admin.post(f"/segments/{made.segment_id}/delete", headers=htmx())
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/segments")
    refused = admin.post(f"/campaigns/{made.campaign_id}/resume", headers=htmx())
    assert refused.status_code == 409
    assert refused.headers["HX-Reswap"] == "none"
    assert "cannot be resumed" in refused.text
    assert "<html" not in refused.text


def test_the_live_count_follows_the_rules_in_the_form(admin, many):
    form = {"match": "all", "node": "rule:a", "a-field": "status", "a-operator": "equals", "a-value": "lost"}
    assert ">60<" in admin.post("/segments/live", form).text
    odd = admin.post("/segments/live", form | {"a-value": "unheard of"})
    assert "Status is one of" in odd.text
    assert RULES[0]["field"] in admin.get("/segments/rule?row=a&a-field=state&changed=field").text


def test_search_and_sort_stand_in_the_links(admin, many):
    page = admin.get("/leads?q=name&status=lost&sort=-value")
    following = parse_qs(urlsplit(neighbour(page, "after")).query)
    assert {name: following[name] for name in ("q", "status", "sort")} == {
        "q": ["name"],
        "status": ["lost"],
        "sort": ["-value"],
    }


@pytest.mark.parametrize(
    "payload",
    [{"changes": {"owner_id": 5}}, {"changes": {"owner_id": ["9" * 5000]}}, {"changes": {"owner_id": [True, [1]]}},
     {"reason": ["a"]}, {"reason": {"a": 1}}, {"channel": ["x"], "from": "a"}, {"channel": {"x": 1}, "to": "z"},
     {"segment_id": [1], "segment": {}}, {"name": {"a": 1}}, {"direction": 1, "model": []}],
)  # fmt: skip
def test_what_others_send_about_a_lead_is_shown_whatever_it_holds(admin, cast, payload):
    with transaction(cast.org):
        lead = leads.create({"first_name": "Ada"}).id
        timeline.record(lead, "custom", payload)
        timeline.record(lead, "quote_requested", payload)
    assert admin.get(f"/leads/{lead}").status_code == 200
    assert admin.get(f"/leads/{lead}/timeline").status_code == 200


def test_a_lead_somebody_else_changed_meanwhile_is_not_written_over_unseen(admin, cast):
    with transaction(cast.org):
        lead = leads.create({"first_name": "Ada", "city": "Reno"}).id
    opened = re.search(r'name="opened" value="(\w+)"', admin.get(f"/leads/{lead}/edit").text)[1]
    with transaction(cast.org):
        leads.update(leads.get(lead), {"city": "Elko"})
    form = {"first_name": "Ada L.", "city": "Reno", "status": "new", "priority": "medium", "opened": opened,
            "insurance_type": "", "customer_tier": "", "timezone": "", "owner_id": ""}  # fmt: skip
    answer = admin.post(f"/leads/{lead}/edit", form)
    assert answer.status_code == 409 and "Ada L." in answer.text
    again = re.search(r'name="opened" value="(\w+)"', answer.text)[1]
    assert admin.post(f"/leads/{lead}/edit", form | {"opened": again}).status_code == 303
    with transaction(cast.org):
        assert leads.get(lead).city == "Reno"


def test_ids_no_row_can_have_are_no_fault(admin, cast):
    for wrong in (2**63, 10**30, "x"):
        assert admin.post("/segments/reach", {"match": "all", "segment_id": wrong, "overlap": wrong}).status_code == 200
