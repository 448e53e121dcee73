"""Leads: the people we may talk to."""

import json
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import phonenumbers
from sqlalchemy import CheckConstraint, Computed, Index, Text, delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import timeline
from webapp.platform import audit
from webapp.platform.clock import ZONES, now
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import current as current_organization
from webapp.platform.users import clean_email

STATUSES = ("new", "contacted", "qualified", "proposal", "converted", "lost")
PRIORITIES = ("low", "medium", "high", "urgent")
INSURANCE_TYPES = ("auto", "home", "life", "health", "travel", "business", "other")
TIERS = ("bronze", "silver", "gold", "platinum")
PURGE_DAYS = 30
ATTRIBUTES_LIMIT = 20_000  # characters of JSON: they are read with every message to the lead


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """Returns the CHECK that a text column holds one of some words (or nothing)."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in values)})", name=column)


def _key(expression: str) -> Any:
    # Byte order and ready-made lower case: the comparisons an index can serve under row-level security, where
    # PostgreSQL will not run a function that might leak (lower, LIKE) before the tenant check.
    return mapped_column(Text(collation="C"), Computed(expression, persisted=True), deferred=True)


class Lead(Tenant, Changing, Base):
    __tablename__ = "leads"
    external_id: Mapped[str | None]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None] = mapped_column(Text(collation="C"))
    status: Mapped[str] = mapped_column(server_default="new")
    priority: Mapped[str] = mapped_column(server_default="medium")
    source: Mapped[str | None]
    insurance_type: Mapped[str | None]
    state: Mapped[str | None]
    city: Mapped[str | None]
    country: Mapped[str | None]
    region: Mapped[str | None]
    district: Mapped[str | None]
    timezone: Mapped[str | None]
    language: Mapped[str | None]
    value_estimate: Mapped[Decimal | None]
    score: Mapped[int] = mapped_column(server_default="0")
    engagement_score: Mapped[int] = mapped_column(server_default="0")
    customer_tier: Mapped[str | None]
    date_of_birth: Mapped[date | None]
    tags: Mapped[list[str]] = mapped_column(server_default="{}")
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    owner_id: Mapped[int | None]
    persona_type: Mapped[str | None]
    last_activity_at: Mapped[datetime | None]
    anonymized_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    email_key: Mapped[str | None] = _key("lower(email)")
    name_key: Mapped[str] = _key("lower(coalesce(first_name || ' ', '') || coalesce(last_name, ''))")
    last_name_key: Mapped[str | None] = _key("lower(last_name)")
    __table_args__ = (
        of_organization(),
        child_of("users", "owner_id", "SET NULL"),
        one_of("status", STATUSES),
        one_of("priority", PRIORITIES),
        one_of("insurance_type", INSURANCE_TYPES),
        one_of("customer_tier", TIERS),
        CheckConstraint("score BETWEEN 0 AND 100", name="score"),
        CheckConstraint("engagement_score BETWEEN 0 AND 100", name="engagement_score"),
        Index(None, "org_id", "email_key", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index(None, "org_id", "phone", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index(None, "org_id", "external_id", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index(None, "org_id", "created_at", "id"),
        Index(None, "org_id", "name_key", "id"),
        Index(None, "org_id", "last_name_key"),
    )

    @property
    def name(self) -> str:
        """What to call them on screen."""
        full = " ".join(part for part in (self.first_name, self.last_name) if part)
        return full or self.email or self.phone or f"Lead {self.id}"


ALIVE = Lead.deleted_at.is_(None)
EDITABLE = (
    "external_id", "first_name", "last_name", "email", "phone", "status", "priority", "source", "insurance_type",
    "state", "city", "country", "timezone", "language", "value_estimate", "customer_tier", "date_of_birth", "tags",
    "attributes", "owner_id",
)  # fmt: skip
CHOICES = {
    "status": STATUSES, "priority": PRIORITIES, "insurance_type": INSURANCE_TYPES, "customer_tier": TIERS,
}  # fmt: skip


def clean_phone(number: str, country: str) -> str:
    """Returns the number in E.164. country: ISO code assumed where the number has none. Raises Invalid at `phone`."""
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise Invalid(
            {"phone": "This does not look like a phone number. Try it with the country code, like +1 415 200 0000."}
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def clean_tags(tags: list[str] | str | None) -> list[str]:
    """Returns distinct lower-case tags in their order; a string is split at , ; and |."""
    parts = re.split(r"[,;|]", tags) if isinstance(tags, str) else tags or []
    cleaned = (part.replace("\0", "").strip().lower()[:60].strip() for part in parts)
    return list(dict.fromkeys(tag for tag in cleaned if tag))


def clean(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the given fields as they are stored. Raises Invalid with a message for each that cannot be."""
    cleaned, errors = {}, {}
    for field, value in values.items():
        try:
            cleaned[field] = _clean_field(field, value)
        except Invalid as problem:
            errors[field] = next(iter(problem.errors.values()))
    if errors:
        raise Invalid(errors)
    return cleaned


