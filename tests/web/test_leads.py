"""One lead and many: values edited where they stand, two made one, a selection changed from the list."""

import re
from html import unescape

import pytest
from playwright.sync_api import expect

from tests.web.browser import sign_in as arrive
from tests.web.test_lists import toast
from tests.web.visitor import Visitor, htmx
from webapp.audience import bulk, leads, timeline
from webapp.platform.db import run, transaction, value


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
def ada(cast) -> int:
    with transaction(cast.org):
        values = {"first_name": "Ada", "last_name": "Lopez", "email": f"ada{cast.org}@example.com", "city": "Austin"}
        return leads.create(values).id


def save(who: Visitor, lead: int, field: str, typed: str, opened: str | None = None):
    form = {field: typed} | ({"opened": opened} if opened is not None else {})
    return who.post(f"/leads/{lead}/field/{field}", form, headers=htmx())


def kept(cast, lead: int, field: str):
    with transaction(cast.org):
        return getattr(leads.get(lead), field)


class TestEditInPlace:
    @pytest.mark.parametrize(
        ("field", "typed", "stands"),
        [("city", " Reno ", "Reno"), ("city", "", None), ("status", "lost", "lost"), ("tags", "VIP, new", ["vip", "new"]),
         ("value_estimate", "12.5", 12.5), ("phone", "(415) 200-1234", "+14152001234"), ("country", "US", "US"),
         ("timezone", "Europe/Paris", "Europe/Paris"), ("district", "North", "North"), ("customer_tier", "", None)],
    )  # fmt: skip
    def test_a_value_is_saved(self, marketer, cast, ada, field, typed, stands):
        assert f'name="{field}"' in marketer.get(f"/leads/{ada}/field/{field}", headers=htmx()).text
        answer = save(marketer, ada, field, typed)
        assert answer.status_code == 200
        assert kept(cast, ada, field) == stands
        if stands is not None:
            assert "Saved." in answer.text and answer.headers["HX-Trigger"] == "lead-changed"

    @pytest.mark.parametrize(
        ("field", "typed"),
        [("email", "nonsense"), ("phone", "12"), ("status", "asleep"), ("status", ""), ("owner_id", "0"), ("owner_id", "x"),
         ("date_of_birth", "2999-01-01"), ("date_of_birth", "soon"), ("value_estimate", "sNaN"), ("value_estimate", "-1"),
         ("city", "x" * 201), ("timezone", "Mars"), ("tags", "x" * 300)],
    )  # fmt: skip
    def test_what_cannot_be_is_said_at_the_field_and_what_was_typed_stays(self, marketer, cast, ada, field, typed):
        before = kept(cast, ada, field)
        answer = save(marketer, ada, field, typed)
        assert answer.status_code == 422
        assert "field-error" in answer.text
        if field not in ("status", "owner_id", "timezone"):
            assert f'value="{typed}"' in answer.text
        assert kept(cast, ada, field) == before

    def test_two_people_at_one_value_are_told(self, marketer, sign_in, cast, ada):
        save(sign_in("admin"), ada, "city", "Dallas", opened="Austin")
        answer = save(marketer, ada, "city", "Reno", opened="Austin")
        assert answer.status_code == 422
        assert "“Dallas” meanwhile" in unescape(answer.text)
        assert 'value="Reno"' in answer.text and 'name="opened" value="Dallas"' in answer.text
        assert kept(cast, ada, "city") == "Dallas"
        assert save(marketer, ada, "city", "Reno", opened="Dallas").status_code == 200
        assert save(sign_in("admin"), ada, "city", "Reno", opened="Austin").status_code == 200, "the same wish twice"

    def test_it_is_changed_back_from_the_toast(self, marketer, cast, ada):
        answer = save(marketer, ada, "status", "lost")
        undo = re.search(r'action="(/leads/\d+/changes/\d+/undo)"', answer.text)[1]
        assert marketer.post(undo).status_code == 303
        assert kept(cast, ada, "status") == "new"
        assert marketer.post(undo).status_code == 409

    def test_what_was_changed_again_is_not_changed_back(self, marketer, cast, ada):
        undo = re.search(r'action="(/leads/\d+/changes/\d+/undo)"', save(marketer, ada, "city", "Reno").text)[1]
        save(marketer, ada, "city", "Elko")
        assert marketer.post(undo).status_code == 409
        assert kept(cast, ada, "city") == "Elko"
        assert marketer.post(f"/leads/{ada}/changes/{2**62}/undo").status_code == 404

    def test_a_date_and_an_amount_come_back(self, marketer, cast, ada):
        for field, first, then in (("date_of_birth", "1980-02-29", "1999-01-01"), ("value_estimate", "5", "7.50")):
            save(marketer, ada, field, first)
            before = kept(cast, ada, field)
            undo = re.search(r'action="(/leads/\d+/changes/\d+/undo)"', save(marketer, ada, field, then).text)[1]
            marketer.post(undo)
            assert kept(cast, ada, field) == before

    def test_who_may_only_read_sees_plain_text(self, sign_in, ada):
        viewer = sign_in("viewer")
        page = viewer.get(f"/leads/{ada}").text
        assert "Austin" in page and "data-edit" not in page
        assert viewer.get(f"/leads/{ada}/field/city").status_code == 403
        assert save(viewer, ada, "city", "Reno").status_code == 403

    def test_there_is_no_other_field(self, marketer, ada):
        for field in ("id", "org_id", "score", "attributes", "x" * 300):
            assert marketer.get(f"/leads/{ada}/field/{field}").status_code == 404
            assert save(marketer, ada, field, "1").status_code == 404


