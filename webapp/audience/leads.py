"""Leads: the people we may talk to."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import phonenumbers
from sqlalchemy import CheckConstraint, Computed, Index, Select, Text, delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import timeline
from webapp.audience.lead_values import EDITABLE, INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS, clean
from webapp.platform import audit
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, one, value
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import current as current_organization

PURGE_DAYS = 30


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


def get(lead_id: int, *, lock: bool = False) -> Lead:
    """Returns a lead of the organisation in scope. lock: until the transaction ends. Raises NotFound."""
    wanted = select(Lead).where(Lead.id == lead_id, ALIVE).execution_options(populate_existing=lock)
    # What only refers to a lead (a fact, a membership) goes on meanwhile.
    lead = db.session.scalar(wanted.with_for_update(key_share=True) if lock else wanted)
    if lead is None:
        raise NotFound("That lead does not exist any more.")
    return lead


def update(lead: Lead, values: dict[str, Any]) -> dict[str, Any]:
    """Changes some fields. Returns what changed as field -> [before, after], as kept on the timeline. Raises Invalid."""
    return put(lead, clean(values))


def put(lead: Lead, values: dict[str, Any]) -> dict[str, Any]:
    """As `update`, for values that were a lead's already and are not looked at again."""
    if lead.anonymized_at:
        raise Refused("This lead was anonymised: nothing is written about them any more.")
    changed = {field: [getattr(lead, field), value] for field, value in values.items() if getattr(lead, field) != value}
    if not changed:
        return {}
    _flush(lead, {field: value for field, (_, value) in changed.items()})
    shown = {field: [plain(before), plain(value)] for field, (before, value) in changed.items()}
    if "status" in shown:
        before, value = shown["status"]
        timeline.record(lead.id, "status_changed", {"from": before, "to": value})
    rest = {field: pair for field, pair in shown.items() if field != "status"}
    if rest:
        timeline.record(lead.id, "lead_updated", {"changes": rest})
    return shown


def plain(value: Any) -> Any:
    """Returns a field's value as it stands in a fact."""
    return value if isinstance(value, (str, int, list, dict, type(None))) else str(value)


def from_plain(field: str, value: Any) -> Any:
    """Returns the value of a field that stands in a fact."""
    kinds = {"value_estimate": Decimal, "date_of_birth": date.fromisoformat, "last_activity_at": datetime.fromisoformat}
    return kinds[field](value) if field in kinds and value is not None else value


def latest_change(lead_id: int) -> int | None:
    """Returns the id of the last fact this very transaction wrote about a change of the lead, or None."""
    return value(
        "SELECT max(id) FROM lead_events WHERE tx = pg_current_xact_id()::text::bigint AND lead_id = :lead"
        " AND type IN ('lead_updated', 'status_changed')",
        lead=lead_id,
    )


def undo_change(lead: Lead, fact_id: int) -> dict[str, Any]:
    """Takes one change of the timeline back. Returns what changed, as `update`. Raises NotFound where the lead has no
    such fact, Refused where every value has been changed again since."""
    fact = one("SELECT type, payload FROM lead_events WHERE id = :id AND lead_id = :lead", id=fact_id, lead=lead.id)
    if fact is None or fact.type not in ("lead_updated", "status_changed"):
        raise NotFound()
    moved = {"status": [fact.payload.get("from"), fact.payload.get("to")]}
    pairs = fact.payload.get("changes", {}) if fact.type == "lead_updated" else moved
    still = {
        field: from_plain(field, before)
        for field, (before, after) in pairs.items()
        if field in EDITABLE and plain(getattr(lead, field)) == after
    }
    if not still:
        raise Refused("This has been changed again since, so it is left as it is.")
    return put(lead, still)


def remove(lead_ids: list[int]) -> int:
    """Deletes leads so that it can be undone for PURGE_DAYS. Returns how many were there."""
    found = _held(select(Lead).where(Lead.id.in_(lead_ids), ALIVE))
    for lead in found:
        lead.deleted_at = now()
    timeline.record_many([(lead.id, {}) for lead in found], "lead_deleted")
    audit.record("leads.deleted", "lead", after={"ids": [lead.id for lead in found]})
    db.session.flush()
    return len(found)


def _held(wanted: Select) -> list[Lead]:
    """Returns leads as they are once whoever else changes them is done, held in the order of their ids: what two do at
    once is done by one of them."""
    held = wanted.order_by(Lead.id).with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(db.session.scalars(held))


def restore(lead_ids: list[int]) -> int:
    """Undoes a deletion. Raises Refused where another lead has taken the address since."""
    # One that was merged into another comes back by taking the merge back.
    alone = text("NOT EXISTS (SELECT FROM lead_merges m WHERE m.merged_id = leads.id AND m.undone_at IS NULL)")
    known = Lead.anonymized_at.is_(None)
    found = _held(select(Lead).where(Lead.id.in_(lead_ids), Lead.deleted_at.is_not(None), known, alone))
    for lead in found:
        revive(lead)
    timeline.record_many([(lead.id, {}) for lead in found], "lead_restored")
    return len(found)


def revive(lead: Lead) -> None:
    """Lets a deleted lead be there again. Raises Refused where another lead has taken the address since."""
    try:
        _flush(lead, {"deleted_at": None})
    except Invalid:
        raise Refused("Another lead uses the same address now, so this one cannot be restored.") from None


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
    # One index range for each key, their ids put together: OR over columns would read every lead. ALIVE in each, for two
    # of the indexes hold the living only, and are not used where that is not said.
    found, *more = (select(Lead.id).where(ALIVE, condition) for condition in conditions)
    return Lead.id.in_(found.union(*more))


def _begins(column: Any, prefix: str) -> Any:
    # A range and not LIKE: see `_key`.
    return (column >= prefix) & (column < prefix + "\U0010ffff")


def count() -> int:
    """Returns the number of leads."""
    return db.session.scalar(select(func.count()).select_from(Lead).where(ALIVE))
