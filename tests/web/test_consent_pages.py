"""The pages about consent pass axe in light and dark and fit a phone; those of recipients too."""

import pytest

from tests.web.browser import sign_in
from tests.web.test_accessibility import AXE, inspected  # noqa: F401 - the fixture
from webapp.audience import consents, leads
from webapp.messaging import confirmations, senders
from webapp.platform.db import transaction, value
from webapp.platform.signing import signer

pytestmark = pytest.mark.browser
RULES = "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], iframes: false})"


@pytest.fixture
def paths(served, cast) -> list[str]:
    with transaction(cast.org):
        senders.ensure_local("Lone Star", "hello@lone.example")
        lead = leads.create(
            {"first_name": "Ada", "last_name": "Lopez", "email": "ada@example.com", "phone": "+14152001234"}
        )
        consents.note(lead, "sms", "subscribed", by="Alex", evidence="call on 3 May")
        confirmations.ask(lead, by="Alex")
        consents.suppress("whatsapp", "+14152001234", "stop")
        barred, send = value("SELECT id FROM suppressions"), value("SELECT id FROM sends")
        return [
            "/suppressions", "/suppressions/new", "/suppressions/import", f"/suppressions/{barred}", f"/leads/{lead.id}",
            f"/leads/{lead.id}/consents/whatsapp", f"/leads/{lead.id}/privacy/anonymise",
            f"/templates/{confirmations.template().id}", f"/u/{signer().pack('unsubscribe', cast.org, send)}",
            f"/p/{signer().pack('preferences', cast.org, lead.id)}", f"/confirm/{signer().pack('confirm', cast.org, send)}",
            "/confirm/nonsense",
        ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_can_be_read_by_everybody_and_on_a_phone(served, paths, inspected, scheme):  # noqa: F811
    page = inspected(color_scheme=scheme, viewport={"width": 390, "height": 800})
    sign_in(page, served, served.emails["admin"])
    found = {}
    for path in paths:
        page.goto(served.url + path)
        page.add_script_tag(path=str(AXE))
        for problem in page.evaluate(RULES)["violations"]:
            found.setdefault(problem["id"], []).append((path, problem["nodes"][0]["html"][:200]))
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            found.setdefault("wide", []).append(path)
    assert not found, found
