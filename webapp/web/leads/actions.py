"""Bulk actions: started from the list, followed on a page of their own, and all of them listed."""

from typing import Any
from urllib.parse import parse_qsl

from flask import make_response, request, url_for
from flask_login import current_user
from markupsafe import escape
from sqlalchemy import and_, select
from werkzeug.datastructures import MultiDict

from webapp.audience import bulk
from webapp.audience.bulk import STATUSES, BulkAction
from webapp.platform.errors import Invalid
from webapp.platform.users import User
from webapp.web import filters
from webapp.web.leads.room import lead_pages
from webapp.web.leads.routes import list_filters
from webapp.web.shell import go, needs, render, row_id, say, wants_fragment
from webapp.web.table import Column, Filter, Table, narrowed

ARGUMENTS = ("tag", "owner_id", "status", "priority", "segment_id")


@lead_pages.post("/actions")
@needs("leads.edit")
def start_action() -> Any:
    """Starts what was chosen for the selected leads, or for all that match what the list was narrowed to."""
    match = narrowed(list_filters(), MultiDict(parse_qsl(request.form.get("match", ""))))
    if request.form.get("all") == "yes":
        selection: dict[str, Any] = {"filter": match}
    else:
        selection = {"ids": request.form.getlist("ids", type=row_id)}
    argument = {name: request.form[name] for name in ARGUMENTS if name in request.form}
    try:
        started = bulk.start(request.form.get("action", ""), argument, selection, current_user.local_id)
    except Invalid as problem:
        if not wants_fragment():
            raise
        return make_response(escape(next(iter(problem.errors.values()))), 422)
    if started.status != "done":
        return go("leads.action", action_id=started.id)
    undo = url_for("leads.undo_action", action_id=started.id) if started.can_be_undone else None
    say(f"{bulk.in_words(started)}: {outcome(started)}.", undo=undo)
    return go("leads.page", **match)


def outcome(action: BulkAction) -> str:
    """Returns "changed 48,112, left alone 98"."""
    return f"changed {action.changed:,}, left alone {action.done - action.changed:,}"


@lead_pages.get("/actions")
@needs("leads.edit")
def actions_page() -> Any:
    asked_by = and_(User.org_id == BulkAction.org_id, User.id == BulkAction.created_by)
    table = Table(
        name="actions",
        noun=("action", "actions"),
        query=select(BulkAction, User).outerjoin(User, asked_by),
        key=BulkAction.id,
        columns=(
            Column("what", "What", lambda r: bulk.in_words(r.BulkAction), wraps=True),
            Column("status", "Status", lambda r: filters.status(_status(r.BulkAction))),
            Column("changed", "Changed", lambda r: filters.number(r.BulkAction.changed), numeric=True),
            Column("total", "Leads", lambda r: filters.number(r.BulkAction.total), numeric=True, wide=True),
            Column("who", "Who", lambda r: r.User.name if r.User else "–", wide=True),
            Column("when", "When", lambda r: filters.moment(r.BulkAction.created_at), BulkAction.created_at, wide=True),
        ),
        default_sort="-when",
        empty="Nothing was done to many leads yet. Select some in the list of leads, or all that match a search.",
        url_of=lambda r: url_for("leads.action", action_id=r.BulkAction.id),
        filters=(
            Filter(
                "status", "Status", tuple((s, filters.words(s)) for s in STATUSES), lambda s: BulkAction.status == s
            ),
        ),
    )
    return table.respond("leads/actions.html", title="Actions on leads")


def _status(action: BulkAction) -> str:
    return "undone" if action.selection.get("undone") else action.status


@lead_pages.get("/actions/<int:action_id>")
@needs("leads.edit")
def action(action_id: int) -> Any:
    """How far an action is, or what came of it."""
    found = bulk.get(action_id)
    return render(
        "leads/action.html",
        "leads/_action.html",
        found=found,
        words=bulk.in_words(found),
        status_word=_status(found),
        over=found.status not in ("queued", "running"),
        narrowing=_narrowing(found),
    )


def _narrowing(action: BulkAction) -> str:
    """Returns what the leads were chosen by, in words."""
    asked = action.selection.get("filter")
    if asked is None:
        return "the leads that were selected"
    labels = {f.name: (f.label, dict(f.choices)) for f in list_filters()}
    said = [f"search “{asked['q']}”"] if asked.get("q") else []
    for name, chosen in asked.items():
        if name in labels:
            label, choices = labels[name]
            said.append(f"{label.lower()} {choices.get(chosen, chosen)}")
    return "all leads with " + ", ".join(said) if said else "all leads"


@lead_pages.post("/actions/<int:action_id>/cancel")
@needs("leads.edit")
def cancel_action(action_id: int) -> Any:
    bulk.cancel(bulk.get(action_id))
    say("Cancelled. The leads changed so far stay changed.")
    return go("leads.action", action_id=action_id)


@lead_pages.post("/actions/<int:action_id>/undo")
@needs("leads.edit")
def undo_action(action_id: int) -> Any:
    n = bulk.undo(bulk.get(action_id))
    say(f"Changed back: {n:,} {'lead' if n == 1 else 'leads'}.")
    return go("leads.page")
