"""Building a segment on its page as a person does: by hand with the mouse, or with the keyboard alone."""

from typing import Any

from playwright.sync_api import ElementHandle, Locator, Page, expect

from webapp.audience.rules.fields import field_named
from webapp.audience.rules.operators import Operator

ROOT = "#rules"
FOLLOWS = "(goal, part) => goal.nextElementSibling === part"
SPANS = ("renews_within", "lapsed_within")
# A row comes again from the server when its field or operator changes; counted, so that one can wait for it.
COUNTING = """document.addEventListener("htmx:afterSettle", (event) => {
  if (!event.detail.target.closest("#live, #reach, datalist")) window.settled = (window.settled || 0) + 1;
});"""


def watch(page: Page) -> None:
    """Lets `Hands` know when a part of the page has come. Call it before the page is opened."""
    page.add_init_script(COUNTING)


def item(at: str, n: int) -> str:
    """Returns where the n-th rule or group of a list stands."""
    return f"{at} > li:nth-of-type({n + 1})"


def operator_of(rule: dict[str, Any]) -> Operator:
    return next(o for o in field_named(rule["field"]).operators() if o.name == rule["operator"])


class Hands:
    """What both ways of building have in common: the order of things."""

    def __init__(self, page: Page):
        self.page = page

    def build(self, name: str, tree: dict[str, Any]) -> None:
        """Builds a tree on the open page of a new segment, which has one rule already."""
        self.write("#name", name)
        self.choose("select[name=match]", tree["match"])
        self._fill(ROOT, tree["rules"])

    def _fill(self, at: str, rules: list[dict[str, Any]]) -> None:
        if "rules" in rules[0]:
            raise ValueError("A list that starts with a rule is built in the order it is read.")
        for n, rule in enumerate(rules):
            place = item(at, n)
            if n:
                kind = "group" if "rules" in rule else "rule"
                self.wait(lambda at=at, kind=kind: self.press(self.adder(at, kind)))
            if "rules" in rule:
                self.choose(f"{place} > .rule-group-head select", rule["match"], back=True)
                self._fill(f"{place} > ol", rule["rules"])
            else:
                self.rule(place, rule)

    @staticmethod
    def adder(at: str, kind: str) -> str:
        return f"{at} + .rule-add > [hx-get$='/{kind}']"

    def rule(self, at: str, rule: dict[str, Any]) -> None:
        """Makes a fresh row say what a rule says."""
        if rule["field"] != "status":
            self.wait(lambda: self.pick_field(f"{at} > .picker", rule["field"]))
        self.choose(f"{at} > select[name$='-operator']", rule["operator"])
        if "value" in rule:
            self.value(f"{at} > .rule-value", field_named(rule["field"]).widget(operator_of(rule)), rule["value"])

    def value(self, at: str, widget: str, value: Any) -> None:
        if widget == "span":
            self.span(f"{at} [name$='-", value)
        elif widget == "deed":
            self.deed(at, value)
        elif widget == "policy":
            self.policy(at, value)
        elif widget in ("choice", "ref"):
            self.choose(f"{at} select", str(value))
        elif widget in ("choice_many", "ref_many"):
            for one in value:
                self.tick(f"{at} input[value='{one}']")
        elif widget.endswith("_many"):
            for one in value:
                self.write(f"{at} .chips-input", one)
                self.page.keyboard.press("Enter")
        elif widget.endswith("_pair"):
            self.write(f"{at} input[aria-label$='from']", value[0])
            self.write(f"{at} input[aria-label$='to']", value[1])
        else:
            self.write(f"{at} input:not([type=hidden])", value)

    def span(self, at: str, text: str) -> None:
        amount, unit = text.split()
        self.write(f"{at}amount']", amount)
        self.choose(f"{at}unit']", f"{unit.rstrip('s')}s")

    def deed(self, at: str, parts: dict[str, Any]) -> None:
        self.write(f"{at} [name$='-times']", parts.get("times", 1))
        spans = [name for name in ("within", "before") if name in parts]
        self.choose(f"{at} [name$='-when']", "both" if len(spans) == 2 else spans[0] if spans else "any")
        for name in spans:
            self.span(f"{at} [name$='-{name}-", parts[name])
        if "campaign_id" in parts:
            self.choose(f"{at} [name$='-campaign_id']", str(parts["campaign_id"]))

    def policy(self, at: str, parts: dict[str, Any]) -> None:
        for name, part in parts.items():
            if name in SPANS:
                self.span(f"{at} [name$='-{name}-", part)
            else:
                act = self.write if name.startswith("premium") else self.choose
                act(f"{at} [name$='-{name}']", str(part))

    def wait(self, act: Any) -> None:
        """Does something that brings a part of the page, and waits until it stands."""
        before = self.page.evaluate("window.settled || 0")
        act()
        self.page.wait_for_function("n => (window.settled || 0) > n", arg=before)

    def asks(self, selector: str) -> bool:
        """True if choosing there brings the row again."""
        return self.page.locator(selector).evaluate(
            "box => ['hx-get', 'hx-post'].some((name) => box.hasAttribute(name))"
        )

    def chosen(self, selector: str) -> str:
        return self.page.locator(selector).input_value()


