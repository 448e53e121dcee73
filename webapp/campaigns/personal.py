"""Which campaigns were meant for a person, for privacy requests (see audience.privacy)."""

from typing import Any

from webapp.audience import privacy
from webapp.audience.privacy import Person
from webapp.platform.db import rows


def export(person: Person) -> list[dict[str, Any]]:
    """Returns the campaigns whose audience a person was in."""
    found = rows(
        "SELECT c.id, c.name, r.state, r.skip_reason, r.variant, r.planned_on FROM campaign_recipients r"
        " JOIN campaigns c ON c.org_id = r.org_id AND c.id = r.campaign_id WHERE r.lead_id = ANY(:ids) ORDER BY r.id",
        ids=person.ids,
    )
    return [row._asdict() for row in found]


def forget(person: Person) -> None:
    """Has nothing to forget: a place in an audience names nobody."""


def register() -> None:
    """Makes itself known to privacy requests."""
    privacy.register("campaigns", export, forget)
