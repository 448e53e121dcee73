"""What stands in the navigation, by role."""

from dataclasses import dataclass

from flask import request, url_for

from webapp.platform.roles import Actor, can


@dataclass(frozen=True)
class Entry:
    label: str
    icon: str
    endpoint: str
    permission: str

    @property
    def url(self) -> str:
        return url_for(self.endpoint)

    @property
    def is_here(self) -> bool:
        return (request.blueprint or "") == self.endpoint.partition(".")[0]


ENTRIES: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("", (Entry("Home", "home", "home.page", "home.view"),)),
    (
        "Audience",
        (
            Entry("Leads", "users", "leads.page", "leads.view"),
            Entry("Policies", "file-certificate", "policies.page", "policies.view"),
            Entry("Segments", "filter", "segments.page", "segments.view"),
            Entry("WhatsApp groups", "brand-whatsapp", "groups.page", "groups.view"),
            Entry("Personas", "mood-search", "personas.page", "personas.view"),
            Entry("Scores", "gauge", "scores.page", "scores.view"),
            Entry("Imports", "file-import", "imports.page", "imports.view"),
            Entry("Suppressed", "ban", "suppressions.page", "suppressions.view"),
        ),
    ),
    (
        "Messages",
        (
            Entry("Campaigns", "send", "campaigns.page", "campaigns.view"),
            Entry("Templates", "template", "templates.page", "templates.view"),
            Entry("Delivery", "truck-delivery", "delivery.page", "delivery.view"),
            Entry("Replies", "message-reply", "inbound.page", "inbound.view"),
            Entry("Reply rules", "message-cog", "intents.page", "intents.view"),
            Entry("Mailbox", "inbox", "mailbox.page", "mailbox.view"),
            Entry("Phones", "device-mobile", "phones.page", "mailbox.view"),
        ),
    ),
    (
        "House",
        (
            Entry("Senders", "at", "senders.page", "senders.view"),
            Entry("Sending", "adjustments-horizontal", "sending.page", "senders.view"),
            Entry("Users", "user-cog", "users.page", "users.manage"),
            Entry("Scheduler", "clock-play", "scheduler.page", "scheduler.view"),
            Entry("Audit log", "list-search", "audit.page", "audit.view"),
        ),
    ),
)


def menu(actor: Actor) -> list[tuple[str, list[Entry]]]:
    """Returns the groups of entries the actor may open."""
    groups = [(name, [entry for entry in entries if can(actor, entry.permission)]) for name, entries in ENTRIES]
    return [(name, entries) for name, entries in groups if entries]
