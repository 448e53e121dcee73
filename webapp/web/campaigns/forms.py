"""The forms of a campaign: a draft, and the limits of one that is under way."""

from datetime import datetime, time
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateTimeLocalField,
    Field,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TimeField,
)  # fmt: skip
from wtforms.validators import InputRequired, Length, Optional, ValidationError

from webapp.audience import segments
from webapp.audience.consents import CHANNEL_WORDS
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.words import GOALS
from webapp.messaging import senders, templates
from webapp.messaging.senders import Sender
from webapp.messaging.templates import Template
from webapp.platform.clock import from_local, local
from webapp.platform.errors import Invalid
from webapp.web.filters import words, zone
from webapp.web.opened import Opened
from webapp.web.shell import row_id, show_errors

DAYS = ((1, "Mon"), (2, "Tue"), (3, "Wed"), (4, "Thu"), (5, "Fri"), (6, "Sat"), (7, "Sun"))
LATE = (
    ("skip", "Do not send it any more"),
    ("switch", "Send it over the next channel"),
    ("send", "Send it all the same"),
)
DEADLINES = (("", "None"), ("renews_on", "The policy's renewal"), ("next_due_on", "The next payment due"))
PRIORITIES = [(n, {1: "1 - first", 5: "5 - usual", 10: "10 - last"}.get(n, str(n))) for n in range(1, 11)]
LOCAL = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def _id_or_none(value: Any) -> int | None:
    return None if value in (None, "", "None") else row_id(value)


def _in_our_time(_form: Any, field: Any) -> None:
    # Near the ends of the calendar a time falls off it in another zone.
    if field.data is not None and not 2000 <= field.data.year < 2200:
        raise ValidationError("Use a time from 2000 to 2199.")


class Ordered(Field):
    """Several choices of one name, in the order they stand in; those left empty do not count."""

    data: list[str]

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = [value for value in valuelist if value] or self.data or ["email"]


class LimitsForm(Opened, FlaskForm):
    """How much goes out in a day, when and until when."""

    priority = SelectField("Priority", coerce=int, choices=PRIORITIES, default=5)
    daily_send_limit = IntegerField("Daily limit", (Optional(),), render_kw={"min": 1, "inputmode": "numeric"})
    window_from = TimeField("Not before", (Optional(),), format=["%H:%M", "%H:%M:%S"])
    window_to = TimeField("Not after", (Optional(),), format=["%H:%M", "%H:%M:%S"])
    window_days = SelectMultipleField("Days", coerce=int, choices=DAYS, default=list)
    end_at = DateTimeLocalField("Ends", (Optional(), _in_our_time), format=LOCAL)
    late_action = SelectField("What would come later", choices=LATE, default="skip")

    def show_campaign(self, campaign: Campaign | None) -> None:
        """Puts in what does not stand in a campaign as it stands in the form."""
        if campaign is None or self.is_submitted():
            return
        window = campaign.send_window or {}
        self.window_from.data = _clock(window.get("from"), "00:00")
        self.window_to.data = _clock(window.get("to"), "24:00")
        self.window_days.data = [day for day in window.get("days", []) if len(window["days"]) < 7]
        self.end_at.data = _naive(campaign.end_at)
        self.note(campaign.updated_at)

    def limits(self) -> dict[str, Any]:
        """Returns the limits as the verbs take them, times in UTC."""
        return {
            "priority": self.priority.data, "daily_send_limit": self.daily_send_limit.data, "send_window": self._window(),
            "end_at": from_local(self.end_at.data, zone()) if self.end_at.data else None,
            "late_action": self.late_action.data,
        }  # fmt: skip

    def _window(self) -> dict[str, Any] | None:
        begins, ends, days = self.window_from.data, self.window_to.data, self.window_days.data
        if begins is None and ends is None and not days:
            return None
        return {
            "from": f"{begins or time():%H:%M}", "to": f"{ends:%H:%M}" if ends else "24:00",
            "days": days or [day for day, _ in DAYS],
        }  # fmt: skip

    def show(self, problem: Invalid) -> None:
        """Puts a verb's messages at the fields."""
        at = {"send_window": "window_from"}
        show_errors(self, Invalid({at.get(name, name): message for name, message in problem.errors.items()}))


def _clock(text: str | None, whole: str) -> time | None:
    return time.fromisoformat(text) if text and text != whole else None


def _naive(moment: datetime | None) -> datetime | None:
    return local(moment, zone()).replace(tzinfo=None) if moment else None


class CampaignForm(LimitsForm):
    name = StringField(
        "Name", (InputRequired("Give the campaign a name."), Length(max=120, message="Use at most 120 characters."))
    )
    goal = SelectField("Goal", choices=[("", "None in particular"), *((g, words(g)) for g in GOALS)])
    channels = Ordered("Channel", default=lambda: ["email"])
    template_id = SelectField("Template", coerce=_id_or_none, validate_choice=False)
    subject_line = StringField("Subject", (Optional(),))
    segment_id = SelectField("Segment", coerce=_id_or_none, validate_choice=False)
    sender_id = SelectField("Sender", coerce=_id_or_none, validate_choice=False)
    schedule_type = RadioField(
        "Send", choices=[("immediate", "As soon as it is launched"), ("scheduled", "At a time")], default="immediate"
    )
    scheduled_at = DateTimeLocalField("Time", (Optional(), _in_our_time), format=LOCAL)
    deadline_field = SelectField("Their own date", choices=DEADLINES, default="")
    paced_by_callbacks = BooleanField("No more than our agents can call back")

    def __init__(self, campaign: Campaign | None = None):
        super().__init__(obj=campaign)
        self.template_id.choices = [("", "Choose…"), *((t.id, _named(t)) for t in _templates(self.channels.data))]
        self.segment_id.choices = [
            ("", "Choose…"),
            *((s.id, f"{s.name} ({s.estimated_size:,})") for s in segments.every()),
        ]
        usable = senders.usable(self.channels.data[0])
        self.sender_id.choices = [("", "Choose…"), *((s.id, _addressed(s)) for s in usable)]
        self.show_campaign(campaign)
        if campaign is not None and not self.is_submitted():
            self.scheduled_at.data = _naive(campaign.scheduled_at)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them, times in UTC."""
        plain = ("name", "channels", "template_id", "segment_id", "sender_id", "schedule_type", "paced_by_callbacks")
        at = self.scheduled_at.data
        return {name: self[name].data for name in plain} | self.limits() | {
            "scheduled_at": from_local(at, zone()) if at and self.schedule_type.data == "scheduled" else None,
            "goal": self.goal.data or None,
            "deadline_field": self.deadline_field.data or None,
            "subject_line": (self.subject_line.data or "").strip() or None,
        }  # fmt: skip


def _addressed(sender: Sender) -> str:
    address = f"<{sender.address}>" if sender.channel == "email" else f"({sender.address})"
    return f"{sender.name} {address}{' - held' if sender.held_at else ''}"


def _templates(channels: list[str]) -> list[Template]:
    """Returns the templates that have a message for each of some channels."""
    known = [channel for channel in channels if channel in CHANNEL_WORDS] or ["email"]
    return [t for t in templates.usable(known[0]) if set(known) <= set(templates.channels_of(t))]


def _named(template: Template) -> str:
    said = templates.hindrance(template, templates.channels_of(template))
    held = " - held" if template.hold_reason else " - not approved yet" if said else ""
    return f"{template.name}{held}"
