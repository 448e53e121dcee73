"""What sending keeps about people: handed out and forgotten with the rest of it (see audience.privacy)."""

from typing import Any

from webapp.audience import privacy
from webapp.audience.privacy import Person
from webapp.platform.db import rows, run

OF_SENDS = "send_id IN (SELECT id FROM sends WHERE lead_id = ANY(:ids))"


def export(person: Person) -> list[dict[str, Any]]:
    """Returns the messages to a person, each with what came back from it."""
    receipts: dict[int, list[Any]] = {}
    asked = f"SELECT send_id, to_jsonb(e) - 'org_id' - 'send_id' AS row FROM engagement_events e WHERE {OF_SENDS} ORDER BY id"
    for found in rows(asked, ids=person.ids):
        receipts.setdefault(found.send_id, []).append(found.row)
    return [send | {"receipts": receipts.get(send["id"], [])} for send in privacy.kept_in("sends", person)]


def forget(person: Person) -> None:
    """Keeps of each message that it went, when and how it ended; not to whom, nor what was clicked from where."""
    run("DELETE FROM mailbox_messages WHERE lower(recipient) = ANY(:addresses)", addresses=person.addresses)
    run(f"DELETE FROM mailbox_messages WHERE {OF_SENDS}", ids=person.ids)
    run(
        # Providers' ids of messages have the number in them.
        "UPDATE engagement_events SET ip = NULL, user_agent = NULL, url = NULL,"
        f" provider_event_id = 'anonymised:' || id WHERE {OF_SENDS}",
        ids=person.ids,
    )
    run(
        # The key of a campaign's send has the address in it.
        "UPDATE sends SET recipient_address = '', recipient_name = NULL, rendered = NULL, error_message = NULL,"
        " provider_message_id = NULL,"
        " links_clicked = '[]', dedup_key = 'anonymised:' || id, updated_at = now() WHERE lead_id = ANY(:ids)",
        ids=person.ids,
    )


def export_replies(person: Person) -> list[dict[str, Any]]:
    """Returns what a person wrote to us."""
    return privacy.kept_in("inbound_messages", person)


def forget_replies(person: Person) -> None:
    """Keeps of each reply that it came, when, and what it meant; not who wrote it, nor a word of it."""
    run(
        "UPDATE inbound_messages SET body = '', from_address = '', provider_message_id = 'anonymised:' || id"
        " WHERE lead_id = ANY(:ids) OR from_address = ANY(:addresses)",
        ids=person.ids, addresses=person.addresses,
    )  # fmt: skip


def register() -> None:
    """Makes itself known to privacy requests."""
    privacy.register("sends", export, forget)
    privacy.register("replies", export_replies, forget_replies)
