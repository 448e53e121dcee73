"""WhatsApp groups: where leads meet, and how much being in one says about them."""

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import CheckConstraint, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import leads, persona_scores
from webapp.audience.lead_values import clean_phone, clean_tags, storable
from webapp.audience.leads import one_of
from webapp.audience.values import clean_each, clean_share, clean_text
from webapp.platform import audit
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, rows, run, value
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.organizations import current as current_organization

ROLES = ("admin", "member", "unknown")


class WhatsAppGroup(Tenant, Changing, Base):
    __tablename__ = "whatsapp_groups"
    external_group_id: Mapped[str | None]
    sender_id: Mapped[int | None]
    name: Mapped[str]
    description: Mapped[str | None]
    member_count: Mapped[int] = mapped_column(server_default="0")
    region: Mapped[str | None]
    state: Mapped[str | None]
    district: Mapped[str | None]
    segment_tags: Mapped[list[str]] = mapped_column(server_default="{}")
    discovered_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    is_active: Mapped[bool] = mapped_column(server_default="true")
    __table_args__ = (
        of_organization(),
        child_of("senders", "sender_id", "SET NULL"),
        Index(None, "org_id", "external_group_id", unique=True),
        Index(None, "org_id", "created_at", "id"),
    )


class GroupMember(Tenant, Changing, Base):
    __tablename__ = "whatsapp_group_members"
    group_id: Mapped[int]
    lead_id: Mapped[int]
    role: Mapped[str] = mapped_column(server_default="member")
    contributes_to_persona: Mapped[bool] = mapped_column(server_default="true")
    persona_weight: Mapped[Decimal] = mapped_column(server_default="1")
    joined_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    left_at: Mapped[datetime | None]
    __table_args__ = (
        child_of("whatsapp_groups", "group_id"),
        child_of("leads", "lead_id"),
        one_of("role", ROLES),
        CheckConstraint("persona_weight BETWEEN 0 AND 1", name="persona_weight"),
        Index("ix_whatsapp_group_members_open", "org_id", "group_id", "lead_id", unique=True,
              postgresql_where=text("left_at IS NULL")),
        Index(None, "org_id", "lead_id"),
    )  # fmt: skip


LONGEST = {"description": 2000}
TEXTS = ("name", "external_group_id", "description", "region", "state", "district")
EDITABLE = (*TEXTS, "sender_id", "segment_tags", "is_active")
BELONGING = ("role", "contributes_to_persona", "persona_weight")
MOST_NUMBERS = 2_000  # pasted at once
UNKNOWN = {
    "stop": "Tell me, and add nobody yet",
    "leave_out": "Leave them out",
    "create": "Add them as new leads",
}
OPEN = GroupMember.left_at.is_(None)


class Added(NamedTuple):
    """added: leads that came into the group; known: leads that were in it; created: leads made on the way; left_out:
    numbers nobody has."""

    added: int
    known: int
    created: int = 0
    left_out: int = 0


def get(group_id: int, *, lock: bool = False) -> WhatsAppGroup:
    """Returns a group of the organisation in scope. lock: until the transaction ends. Raises NotFound."""
    wanted = select(WhatsAppGroup).where(WhatsAppGroup.id == group_id).execution_options(populate_existing=lock)
    group = db.session.scalar(wanted.with_for_update() if lock else wanted)
    if group is None:
        raise NotFound("That group does not exist any more.")
    return group


def create(values: dict[str, Any]) -> WhatsAppGroup:
    """Adds a group. Raises Invalid at each field that cannot be taken."""
    group = WhatsAppGroup()
    _write(group, clean_each({"name": None} | values, _clean_field))
    audit.record("group.created", "whatsapp_group", group.id, after={"name": group.name})
    return group


def update(group: WhatsAppGroup, values: dict[str, Any]) -> bool:
    """Changes some fields. Returns False where nothing was different. Raises Invalid."""
    changed = {
        field: value for field, value in clean_each(values, _clean_field).items() if getattr(group, field) != value
    }
    if changed:
        _write(group, changed)
        if changed.keys() & {"segment_tags", "region", "state"}:
            persona_scores.recompute()
    return bool(changed)


def _write(group: WhatsAppGroup, values: dict[str, Any]) -> None:
    add_unique(group, Invalid({"external_group_id": "Another group has this id already."}), values)


def remove(group: WhatsAppGroup) -> None:
    """Takes a group away with its memberships; the leads stay."""
    audit.record("group.removed", "whatsapp_group", group.id, before={"name": group.name})
    db.session.delete(group)
    db.session.flush()
    persona_scores.recompute()


def _clean_field(field: str, given: Any) -> Any:
    if field not in EDITABLE:
        raise Invalid({field: "There is no such field."})
    if field == "segment_tags":
        return clean_tags(storable(given))
    if field == "is_active":
        return bool(given)
    if field == "sender_id":
        # Senders stand on a floor above and are asked by name.
        if given is not None and value("SELECT id FROM senders WHERE id = :id", id=given) is None:
            raise Invalid({field: "Choose one of the list."})
        return given
    return clean_text(field, given, required=field == "name", longest=LONGEST.get(field, 200))