class TestTimeline:
    def test_it_is_shown_by_kind(self, marketer, cast, ada):
        with transaction(cast.org):
            timeline.record(ada, "call_logged", {"outcome": "reached"})
            timeline.record(ada, "email_opened")
            leads.update(leads.get(ada), {"city": "Reno"})
        for kind, shown in (("calls", {"Call"}), ("messages", {"Opened e-mail"}), ("policies", set()),
                            ("changes", {"Details changed", "Lead created"}), ("nonsense", {"Call", "Opened e-mail"})):  # fmt: skip
            text = marketer.get(f"/leads/{ada}/timeline?kind={kind}", headers=htmx()).text
            named = {"Call", "Opened e-mail", "Details changed", "Lead created"}
            found = {words for words in named if f"<div>{words}" in text}
            assert found >= shown and (kind == "nonsense" or found == shown), kind

    def test_it_goes_on_page_by_page(self, marketer, cast, ada):
        with transaction(cast.org):
            for n in range(40):
                timeline.record(ada, "call_logged", {"number": n})
        address, seen = f"/leads/{ada}/timeline?kind=calls", []
        while address:
            text = unescape(marketer.get(address, headers=htmx()).text)
            seen += re.findall(r"Number: (\d+)", text)
            more = re.search(r'hx-get="([^"]*before=[^"]*)"', text)
            address = more[1] if more else None
        assert sorted(map(int, seen)) == list(range(40))


class TestMerging:
    @pytest.fixture
    def other(self, cast) -> int:
        with transaction(cast.org):
            return leads.create({"first_name": "Ada", "last_name": "Lopez", "city": "Austin", "state": "TX"}).id

    def test_from_the_hint_to_one_lead_and_back(self, marketer, cast, ada, other):
        assert f"/leads/{ada}/merge/{other}" in marketer.get(f"/leads/{ada}").text
        assert f"/leads/{ada}/merge/{other}" in marketer.get(f"/leads/{ada}/merge?q=lopez").text
        page = marketer.get(f"/leads/{ada}/merge/{other}").text
        assert 'name="state" value="merged" checked' in page and 'name="email" value="kept" checked' in page
        words, undo = toast(marketer.post(f"/leads/{ada}/merge/{other}", {"state": "merged"}), marketer)
        assert words == "Ada Lopez merged into Ada Lopez."
        assert kept(cast, ada, "state") == "TX"
        assert marketer.get(f"/leads/{other}").location.endswith(f"/leads/{ada}")
        assert "was merged into this lead" in marketer.get(f"/leads/{ada}").text
        words, _ = toast(marketer.post(undo), marketer)
        assert "two leads again" in words and kept(cast, ada, "state") is None
        assert marketer.get(f"/leads/{other}").status_code == 200
        assert marketer.post(undo).status_code == 409

    def test_one_cannot_be_merged_with_oneself_nor_twice(self, marketer, ada, other):
        assert marketer.get(f"/leads/{ada}/merge/{ada}").status_code == 422
        assert marketer.post(f"/leads/{ada}/merge/{ada}").status_code == 422
        assert marketer.post(f"/leads/{ada}/merge/{other}").status_code == 303
        assert marketer.post(f"/leads/{ada}/merge/{other}").status_code == 404


