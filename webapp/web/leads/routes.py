"""Leads: the list, the form of one, and what is done with its button."""

import hashlib
import json
from typing import Any

from flask import request, url_for
from flask_login import current_user
from sqlalchemy import func, select

from webapp.audience import leads, segments
from webapp.audience.lead_filters import FILTERS, NOBODY
from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS
from webapp.audience.leads import ALIVE, Lead
from webapp.platform import tenancy
from webapp.platform.clock import local
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.platform.users import User
from webapp.web import filters
from webapp.web.leads.forms import LeadForm
from webapp.web.leads.room import lead_pages
from webapp.web.shell import go, needs, render, row_id, say, show_errors
from webapp.web.table import Column, Filter, Table


def _filter(name: str, label: str, choices: tuple[tuple[str, str], ...] = (), more: bool = False) -> Filter:
    return Filter(name, label, choices, FILTERS[name], more)


def _words(values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((value, filters.words(value)) for value in values)


def owners() -> tuple[tuple[str, str], ...]:
    """Returns (id, name) of everybody a lead may belong to."""
    found = db.session.execute(select(User.id, User.name).where(User.is_active).order_by(User.name))
    return tuple((str(row.id), row.name) for row in found)


def list_filters() -> tuple[Filter, ...]:
    """Returns the filters of the list: what a page may ask for, and a bulk action."""
    return (
        _filter("status", "Status", _words(STATUSES)),
        _filter("priority", "Priority", _words(PRIORITIES)),
        _filter("insurance_type", "Insurance", _words(INSURANCE_TYPES)),
        _filter("owner", "Owner", ((NOBODY, "Nobody"), *owners()), more=True),
        _filter("customer_tier", "Tier", _words(TIERS), more=True),
        _filter("state", "State", more=True),
        _filter("source", "Source", more=True),
        _filter("tag", "Tag", more=True),
    )


def _table() -> Table:
    editor = can(current_user, "leads.edit")
    return Table(
        name="leads",
        noun=("lead", "leads"),
        # The organisation is named for the planner, which then knows what to expect of the index.
        query=select(Lead).where(Lead.org_id == tenancy.current_org(), ALIVE),
        key=Lead.id,
        columns=(
            Column("name", "Name", lambda lead: lead.name, Lead.name_key),
            Column("email", "E-mail", lambda lead: lead.email or "–", wide=True),
            Column("phone", "Phone", lambda lead: lead.phone or "–", wide=True),
            Column("status", "Status", lambda lead: filters.status(lead.status), export=lambda lead: lead.status),
            Column("insurance", "Insurance", lambda lead: filters.words(lead.insurance_type) or "–", wide=True,
                   export=lambda lead: lead.insurance_type),
            Column("place", "Place", lambda lead: ", ".join(filter(None, (lead.city, lead.state))) or "–", wide=True),
            Column("value", "Est. value", lambda lead: filters.money(lead.value_estimate),
                   func.coalesce(Lead.value_estimate, -1), lambda lead: lead.value_estimate, numeric=True),
            Column("created", "Created", lambda lead: filters.day(lead.created_at), Lead.created_at,
                   lambda lead: local(lead.created_at, filters.organization().timezone).date().isoformat(), wide=True),
        ),
        default_sort="-created",
        empty="No leads yet. Import a file of them, or add the first by hand.",
        url_of=lambda lead: url_for("leads.detail", lead_id=lead.id),
        search=leads.search,
        search_label="Name, e-mail or phone",
        filters=list_filters(),
        panel="leads/_bulk.html" if editor else "",
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


@lead_pages.get("")
@needs("leads.view")
def page() -> Any:
    action = ("New lead", url_for("leads.new")) if can(current_user, "leads.edit") else None
    static = segments.every(static_only=True)
    known = {"statuses": STATUSES, "priorities": PRIORITIES, "owners": owners(), "segments": static}
    return _table().respond("leads/page.html", title="Leads", action=action, **known)


@lead_pages.route("/new", methods=["GET", "POST"])
@needs("leads.edit")
def new() -> Any:
    form = LeadForm()
    if request.method == "POST" and form.validate():
        try:
            lead = leads.create(form.values())
            say(f"{lead.name} added.")
            return go("leads.detail", lead_id=lead.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("leads/form.html", status=422 if request.method == "POST" else 200, form=form, lead=None)


@lead_pages.route("/<int:lead_id>/edit", methods=["GET", "POST"])
@needs("leads.edit")
def edit(lead_id: int) -> Any:
    lead = leads.get(lead_id, lock=request.method == "POST")
    form, status = LeadForm(lead), 200
    stands = _as_it_stands(lead, form)
    if request.method == "POST":
        status = 422
        if request.form.get("opened", stands) != stands:
            status = 409
            form.form_errors.append(CHANGED)
        elif form.validate():
            try:
                changed = leads.update(lead, form.values())
                say("Saved." if changed else "Nothing was changed.")
                return go("leads.detail", lead_id=lead_id)
            except Invalid as problem:
                show_errors(form, problem)
    return render("leads/form.html", status=status, form=form, lead=lead, opened=stands)


CHANGED = (
    "Somebody else changed this lead while you were editing. What you typed is still here: look at the lead, then save"
    " again to write over it."
)


def _as_it_stands(lead: Lead, form: LeadForm) -> str:
    """Returns a digest of what the form edits of a lead, so that an edit from another window is noticed."""
    held = [leads.plain(getattr(lead, name)) for name in form.values()]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]


@lead_pages.post("/<int:lead_id>/delete")
@needs("leads.edit")
def delete(lead_id: int) -> Any:
    lead = leads.get(lead_id)
    leads.remove([lead.id])
    say(f"{lead.name} deleted.", undo=url_for("leads.restore", ids=lead.id))
    return go("leads.page")


@lead_pages.post("/delete")
@needs("leads.edit")
def bulk_delete() -> Any:
    ids = request.form.getlist("ids", type=row_id)
    n = leads.remove(ids)
    noun = "lead" if n == 1 else "leads"
    say(f"{n} {noun} deleted.", undo=url_for("leads.restore", ids=ids))
    return go("leads.page")


@lead_pages.post("/restore")
@needs("leads.edit")
def restore() -> Any:
    ids = request.args.getlist("ids", type=row_id)
    n = leads.restore(ids)
    say(f"{n} {'lead' if n == 1 else 'leads'} restored.")
    return go("leads.detail", lead_id=ids[0]) if len(ids) == 1 and n else go("leads.page")