def member(group: WhatsAppGroup, member_id: int, *, lock: bool = False) -> GroupMember:
    """Returns an open membership of the group. Raises NotFound."""
    wanted = select(GroupMember).where(GroupMember.id == member_id, GroupMember.group_id == group.id, OPEN)
    wanted = wanted.execution_options(populate_existing=lock)
    found = db.session.scalar(wanted.with_for_update() if lock else wanted)
    if found is None:
        raise NotFound("They are not in that group any more.")
    return found


def clean_membership(values: dict[str, Any]) -> dict[str, Any]:
    """Returns role, contributes_to_persona and persona_weight as they are stored. Raises Invalid."""
    given = {"role": "member", "contributes_to_persona": True, "persona_weight": 1} | values
    return clean_each({field: given[field] for field in BELONGING}, _clean_belonging)


def _clean_belonging(field: str, given: Any) -> Any:
    if field == "role" and given not in ROLES:
        raise Invalid({field: f"Choose one of {', '.join(ROLES)}."})
    if field == "persona_weight":
        return clean_share(field, given)
    return bool(given) if field == "contributes_to_persona" else given


def set_member(found: GroupMember, values: dict[str, Any]) -> None:
    """Changes what a membership is. Raises Invalid."""
    for field, cleaned in clean_membership(values).items():
        setattr(found, field, cleaned)
    db.session.flush()
    persona_scores.recompute([found.lead_id])


def add_members(group: WhatsAppGroup, lead_ids: Iterable[int], values: dict[str, Any] | None = None) -> Added:
    """Puts leads into the group; those in it already stay as they are. values: see `clean_membership`. Raises
    Invalid."""
    wanted = sorted(set(lead_ids))
    found = rows(
        "INSERT INTO whatsapp_group_members (group_id, lead_id, role, contributes_to_persona, persona_weight)"
        " SELECT :group_id, id, :role, :contributes_to_persona, :persona_weight FROM leads"
        " WHERE id = ANY(:ids) AND deleted_at IS NULL ORDER BY id"
        " ON CONFLICT (org_id, group_id, lead_id) WHERE left_at IS NULL DO NOTHING RETURNING lead_id",
        group_id=group.id, ids=wanted, **clean_membership(values or {}),
    )  # fmt: skip
    came = [row.lead_id for row in found]
    if came:
        count_members(group.id)
        persona_scores.recompute(came)
    inside = value(
        "SELECT count(*) FROM whatsapp_group_members WHERE group_id = :group_id AND lead_id = ANY(:ids)"
        " AND left_at IS NULL",
        group_id=group.id, ids=wanted,
    )  # fmt: skip
    return Added(len(came), inside - len(came))


def add_numbers(group: WhatsAppGroup, pasted: str, values: dict[str, Any], unknown: str = "stop") -> Added:
    """Puts the leads of pasted phone numbers into the group. pasted: numbers parted by lines, commas or semicolons.
    unknown: what happens to numbers no lead has, see UNKNOWN. Raises Invalid at `numbers`."""
    phones = _read_numbers(pasted)
    if unknown not in UNKNOWN:
        raise Invalid({"unknown": "Choose what happens to numbers no lead has."})
    known = {
        row.phone: row.id
        for row in rows("SELECT id, phone FROM leads WHERE phone = ANY(:phones) AND deleted_at IS NULL", phones=phones)
    }
    strange = [phone for phone in phones if phone not in known]
    if strange and unknown == "stop":
        shown = ", ".join(strange[:10]) + (f" and {len(strange) - 10:,} more" if len(strange) > 10 else "")
        raise Invalid({"numbers": f"No lead has {shown}. Nobody was added yet."})
    clean_membership(values)
    made = [leads.create({"phone": phone}, source="whatsapp").id for phone in strange] if unknown == "create" else []
    added = add_members(group, [*known.values(), *made], values)
    return added._replace(created=len(made), left_out=0 if made else len(strange))


def _read_numbers(pasted: str) -> list[str]:
    country, phones, wrong = current_organization().country, [], []
    for part in filter(None, (part.strip() for part in re.split(r"[\n\r,;]", storable(pasted)))):
        try:
            phones.append(clean_phone(part, country))
        except Invalid:
            wrong.append(part[:40])
    if wrong:
        more = f" and {len(wrong) - 5:,} more" if len(wrong) > 5 else ""
        raise Invalid({"numbers": f"These do not look like phone numbers: {', '.join(wrong[:5])}{more}."})
    if not phones:
        raise Invalid({"numbers": "Paste at least one phone number."})
    if len(phones) > MOST_NUMBERS:
        raise Invalid({"numbers": f"Paste at most {MOST_NUMBERS:,} numbers at once."})
    return list(dict.fromkeys(phones))


def leave(found: GroupMember) -> None:
    """Ends a membership; that it was stays known."""
    found.left_at = db.func.now()
    db.session.flush()
    count_members(found.group_id)
    persona_scores.recompute([found.lead_id])


def count_members(group_id: int) -> None:
    """Brings the number of members of a group up to date."""
    run(
        "UPDATE whatsapp_groups SET member_count = (SELECT count(*) FROM whatsapp_group_members m"
        " WHERE m.group_id = whatsapp_groups.id AND m.left_at IS NULL), updated_at = now() WHERE id = :id",
        id=group_id,
    )