class TestActions:
    @pytest.fixture
    def five(self, cast) -> list[int]:
        with transaction(cast.org):
            return [leads.create({"first_name": f"N{n}", "state": "TX" if n < 3 else "CA"}).id for n in range(5)]

    def test_a_few_are_changed_and_changed_back(self, marketer, cast, five):
        form = {"action": "add_tag", "tag": "VIP", "ids": five[:2], "match": ""}
        words, undo = toast(marketer.post("/leads/actions", form), marketer)
        assert words == "Add the tag “vip”: changed 2, left alone 0."
        assert kept(cast, five[0], "tags") == ["vip"] and kept(cast, five[2], "tags") == []
        words, _ = toast(marketer.post(undo), marketer)
        assert words == "Changed back: 2 leads." and kept(cast, five[0], "tags") == []
        assert marketer.post(undo).status_code == 409
        assert "Undone" in marketer.get("/leads/actions").text

    def test_all_that_match_are_changed(self, marketer, cast, five):
        form = {"action": "status", "status": "lost", "all": "yes", "match": "q=n&state=tx&nonsense=1", "ids": five}
        answer = marketer.post("/leads/actions", form, headers=htmx())
        assert answer.headers["HX-Redirect"] == "/leads?q=n&state=tx"
        assert [kept(cast, lead, "status") for lead in five] == ["lost"] * 3 + ["new"] * 2

    def test_a_filter_that_is_none_is_no_filter_for_all(self, marketer, cast, five):
        """What the list shows for an address is what is changed for it."""
        shown = marketer.get("/leads?status=unheard&count=all").text
        assert shown == "5"
        marketer.post(
            "/leads/actions", {"action": "priority", "priority": "low", "all": "yes", "match": "status=unheard"}
        )
        assert {kept(cast, lead, "priority") for lead in five} == {"low"}

    @pytest.mark.parametrize(
        "form", [{}, {"action": "add_tag"}, {"action": "x"}, {"action": "assign", "owner_id": "²"}]
    )
    def test_what_is_missing_is_said(self, marketer, five, form):
        answer = marketer.post("/leads/actions", form | {"ids": five}, headers=htmx())
        assert answer.status_code == 422 and answer.text.endswith(".")
        assert marketer.post("/leads/actions", form | {"ids": five}).status_code == 422

    def test_more_than_a_few_run_in_the_background(self, marketer, cast):
        with transaction(cast.org):
            run("INSERT INTO leads (last_name, source) SELECT 'L' || g, 'x' FROM generate_series(1, 300) g")
        page = marketer.get("/leads").text
        assert "data-bulk-all" in page and 'data-count="300"' in page
        answer = marketer.post("/leads/actions", {"action": "delete", "all": "yes", "match": ""})
        address = answer.location
        assert "You may leave this page" in marketer.get(address).text
        assert marketer.post(f"{address}/cancel").status_code == 303
        assert "Cancelled" in marketer.get(address, headers=htmx()).text
        assert marketer.post(f"{address}/cancel").status_code == 409
        with transaction(cast.org):
            assert value("SELECT count(*) FROM leads WHERE deleted_at IS NULL") == 300
            assert value("SELECT status FROM bulk_actions") == "cancelled"

    def test_an_action_is_one_organisations_own(self, marketer, cast, sign_in, five):
        with transaction(cast.org):
            done = bulk.start("delete", {}, {"ids": five[:1]}).id
        assert sign_in("stranger").get(f"/leads/actions/{done}").status_code == 404
        assert sign_in("viewer").get("/leads/actions").status_code == 403

    def test_dates_are_plain_and_what_is_not_known_is_empty(self, marketer, cast, five):
        line = marketer.get("/leads?export=csv").data.decode("utf-8-sig").splitlines()[1].split(",")
        assert line[1:3] == ["", ""] and line[6] == ""
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", line[-1])
        assert "–" not in marketer.get("/leads?export=csv").text


