"""The form of a lead."""

from typing import Any

from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import DateField, DecimalField, EmailField, SelectField, StringField, TelField
from wtforms.validators import Length, Optional, ValidationError

from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS
from webapp.audience.leads import Lead
from webapp.platform.clock import ZONES
from webapp.platform.db import db
from webapp.platform.users import User
from webapp.web.filters import words

SHORT = (Optional(), Length(max=200, message="Use at most 200 characters."))


def _choices(values: tuple[str, ...], empty: str | None = None) -> list[tuple[str, str]]:
    listed = [(value, words(value)) for value in values]
    return [("", empty), *listed] if empty is not None else listed


def _id_or_none(value: Any) -> int | None:
    return int(value) if value not in (None, "", "None") else None


def _amount(_form: Any, field: Any) -> None:
    # NaN compares with nothing, and 1e-999999999 is within every range and cannot be kept.
    value = field.data
    if value is not None and not (value.is_finite() and (value == 0 or -10 <= value.adjusted() <= 10)):
        raise ValidationError("Use an amount from 0 to 9,999,999,999.")


class LeadForm(FlaskForm):
    first_name = StringField("First name", SHORT)
    last_name = StringField("Last name", SHORT)
    email = EmailField("E-mail", SHORT)
    phone = TelField("Phone", SHORT)
    status = SelectField("Status", choices=_choices(STATUSES))
    priority = SelectField("Priority", choices=_choices(PRIORITIES), default="medium")
    insurance_type = SelectField("Insurance type", choices=_choices(INSURANCE_TYPES, "Not known"))
    value_estimate = DecimalField("Estimated value", (Optional(), _amount), places=2)
    source = StringField("Source", SHORT)
    owner_id = SelectField("Owner", coerce=_id_or_none)
    city = StringField("City", SHORT)
    state = StringField("State", SHORT)
    district = StringField("District", SHORT)
    region = StringField("Region", SHORT)
    country = StringField("Country", SHORT)
    language = StringField("Language", SHORT)
    timezone = SelectField("Time zone", choices=[("", "Not known"), *((z, z) for z in ZONES)])
    date_of_birth = DateField("Date of birth", (Optional(),))
    customer_tier = SelectField("Tier", choices=_choices(TIERS, "None"))
    tags = StringField("Tags", SHORT)
    external_id = StringField("Number in your system", SHORT)

    def __init__(self, lead: Lead | None = None):
        super().__init__(obj=lead)
        agents = db.session.execute(select(User.id, User.name).where(User.is_active).order_by(User.name))
        self.owner_id.choices = [("", "Nobody"), *((row.id, row.name) for row in agents)]
        if lead is not None and not self.is_submitted():
            self.tags.data = ", ".join(lead.tags)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them."""
        return {name: field.data for name, field in self._fields.items() if name != "csrf_token"}
