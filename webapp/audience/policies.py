"""Policies: what a lead holds. They feed renewals, tokens and revenue."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Computed, Index, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import leads, policy_values, timeline
from webapp.audience.leads import one_of
from webapp.audience.policy_values import PAYMENT_STATUSES, STATUSES
from webapp.platform import audit
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, one, value
from webapp.platform.errors import Invalid, NotFound, Refused

__all__ = ["PAYMENT_STATUSES", "STATUSES", "Policy"]
NEVER = date(9999, 12, 31)  # the renewal of what is not renewed, in the order of renewals
TAKEN = "Another policy has this number already."


def _key(expression: str, kind: Any = None) -> Any:
    # Never NULL and of a kind whose comparisons may use an index under row-level security: text in byte order, days,
    # whole numbers.
    return mapped_column(kind, Computed(expression, persisted=True), deferred=True)


class Policy(Tenant, Changing, Base):
    __tablename__ = "policies"
    lead_id: Mapped[int]
    number: Mapped[str]
    type: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    premium: Mapped[Decimal | None]
    coverage: Mapped[Decimal | None]
    started_on: Mapped[date | None]
    renews_on: Mapped[date | None]
    lapsed_on: Mapped[date | None]
    next_due_on: Mapped[date | None]
    payment_status: Mapped[str] = mapped_column(server_default="paid")
    number_key: Mapped[str] = _key("lower(number)", Text(collation="C"))
    renews_key: Mapped[date] = _key("COALESCE(renews_on, '9999-12-31'::date)")
    premium_key: Mapped[int] = _key("COALESCE((premium * 100)::bigint, '-1'::bigint)")
    __table_args__ = (
        child_of("leads", "lead_id"),
        one_of("status", STATUSES),
        one_of("payment_status", PAYMENT_STATUSES),
        Index(None, "org_id", "number", unique=True),
        Index(None, "org_id", "lead_id"),
        Index(None, "org_id", "renews_on"),
        Index(None, "org_id", "number_key", "id"),
        Index(None, "org_id", "renews_key", "id"),
        Index(None, "org_id", "premium_key", "id"),
        Index(None, "org_id", "status", "payment_status", "type"),
    )


def of_lead(lead_id: int) -> list[Policy]:
    """Returns a lead's policies, the next to renew first."""
    return list(db.session.scalars(select(Policy).where(Policy.lead_id == lead_id).order_by(Policy.renews_on)))


def renewing(days: int) -> int:
    """Returns how many active policies renew within so many days."""
    return value(
        "SELECT count(*) FROM policies WHERE status = 'active' AND renews_on >= current_date"
        " AND renews_on <= current_date + CAST(:days AS int)",
        days=days,
    )


def get(policy_id: int, *, lock: bool = False) -> Policy:
    """Returns a policy of a lead that is there. lock: until the transaction ends. Raises NotFound."""
    wanted = select(Policy).where(Policy.id == policy_id).execution_options(populate_existing=lock)
    policy = db.session.scalar(wanted.with_for_update() if lock else wanted)
    if policy is None:
        raise NotFound("That policy does not exist any more.")
    leads.get(policy.lead_id)
    return policy


def create(lead_id: int, values: dict[str, Any]) -> Policy:
    """Adds a policy to a lead. Raises Invalid at each field that cannot be taken, NotFound where there is no such
    lead."""
    lead = leads.get(lead_id)
    values = policy_values.clean({"number": None, "status": "active", "payment_status": "paid"} | values)
    policy = Policy(lead_id=lead.id)
    _write(policy, policy_values.completed(values, {}))
    timeline.record(
        lead.id, "policy_added", told(policy) | {"type": policy.type, "premium": leads.plain(policy.premium)}
    )
    return policy


def _write(policy: Policy, values: dict[str, Any]) -> None:
    add_unique(policy, Invalid({"number": TAKEN}), values)


def told(policy: Policy) -> dict[str, Any]:
    """Returns what each fact about a policy says first."""
    return {"policy_id": policy.id, "number": policy.number}


def update(policy: Policy, values: dict[str, Any]) -> dict[str, Any]:
    """Changes some fields. Returns what changed as field -> [before, after], as kept on the timeline. Raises Invalid."""
    before = {field: getattr(policy, field) for field in policy_values.EDITABLE}
    wanted = policy_values.completed(policy_values.clean(values), before)
    changed = {field: value for field, value in wanted.items() if before[field] != value}
    if not changed:
        return {}
    _write(policy, changed)
    shown = {field: [leads.plain(before[field]), leads.plain(getattr(policy, field))] for field in changed}
    for kind, fields in policy_values.facts_of(before, changed).items():
        timeline.record(policy.lead_id, kind, told(policy) | {"changes": {field: shown[field] for field in fields}})
    return shown


def remove(policy: Policy) -> None:
    """Takes a policy away. What it was stands in the fact, from which `restore` brings it back."""
    was = {field: leads.plain(getattr(policy, field)) for field in policy_values.EDITABLE}
    timeline.record(policy.lead_id, "policy_removed", told(policy) | {"was": was})
    audit.record("policy.removed", "policy", policy.id, before=was)
    db.session.delete(policy)
    db.session.flush()


def latest_removal(lead_id: int) -> int | None:
    """Returns the id of the last fact this very transaction wrote about a policy taken from the lead, or None."""
    return value(
        "SELECT max(id) FROM lead_events WHERE tx = pg_current_xact_id()::text::bigint AND lead_id = :lead"
        " AND type = 'policy_removed'",
        lead=lead_id,
    )


def restore(fact_id: int) -> Policy:
    """Brings back the policy that a fact says was removed. Raises NotFound, or Refused where its number is taken."""
    fact = one("SELECT lead_id, payload FROM lead_events WHERE id = :id AND type = 'policy_removed'", id=fact_id)
    if fact is None or "was" not in fact.payload:
        raise NotFound("There is no removed policy under that address.")
    lead = leads.get(fact.lead_id)
    policy = Policy(lead_id=lead.id)
    was = {field: policy_values.from_plain(field, value) for field, value in fact.payload["was"].items()}
    add_unique(policy, Refused("There is a policy with this number already, so it was left as it is."), was)
    timeline.record(lead.id, "policy_added", told(policy) | {"type": policy.type, "restored": "yes"})
    return policy


def search(term: str) -> Any:
    """Returns the condition that a policy's number begins with the term, in small letters or large."""
    prefix = term.replace("\0", "").strip().lower()
    # A range and not LIKE, which cannot use an index under row-level security.
    return (Policy.number_key >= prefix) & (Policy.number_key < prefix + "\U0010ffff")
