"""What is done with whole lists: exported as CSV, deleted in bulk, and brought back."""

import csv
import io
import re
from html import unescape

import pytest

from tests.api.world import build
from tests.web.visitor import Visitor
from webapp.audience import leads
from webapp.platform.db import run, transaction, value

FORMULAS = ("=1+1", "@SUM(A1)", "-2+3", "+1+1", "=cmd|' /C calc'!A0", "\uff1d1+1")
HEADINGS = ["Name", "E-mail", "Phone", "Status", "Insurance", "Place", "Est. value", "Created"]


@pytest.fixture
def sign_in(app, cast):
    def arrive(role: str) -> Visitor:
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        return visitor

    return arrive


@pytest.fixture
def marketer(sign_in) -> Visitor:
    return sign_in("marketer")


@pytest.fixture
def three(cast) -> list[int]:
    with transaction(cast.org):
        return [
            leads.create({"first_name": name, "email": f"{name}{cast.org}@example.com", "status": status}).id
            for name, status in (("ada", "new"), ("bob", "lost"), ("cid", "lost"))
        ]


def table(response) -> list[list[str]]:
    assert response.status_code == 200
    assert response.mimetype == "text/csv"
    assert response.data.startswith(b"\xef\xbb\xbf"), "a spreadsheet knows UTF-8 by its mark"
    return list(csv.reader(io.StringIO(response.data.decode("utf-8-sig"), newline="")))


def toast(response, visitor: Visitor) -> tuple[str, str]:
    """Follows a write to its page and returns what the toast says and where its undo goes."""
    page = visitor.get(response.location).text.partition('id="toasts"')[2]
    words = re.findall(r"<span>([^<]*)</span>", page)[-1]
    undo = re.search(r'<form method="post" action="([^"]*)"', page)
    return unescape(words), unescape(undo[1]) if undo else ""


def alive(cast) -> set[int]:
    with transaction(cast.org):
        return {row.id for row in leads.db.session.query(leads.Lead.id).filter(leads.ALIVE)}


def test_a_list_is_exported_as_it_is_filtered(marketer, cast, three):
    answer = marketer.get("/leads?export=csv")
    headings, *lines = table(answer)
    assert headings == HEADINGS
    assert [line[0] for line in lines] == ["ada", "bob", "cid"]
    assert lines[0][:4] == ["ada", f"ada{cast.org}@example.com", "", "new"]
    assert 'filename="leads.csv"' in answer.headers["Content-Disposition"]
    assert [line[0] for line in table(marketer.get("/leads?export=csv&status=lost&q=b"))[1:]] == ["bob"]
    assert "attachment" in answer.headers["Content-Disposition"]


def test_an_export_has_every_row_once_however_long_it_is(marketer, cast):
    with transaction(cast.org):
        run("INSERT INTO leads (last_name, source) SELECT 'L' || g, 'x' FROM generate_series(1, 4100) g")
    names = [line[0] for line in table(marketer.get("/leads?export=csv&after=x&sort=name"))[1:]]
    assert len(names) == len(set(names)) == 4100


def test_what_a_spreadsheet_would_run_is_only_text_in_it(marketer, cast):
    with transaction(cast.org):
        for nasty in FORMULAS:
            leads.create({"first_name": nasty, "city": nasty})
        leads.create({"first_name": "With a phone", "phone": "+14152000000"})
    lines = table(marketer.get("/leads?export=csv"))[1:]
    for nasty, line in zip(FORMULAS, lines, strict=False):
        assert line[0] == line[5] == f"'{nasty}"
    assert lines[-1][2] == "+14152000000"


def test_commas_quotes_and_lines_stay_in_their_cells(marketer, cast):
    odd = 'Ada, "the first"\nLopez'
    with transaction(cast.org):
        leads.create({"first_name": odd})
    assert table(marketer.get("/leads?export=csv"))[1][0] == odd


def test_an_agent_gets_the_page_and_no_export(sign_in, three):
    answer = sign_in("agent").get("/leads?export=csv")
    assert answer.mimetype == "text/html"
    assert "export=csv" not in answer.text


@pytest.mark.parametrize("path", ["/audit", "/campaigns/{campaign_id}/recipients"])
def test_other_lists_are_exported_too(sign_in, cast, path):
    admin = sign_in("admin")
    assert len(table(admin.get(path.format(**build(cast.org, cast.admin).ids()) + "?export=csv"))[0]) > 3


def test_an_export_is_of_ones_own_organisation(sign_in, three):
    assert len(table(sign_in("stranger").get("/leads?export=csv"))) == 1


def test_what_was_deleted_in_bulk_comes_back_by_undo(marketer, cast, three):
    answer = marketer.post("/leads/delete", {"ids": three[:2]})
    words, undo = toast(answer, marketer)
    assert words == "2 leads deleted."
    assert alive(cast) == {three[2]}
    for lead in three[:2]:
        assert marketer.get(f"/leads/{lead}").status_code == 404
    words, _ = toast(marketer.post(undo), marketer)
    assert words == "2 leads restored."
    assert alive(cast) == set(three)
    assert "Restored" in marketer.get(f"/leads/{three[0]}").text


def test_one_lead_deleted_on_its_page_comes_back_to_it(marketer, cast, three):
    words, undo = toast(marketer.post(f"/leads/{three[0]}/delete"), marketer)
    assert words == "ada deleted."
    assert marketer.post(undo).location == f"/leads/{three[0]}"
    assert alive(cast) == set(three)


def test_undoing_twice_does_no_harm(marketer, cast, three):
    _, undo = toast(marketer.post("/leads/delete", {"ids": three}), marketer)
    marketer.post(undo)
    words, _ = toast(marketer.post(undo), marketer)
    assert words == "0 leads restored."
    assert alive(cast) == set(three)


def test_a_lead_whose_address_was_taken_meanwhile_is_not_restored(marketer, cast, three):
    _, undo = toast(marketer.post("/leads/delete", {"ids": three}), marketer)
    with transaction(cast.org):
        leads.create({"email": f"bob{cast.org}@example.com"})
    answer = marketer.post(undo)
    assert answer.status_code == 409
    assert "uses the same address now" in answer.text
    assert not alive(cast) & set(three), "all of them or none"


def test_deleting_nothing_says_so(marketer, cast, three):
    words, _ = toast(marketer.post("/leads/delete"), marketer)
    assert words == "0 leads deleted."
    assert alive(cast) == set(three)


def test_a_deletion_of_a_whole_page_keeps_one_signed_in(marketer, cast):
    with transaction(cast.org):
        run("INSERT INTO leads (last_name, source) SELECT 'L' || g, 'x' FROM generate_series(1, 60) g")
    page = re.findall(r'name="ids" value="(\d+)"', marketer.get("/leads").text)
    assert len(page) == 50
    words, _ = toast(marketer.post("/leads/delete", {"ids": page}), marketer)
    assert words == "50 leads deleted."
    assert marketer.is_in
    with transaction(cast.org):
        assert value("SELECT count(*) FROM leads WHERE deleted_at IS NULL") == 10