def _clean_field(field: str, value: Any) -> Any:
    if field not in EDITABLE:
        raise Invalid({field: "There is no such field."})
    value = _storable(value)
    if isinstance(value, str):
        value = value.strip() or None
    if field == "tags":
        return clean_tags(value)
    if field == "attributes":
        if len(json.dumps(value)) > ATTRIBUTES_LIMIT:
            raise Invalid({field: f"Use at most {ATTRIBUTES_LIMIT:,} characters in all."})
        return value or {}
    if field in ("status", "priority") and value is None:
        raise Invalid({field: "Choose one."})
    if value is None:
        return None
    if field == "email":
        return clean_email(value)
    if field == "phone":
        return clean_phone(value, current_organization().country)
    if field in CHOICES and value not in CHOICES[field]:
        raise Invalid({field: f"Choose one of {', '.join(CHOICES[field])}."})
    if field == "timezone" and value not in ZONES:
        raise Invalid({field: "Choose a time zone from the list."})
    if field == "value_estimate" and not 0 <= value < Decimal("1e10"):
        raise Invalid({field: "Use an amount from 0 to 9,999,999,999."})
    if field == "date_of_birth" and not date(1900, 1, 1) <= value <= now().date():
        raise Invalid({field: "Use a date from 1900 until today."})
    if isinstance(value, str) and len(value) > 200:
        raise Invalid({field: "Use at most 200 characters."})
    return value


