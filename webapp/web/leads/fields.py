"""A lead's values, edited where they stand: a value turns into its control, and back when it is saved."""

from typing import Any

from flask import make_response, render_template, request, url_for
from sqlalchemy import select

from webapp.audience import leads
from webapp.audience.leads import Lead
from webapp.platform.clock import local, now
from webapp.platform.db import db
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.users import User
from webapp.web import filters
from webapp.web.leads.forms import LeadForm
from webapp.web.leads.room import lead_pages
from webapp.web.shell import go, needs, say, show_errors

# As they stand on the page; what is not known yet is put away below.
SHOWN = (
    "first_name", "last_name", "email", "phone", "status", "priority", "insurance_type", "value_estimate", "customer_tier",
    "owner_id", "source", "date_of_birth", "tags", "city", "district", "state", "region", "country", "timezone", "language",
    "external_id",
)  # fmt: skip
LABELS = {field: getattr(LeadForm, field).args[0] for field in SHOWN}


def typed(lead: Lead, field: str) -> str:
    """Returns a value as it stands in its control."""
    value = getattr(lead, field)
    if field == "tags":
        return ", ".join(value)
    return "" if value is None else str(value)


def users_named(ids: set[int]) -> dict[int, str]:
    """Returns the names of users by id."""
    return dict(db.session.execute(select(User.id, User.name).where(User.id.in_(ids))).all()) if ids else {}


def written(lead: Lead, field: str) -> Any:
    """Returns a value as it is read on screen; nothing for one that is not known."""
    value = getattr(lead, field)
    if value is None or value == []:
        return ""
    if field in ("status", "priority"):
        return filters.status(value)
    if field in ("insurance_type", "customer_tier"):
        return filters.words(value)
    if field == "owner_id":
        return users_named({value}).get(value, "")
    ways = {"value_estimate": filters.money, "date_of_birth": filters.day, "tags": ", ".join}
    return ways.get(field, str)(value)


def facts_of(lead: Lead) -> list[dict[str, Any]]:
    """Returns the lead's fields for the card: name, label, shown."""
    return [{"name": name, "label": LABELS[name], "shown": written(lead, name)} for name in SHOWN]


def _row(lead: Lead, field: str, **more: Any) -> str:
    fact = {"name": field, "label": LABELS[field], "shown": written(lead, field)}
    return render_template("leads/_fact.html", lead=lead, fact=fact, **more)


def _editor(lead: Lead, form: LeadForm, field: str, status: int = 200) -> Any:
    return make_response(_row(lead, field, form=form, opened=typed(lead, field)), status)


@lead_pages.get("/<int:lead_id>/field/<field>")
@needs("leads.edit")
def field(lead_id: int, field: str) -> Any:
    """The control of a value; with ?shown, the value again."""
    lead = leads.get(lead_id)
    if field not in LABELS:
        raise NotFound()
    return _row(lead, field) if "shown" in request.args else _editor(lead, LeadForm(lead), field)


@lead_pages.post("/<int:lead_id>/field/<field>")
@needs("leads.edit")
def save_field(lead_id: int, field: str) -> Any:
    lead = leads.get(lead_id, lock=True)
    if field not in LABELS:
        raise NotFound()
    form = LeadForm(lead)
    try:
        _check(lead, form, field)
        changed = leads.update(lead, {field: form[field].data})
    except Invalid as problem:
        show_errors(form, problem)
        return _editor(lead, form, field, 422)
    undo = url_for("leads.undo_change", lead_id=lead_id, fact_id=leads.latest_change(lead_id)) if changed else None
    there = local(now(), lead.timezone) if lead.timezone else None
    response = make_response(_row(lead, field, saved=bool(changed), undo=undo, there=there))
    if changed:
        response.headers["HX-Trigger"] = "lead-changed"
    return response


def _check(lead: Lead, form: LeadForm, field: str) -> None:
    """Raises Invalid where the value cannot be taken, or somebody changed it while it was being edited."""
    if field not in request.form:
        raise Invalid({field: "Nothing was sent. Try it again."})
    if not form[field].validate(form):
        raise Invalid({})
    opened, present = request.form.get("opened"), typed(lead, field)
    same = " ".join(present.split()) == " ".join((opened or "").split())
    if opened is not None and not same and present != request.form[field]:
        other = written(lead, field) if field == "owner_id" else present
        raise Invalid({field: f"Somebody has set this to “{other or 'nothing'}” meanwhile. Save again to replace it."})


@lead_pages.post("/<int:lead_id>/changes/<int:fact_id>/undo")
@needs("leads.edit")
def undo_change(lead_id: int, fact_id: int) -> Any:
    lead = leads.get(lead_id, lock=True)
    leads.undo_change(lead, fact_id)
    say("Changed back.")
    return go("leads.detail", lead_id=lead_id)
