"""The rule builder where things go wrong: unfinished and impossible rules, very long lists, text that looks like code,
things deleted meanwhile, two people at once, a session that ends. Nothing typed is ever lost."""

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser import sign_in
from tests.web.builder_town import rule, stored, tree
from tests.web.building import ROOT, Keys, Mouse, count_shown, item, watch
from webapp.audience import leads, segments
from webapp.campaigns import campaigns
from webapp.platform.db import run, transaction

pytestmark = pytest.mark.browser
NASTY = ("'; DROP TABLE leads; --", ".*[a-z]+(", "%_\\", "<script>alert(1)</script>", "😀 ½ Straße", "{{ 7 * 7 }}")


@pytest.fixture
def desk(served, page: Page) -> Page:
    """The marketer's window, in an organisation of three leads."""
    with transaction(served.org):
        for n in range(3):
            leads.create({"first_name": f"Ada {n}", "city": "Austin", "email": f"ada{n}@example.com"})
    watch(page)
    sign_in(page, served, served.emails["marketer"])
    return page


def made(served, name: str, criteria: dict) -> int:
    with transaction(served.org):
        return segments.save(None, {"name": name, "criteria": criteria}).id


def error_at(page: Page, at: str):
    return page.locator(f"{at} .field-error").first


def test_what_is_not_finished_or_cannot_be_is_said_where_it_stands(served, desk: Page):
    hands = Mouse(desk)
    desk.goto(f"{served.url}/segments/new")
    expect(desk.locator("#live")).to_contain_text("One rule is not finished yet and not counted")
    expect(desk.locator("#live .live-count")).to_have_text("3")
    hands.write("#name", "Odd ones")
    hands.wait(lambda: hands.press(hands.adder(ROOT, "group")))
    desk.locator(f"{item(ROOT, 1)} > ol [data-remove-node]").click()
    expect(desk.locator("#live")).to_contain_text("One group has no rule in it yet and is not counted")
    hands.save()
    expect(error_at(desk, item(ROOT, 1))).to_have_text("Put a rule into this group, or remove it.")
    desk.locator(f"{item(ROOT, 1)} > .rule-group-head [data-remove-node]").click()
    hands.save()
    expect(error_at(desk, item(ROOT, 0))).to_be_visible()
    expect(desk.locator("#name")).to_have_value("Odd ones")
    hands.choose(f"{item(ROOT, 0)} .rule-value select", "new")
    hands.wait(lambda: hands.press(hands.adder(ROOT, "rule")))
    hands.choose(f"{item(ROOT, 1)} .rule-value select", "lost")
    expect(desk.locator("#live .contradiction")).to_contain_text("Nobody can match.")
    count_shown(desk, 0)
    hands.save()
    expect(desk.get_by_text("Saved: 0 leads.")).to_be_visible()


def test_ten_thousand_values_are_pasted_compared_and_kept(served, desk: Page):
    hands = Mouse(desk)
    desk.goto(f"{served.url}/segments/new")
    hands.build("Many cities", tree("all", rule("city", "in", ["Austin"])))
    towns = ["Boston, MA", *(f"Town number {n}" for n in range(9_998))]
    desk.evaluate(
        """text => { const clipboardData = new DataTransfer(); clipboardData.setData("text", text);
        document.querySelector(".chips-input").dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true})) }""",
        "\r\n".join(towns),
    )  # fmt: skip
    expect(desk.locator(".rule textarea")).to_have_value("\n".join(["Austin", *towns]))
    count_shown(desk, 3)
    hands.choose(f"{item(ROOT, 0)} > select[name$='-operator']", "not_in")
    count_shown(desk, 0)
    hands.save()
    expect(desk.get_by_text("Saved: 0 leads.")).to_be_visible()
    with transaction(served.org):
        assert len(stored("Many cities").criteria["rules"][0]["value"]) == 10_000
    desk.locator(".rule textarea").press("End")
    desk.locator(".rule textarea").type("\none more")
    expect(desk.locator("#live")).to_contain_text("Give at most 10,000 values.")
    hands.save()
    expect(error_at(desk, item(ROOT, 0))).to_have_text("Give at most 10,000 values.")


def test_text_that_looks_like_code_is_text(served, desk: Page):
    hands = Keys(desk)
    criteria = tree("none", *(rule("city", "contains", text) for text in NASTY))
    desk.goto(f"{served.url}/segments/new")
    hands.build("Odd 😀 <b>words</b>", criteria)
    count_shown(desk, 3)
    hands.save()
    expect(desk.get_by_text("Saved: 3 leads.")).to_be_visible()
    with transaction(served.org):
        assert stored("Odd 😀 <b>words</b>").criteria == criteria


