"""The form of a sender: built from what its provider needs to be told."""

from datetime import date
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    EmailField,
    FloatField,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, NumberRange, Optional

from webapp.messaging import portfolios, sender_fields
from webapp.messaging.sender_fields import Field
from webapp.messaging.sender_limits import STATUSES
from webapp.messaging.senders import Sender
from webapp.web import filters
from webapp.web.opened import Opened
from webapp.web.shell import row_id

PORT_WORDS = "A port is a number from 1 to 65535."
NUMBER_WORDS = "Give a whole number."
BOUNCES = ("bounce_domain",)
PLAN = ("started_on", "first", "growth")


class _SenderForm(Opened, FlaskForm):
    name = StringField("Name recipients see", (InputRequired("Give the name recipients see."),))
    status = SelectField("Status", choices=[(status, filters.words(status)) for status in STATUSES], default="active")
    daily_limit = IntegerField("Messages in 24 hours", (Optional(),))
    rate_per_second = IntegerField("Messages a second", (Optional(),))
    warming_started_on = DateField("Warming starts on", (Optional(),))
    warming_first = IntegerField("First day's limit", (Optional(),))
    warming_growth = FloatField("Growth a day", (Optional(),))
    notes = TextAreaField("Notes", (Optional(),), render_kw={"rows": 3})
    is_default = BooleanField("Use this sender unless another is chosen")


def sender_form(provider: str, channel: str, sender: Sender | None, kept: set[str], told: dict[str, Any]) -> FlaskForm:
    """Returns the form of a sender. kept: names of the secrets it has; told: what it was told so far."""
    fields = sender_fields.of(provider, channel)
    made = {field.name: _control(field, field.name in kept) for field in fields if not field.generated}
    plan = {f"warming_{name}": value for name, value in _plan(told).items()}
    data = None if sender is None else told | plan | {"is_default": sender.is_default}
    form = type("SenderForm", (_SenderForm,), made)(data=data)
    form.note(sender.updated_at if sender else None)
    form.sections = _sections(fields)
    form.hints = {field.name: _hint(field, field.name in kept) for field in fields}
    return form


def _plan(told: dict[str, Any]) -> dict[str, Any]:
    plan = told.get("warming") or {}
    return plan | ({"started_on": date.fromisoformat(plan["started_on"])} if plan else {})


def _control(field: Field, is_kept: bool) -> Any:
    needed = field.required and not is_kept
    words = field.words or f"Give the {field.label[:1].lower()}{field.label[1:]}."
    checks: tuple = (InputRequired(words),) if needed else (Optional(),)
    if field.is_secret:
        return PasswordField(field.label, checks, render_kw={"autocomplete": "new-password"})
    if field.kind == "port":
        checks = (InputRequired(PORT_WORDS) if needed else Optional(), NumberRange(1, 65535, PORT_WORDS))
        return IntegerField(field.label, checks, default=field.default)
    if field.kind == "choice":
        return SelectField(field.label, choices=list(field.choices), default=field.default)
    if field.kind == "id":
        choices = [("", "One of its own"), *((p.id, p.name) for p in portfolios.every())]
        return SelectField(
            field.label, (Optional(),), choices=choices, coerce=lambda given: row_id(given) if given else ""
        )
    return (EmailField if field.kind == "email" else StringField)(field.label, checks, default=field.default)


def _hint(field: Field, is_kept: bool) -> str:
    if not field.is_secret:
        return field.hint
    return "Kept. Leave empty to keep it." if is_kept else f"{field.hint} Kept encrypted and never shown again.".strip()


def _sections(fields: tuple[Field, ...]) -> list[tuple[str, list[str]]]:
    """Returns (heading, names of fields) of what the provider asks for."""
    parts: dict[str, list[str]] = {"": [], "Connection": [], "Bounces": []}
    for field in fields:
        if field.generated:
            continue
        bounces = field.name.startswith("imap_") or field.name in BOUNCES
        parts["Bounces" if bounces else "" if field.place == "column" else "Connection"].append(field.name)
    return [(heading, names) for heading, names in parts.items() if names]


def values_of(form: FlaskForm) -> dict[str, Any]:
    """Returns what was typed, as `senders.save` takes it."""
    plan = {name: form.data[f"warming_{name}"] for name in PLAN}
    told = {
        name: given
        for name, given in form.data.items()
        if name not in ("csrf_token", "version") and not name.startswith("warming_")
    }
    if "portfolio_id" in told:
        told["portfolio_id"] = told["portfolio_id"] or None
    return told | {"warming": plan if any(given is not None for given in plan.values()) else None}