def _storable(value: Any) -> Any:
    """Returns texts, also inside lists and mappings, without what PostgreSQL cannot hold: NUL and half characters."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "ignore").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return {_storable(k): _storable(v) for k, v in value.items()} if isinstance(value, dict) else value


def create(values: dict[str, Any], *, source: str = "manual") -> Lead:
    """Adds a lead. Raises Invalid where a field cannot be taken or another lead has the address already."""
    values = clean(values)
    if not any(values.get(field) for field in ("email", "phone", "external_id", "first_name", "last_name")):
        raise Invalid({"email": "Give an e-mail address, a phone number or a name to know this person by."})
    values.setdefault("source", source)
    lead = Lead(**values, last_activity_at=now())
    _flush(lead, {})
    timeline.record(lead.id, "lead_created", {"source": lead.source})
    return lead


def _flush(lead: Lead, values: dict[str, Any]) -> None:
    """Writes a lead with the given values. Raises Invalid for one another lead has; the transaction goes on then."""
    try:
        # Set inside: what was set before a savepoint is written before it, and would take the transaction down.
        with db.session.begin_nested():
            for field, value in values.items():
                setattr(lead, field, value)
            db.session.add(lead)
            db.session.flush()
    except IntegrityError as problem:
        for field in ("email", "phone", "external_id"):
            if f"leads_org_id_{field}" in str(problem.orig):
                raise Invalid({field: "Another lead has this already."}) from None
        raise


def get(lead_id: int) -> Lead:
    """Returns a lead of the organisation in scope. Raises NotFound."""
    lead = db.session.scalar(select(Lead).where(Lead.id == lead_id, ALIVE))
    if lead is None:
        raise NotFound("That lead does not exist any more.")
    return lead


def update(lead: Lead, values: dict[str, Any]) -> dict[str, Any]:
    """Changes some fields. Returns what changed as field -> [before, after], as kept on the timeline. Raises Invalid."""
    cleaned = clean(values)
    changed = {
        field: [getattr(lead, field), value] for field, value in cleaned.items() if getattr(lead, field) != value
    }
    if not changed:
        return {}
    _flush(lead, {field: value for field, (_, value) in changed.items()})
    shown = {field: [_plain(before), _plain(value)] for field, (before, value) in changed.items()}
    if "status" in shown:
        before, value = shown["status"]
        timeline.record(lead.id, "status_changed", {"from": before, "to": value})
    rest = {field: pair for field, pair in shown.items() if field != "status"}
    if rest:
        timeline.record(lead.id, "lead_updated", {"changes": rest})
    return shown


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, list, dict, type(None))) else str(value)


def remove(lead_ids: list[int]) -> int:
    """Deletes leads so that it can be undone for PURGE_DAYS. Returns how many were there."""
    found = db.session.scalars(select(Lead).where(Lead.id.in_(lead_ids), ALIVE)).all()
    for lead in found:
        lead.deleted_at = now()
    timeline.record_many([(lead.id, {}) for lead in found], "lead_deleted")
    audit.record("leads.deleted", "lead", after={"ids": [lead.id for lead in found]})
    db.session.flush()
    return len(found)


def restore(lead_ids: list[int]) -> int:
    """Undoes a deletion. Raises Refused where another lead has taken the address since."""
    found = db.session.scalars(select(Lead).where(Lead.id.in_(lead_ids), Lead.deleted_at.is_not(None))).all()
    for lead in found:
        try:
            _flush(lead, {"deleted_at": None})
        except Invalid:
            raise Refused("Another lead uses the same address now, so this one cannot be restored.") from None
    timeline.record_many([(lead.id, {}) for lead in found], "lead_restored")
    return len(found)


def purge() -> int:
    """Removes for good what was deleted longer than PURGE_DAYS ago. Returns how many."""
    old = now() - timedelta(days=PURGE_DAYS)
    return db.session.execute(delete(Lead).where(Lead.deleted_at < old)).rowcount


def search(term: str) -> Any:
    """Returns the condition that a lead's name, last name, address, or phone begins with the term."""
    term = term.replace("\0", "").strip()
    # Lower case as the database has it: it and Python do not agree on every letter.
    needle = term.lower() if term.isascii() else func.lower(term)
    columns = [Lead.name_key, Lead.last_name_key, Lead.email_key]
    conditions = [_begins(column, needle) for column in columns]
    digits = re.sub(r"\D", "", term)
    if len(digits) >= 3:
        conditions.append(_begins(Lead.phone, "+" + digits))
        if not term.startswith("+"):
            calling_code = phonenumbers.country_code_for_region(current_organization().country)
            # Most countries drop the national 0 behind their code, some (Italy) keep it.
            for national in {digits, digits.lstrip("0")}:
                conditions.append(_begins(Lead.phone, f"+{calling_code}{national}"))
    # One index range for each key, their ids put together: OR over columns would read every lead.
    return Lead.id.in_(select(Lead.id).where(conditions[0]).union(*(select(Lead.id).where(c) for c in conditions[1:])))


def _begins(column: Any, prefix: str) -> Any:
    # A range and not LIKE: see `_key`.
    return (column >= prefix) & (column < prefix + "\U0010ffff")


def count() -> int:
    """Returns the number of leads."""
    return db.session.scalar(select(func.count()).select_from(Lead).where(ALIVE))
