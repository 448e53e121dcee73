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
    run(f"UPDATE engagement_events SET ip = NULL, user_agent = NULL, url = NULL WHERE {OF_SENDS}", ids=person.ids)
    run(
        # The key of a campaign's send has the address in it.
        "UPDATE sends SET recipient_address = '', recipient_name = NULL, rendered = NULL, error_message = NULL,"
        " links_clicked = '[]', dedup_key = 'anonymised:' || id, updated_at = now() WHERE lead_id = ANY(:ids)",
        ids=person.ids,
    )


def register() -> None:
    """Makes itself known to privacy requests."""
    privacy.register("sends", export, forget)
