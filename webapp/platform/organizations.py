"""Organisations: the tenants. The only table of the house's data that stands outside row-level security."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform import audit, tenancy, work
from webapp.platform.clock import ZONES
from webapp.platform.db import Base, Changing, db, run
from webapp.platform.errors import Invalid, NotFound

# Law and manners keep calls and texts to the day; nobody is woken by an e-mail, so it has no hours unless they are set.
QUIET_HOURS = {channel: {"from": "08:00", "to": "21:00"} for channel in ("sms", "whatsapp", "call")}

QUIET_CHANNELS = ("email", "sms", "whatsapp", "call")
MOMENT = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
SENDS, DAYS = (1, 1000), (1, 365)  # of a frequency cap
PLANS = "plans"  # the kind of work by which what is planned is planned again


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


def set_quiet_hours(values: dict[str, Any]) -> Organization:
    """Says between which hours of their own day people are written to or called, by channel: {"from": "08:00", "to":
    "21:00"}, or None for any hour. Channels that are not given stay. Raises Invalid, naming sms.from and so on."""
    organization = current()
    errors: dict[str, str] = {}
    wanted = dict(organization.quiet_hours or {})
    for channel, hours in values.items():
        if channel not in QUIET_CHANNELS:
            errors[channel] = f"Choose one of {', '.join(QUIET_CHANNELS)}."
        elif hours is None:
            wanted.pop(channel, None)
        elif problems := _hours_problems(hours):
            errors |= {f"{channel}.{end}" if end else channel: words for end, words in problems.items()}
        else:
            wanted[channel] = {"from": hours["from"], "to": hours["to"]}
    if errors:
        raise Invalid(errors)
    before, organization.quiet_hours = organization.quiet_hours, wanted
    _changed("organization.quiet_hours", before, wanted)
    return organization


def _hours_problems(hours: Any) -> dict[str, str]:
    if not isinstance(hours, dict):
        return {"": "Give the hours as from and to."}
    problems = {
        end: "Give a time such as 08:00."
        for end in ("from", "to")
        if not isinstance(hours.get(end), str) or not MOMENT.fullmatch(hours[end])
    }
    if not problems and hours["from"] >= hours["to"]:
        problems["to"] = "This comes before it begins."
    return problems


def set_frequency_cap(sends: int | None, days: int | None) -> Organization:
    """Says how many marketing messages one lead gets at most in any so many days; both None for any number. Raises
    Invalid."""
    errors: dict[str, str] = {}
    if sends is not None or days is not None:
        for name, given, (low, high) in (("sends", sends, SENDS), ("days", days, DAYS)):
            if not isinstance(given, int) or isinstance(given, bool) or not low <= given <= high:
                errors[name] = f"Give a whole number from {low} to {high:,}."
    if errors:
        raise Invalid(errors)
    organization = current()
    before = organization.frequency_cap
    organization.frequency_cap = None if sends is None else {"sends": sends, "days": days}
    _changed("organization.frequency_cap", before, organization.frequency_cap)
    return organization


def _changed(action: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    db.session.flush()
    audit.record(action, "organization", current().id, before=before, after=after)
    changed()


def changed() -> None:
    """Says that something of how the organisation sends has changed: what waits for it is judged and planned anew."""
    run("UPDATE organizations SET updated_at = clock_timestamp() WHERE id = :id", id=current().id)
    db.session.expire(current(), ["updated_at"])
    work.announce(PLANS)
