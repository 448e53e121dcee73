"""Every page passes axe in light and dark, fits a phone, and keeps its own security policy."""

import pytest
from playwright.sync_api import Page

from tests.messaging.test_template_kinds import OF_KIND
from tests.web.browser import sign_in
from tests.web.builder_town import rule, tree
from webapp.audience import bulk, consents, leads, segments
from webapp.campaigns import campaigns, plan
from webapp.messaging import inbound, intents, local_senders, phones, senders, templates
from webapp.messaging.phones import PhoneMessage
from webapp.platform.clock import now
from webapp.platform.config import ROOT
from webapp.platform.db import db, run, transaction

pytestmark = pytest.mark.browser
AXE = ROOT / "static" / "vendor" / "axe.min.js"
PAGES = (
    "/", "/leads", "/leads/new", "/leads/{lead}", "/leads/{lead}/edit", "/leads/{lead}/merge", "/leads/{lead}/merge/{other}",
    "/leads/actions", "/leads/actions/{action}", "/imports", "/imports/new", "/policies", "/groups", "/groups/new",
    "/personas", "/personas/new", "/segments", "/scores",
    "/scores/rules/new", "/scores/rules/new?kind=attribute",
    "/segments/new", "/segments/new?kind=static", "/segments/{segment}", "/segments/{nested}", "/segments/{segment}/members",
    "/segments/{segment}/history", "/segments/{segment}/planning", "/segments/{nested}/leads/{lead}",
    "/templates", "/templates/{template}", "/templates/{several}", "/templates/new?kind=sms", "/templates/new?kind=whatsapp",
    "/campaigns", "/campaigns/new", "/campaigns/{campaign}", "/campaigns/{campaign}/edit", "/campaigns/{running}",
    "/campaigns/{running}/limits", "/campaigns/{running}/batches", "/campaigns/{running}/recipients",
    "/campaigns/{running}/why/{lead}", "/mailbox", "/senders", "/senders/new", "/senders/new?kind=whatsapp_cloud-whatsapp",
    "/senders/{sender}", "/senders/{sender}/records", "/sending", "/sending/portfolios/new",
    "/replies", "/replies/{reply}", "/reply-rules", "/reply-rules/new", "/reply-rules/{rule}",
    "/delivery?campaign={campaign}", "/delivery/failures", "/phones", "/phones/{phone}", "/phones/faults/sms",
    "/users", "/scheduler", "/audit", "/account",
    "/api/docs", "/no-such-page",
)  # fmt: skip
# In dark only what depends on colours is looked at again.
SCHEMES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "dark": {"type": "rule", "values": ["color-contrast"]},
}
# Looked at when every colour has arrived.
LOOK = """async rules => {
    await Promise.all(document.getAnimations().filter(a => a instanceof CSSTransition).map(a => a.finished.catch(() => 0)));
    const found = await axe.run(document, {runOnly: rules, iframes: false, resultTypes: ["violations"]});
    return found.violations;
}"""

NESTED = tree(
    "all", rule("tags", "has_any", ["vip", "family"]), rule("city", "in", [f"Town {n}" for n in range(50)]),
    tree("any", rule("event.email_clicked", "did", {"times": 2, "within": "30 days", "before": "1 day"}),
         tree("none", rule("policies", "has", {"type": "auto"}), rule("value_estimate", "between", ["1", "9"]))),
)  # fmt: skip

# One of each thing that the delivery page shows.
DELIVERING = (
    "INSERT INTO sends (kind, campaign_id, lead_id, channel, recipient_address, dedup_key, status, error_code)"
    " SELECT 'campaign', :campaign, :lead, 'email', 'ada@example.com', s, s, '550' FROM unnest(ARRAY['unknown', 'failed']) s",
    "UPDATE senders SET held_at = now(), hold_reason = 'Out of credit' WHERE :campaign + :lead > 0",
    "INSERT INTO sender_minutes (sender_id, minute, sent) SELECT id, date_trunc('minute', now()) - interval '2 min', 5"
    " FROM senders WHERE :campaign + :lead > 0",
    "INSERT INTO campaign_batches (campaign_id, send_date, batch_number, batch_size) SELECT :campaign, current_date + n, n + 5,"
    " 250 FROM generate_series(-1, 2) n WHERE :lead > 0",
)