class Mouse(Hands):
    """Clicks, and typing into what was clicked; what comes last in a group is made outside of it and dragged in."""

    def build(self, name: str, tree: dict[str, Any]) -> None:
        strays: list[tuple[dict[str, Any], str]] = []
        rules = [self._without_last(one, item(ROOT, n), strays) for n, one in enumerate(tree["rules"])]
        super().build(name, tree | {"rules": [*rules, *(rule for rule, _ in strays)]})
        for _, group in strays:
            self.drag(item(ROOT, len(rules)), f"{group} > ol > li:last-of-type")

    def _without_last(self, one: dict[str, Any], at: str, strays: list[tuple[dict[str, Any], str]]) -> dict[str, Any]:
        if "rules" not in one:
            return one
        inner = [self._without_last(part, item(f"{at} > ol", n), strays) for n, part in enumerate(one["rules"])]
        if len(inner) > 1 and "rules" not in inner[-1]:
            strays.append((inner.pop(), at))
        return one | {"rules": inner}

    def press(self, selector: str) -> None:
        self.page.locator(selector).click()

    tick = press

    def write(self, selector: str, text: Any) -> None:
        self.page.locator(selector).click()
        self.page.locator(selector).fill(str(text))

    def choose(self, selector: str, value: str, back: bool = False) -> None:
        if self.chosen(selector) != value:
            act = lambda: self.page.locator(selector).select_option(value)  # noqa: E731
            self.wait(act) if self.asks(selector) else act()

    def pick_field(self, selector: str, field: str) -> None:
        self.press(selector)
        self.page.locator(f".picker-item[data-value='{field}']").click()

    def drag(self, what: str, behind: str) -> None:
        """Drags a rule or group by its handle to right behind another; takes hold of it again where it landed elsewhere, as
        on a machine that is slow to show."""
        part, goal = (self.page.locator(at).element_handle() for at in (what, behind))
        for _ in range(3):
            self._drag_once(part, goal)
            if goal.evaluate(FOLLOWS, part):
                return
        raise AssertionError(f"{what} cannot be dragged behind {behind}")

    def try_drag(self, what: str, behind: str) -> None:
        """Drags once, to a place that may refuse it."""
        self._drag_once(*(self.page.locator(at).element_handle() for at in (what, behind)))

    def _drag_once(self, part: ElementHandle, goal: ElementHandle) -> None:
        """Lets go when the part is shown right behind the goal, or after some tries."""
        goal.scroll_into_view_if_needed()
        part.query_selector("[data-grip]").hover()
        self.page.mouse.down()
        start = part.query_selector("[data-grip]").bounding_box()
        self.page.mouse.move(start["x"] + 12, start["y"] + 12, steps=3)
        self.page.wait_for_selector(".sortable-ghost", state="attached")
        for step in (12, 8, 5, 3, 16, 9, 6, 4) * 2:
            box = goal.bounding_box()
            self.page.mouse.move(box["x"] + 60, box["y"] + box["height"] - step, steps=3)
            if goal.evaluate(FOLLOWS, part):
                break
            self.page.wait_for_timeout(60)  # what makes room is not taken for a place while it moves
        self.page.mouse.up()

    def save(self) -> None:
        self.page.get_by_role("button", name="Save", exact=True).click()


class Keys(Hands):
    """Tab, Enter, arrows and typing; nothing is ever pointed at."""

    def reach(self, selector: str, back: bool = False) -> None:
        """Tabs on (back: with Shift) until the focus is there."""
        for _ in range(300):
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
        raise AssertionError(f"The keyboard does not come to {selector}")

    def press(self, selector: str) -> None:
        self.reach(selector)
        self.page.keyboard.press("Enter")

    def tick(self, selector: str) -> None:
        self.reach(selector)
        self.page.keyboard.press("Space")

    def write(self, selector: str, text: Any) -> None:
        self.reach(selector)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(str(text))

    def choose(self, selector: str, value: str, back: bool = False) -> None:
        self.reach(selector, back)
        asks = self.asks(selector)
        places = "box => [...box.options].findIndex((option) => option.value === %s)"
        for _ in range(60):
            if (now := self.chosen(selector)) == value:
                return
            box: Locator = self.page.locator(selector)
            ahead = box.evaluate(places % repr(value)) > box.evaluate(places % repr(now))
            act = lambda ahead=ahead: self.page.keyboard.press("ArrowDown" if ahead else "ArrowUp")  # noqa: E731
            self.wait(act) if asks else act()
        raise AssertionError(f"{value} cannot be chosen with the arrow keys")

    def pick_field(self, selector: str, field: str) -> None:
        self.press(selector)
        self.page.keyboard.type(field_named(field).label)
        for _ in range(30):
            marked = self.page.locator(".picker-item[aria-selected=true]").get_attribute("data-value")
            if marked == field:
                return self.page.keyboard.press("Enter")
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{field} is not in the list")

    def save(self) -> None:
        self.reach("button.btn-primary[form=segment-form]", back=True)
        self.page.keyboard.press("Enter")


def count_shown(page: Page, n: int) -> None:
    """Waits until the live figures say n, of finished rules only."""
    expect(page.locator("#live"), f"{n} leads").to_contain_text(f"Matching now {n:,} ", timeout=10_000)
    expect(page.locator("#live")).not_to_contain_text("not finished")
