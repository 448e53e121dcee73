"""The rule builder in a real browser: what is built by mouse or by keys alone finds whom SQL written by hand finds."""

import pytest
from playwright.sync_api import Page, expect

from tests.api.client import Caller, data, token_of
from tests.web.browser import sign_in
from tests.web.builder_town import Town, counted, furnish, stored, wanted
from tests.web.building import Keys, Mouse, count_shown, watch
from webapp.audience import segments, timeline
from webapp.audience.rules.tree import parse
from webapp.platform.db import rows, transaction

pytestmark = pytest.mark.browser


@pytest.fixture
def town(served, cast) -> Town:
    with transaction(served.org):
        return furnish(cast.agent)


def unordered(tree: dict) -> dict:
    """Returns a tree with the rules of every group in one fixed order."""
    if "rules" not in tree:
        return tree
    return tree | {"rules": sorted((unordered(rule) for rule in tree["rules"]), key=repr)}


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
            # Where exactly among its neighbours a dragged rule lands is the hand's affair, and means the same.
            alike = unordered if one.hands == "mouse" else dict
            assert (alike(kept.criteria), kept.estimated_size) == (alike(parse(one.tree).to_json()), n), one.name
        found[one.name] = n
    assert len(found) == 15 and len(set(found.values())) > 10 and min(found.values()) > 0, found


def test_saved_without_a_change_they_stay_what_they_were(served, town, page: Page):
    flat = [
        {"field": "insurance_type", "operator": "equals", "value": "auto"},
        {"field": "value_estimate", "operator": "between", "value": ["1", "2000"]},
        {"field": "city", "operator": "in", "value": ["San José", "New York, NY", "O'Brien"]},
        {"field": "created_at", "operator": "greater_than", "value": "2020-01-31"},
        {"field": "status", "operator": "contains", "value": "new"},
        {"field": "tags", "operator": "in", "value": ["vip"]},
        {"field": "source", "operator": "in", "value": [f"source {n}" for n in range(60)]},
        {"field": "event.house_viewed", "operator": "did_not", "value": {"times": 3, "within": "2 weeks"}},
        {"field": "attributes.own field", "operator": "not_equals", "value": "<b>😀</b>"},
        {"field": "policies", "operator": "has", "value": {"premium_over": "99.5", "lapsed_within": "1 day"}},
    ]
    with transaction(served.org):
        timeline.record(rows("SELECT min(id) AS id FROM leads")[0].id, "house_viewed")
    api = Caller(served.app, token_of(served.app, served.emails["marketer"]).json["access_token"])
    made = data(api.post("/segments", {"name": "By API", "match_all_rules": False, "rules": flat}), 201)
    with transaction(served.org):
        for one in wanted(town):
            segments.save(None, {"name": one.name, "criteria": one.tree})
    sign_in(page, served, served.emails["marketer"])
    for name in ("By API", *(one.name for one in wanted(town))):
        with transaction(served.org):
            before = stored(name)
        page.goto(f"{served.url}/segments/{before.id}")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".toast-success")).to_contain_text("Saved: ")
        with transaction(served.org):
            after = stored(name)
        assert (after.criteria, after.version) == (before.criteria, before.version + 1), name
        assert data(api.get(f"/segments/{before.id}"))["criteria"] == before.criteria
    assert data(api.get(f"/segments/{made['id']}"))["rules"] == flat
