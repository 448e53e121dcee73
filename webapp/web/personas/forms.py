"""The forms of a persona and of what is said about it."""

from typing import Any

from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import DecimalField, SelectField, StringField, TextAreaField
from wtforms.validators import Length, Optional

from webapp.audience.personas import Persona
from webapp.audience.segments import Segment
from webapp.platform.db import db
from webapp.web.groups.forms import LONG, SHORT, id_or_none

LINE = (Length(max=200, message="Use at most 200 characters."),)


class PersonaForm(FlaskForm):
    name = StringField("Name", LINE)
    persona_type = StringField("Persona type", LINE)
    description = TextAreaField("Description", LONG, render_kw={"rows": 2})
    primary_segment_id = SelectField("Primary segment", coerce=id_or_none)
    segment_tags = StringField("Segment tags", SHORT)
    region = StringField("Region", SHORT)
    state = StringField("State", SHORT)

    def __init__(self, persona: Persona | None = None):
        super().__init__(obj=persona)
        named = db.session.execute(select(Segment.id, Segment.name).order_by(Segment.name))
        self.primary_segment_id.choices = [("", "None"), *((row.id, row.name) for row in named)]
        if persona is not None and not self.is_submitted():
            self.segment_tags.data = ", ".join(persona.segment_tags)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them."""
        return {name: field.data for name, field in self._fields.items() if name != "csrf_token"}


class AttributeForm(FlaskForm):
    type = StringField("Kind", LINE)
    name = StringField("Attribute", LINE)
    value = StringField("Value", LINE)
    source = StringField("Source", SHORT)
    confidence = DecimalField("Confidence", (Optional(),), default=1, places=2)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them."""
        return {name: field.data for name, field in self._fields.items() if name != "csrf_token"}
