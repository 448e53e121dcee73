"""The form of a campaign."""

from datetime import datetime
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateTimeLocalField, RadioField, SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from webapp.audience import segments
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.words import GOALS
from webapp.messaging import senders, templates
from webapp.platform.clock import from_local, local
from webapp.web.filters import words, zone
from webapp.web.shell import row_id


def _id_or_none(value: Any) -> int | None:
    return None if value in (None, "", "None") else row_id(value)


def _in_our_time(_form: Any, field: Any) -> None:
    # Near the ends of the calendar a time falls off it in another zone.
    if field.data is not None and not 2000 <= field.data.year < 2200:
        raise ValidationError("Use a time from 2000 to 2199.")


class CampaignForm(FlaskForm):
    name = StringField(
        "Name", (InputRequired("Give the campaign a name."), Length(max=120, message="Use at most 120 characters."))
    )
    goal = SelectField("Goal", choices=[("", "None in particular"), *((g, words(g)) for g in GOALS)])
    template_id = SelectField("Template", coerce=_id_or_none, validate_choice=False)
    subject_line = StringField("Subject", (Optional(),))
    segment_id = SelectField("Segment", coerce=_id_or_none, validate_choice=False)
    sender_id = SelectField("Sender", coerce=_id_or_none, validate_choice=False)
    schedule_type = RadioField(
        "Send", choices=[("immediate", "As soon as it is launched"), ("scheduled", "At a time")], default="immediate"
    )
    scheduled_at = DateTimeLocalField(
        "Time", (Optional(), _in_our_time), format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
    )

    def __init__(self, campaign: Campaign | None = None):
        super().__init__(obj=campaign)
        self.template_id.choices = [("", "Choose…"), *((t.id, t.name) for t in templates.usable())]
        self.segment_id.choices = [
            ("", "Choose…"),
            *((s.id, f"{s.name} ({s.estimated_size:,})") for s in segments.every()),
        ]
        self.sender_id.choices = [("", "Choose…"), *((s.id, f"{s.name} <{s.address}>") for s in senders.usable())]
        if campaign is not None and campaign.scheduled_at and not self.is_submitted():
            self.scheduled_at.data = local(campaign.scheduled_at, zone()).replace(tzinfo=None)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them, the time in UTC."""
        values = {name: field.data for name, field in self._fields.items() if name != "csrf_token"}
        at: datetime | None = values["scheduled_at"]
        values["scheduled_at"] = from_local(at, zone()) if at and values["schedule_type"] == "scheduled" else None
        return values | {"goal": values["goal"] or None, "subject_line": (values["subject_line"] or "").strip() or None}
