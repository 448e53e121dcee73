"""The pages of scores: rules are written, seen before they are saved, put in order and switched off; lines are drawn."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.web.browser import sign_in
from tests.web.visitor import Visitor, form_of, htmx
from webapp.audience import leads, scores, timeline
from webapp.platform import work
from webapp.platform.clock import now
from webapp.platform.db import db, run, transaction, value

CLICKS = {
    "kind": "event", "model": "score", "type": "email_clicked", "points": "8", "within_days": "90", "half_life_days": "30",
    "limit": "40", "name": "", "is_active": "y",
}  # fmt: skip
TEXAN = {
    "kind": "attribute", "model": "score", "rule-field": "state", "rule-operator": "equals", "rule-value": "TX",
    "points": "55", "name": "Texan", "is_active": "y",
}  # fmt: skip


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


@pytest.fixture
def ada(cast) -> int:
    with transaction(cast.org):
        return leads.create({"first_name": "Ada", "last_name": "Lopez", "state": "TX"}).id


def rules(org: int, model: str = "score") -> list[scores.ScoreRule]:
    with transaction(org):
        found = scores.every(model)
        db.session.expunge_all()
        return found


def test_a_rule_is_written_and_said_in_words(marketer, cast):
    assert marketer.post("/scores/rules/new", CLICKS).location == "/scores"
    page = marketer.get("/scores").text
    assert "Clicked in e-mail: 8 points each, within 90 days, half worth after 30 days, at most 40" in page
    (rule,) = rules(cast.org)
    kept, _ = form_of(marketer.get(f"/scores/rules/{rule.id}"))
    assert {name: kept[name] for name in ("points", "half_life_days", "limit", "within_days")} == {
        "points": "8", "half_life_days": "30", "limit": "40", "within_days": "90",
    }  # fmt: skip
    assert marketer.post(f"/scores/rules/{rule.id}", CLICKS | {"limit": "", "half_life_days": ""}).status_code == 303
    assert "Clicked in e-mail: 8 points each, within 90 days<" in marketer.get("/scores").text
    assert cast.org in work.due(scores.WORK)


def test_what_cannot_be_saved_is_told_where_it_stands_and_nothing_typed_is_lost(marketer, cast):
    refused = marketer.post("/scores/rules/new", CLICKS | {"points": "many", "type": "", "half_life_days": "-1"})
    kept, errors = form_of(refused)
    assert (refused.status_code, set(errors)) == (422, {"points", "type", "half_life_days"})
    assert (kept["points"], kept["half_life_days"], kept["limit"]) == ("many", "-1", "40")
    refused = marketer.post("/scores/rules/new", TEXAN | {"rule-field": "value_estimate", "rule-operator": "greater_than",
                            "rule-value": "a lot"})  # fmt: skip
    assert refused.status_code == 422 and 'value="a lot"' in refused.text and "field-error" in refused.text
    itself = marketer.post(
        "/scores/rules/new", TEXAN | {"rule-field": "score", "rule-operator": "greater_than", "rule-value": "1"}
    )
    assert "A score cannot be made of itself" in itself.text
    assert rules(cast.org) == []


@pytest.mark.parametrize(
    "more", [{}, {"points": "9" * 400, "name": "\0 😀" * 99}, {"rule-field": "nothing", "rule-operator": "never", "rule-value": ""},
             {"kind": "else", "model": "else", "type": "a" * 400}, {"rule_id": "9" * 40}, {"rule_id": "x"}, {"within_days": "½"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/scores/rules/new", "/scores/preview", "/scores/thresholds", "/scores/condition"])
def test_nothing_typed_breaks_a_page(marketer, path, more):
    if path == "/scores/condition":
        assert marketer.get(path, query_string=TEXAN | more).status_code == 200
    else:
        for base in (CLICKS, TEXAN, {}):
            assert marketer.post(path, base | more).status_code in (200, 303, 422)


def test_what_the_rules_would_make_is_seen_before_they_are_saved(marketer, cast, ada):
    seen = marketer.post("/scores/preview", TEXAN, headers=htmx()).text
    assert "As these rules stand" in seen and "Ada Lopez" in seen and ">55</b>" in seen
    with transaction(cast.org):
        kept = scores.save(None, {"points": 30, "condition": {"field": "state", "operator": "equals", "value": "TX"}},
                           model="score", kind="attribute").id  # fmt: skip
    assert ">85</b>" in marketer.post("/scores/preview", TEXAN).text
    assert ">55</b>" in marketer.post("/scores/preview", TEXAN | {"rule_id": kept}).text
    assert "is not finished yet" in marketer.post("/scores/preview", TEXAN | {"points": ""}).text
    assert "Nobody would have any points" in marketer.post("/scores/preview", CLICKS | {"rule_id": kept}).text
    with transaction(cast.org):
        assert (value("SELECT score FROM leads"), value("SELECT count(*) FROM score_rules")) == (0, 1)


def test_rules_are_ordered_switched_off_and_deleted(marketer, cast):
    for name in "abc":
        marketer.post("/scores/rules/new", TEXAN | {"name": name})
    a, _, c = rules(cast.org)
    marketer.post(f"/scores/rules/{c.id}/move", {"to": "up"})
    marketer.post(f"/scores/rules/{a.id}/switch", {"on": "0"})
    marketer.post(f"/scores/rules/{a.id}/switch", {"on": "0"})
    assert [(rule.name, rule.is_active) for rule in rules(cast.org)] == [("a", False), ("c", True), ("b", True)]
    marketer.post(f"/scores/rules/{a.id}/switch", {"on": "1"})
    marketer.post(f"/scores/rules/{c.id}/delete")
    assert [(rule.name, rule.is_active) for rule in rules(cast.org)] == [("a", True), ("b", True)]
    for path in ("", "/move", "/switch", "/delete"):
        assert marketer.post(f"/scores/rules/{c.id}{path}", TEXAN).status_code == 404


def test_thresholds_are_drawn_and_taken_away(marketer, cast):
    marketer.post(
        "/scores/thresholds",
        {"model": "engagement_score", "engagement_score-value": "40", "engagement_score-name": "Warm"},
    )
    with transaction(cast.org):
        (threshold,) = [(line.id, line.value, line.name) for line in scores.thresholds("engagement_score")]
    assert threshold[1:] == (40, "Warm")
    again = marketer.post(
        "/scores/thresholds", {"model": "engagement_score", "engagement_score-value": "40", "engagement_score-name": ""}
    )
    kept, errors = form_of(again)
    assert (again.status_code, set(errors)) == (422, {"engagement_score-name"})
    assert kept["engagement_score-value"] == "40"
    assert set(
        form_of(marketer.post("/scores/thresholds", {"model": "score", "score-value": "x", "score-name": "N"}))[1]
    ) == {"score-value"}
    marketer.post(f"/scores/thresholds/{threshold[0]}/delete")
    assert marketer.post(f"/scores/thresholds/{threshold[0]}/delete").status_code == 404


def test_an_organisation_without_rules_can_begin_with_the_usual_ones(marketer, cast):
    assert "Begin with the usual rules" in marketer.get("/scores").text
    for _ in range(2):
        marketer.post("/scores/defaults")
    page = marketer.get("/scores").text
    assert "Begin with the usual rules" not in page and "Holds a proposal" in page
    assert len(rules(cast.org)) + len(rules(cast.org, "engagement_score")) == len(scores.score_rules.DEFAULTS)


def test_one_is_told_while_scores_are_being_worked_out(marketer, cast, ada):
    marketer.post("/scores/rules/new", TEXAN)
    assert "are being worked out" in marketer.get("/scores").text
    assert "HX-Refresh" not in marketer.get("/scores/state", headers=htmx()).headers
    scores.run_due(cast.org)
    assert "next" in marketer.get("/scores").text
    assert marketer.get("/scores/state", headers=htmx()).headers["HX-Refresh"] == "true"
    marketer.post("/scores/recompute")
    assert "are being worked out" in marketer.get("/scores").text


def test_a_leads_page_says_what_their_score_is_made_of(marketer, app, cast, ada):
    marketer.post("/scores/rules/new", TEXAN)
    marketer.post("/scores/thresholds", {"model": "score", "score-value": "50", "score-name": "Hot"})
    scores.run_due(cast.org)
    page = " ".join(marketer.get(f"/leads/{ada}").text.split())
    assert '<span>Texan</span><span class="num">+55</span>' in page
    assert "Lead score: <b>55</b>" in page and "Texan +55" in page
    assert "Lead score rose from 0 to 55, over the line at 50" in page
    agent = Visitor(app)
    agent.sign_in(cast.emails["agent"])
    assert 'id="scores-of-lead"' in agent.get(f"/leads/{ada}").text and agent.get("/scores").status_code == 403


def test_events_of_ones_own_can_give_points(marketer, cast, ada):
    with transaction(cast.org):
        timeline.record(ada, "quote_requested", at=now() - timedelta(days=1))
    assert ">Quote requested</option>" in marketer.get("/scores/rules/new").text
    marketer.post("/scores/rules/new", CLICKS | {"type": "quote_requested", "half_life_days": ""})
    scores.run_due(cast.org)
    with transaction(cast.org):
        assert leads.get(ada).score == 8


@pytest.mark.browser
def test_a_rule_in_the_browser_from_the_first_click_to_the_leads_page(page, served):
    with transaction(served.org):
        ada = leads.create({"first_name": "Ada", "last_name": "Lopez", "state": "TX", "value_estimate": "1500"}).id
        run("DELETE FROM work_due")
    sign_in(page, served, served.emails["marketer"])
    page.goto(f"{served.url}/scores")
    page.get_by_role("link", name="New rule", exact=True).click()
    page.get_by_role("link", name="points for what a lead is").click()
    for label, option in (("Field", "value_estimate"), ("Estimated value: how it compares", "greater_than")):
        with page.expect_response("**/scores/condition*"):
            page.get_by_label(label).select_option(option)
        expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.get_by_role("spinbutton", name="Estimated value").fill("1000")
    page.get_by_label("Points").fill("60")
    page.get_by_label("Points").press("Tab")
    expect(page.locator("#preview")).to_contain_text("As these rules stand")
    expect(page.locator("#preview").get_by_role("link", name="Ada Lopez")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Estimated value is over 1,000: 60 points")).to_be_visible()
    expect(page.locator("#score-state")).to_contain_text("next", timeout=20_000)
    page.goto(f"{served.url}/leads/{ada}")
    expect(page.locator("#scores-of-lead")).to_contain_text("60")
    page.goto(f"{served.url}/scores")
    page.get_by_role("button", name="Switch off").first.click()
    expect(page.get_by_text("does not count any more")).to_be_visible()
