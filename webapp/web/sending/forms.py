"""The forms of how an organisation sends."""

from datetime import datetime
from typing import Any

from flask_wtf import FlaskForm
from wtforms import DateField, FloatField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.messaging.policy import Policy
from webapp.messaging.portfolios import TIERS, Portfolio
from webapp.platform.organizations import QUIET_CHANNELS
from webapp.web.opened import Opened

TIME = {"type": "time"}
# In percent on the page, as fractions where they are kept.
PERCENTS = ("error_rate", "complaint_rate")
WHOLE = ("error_sample", "soft_bounces", "soft_window", "calls_per_agent")


class HoursForm(Opened, FlaskForm):
    """From and to of each channel; both empty for any hour. changed_at: when they last changed, as far as one knows."""

    def __init__(self, hours: dict[str, Any] | None = None, changed_at: datetime | None = None):
        kept = hours or {}
        super().__init__(
            data={
                f"{channel}_{end}": kept.get(channel, {}).get(end)
                for channel in QUIET_CHANNELS
                for end in ("from", "to")
            }
        )
        self.note(changed_at)

    def values(self) -> dict[str, Any]:
        """Returns what was typed, as organizations.set_quiet_hours takes it; of channels that did not stand in the form
        nothing."""
        given = [c for c in QUIET_CHANNELS if self[f"{c}_from"].raw_data or self[f"{c}_to"].raw_data]
        ends = {channel: {end: self.data[f"{channel}_{end}"] for end in ("from", "to")} for channel in given}
        return {channel: hours if hours["from"] or hours["to"] else None for channel, hours in ends.items()}


for _channel in QUIET_CHANNELS:
    for _end in ("from", "to"):
        setattr(HoursForm, f"{_channel}_{_end}", StringField(_end.title(), (Optional(),), render_kw=TIME))


class CapForm(FlaskForm):
    sends = IntegerField("Messages", (Optional(),))
    days = IntegerField("In how many days", (Optional(),))


def _percent(label: str, low: float) -> FloatField:
    words = f"Give a number from {low:g} to 100."
    return FloatField(label, (InputRequired(words), NumberRange(low, 100, words)))


def _plain(number: float) -> float:
    """Returns a number as somebody would type it: 20 and not 20.0."""
    return int(number) if number == int(number) else round(number, 4)


class PolicyForm(FlaskForm):
    error_rate = _percent("Hold at failures of (%)", 1)
    complaint_rate = _percent("Hold at complaints of (%)", 0.05)
    error_sample = IntegerField("Not before (messages)", (InputRequired("Give a whole number."),))
    soft_bounces = IntegerField("Give up after soft bounces", (InputRequired("Give a whole number."),))
    soft_window = IntegerField("Among its last messages", (InputRequired("Give a whole number."),))
    overdue_hours = FloatField("Overdue after (hours)", (InputRequired("Give a number."),))
    calls_per_agent = IntegerField("Calls per agent and day", (InputRequired("Give a whole number."),))

    def __init__(self, policy: Policy):
        kept = {name: getattr(policy, name) for name in (*WHOLE, "overdue_hours")}
        super().__init__(data=kept | {name: _plain(getattr(policy, name) * 100) for name in PERCENTS})

    def values(self) -> dict[str, Any]:
        """Returns what was typed, as policy.save takes it."""
        plain = {name: self.data[name] for name in (*WHOLE, "overdue_hours")}
        return plain | {name: round(self.data[name] / 100, 6) for name in PERCENTS}


class HolidayForm(FlaskForm):
    country = StringField(
        "Country", (InputRequired("Give a country."),), render_kw={"maxlength": 2, "autocomplete": "off"}
    )
    on_date = DateField("Day", (InputRequired("Give a day."),))
    name = StringField("Name", (InputRequired("Give a name."),))


class CalendarForm(FlaskForm):
    country = StringField(
        "Country", (InputRequired("Give a country."),), render_kw={"maxlength": 2, "autocomplete": "off"}
    )
    year = IntegerField("Year", (InputRequired("Give a year."),))


class PortfolioForm(FlaskForm):
    name = StringField("Name", (InputRequired("Give a name."),))
    external_id = StringField("Portfolio ID", (Optional(),))
    daily_people = SelectField("People in 24 hours")

    def __init__(self, portfolio: Portfolio | None = None, **more: Any):
        super().__init__(obj=portfolio, **more)
        sizes = sorted({*TIERS, *([portfolio.daily_people] if portfolio and portfolio.daily_people else [])})
        self.daily_people.choices = [*((str(n), f"{n:,}") for n in sizes), ("", "Unlimited")]
        if not self.is_submitted() and portfolio:
            self.daily_people.data = str(portfolio.daily_people or "")

    @property
    def people(self) -> int | None:
        return int(self.daily_people.data) if self.daily_people.data else None
