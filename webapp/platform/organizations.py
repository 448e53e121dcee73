"""Organisations: the tenants. The only table of the house's data that stands outside row-level security."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform import tenancy
from webapp.platform.clock import ZONES
from webapp.platform.db import Base, Changing, db
from webapp.platform.errors import Invalid, NotFound

# Law and manners keep calls and texts to the day; nobody is woken by an e-mail, so it has no hours unless they are set.
QUIET_HOURS = {channel: {"from": "08:00", "to": "21:00"} for channel in ("sms", "whatsapp", "call")}


class Organization(Changing, Base):
    __tablename__ = "organizations"
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True)
    currency: Mapped[str] = mapped_column(server_default="USD")
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    locale: Mapped[str] = mapped_column(server_default="en")
    country: Mapped[str] = mapped_column(server_default="US")
    quiet_hours: Mapped[dict[str, Any]] = mapped_column(default=lambda: QUIET_HOURS)
    # {"sends": 3, "days": 7}: at most so many marketing messages to one lead in any so many days.
    frequency_cap: Mapped[dict[str, Any] | None]
    # What messaging.policy reads: when a campaign is held, when soft bounces harden, ...
    sending_policy: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    callback_policy: Mapped[dict[str, Any] | None]
    tracking_domain: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def slugify(text: str) -> str:
    """Returns lower-case words joined by hyphens, at most 80 characters; "item" where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80].strip("-") or "item"


def create(name: str, *, timezone: str = "UTC", currency: str = "USD", country: str = "US") -> Organization:
    """Adds an organisation. Raises Invalid where the name is taken or the zone unknown."""
    name = name.strip()
    if not name:
        raise Invalid({"name": "An organisation needs a name."})
    if timezone not in ZONES:
        raise Invalid({"timezone": "Choose a time zone from the list."})
    slug = slugify(name)
    if db.session.scalar(select(Organization.id).filter_by(slug=slug)):
        raise Invalid({"name": "There is an organisation of that name already."})
    organization = Organization(name=name, slug=slug, timezone=timezone, currency=currency, country=country)
    db.session.add(organization)
    db.session.flush()
    return organization


def current() -> Organization:
    """Returns the organisation in scope. Raises NotFound where there is none."""
    found = db.session.get(Organization, tenancy.current_org() or 0)
    if found is None:
        raise NotFound("That organisation does not exist.")
    return found