@pytest.mark.parametrize("what", ["segment", "owner", "campaign"])
def test_what_was_deleted_meanwhile_is_refused_at_its_rule(served, cast, desk: Page, what):
    hands, everybody = Mouse(desk), tree("all")
    with transaction(served.org):
        named = {"segment": segments.save(None, {"name": "Going", "criteria": everybody}).id, "owner": cast.agent,
                 "campaign": campaigns.save(None, {"name": "Going"}).id}[what]  # fmt: skip
    asked = {
        "segment": rule("segment", "in", [named]), "owner": rule("owner_id", "equals", named),
        "campaign": rule("event.email_opened", "did", {"times": 2, "campaign_id": named}),
    }[what]  # fmt: skip
    desk.goto(f"{served.url}/segments/new")
    hands.build("Named", tree("all", rule("city", "equals", "Austin"), asked))
    with transaction(served.org):
        run(f"DELETE FROM {'users' if what == 'owner' else what + 's'} WHERE id = :id", id=named)
    hands.save()
    expect(error_at(desk, item(ROOT, 1))).to_contain_text(f"is not there any more (number {named})")
    expect(desk.locator("#name")).to_have_value("Named")
    expect(desk.locator(f"{item(ROOT, 0)} .rule-value input")).to_have_value("Austin")
    expect(desk.locator(item(ROOT, 1))).to_contain_text("gone")
    desk.locator(f"{item(ROOT, 1)} > [data-remove-node]").click()
    hands.save()
    expect(desk.get_by_text("Saved: 3 leads.")).to_be_visible()


def test_of_two_people_the_second_is_told_and_loses_nothing(served, desk: Page, browser):
    path = f"{served.url}/segments/{made(served, 'Shared', tree('all', rule('city', 'equals', 'Austin')))}"
    context = browser.new_context()
    other = context.new_page()
    sign_in(other, served, served.emails["admin"])
    for window in (desk, other):
        window.goto(path)
    Mouse(other).write(f"{item(ROOT, 0)} .rule-value input", "Boston")
    Mouse(other).save()
    expect(other.get_by_text("Saved: 0 leads.")).to_be_visible()
    context.close()
    Mouse(desk).write(f"{item(ROOT, 0)} .rule-value input", "austin")
    Mouse(desk).save()
    told = desk.get_by_role("alert").filter(has_text="while you were editing it")
    expect(told).to_contain_text("Admin Person saved this segment")
    expect(told).to_contain_text("Boston")
    expect(desk.locator(f"{item(ROOT, 0)} .rule-value input")).to_have_value("austin")
    with desk.context.expect_page() as opened:
        desk.get_by_role("link", name="Look at theirs").click()
    expect(opened.value.locator(f"{item(ROOT, 0)} .rule-value input")).to_have_value("Boston")
    opened.value.close()
    desk.get_by_role("button", name="Save mine over it").click()
    expect(desk.get_by_text("Saved: 3 leads.")).to_be_visible()


def test_a_segment_that_is_needed_is_not_deleted_unseen(served, desk: Page):
    base = made(served, "Base", tree("all"))
    asking = made(served, "Asking", tree("all", rule("segment", "in", [base])))
    with transaction(served.org):
        campaign = campaigns.save(None, {"name": "Autumn", "segment_id": base}).id
    desk.goto(f"{served.url}/segments/{base}")
    desk.get_by_role("button", name="Delete").click()
    expect(desk.locator("#ask")).to_contain_text("Autumn uses it and will go on without a segment.")
    desk.locator("#ask button[value=yes]").click()
    expect(desk.get_by_text("The rules of Asking ask about this segment.")).to_be_visible()
    for one, said in ((asking, "Asking deleted."), (base, "Base deleted. 1 campaign that used it stays.")):
        desk.goto(f"{served.url}/segments/{one}")
        desk.get_by_role("button", name="Delete").click()
        desk.locator("#ask button[value=yes]").click()
        expect(desk.get_by_text(said)).to_be_visible()
    with transaction(served.org):
        assert campaigns.get(campaign).segment_id is None


