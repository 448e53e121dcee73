"""The form of a policy."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, DecimalField, SelectField, StringField
from wtforms.validators import Length, Optional, ValidationError

from webapp.audience.lead_values import INSURANCE_TYPES
from webapp.audience.policies import PAYMENT_STATUSES, STATUSES, Policy
from webapp.audience.policy_values import EDITABLE, NUMBER_LIMIT
from webapp.web.filters import words

TOO_LONG = f"Use at most {NUMBER_LIMIT} characters."


def _listed(values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(value, words(value)) for value in values]


def _amount(_form: Any, field: Any) -> None:
    # NaN compares with nothing, and 1e-999999999 is within every range and cannot be kept.
    value = field.data
    if value is not None and not (value.is_finite() and (value == 0 or -10 <= value.adjusted() <= 10)):
        raise ValidationError("Use an amount from 0 to 9,999,999,999.")


class PolicyForm(FlaskForm):
    number = StringField("Policy number", (Length(max=NUMBER_LIMIT, message=TOO_LONG),))
    type = SelectField("Type", choices=[("", "Not known"), *_listed(INSURANCE_TYPES)])
    status = SelectField("Status", choices=_listed(STATUSES), default="active")
    payment_status = SelectField("Payment", choices=_listed(PAYMENT_STATUSES), default="paid")
    premium = DecimalField("Premium a year", (Optional(), _amount), places=2)
    coverage = DecimalField("Coverage", (Optional(), _amount), places=2)
    started_on = DateField("Began on", (Optional(),))
    renews_on = DateField("Renews on", (Optional(),))
    next_due_on = DateField("Next payment due on", (Optional(),))
    lapsed_on = DateField("Lapsed on", (Optional(),))

    def __init__(self, policy: Policy | None = None):
        super().__init__(obj=policy)

    def values(self) -> dict[str, Any]:
        """Returns the fields as the verbs take them."""
        return {name: self[name].data for name in EDITABLE}
