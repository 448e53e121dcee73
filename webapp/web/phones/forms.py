"""The forms of the built-in phones."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectField, StringField
from wtforms.validators import NumberRange

from webapp.messaging.phones import FAULTS_LIMIT
from webapp.messaging.standin import faults


class ReplyForm(FlaskForm):
    text = StringField("Answer")


class FaultForm(FlaskForm):
    fault = SelectField("It ends so")
    remaining = IntegerField("Messages", default=1, validators=[
        NumberRange(1, FAULTS_LIMIT, f"Give a number from 1 to {FAULTS_LIMIT:,}.")
    ], render_kw={"min": 1, "max": FAULTS_LIMIT, "inputmode": "numeric"})  # fmt: skip


def fault_form(channel: str, **values: Any) -> FaultForm:
    """Returns the form with the faults of a channel."""
    form = FaultForm(**values)
    form.fault.choices = {"All is well": [("", "It arrives")]} | faults.choices(channel)
    return form