def test_groups_go_three_deep_and_no_deeper(served, desk: Page):
    one = rule("city", "equals", "Austin")
    deep = tree("all", one, tree("any", one, tree("all", one)), tree("none", one))
    desk.goto(f"{served.url}/segments/{made(served, 'Deep', deep)}")
    middle, last = item(ROOT, 1), item(ROOT, 2)
    deepest = item(f"{middle} > ol", 1)
    expect(desk.locator(f"{deepest} > .rule-add .add-group")).to_be_hidden()
    expect(desk.locator(f"{middle} > .rule-add .add-group")).to_be_visible()
    Mouse(desk).try_drag(last, f"{deepest} > ol > li:last-of-type")
    expect(desk.locator(f"{deepest} > ol > li")).to_have_count(1)
    if desk.locator(f"{ROOT} > li").count() == 2:  # dropped on its way, a level higher, where it fits
        desk.reload()
    desk.locator(f"{last} > .rule-group-head [data-grip]").focus()
    desk.keyboard.press("ArrowUp")  # into the middle group, at its end
    expect(desk.locator(f"{middle} > ol > li")).to_have_count(3)
    desk.keyboard.press("ArrowUp")  # past the deepest and not into it
    expect(desk.locator("#moved")).to_contain_text("Groups go at most 3 deep")
    expect(desk.locator(f"{middle} > ol > li:nth-of-type(2) select").first).to_have_value("none")
    expect(desk.locator(f"{middle} > ol > li:nth-of-type(2) [data-grip]").first).to_be_focused()
    Mouse(desk).save()
    with transaction(served.org):
        assert stored("Deep").criteria == tree("all", one, tree("any", one, tree("none", one), tree("all", one)))


def test_who_may_only_look_sees_rules_and_figures_and_nothing_to_press(served, desk: Page, browser):
    criteria = tree("all", rule("city", "in", ["Austin"]), tree("any", rule("status", "equals", "new")))
    path = f"{served.url}/segments/{made(served, 'Read', criteria)}"
    context = browser.new_context()
    other = context.new_page()
    sign_in(other, served, served.emails["viewer"])
    other.goto(path)
    count_shown(other, 3)
    expect(other.locator("#reach")).to_contain_text("Whom it reaches")
    expect(other.locator(".chip").first).to_contain_text("Austin")
    assert not [b for b in other.locator("#content button").all() if b.is_visible()]
    boxes = other.locator("#segment-form fieldset :is(input:not([type=hidden]), select, textarea)").all()
    assert boxes and not any(box.is_enabled() for box in boxes)
    assert other.goto(f"{served.url}/segments/new").status == 403
    context.close()


def test_what_was_typed_outlives_the_session(served, desk: Page):
    hands = Mouse(desk)
    desk.goto(f"{served.url}/segments/new")
    hands.build("Not saved yet", tree("all", rule("city", "equals", "Austin"), rule("tags", "has_any", ["vip", "new"])))
    count_shown(desk, 0)
    desk.context.clear_cookies()
    hands.save()
    expect(desk.get_by_text("This page was open too long.")).to_be_visible()
    sign_in(desk, served, served.emails["marketer"])
    desk.goto(f"{served.url}/segments/new")
    desk.get_by_role("button", name="Bring it back").click()
    expect(desk.locator("#name")).to_have_value("Not saved yet")
    expect(desk.locator(".chip")).to_have_count(2)
    hands.save()
    expect(desk.get_by_text("Saved: 0 leads.")).to_be_visible()
    desk.goto(f"{served.url}/segments/new")
    expect(desk.locator("#draft")).to_be_hidden()


def test_a_segment_deleted_while_it_is_edited_can_be_made_anew(served, desk: Page):
    segment_id = made(served, "Gone", tree("all", rule("city", "equals", "Austin")))
    desk.goto(f"{served.url}/segments/{segment_id}")
    Mouse(desk).write(f"{item(ROOT, 0)} .rule-value input", "Boston")
    with transaction(served.org):
        segments.remove(segments.get(segment_id))
    Mouse(desk).save()
    expect(desk.get_by_text("Somebody deleted this segment while you were editing it.")).to_be_visible()
    expect(desk.locator(f"{item(ROOT, 0)} .rule-value input")).to_have_value("Boston")
    Mouse(desk).save()
    expect(desk.get_by_text("Saved: 0 leads.")).to_be_visible()
    with transaction(served.org):
        assert stored("Gone").criteria["rules"][0]["value"] == "Boston"


def test_what_is_typed_while_a_row_comes_again_stays_in_it(served, desk: Page):
    """A slow line: each answer comes when the hands are already two fields further."""
    hands = Keys(desk)
    desk.goto(f"{served.url}/segments/new")
    hands.wait(lambda: hands.pick_field(f"{item(ROOT, 0)} > .picker", "city"))
    waiting = []
    desk.route("**/segments/rule?*", lambda route: waiting.append(route))
    hands.reach("select[name$='-operator']")
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("ArrowDown")
    hands.write(f"{item(ROOT, 0)} .rule-value input", "Austin")
    hands.wait(lambda: [route.continue_() for route in waiting])
    expect(desk.locator("select[name$='-operator']")).to_have_value("contains")
    expect(desk.locator(f"{item(ROOT, 0)} .rule-value input")).to_have_value("Austin")
    expect(desk.locator(f"{item(ROOT, 0)} .rule-value input")).to_be_focused()
    count_shown(desk, 3)
