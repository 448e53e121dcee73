"""The forms of a group and of belonging to one."""

from typing import Any

from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import BooleanField, DecimalField, SelectField, StringField, TextAreaField
from wtforms.validators import Length, Optional

from webapp.audience.groups import ROLES, UNKNOWN, WhatsAppGroup
from webapp.messaging.senders import Sender
from webapp.platform.db import db
from webapp.web.filters import words

SHORT = (Optional(), Length(max=200, message="Use at most 200 characters."))
LONG = (Optional(), Length(max=2000, message="Use at most 2,000 characters."))


def id_or_none(value: Any) -> int | None:
    """Reads a choice that is the id of a row, or none."""
    return int(value) if value not in (None, "", "None") else None


class GroupForm(FlaskForm):
    name = StringField("Name", (Length(max=200, message="Use at most 200 characters."),))
    description = TextAreaField("Description", LONG, render_kw={"rows": 2})
    region = StringField("Region", SHORT)
    state = StringField("State", SHORT)
    district = StringField("District", SHORT)
    segment_tags = StringField("Segment tags", SHORT)
    external_group_id = StringField("Id in WhatsApp", SHORT)
    sender_id = SelectField("Account that is in it", coerce=id_or_none)
    is_active = BooleanField("The group is in use", default=True)

    def __init__(self, group: WhatsAppGroup | None = None):
        super().__init__(obj=group)
        held = select(Sender.id, Sender.name).where(Sender.channel == "whatsapp").order_by(Sender.name)
        self.sender_id.choices = [("", "None"), *((row.id, row.name) for row in db.session.execute(held))]
        if group is not None and not self.is_submitted():
            self.segment_tags.data = ", ".join(group.segment_tags)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them."""
        return {name: field.data for name, field in self._fields.items() if name != "csrf_token"}


class MemberForm(FlaskForm):
    role = SelectField("Role in the group", choices=[(role, words(role)) for role in ROLES], default="member")
    persona_weight = DecimalField("Weight for personas", default=1, places=2)
    contributes_to_persona = BooleanField("Being in this group counts for personas", default=True)

    def values(self) -> dict[str, Any]:
        """Returns what belonging to the group is, as the verbs take it."""
        return {name: self[name].data for name in ("role", "persona_weight", "contributes_to_persona")}


class NumbersForm(MemberForm):
    numbers = TextAreaField("Phone numbers", render_kw={"rows": 6})
    unknown = SelectField("Numbers no lead has", choices=list(UNKNOWN.items()), default="stop")
