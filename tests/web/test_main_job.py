"""The main job from end to end, as a person does it in a browser: a CSV of leads becomes an e-mail campaign whose
opens, clicks and unsubscribes show on a page."""

import csv
import io
import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser import sign_in
from tests.web.builder_town import rule, tree
from tests.web.building import Mouse, count_shown, watch

pytestmark = pytest.mark.browser
HTML = (
    '<h1>Hello {{ first_name|default("there", true) }}</h1><p><a href="https://www.example.com/offer?s={{ state }}">'
    'See the offer</a></p><p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
)


def messy_csv() -> bytes:
    """A small export with the usual defects: BOM, CRLF, repeated headers, broken cells, duplicates, nobody in a row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["First Name", "Last Name", "E-Mail Address", "Mobile Phone", "State/Province", "Insurance Type",
                     "Est. Value", "Opt-in Email", "Notes", "Notes"])  # fmt: skip
    for n in range(40):
        mail = f"Person{n}@example.com"
        writer.writerow([f"Name{n}", "Tester", mail, f"(415) 200-{n:04}", "Texas" if n % 2 else "CA",
                         ["auto ", "Home"][n % 2], f"${1000 + n * 100:,}", "yes" if n < 30 else "no", "a\nb", ""])  # fmt: skip
    writer.writerow(["Broken", "Mail", "broken at example.com", "+14152009999", "TX", "auto", "1,500", "yes", "", ""])
    writer.writerow(["Again", "Tester", "PERSON1@example.com", "", "", "", "", "", "", ""])
    writer.writerow(["Nobody", "Known", "", "", "TX", "auto", "12", "", "", ""])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def test_a_csv_becomes_a_campaign_and_its_receipts_show(served, page: Page):
    sign_in(page, served, served.emails["marketer"])
    _import(page, served)
    _segment(page, served)
    _template(page, served)
    _launch(page, served)
    campaign = page.url
    message = _read_the_mail(page, served)
    _click_and_unsubscribe(page, message)
    page.goto(campaign)
    for figure, n in (("planned", "21"), ("sent", "15"), ("opened", "1"), ("clicked", "1"), ("unsubscribed", "1")):
        expect(page.locator(f"[data-figure={figure}]")).to_have_text(n)
    expect(page.get_by_text("https://www.example.com/offer?s={{ state }}")).to_be_visible()
    page.goto(f"{campaign}/recipients?state=unsubscribed")
    page.locator("tbody a.row-link").click()
    # Why this person got it comes first; the person is one step further.
    page.get_by_role("link", name="Open lead").click()
    for fact in ("Lead created", "E-mail sent", "Clicked in e-mail", "Unsubscribed from e-mail", "Consent changed"):
        expect(page.locator(".timeline-list").get_by_text(fact, exact=False).first).to_be_visible()


def _import(page: Page, served) -> None:
    page.goto(f"{served.url}/imports/new")
    page.set_input_files("#file", {"name": "leads.csv", "mimeType": "text/csv", "buffer": messy_csv()})
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_label("E-Mail Address becomes")).to_have_value("email")
    expect(page.get_by_label("Opt-in Email becomes")).to_have_value("consent_email")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="leads.csv")).to_be_visible()
    expect(page.locator(".cell-problem")).to_have_count(0)
    page.get_by_role("button", name="Import 43 rows").click()
    expect(page.locator("#import[data-status=done]")).to_be_visible(timeout=20_000)
    for label, n in (("New leads", "41"), ("Skipped", "1"), ("Refused", "1")):
        expect(page.locator(".figure", has_text=label).locator(".figure-value")).to_have_text(n)
    with page.expect_download() as refused:
        page.get_by_role("link", name="Refused rows").click()
    assert "Nobody" in refused.value.path().read_text("utf-8-sig")


def _segment(page: Page, served) -> None:
    watch(page)
    page.goto(f"{served.url}/segments/new")
    hands = Mouse(page)
    auto, over = rule("insurance_type", "equals", "auto"), rule("value_estimate", "greater_than", "999")
    hands.build("Auto leads over 1,000", tree("all", auto, over))
    count_shown(page, 21)
    hands.save()
    expect(page.get_by_text("Saved: 21 leads.")).to_be_visible()


def _template(page: Page, served) -> None:
    page.goto(f"{served.url}/templates/new")
    page.get_by_label("Name", exact=True).fill("Offer")
    page.get_by_label("Subject").fill("{{ frist_name }}, an offer")
    page.get_by_label("Message (HTML)").fill(HTML)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("There is no token {{ frist_name }}.").first).to_be_visible()
    expect(page.get_by_label("Message (HTML)")).to_have_value(HTML)
    page.get_by_label("Subject").fill("{{ first_name }}, an offer")
    expect(page.frame_locator("#preview").locator("h1")).to_contain_text("Hello Name")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()


def _launch(page: Page, served) -> None:
    page.goto(f"{served.url}/campaigns/new")
    page.get_by_label("Name", exact=True).fill("The offer")
    page.get_by_label("Template").select_option("Offer")
    page.get_by_label("Segment").select_option(index=1)
    page.get_by_role("button", name="Save and review").click()
    expect(page.locator(".figure", has_text="Will get it").locator(".figure-value")).to_have_text("15")
    expect(page.get_by_text("Unsubscribed")).to_be_visible()
    expect(page.get_by_text("No e-mail address")).to_be_visible()
    page.get_by_role("button", name="Launch").click()
    page.locator("#ask button[value=yes]").click()
    expect(page.locator("#live[data-status=completed]")).to_be_visible(timeout=30_000)


def _read_the_mail(page: Page, served) -> Page:
    page.wait_for_timeout(2500)  # an open in the very second of sending is taken for a machine's
    page.goto(f"{served.url}/mailbox?q=person2@example.com")
    page.locator("tbody a.row-link").click()
    expect(page.get_by_role("heading", name="Name2, an offer")).to_be_visible()
    return page


def _click_and_unsubscribe(page: Page, message: Page) -> None:
    frame = message.frame_locator("iframe[name=message]")
    address = frame.get_by_role("link", name="See the offer").get_attribute("href")
    answer = page.request.get(address, max_redirects=0, headers={"User-Agent": "Mozilla/5.0 (X11) Firefox/140.0"})
    assert (answer.status, answer.headers["location"]) == (302, "https://www.example.com/offer?s=CA")
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Unsubscribe").first.click()
    leaving = opened.value
    expect(leaving.get_by_role("heading", name=re.compile("Stop e-mails to pe"))).to_be_visible()
    leaving.get_by_role("button", name="Unsubscribe").click()
    expect(leaving.get_by_role("heading", name="You are unsubscribed")).to_be_visible()
    leaving.close()
