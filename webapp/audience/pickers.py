"""What a rule can choose among in this organisation: its fields, the values its leads have, its people and segments."""

from functools import cached_property
from typing import Any

from sqlalchemy import func, select

from webapp.audience.leads import ALIVE, Lead
from webapp.audience.rules.deeds import deed
from webapp.audience.rules.field import AttributeField, ColumnField, Field
from webapp.audience.rules.fields import FIELDS, field_named
from webapp.audience.rules.operators import CHOICE, REF, TAGS, TEXT
from webapp.audience.timeline import FACTS, HOUSEKEEPING
from webapp.platform import tenancy
from webapp.platform.db import db, rows

VALUES = 200  # suggestions for one field
LOOKED_AT = 5_000  # newest leads whose attributes are looked at for their names
LISTED = (TEXT, CHOICE, REF)
PRIVATE = ("first_name", "last_name", "email", "phone", "external_id")  # as many values as leads: no list helps


def field_groups() -> list[tuple[str, list[Field]]]:
    """Returns the fields a rule may name here by their groups: the house's, this organisation's attributes and events."""
    groups: dict[str, list[Field]] = {}
    for field in [*FIELDS.values(), *_attributes(), *_events()]:
        groups.setdefault(field.group, []).append(field)
    return list(groups.items())


def _attributes() -> list[Field]:
    found = rows(
        "SELECT DISTINCT key FROM (SELECT attributes FROM leads WHERE org_id = :org ORDER BY created_at DESC, id DESC"
        " LIMIT :n) l CROSS JOIN jsonb_object_keys(l.attributes) key ORDER BY key LIMIT 100",
        org=tenancy.current_org(), n=LOOKED_AT,
    )  # fmt: skip
    fields = (field_named(f"attributes.{row.key}") for row in found)
    return [field for field in fields if field is not None]


def _events() -> list[Field]:
    """The kinds of fact only this organisation has, each found by one step along the index and not by reading them all."""
    left_out = ", ".join(f"'{name}'" for name in HOUSEKEEPING)
    step = (
        "(SELECT type FROM lead_events WHERE org_id = :org AND type NOT IN ({left_out}) {behind} ORDER BY type LIMIT 1)"
    )
    first = step.format(left_out=left_out, behind="")
    after = step.format(left_out=left_out, behind="AND type > k.type")
    found = rows(
        f"WITH RECURSIVE k AS (SELECT {first} AS type UNION ALL SELECT {after} FROM k WHERE k.type IS NOT NULL)"
        " SELECT type FROM k WHERE type IS NOT NULL LIMIT 300",
        org=tenancy.current_org(),
    )
    return [deed(row.type) for row in found if row.type not in FACTS and field_named(f"event.{row.type}")]


def values_of(name: str) -> list[Any]:
    """Returns (value, n) for the most frequent values of a field of text, words, tags or an attribute, and of owners by
    their ids; [] for any other."""
    field = field_named(name)
    here = (Lead.org_id == tenancy.current_org(), ALIVE)
    if isinstance(field, ColumnField) and field.kind == TAGS:
        source = select(func.unnest(field.column).label("value")).where(*here)
    elif isinstance(field, AttributeField) or (
        isinstance(field, ColumnField) and field.kind in LISTED and name not in PRIVATE
    ):
        held: Any = field.column
        source = select(held.label("value")).where(*here, held.is_not(None))
    else:
        return []
    found = source.subquery()
    counted = select(found.c.value, func.count().label("n")).group_by(found.c.value)
    return list(db.session.execute(counted.order_by(func.count().desc(), found.c.value).limit(VALUES)))


class Choices:
    """The people, segments and campaigns a rule may choose, each asked for once a page and only where it is shown."""

    @cached_property
    def owners(self) -> list[tuple[int, str]]:
        found = rows("SELECT id, name, is_active FROM users ORDER BY is_active DESC, lower(name)")
        return [(row.id, row.name if row.is_active else f"{row.name} (not active)") for row in found]

    @cached_property
    def segments(self) -> list[tuple[int, str]]:
        found = rows("SELECT id, name, estimated_size FROM segments ORDER BY lower(name)")
        return [(row.id, f"{row.name} ({row.estimated_size:,})") for row in found]

    @cached_property
    def campaigns(self) -> list[tuple[int, str]]:
        # They stand on a floor above and are asked by name.
        return [tuple(row) for row in rows("SELECT id, name FROM campaigns ORDER BY created_at DESC LIMIT 500")]

    def of(self, what: str) -> list[tuple[int, str]]:
        """Returns (id, name) of the owners, segments or campaigns there are."""
        return getattr(self, what) if what in ("owners", "segments", "campaigns") else []
