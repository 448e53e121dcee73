"""What stands in an organisation that an endpoint can be called on."""

from dataclasses import asdict, dataclass
from typing import Any

from webapp.audience import consents, leads, segments
from webapp.audience.imports import imports
from webapp.campaigns import campaigns
from webapp.messaging import mailbox, senders, templates
from webapp.platform.db import transaction

CSV = b"First name,E-mail,State\nAda,ada@import.example,TX\nBob,bob@import.example,CA\nNobody,not an address,TX\n"
TEMPLATE = {
    "name": "Welcome",
    "subject_line": "Hello {{ first_name }}",
    "html_content": '<p>Hello</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>',
}
SENDER = {"name": "Office", "address": "office@test.example", "host": "127.0.0.1", "port": 9, "tls": "none"}
RULES = [{"field": "state", "operator": "equals", "value": "TX"}]


@dataclass(frozen=True)
class World:
    """Ids of one thing of each kind; the names are those of the addresses' parts."""

    lead_id: int
    segment_id: int
    static_id: int
    template_id: int
    campaign_id: int
    import_id: int
    sender_id: int
    spare_id: int
    message_id: int

    def ids(self) -> dict[str, int]:
        return asdict(self)


def build(org_id: int, user_id: int) -> World:
    """Makes one of each: the campaign is a complete draft for the one lead, who may be written to."""
    with transaction(org_id):
        lead = leads.create({"first_name": "Ada", "email": f"ada{org_id}@example.com", "state": "TX"})
        consents.set_consent(lead.id, "email", "subscribed", source="test")
        sender = senders.ensure_local("Test Insurance", "hello@test.example")
        segment = segments.save(None, {"name": "Texas", "criteria": {"match": "all", "rules": RULES}}, user_id)
        static = segments.save(None, {"name": "Picked", "is_dynamic": False}, user_id)
        template = templates.save(None, TEMPLATE, user_id)
        draft = {
            "name": "The offer", "segment_id": segment.id, "template_id": template.id, "sender_id": sender.id,
        }  # fmt: skip
        campaign = campaigns.save(None, draft, user_id)
        raw = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: Hi\r\nContent-Type: text/html\r\n\r\n<p>Hi</p>"
        made: dict[str, Any] = {
            "lead_id": lead, "segment_id": segment, "static_id": static, "template_id": template,
            "campaign_id": campaign, "import_id": imports.start("leads.csv", CSV, user_id), "sender_id": sender,
            "spare_id": senders.save(None, SENDER),
            "message_id": mailbox.keep("c@d.example", raw),
        }  # fmt: skip
        return World(**{name: row.id for name, row in made.items()})


def launched(org_id: int, campaign_id: int, status: str) -> None:
    """Brings a complete draft to a later status."""
    with transaction(org_id):
        campaigns.launch(campaign_id)
        if status != "scheduled":
            campaigns.move(campaigns.get(campaign_id), "active")
        if status not in ("scheduled", "active"):
            campaigns.move(campaigns.get(campaign_id), status)
