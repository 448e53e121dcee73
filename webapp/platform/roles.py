"""Who may do what: the one table every face asks."""

from typing import Protocol

from webapp.platform.errors import Forbidden

ROLES = ("admin", "marketer", "agent", "viewer")
ADMIN = frozenset({"admin"})
MARKETING = frozenset({"admin", "marketer"})
READERS = frozenset({"admin", "marketer", "viewer"})
EVERYONE = frozenset(ROLES)

PERMISSIONS: dict[str, frozenset[str]] = {
    "home.view": EVERYONE,
    "leads.view": EVERYONE,
    "leads.edit": MARKETING,
    "leads.export": READERS,
    "policies.view": EVERYONE,
    "policies.edit": MARKETING,
    "groups.view": EVERYONE,
    "groups.edit": MARKETING,
    "personas.view": EVERYONE,
    "personas.edit": MARKETING,
    "personas.approve": MARKETING,
    "privacy.manage": ADMIN,
    "suppressions.view": READERS,
    "suppressions.edit": MARKETING,
    "imports.run": MARKETING,
    "imports.view": READERS,
    "segments.view": READERS,
    "segments.edit": MARKETING,
    "scores.view": READERS,
    "scores.edit": MARKETING,
    "templates.view": READERS,
    "templates.edit": MARKETING,
    "campaigns.view": READERS,
    "campaigns.edit": MARKETING,
    "campaigns.send": MARKETING,
    "mailbox.view": READERS,
    "phones.use": MARKETING,
    "inbound.view": READERS,
    "inbound.handle": MARKETING,
    "intents.view": READERS,
    "intents.edit": ADMIN,
    "delivery.view": READERS,
    "delivery.resolve": MARKETING,
    "delivery.settings": ADMIN,
    "metrics.view": ADMIN,
    "senders.view": READERS,
    "senders.edit": ADMIN,
    "users.manage": ADMIN,
    "audit.view": ADMIN,
    "scheduler.view": ADMIN,
}


class Actor(Protocol):
    role: str
    is_superuser: bool


def can(actor: Actor, permission: str) -> bool:
    """True if the actor's role holds the permission (a KeyError for one that does not exist)."""
    return actor.is_superuser or actor.role in PERMISSIONS[permission]


def require(actor: Actor, permission: str) -> None:
    """Raises Forbidden unless the actor holds the permission."""
    if not can(actor, permission):
        raise Forbidden()
