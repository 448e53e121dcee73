"""Personas: an ideal lead (segment, region, attributes), and how sure we are that somebody is one."""

import re
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.lead_values import clean_tags, storable
from webapp.audience.persona_scores import LEVELS, PersonaScore, recompute, retype
from webapp.audience.values import clean_each, clean_share, clean_text
from webapp.platform import audit
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, value
from webapp.platform.errors import Invalid, NotFound

__all__ = ["LEVELS", "PersonaScore", "recompute"]
TYPE = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}$")
TEXTS = {"name": 200, "description": 2000, "region": 200, "state": 200}
EDITABLE = (*TEXTS, "persona_type", "primary_segment_id", "segment_tags")
MOST_ATTRIBUTES = 100


class Persona(Tenant, Changing, Base):
    __tablename__ = "personas"
    name: Mapped[str]
    description: Mapped[str | None]
    primary_segment_id: Mapped[int | None]
    region: Mapped[str | None]
    state: Mapped[str | None]
    persona_type: Mapped[str]
    # What its groups have in common: a group matches that carries one of these segment tags (and is of its region).
    segment_tags: Mapped[list[str]] = mapped_column(server_default="{}")
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    __table_args__ = (
        of_organization(),
        child_of("segments", "primary_segment_id", "SET NULL"),
        Index(None, "org_id", "persona_type", unique=True),
    )


class PersonaAttribute(Tenant, Base):
    __tablename__ = "persona_attributes"
    persona_id: Mapped[int]
    type: Mapped[str]
    name: Mapped[str]
    value: Mapped[str]
    source: Mapped[str | None]
    confidence: Mapped[Decimal] = mapped_column(server_default="1")
    __table_args__ = (
        child_of("personas", "persona_id"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index(None, "org_id", "persona_id", "type", "name"),
    )


def get(persona_id: int, *, lock: bool = False) -> Persona:
    """Returns a persona of the organisation in scope. lock: until the transaction ends. Raises NotFound."""
    wanted = select(Persona).where(Persona.id == persona_id).execution_options(populate_existing=lock)
    persona = db.session.scalar(wanted.with_for_update() if lock else wanted)
    if persona is None:
        raise NotFound("That persona does not exist any more.")
    return persona


def create(values: dict[str, Any]) -> Persona:
    """Adds a persona. Raises Invalid at each field that cannot be taken."""
    persona = Persona()
    _write(persona, clean_each({"name": None, "persona_type": None} | values, _clean_field))
    audit.record("persona.created", "persona", persona.id, after={"name": persona.name})
    recompute()
    return persona


def update(persona: Persona, values: dict[str, Any]) -> bool:
    """Changes some fields. Returns False where nothing was different. Raises Invalid."""
    changed = {
        field: value for field, value in clean_each(values, _clean_field).items() if getattr(persona, field) != value
    }
    if not changed:
        return False
    before = persona.persona_type
    _write(persona, changed)
    if "persona_type" in changed:
        retype(persona.id, before, persona.persona_type)
    if changed.keys() & {"segment_tags", "region", "state"}:
        recompute()
    return True


def _write(persona: Persona, values: dict[str, Any]) -> None:
    add_unique(persona, Invalid({"persona_type": "Another persona has this type already."}), values)


def remove(persona: Persona) -> None:
    """Takes a persona away with its scores. Whoever was approved for it has no persona any more."""
    retype(persona.id, persona.persona_type, None)
    audit.record("persona.removed", "persona", persona.id, before={"name": persona.name})
    db.session.delete(persona)
    db.session.flush()


def _clean_field(field: str, given: Any) -> Any:
    if field not in EDITABLE:
        raise Invalid({field: "There is no such field."})
    if field == "segment_tags":
        return clean_tags(storable(given))
    if field == "primary_segment_id":
        if given is not None and value("SELECT id FROM segments WHERE id = :id", id=given) is None:
            raise Invalid({field: "Choose one of the list."})
        return given
    if field == "persona_type":
        word = re.sub(r"\s+", "_", str(given or "").strip().lower())
        if not TYPE.match(word):
            raise Invalid({field: "Use a short word of letters, digits and underscores, like young_family."})
        return word
    return clean_text(field, given, required=field == "name", longest=TEXTS[field])


def attributes_of(persona: Persona) -> list[PersonaAttribute]:
    """Returns what is said about a persona, by type and name."""
    wanted = select(PersonaAttribute).where(PersonaAttribute.persona_id == persona.id)
    return list(db.session.scalars(wanted.order_by(PersonaAttribute.type, PersonaAttribute.name, PersonaAttribute.id)))


def add_attribute(persona: Persona, values: dict[str, Any]) -> PersonaAttribute:
    """Adds a line about a persona: type, name, value, source, confidence from 0 to 1. Raises Invalid."""
    wanted = {field: values.get(field) for field in ("type", "name", "value", "source", "confidence")}
    cleaned = clean_each(wanted, _clean_said)
    if len(attributes_of(persona)) >= MOST_ATTRIBUTES:
        raise Invalid({"type": f"A persona has at most {MOST_ATTRIBUTES} attributes."})
    attribute = PersonaAttribute(persona_id=persona.id, **cleaned)
    db.session.add(attribute)
    db.session.flush()
    return attribute


def _clean_said(field: str, given: Any) -> Any:
    if field == "confidence":
        return clean_share(field, 1 if given in (None, "") else given)
    return clean_text(field, given, required=field != "source")


def remove_attribute(persona: Persona, attribute_id: int) -> None:
    """Takes a line about a persona away. Raises NotFound."""
    wanted = select(PersonaAttribute).where(
        PersonaAttribute.id == attribute_id, PersonaAttribute.persona_id == persona.id
    )
    found = db.session.scalar(wanted)
    if found is None:
        raise NotFound("That attribute is gone already.")
    db.session.delete(found)
    db.session.flush()