@pytest.mark.browser
def test_a_value_is_edited_by_mouse_and_by_keyboard(served, page):
    with transaction(served.org):
        lead = leads.create({"first_name": "Ada", "last_name": "Lopez", "city": "Austin"}).id
    arrive(page, served, served.emails["marketer"])
    page.goto(f"{served.url}/leads/{lead}")
    city, control = page.locator("#fact-city-value"), page.locator("#fact-city-control")
    city.click()
    expect(control).to_be_focused()
    page.keyboard.type("Reno")
    page.keyboard.press("Enter")
    expect(city).to_have_text("Reno")
    expect(city).to_be_focused()
    expect(page.locator("#timeline")).to_contain_text("Austin → Reno")
    page.keyboard.press("F2")
    expect(control).to_be_focused()
    page.keyboard.type("Nowhere")
    page.keyboard.press("Escape")
    expect(city).to_have_text("Reno")
    page.locator("#fact-last_name-value").click()
    page.locator("#fact-last_name-control").fill("Byron")
    page.locator("h1").click()
    expect(page.locator("h1")).to_have_text("Ada Byron")
    page.locator("#fact-status-value").click()
    page.locator("#fact-status-control").select_option("qualified")
    expect(page.locator("#lead-line")).to_contain_text("Qualified")
    page.locator("summary", has_text="Not known").click()
    page.locator("#fact-email-value").click()
    page.locator("#fact-email-control").fill("nonsense")
    page.keyboard.press("Enter")
    expect(page.locator("#fact-email-error")).to_be_visible()
    expect(page.locator("#fact-email-control")).to_have_value("nonsense")
    page.keyboard.press("Escape")
    page.locator("#toasts").get_by_role("button", name="Undo").last.click()
    expect(page.locator("#toasts")).to_contain_text("Changed back.")
    expect(page.locator("#lead-line")).to_contain_text("New")


@pytest.mark.browser
def test_all_that_match_are_changed_while_one_watches(served, page):
    with transaction(served.org):
        run("INSERT INTO leads (last_name, state) SELECT 'L' || g, 'TX' FROM generate_series(1, 260) g")
        leads.create({"first_name": "Elsewhere", "state": "CA"})
    arrive(page, served, served.emails["marketer"])
    page.goto(f"{served.url}/leads?state=tx")
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Select all 260 that match").click()
    expect(page.locator(".bulk-bar")).to_contain_text("All 260 that match are selected")
    page.get_by_label("What to do").select_option("add_tag")
    apply = page.get_by_role("button", name="Apply")
    apply.click()
    page.get_by_role("button", name="Change them").click()
    expect(page.locator("#bulk-error")).to_have_text("Type the tag.")
    page.locator("[data-bulk-argument=tag]").fill("Texan")
    apply.click()
    expect(page.locator("#ask")).to_contain_text("Change all 260 leads?")
    page.get_by_role("button", name="Change them").click()
    page.wait_for_url("**/leads/actions/*")
    expect(page.locator("#bulk-action")).to_have_attribute("data-status", "done", timeout=15_000)
    expect(page.locator("#bulk-action")).to_contain_text("260 of 260 leads")
    with transaction(served.org):
        assert value("SELECT count(*) FROM leads WHERE tags = '{texan}'") == 260
