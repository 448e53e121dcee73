"""The rule builder in a real browser: what is built by mouse or by keys alone finds whom SQL written by hand finds."""

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser import sign_in
from tests.web.builder_town import Town, counted, furnish, stored, wanted
from tests.web.building import Keys, Mouse, count_shown, watch
from webapp.audience.rules.tree import parse
from webapp.platform.db import transaction

pytestmark = pytest.mark.browser


@pytest.fixture
def town(served, cast) -> Town:
    with transaction(served.org):
        return furnish(cast.agent)


def test_fifteen_segments_find_whom_sql_finds(served, town, page: Page):
    watch(page)
    sign_in(page, served, served.emails["marketer"])
    found = {}
    for one in wanted(town):
        hands = (Mouse if one.hands == "mouse" else Keys)(page)
        page.goto(f"{served.url}/segments/new")
        hands.build(one.name, one.tree)
        with transaction(served.org):
            n = counted(one.sql)
        count_shown(page, n)
        hands.save()
        expect(page.get_by_text(f"Saved: {n:,} leads.")).to_be_visible()
        with transaction(served.org):
            kept = stored(one.name)
            assert (kept.criteria, kept.estimated_size) == (parse(one.tree).to_json(), n), one.name
        found[one.name] = n
    assert len(found) == 15 and len(set(found.values())) > 10 and min(found.values()) > 0, found