def on_phones() -> int:
    """Returns the id of a message on a phone that shows every sort of bubble."""
    sender = local_senders.ensure_local_text("whatsapp", "Lone Star", "+14152000002")
    kept: PhoneMessage | None = None
    for n, (direction, status) in enumerate((
        ("to_phone", "delivered"), ("to_phone", "sent"), ("to_phone", "failed"), ("from_phone", "sent"), ("to_phone", "read"),
    )):  # fmt: skip
        kept = PhoneMessage(
            channel="whatsapp", direction=direction, sender_id=sender.id, phone="+14155550100", number=sender.address,
            body="Hello Ada, see https://x.example", provider_message_id=f"wamid.{n}", status=status,
            payload={"buttons": [{"type": "quick_reply", "text": "Call me"}, {"type": "url", "text": "Renew"}], "error": 131026},
        )  # fmt: skip
        db.session.add(kept)
    phones.set_fault("whatsapp", "+14155550100", "http_500", 3)
    db.session.flush()
    assert kept is not None
    return kept.id


@pytest.fixture
def furnished(served) -> dict[str, int]:
    """The ids of one of each thing, so that no page is empty."""
    with transaction(served.org):
        lead = leads.create({"first_name": "Ada", "last_name": "Lopez", "email": "ada@example.com", "tags": ["vip"]})
        for n in range(3):
            other = leads.create(
                {"first_name": f"Person {n}", "email": f"person{n}@example.com", "value_estimate": 1000}
            )
        action = bulk.start("add_tag", {"tag": "new"}, {"ids": [lead.id]})
        criteria = tree("all", rule("status", "equals", "new"))
        segment = segments.save(None, {"name": "New ones", "criteria": criteria})
        nested = segments.save(None, {"name": "Nested", "criteria": NESTED})
        bodies = {"subject_line": "Hello", "html_content": "<p>Hello {{ first_name }}</p>"}
        template = templates.save(None, {"name": "Hello", **bodies})
        chosen = {"segment_id": segment.id, "template_id": template.id}
        campaign = campaigns.save(None, {"name": "Hello", **chosen})
        several = templates.save(None, {"name": "Several", "template_type": "multi_channel"} | OF_KIND["multi_channel"])
        several.hold_reason = "Its provider paused it."
        running = campaigns.save(None, {"name": "Running", "daily_send_limit": 1, **chosen})
        consents.set_consent(lead.id, "email", "subscribed", source="test")
        consents.set_consent(other.id, "email", "subscribed", source="test")
        campaigns.launch(running.id)
        campaigns.move(running, "active")
        running.started_at = now()
        plan.write(running)
        campaigns.pause(running.id).hold_reason = "More than 20 % failed."
        sender = senders.every()[0]
        said = (sender.address, "Please call me?", "<1@x.example>", None, now())
        reply = inbound.receive(sender, "email", "ada@example.com", *said)
        for sql in DELIVERING:
            run(sql, campaign=campaign.id, lead=lead.id)
        return {
            "several": several.id,
            "running": running.id,
            "lead": lead.id,
            "other": other.id,
            "action": action.id,
            "segment": segment.id,
            "nested": nested.id,
            "template": template.id,
            "campaign": campaign.id,
            "sender": senders.every()[0].id,
            "reply": reply.id,
            "rule": intents.every()[0].id,
            "phone": on_phones(),
        }


@pytest.fixture
def inspected(browser):
    """A window that axe may be put into: our policy forbids foreign scripts."""
    contexts = []

    def opened(**options) -> Page:
        contexts.append(browser.new_context(bypass_csp=True, **options))
        return contexts[-1].new_page()

    yield opened
    for context in contexts:
        context.close()


def test_axe_finds_nothing(served, furnished, inspected):
    page = inspected(color_scheme="light", reduced_motion="reduce")
    sign_in(page, served, served.emails["admin"])
    found = {}
    for path in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(served.url + path.format(**furnished))
        page.wait_for_function("!document.querySelector('.htmx-request')")
        page.add_script_tag(path=str(AXE))
        for scheme, rules in SCHEMES.items():
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("scheme => document.documentElement.dataset.bsTheme === scheme", arg=scheme)
            for problem in page.evaluate(LOOK, rules):
                found.setdefault(problem["id"], []).append((scheme, path, problem["nodes"][0]["html"][:200]))
    assert not found, found


def test_nothing_is_wider_than_a_phone_and_pages_keep_their_own_policy(served, furnished, page):
    """The `page` fixture fails the test if the browser reports a violation or a script error."""
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, served, served.emails["admin"])
    wide = []
    for path in PAGES:
        page.goto(served.url + path.format(**furnished))
        page.wait_for_load_state("networkidle") if path in ("/segments/new", "/templates/{template}") else None
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path)
    assert not wide


def test_the_keyboard_finds_a_lead_and_the_way_back(served, furnished, page):
    sign_in(page, served, served.emails["marketer"])
    page.keyboard.press("/")
    page.keyboard.type("lopez")
    page.keyboard.press("Enter")
    page.locator("tbody .row-link").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Ada Lopez").wait_for()
    page.goto(f"{served.url}/leads")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
