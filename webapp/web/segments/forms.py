"""The forms of a segment beside its rules."""

from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from webapp.audience import planning
from webapp.audience.consents import CHANNELS
from webapp.web.filters import words

CHANNEL_WORDS = {"email": "E-mail", "sms": "SMS", "whatsapp": "WhatsApp", "call": "Call"}
AMOUNT = (Optional(), NumberRange(0, planning.MOST, message="Give a whole number, 0 or more."))


class SegmentForm(FlaskForm):
    name = StringField(
        "Name", (InputRequired("Give the segment a name."), Length(max=120, message="Use at most 120 characters."))
    )
    description = TextAreaField("Description", (Optional(), Length(max=1000, message="Use at most 1,000 characters.")))


class PlanningForm(FlaskForm):
    segment_type = SelectField(
        "Kind of stakeholder", choices=[("", "None"), *((kind, words(kind)) for kind in planning.TYPES)]
    )
    priority_score = IntegerField("Priority, 1 to 10", (Optional(), NumberRange(1, 10, message="Give 1 to 10.")))
    pain_points = TextAreaField("What troubles them")
    goals = TextAreaField("What they want")
    preferred_channels = SelectMultipleField(
        "How they like to hear from us", choices=[(c, CHANNEL_WORDS[c]) for c in (*CHANNELS, "call")]
    )
    estimated_market_size = IntegerField("People like them in the market", AMOUNT)
    current_reach = IntegerField("Reached today", AMOUNT)
    target_reach = IntegerField("To be reached", AMOUNT)
