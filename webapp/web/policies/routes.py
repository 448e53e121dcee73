"""Policies: the list, one of a lead, its form, and its removal with an undo."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user
from sqlalchemy import select

from webapp.audience import leads, policies
from webapp.audience.lead_values import INSURANCE_TYPES
from webapp.audience.leads import ALIVE, Lead
from webapp.audience.policies import PAYMENT_STATUSES, STATUSES, Policy
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.policies.forms import PolicyForm
from webapp.web.shell import go, needs, render, say, show_errors
from webapp.web.table import Column, Filter, Table

policy_pages = Blueprint("policies", __name__, url_prefix="/policies")


def _filter(name: str, label: str, values: tuple[str, ...]) -> Filter:
    return Filter(name, label, tuple((v, filters.words(v)) for v in values), lambda v: getattr(Policy, name) == v)


def _table() -> Table:
    return Table(
        name="policies",
        noun=("policy", "policies"),
        query=select(Policy, Lead).join(Lead, (Lead.org_id == Policy.org_id) & (Lead.id == Policy.lead_id)).where(ALIVE),
        key=Policy.id,
        columns=(
            Column("number", "Number", lambda row: row.Policy.number, Policy.number_key),
            Column("lead", "Lead", lambda row: row.Lead.name),
            Column("type", "Type", lambda row: filters.words(row.Policy.type) or "–", wide=True,
                   export=lambda row: row.Policy.type),
            Column("status", "Status", lambda row: filters.status(row.Policy.status),
                   export=lambda row: row.Policy.status),
            Column("payment", "Payment", lambda row: filters.status(row.Policy.payment_status), wide=True,
                   export=lambda row: row.Policy.payment_status),
            Column("premium", "Premium", lambda row: filters.money(row.Policy.premium), Policy.premium_key,
                   lambda row: row.Policy.premium, numeric=True),
            Column("coverage", "Coverage", lambda row: filters.money(row.Policy.coverage), None,
                   lambda row: row.Policy.coverage, numeric=True, wide=True),
            Column("renews", "Renews", lambda row: filters.day(row.Policy.renews_on), Policy.renews_key,
                   lambda row: row.Policy.renews_on),
        ),
        default_sort="number",
        empty="No policies yet. Open a lead and add one there, or import a file of them.",
        url_of=lambda row: _address(row.Policy),
        search=policies.search,
        search_label="Policy number",
        filters=(_filter("type", "Type", INSURANCE_TYPES), _filter("status", "Status", STATUSES),
                 _filter("payment_status", "Payment", PAYMENT_STATUSES)),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _address(policy: Policy) -> str:
    """Where a policy opens: its form, or its lead for those who may only look."""
    if can(current_user, "policies.edit"):
        return url_for("policies.edit", policy_id=policy.id)
    return url_for("leads.detail", lead_id=policy.lead_id)


@policy_pages.get("")
@needs("policies.view")
def page() -> Any:
    action = ("Import policies", url_for("imports.new")) if can(current_user, "imports.run") else None
    return _table().respond("list.html", title="Policies", action=action)


@policy_pages.route("/new", methods=["GET", "POST"])
@needs("policies.edit")
def new() -> Any:
    """The form of another policy of the lead in ?lead_id."""
    if "lead_id" not in request.args:
        say("Open the lead who holds the policy, and add it there.", "info")
        return go("leads.page")
    lead = leads.get(_asked_lead())
    form = PolicyForm()
    if request.method == "POST" and form.validate():
        try:
            policy = policies.create(lead.id, form.values())
            say(f"{policy.number} added.")
            return go("leads.detail", lead_id=lead.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("policies/form.html", status=_status(), form=form, policy=None, lead=lead)


def _asked_lead() -> int:
    asked = request.args.get("lead_id", type=int) or 0
    return asked if 0 < asked < 2**63 else 0


def _status() -> int:
    return 422 if request.method == "POST" else 200


@policy_pages.route("/<int:policy_id>/edit", methods=["GET", "POST"])
@needs("policies.edit")
def edit(policy_id: int) -> Any:
    policy = policies.get(policy_id, lock=request.method == "POST")
    lead = leads.get(policy.lead_id)
    form = PolicyForm(policy)
    if request.method == "POST" and form.validate():
        try:
            changed = policies.update(policy, form.values())
            say("Saved." if changed else "Nothing was changed.")
            return go("leads.detail", lead_id=lead.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("policies/form.html", status=_status(), form=form, policy=policy, lead=lead)


@policy_pages.post("/<int:policy_id>/delete")
@needs("policies.edit")
def delete(policy_id: int) -> Any:
    policy = policies.get(policy_id, lock=True)
    number, lead_id = policy.number, policy.lead_id
    policies.remove(policy)
    say(f"{number} removed.", undo=url_for("policies.restore", removed_id=policies.latest_removal(lead_id)))
    return go("leads.detail", lead_id=lead_id)


@policy_pages.post("/removed/<int:removed_id>/undo")
@needs("policies.edit")
def restore(removed_id: int) -> Any:
    policy = policies.restore(removed_id)
    say(f"{policy.number} is back.")
    return go("leads.detail", lead_id=policy.lead_id)
