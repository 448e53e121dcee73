"""The suppression list: addresses we must not use, added by hand or from a file, and made reachable again."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user
from sqlalchemy import select

from webapp.audience import suppressions
from webapp.audience.consents import CHANNEL_WORDS, Suppression
from webapp.audience.suppressions import REASON_WORDS, Outcome
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.shell import go, needs, render, row_id, say, show_errors
from webapp.web.suppressions.forms import AddForm, FileForm
from webapp.web.table import Column, Filter, Table

suppression_pages = Blueprint("suppressions", __name__, url_prefix="/suppressions")


def _table() -> Table:
    editor = can(current_user, "suppressions.edit")
    return Table(
        name="suppressions",
        noun=("address", "addresses"),
        query=select(Suppression),
        key=Suppression.id,
        columns=(
            Column("address", "Address", lambda s: s.address, Suppression.address),
            Column("channel", "Channel", lambda s: CHANNEL_WORDS[s.channel], export=lambda s: s.channel, wide=True),
            Column("reason", "Reason", lambda s: REASON_WORDS[s.reason], export=lambda s: s.reason),
            Column("note", "Note", lambda s: s.note or "–", wide=True, wraps=True, export=lambda s: s.note),
            Column("since", "Since", lambda s: filters.day(s.created_at), Suppression.created_at,
                   lambda s: s.created_at.isoformat(), wide=True),
        ),
        default_sort="-since",
        empty="No address is barred. Bounces, complaints and those who unsubscribe come here by themselves; add others by hand.",
        url_of=lambda s: url_for("suppressions.detail", suppression_id=s.id),
        search=suppressions.search,
        search_label="Address begins with",
        filters=(
            Filter("channel", "Channel", tuple(CHANNEL_WORDS.items()), lambda c: Suppression.channel == c),
            Filter("reason", "Reason", tuple(REASON_WORDS.items()), lambda r: Suppression.reason == r),
        ),
        bulk=(("Make reachable again", url_for("suppressions.lift"), "circle-check", ""),) if editor else (),
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


@suppression_pages.get("")
@needs("suppressions.view")
def page() -> Any:
    return _table().respond("suppressions/page.html")


@suppression_pages.route("/new", methods=["GET", "POST"])
@needs("suppressions.edit")
def new() -> Any:
    form = AddForm()
    refused: list[str] = []
    if request.method == "POST" and form.validate():
        try:
            say(_words(suppressions.add(form.channel.data, form.addresses.data, form.reason.data, form.note.data)))
            return go("suppressions.page")
        except Invalid as problem:
            # One message for each refused line; under the field there is room for one.
            told = problem.errors.pop("addresses", "").split("\n")
            refused = told if len(told) > 1 else []
            show_errors(form, problem)
            form.addresses.errors = [f"{len(told)} lines are refused."] if refused else [t for t in told if t]
    status = 422 if request.method == "POST" else 200
    return render("suppressions/new.html", status=status, form=form, refused=refused)


def _words(outcome: Outcome) -> str:
    noun = "address" if outcome.added == 1 else "addresses"
    already = (
        f" {outcome.already:,} {'was' if outcome.already == 1 else 'were'} there already." if outcome.already else ""
    )
    return f"{outcome.added:,} {noun} added.{already}"


@suppression_pages.route("/import", methods=["GET", "POST"])
@needs("suppressions.edit")
def bring() -> Any:
    form, outcome = FileForm(), None
    if request.method == "POST" and form.validate():
        try:
            upload = form.file.data
            if not upload or not upload.filename:
                raise Invalid({"file": "Choose a file first."})
            outcome = suppressions.bring(upload.read(), form.channel.data, form.reason.data, form.note.data)
        except Invalid as problem:
            show_errors(form, problem)
    if outcome:
        return render("suppressions/brought.html", outcome=outcome)
    return render("suppressions/import.html", status=422 if request.method == "POST" else 200, form=form)


@suppression_pages.get("/<int:suppression_id>")
@needs("suppressions.view")
def detail(suppression_id: int) -> Any:
    return _detail([suppressions.get(suppression_id)])


def _detail(entries: list[Suppression], error: str = "", status: int = 200) -> Any:
    return render(
        "suppressions/detail.html",
        status=status,
        entries=entries,
        wants_why=suppressions.wants_why(entries),
        lead=suppressions.lead_of(entries[0]) if len(entries) == 1 else None,
        reasons=REASON_WORDS,
        channels=CHANNEL_WORDS,
        error=error,
        typed=request.form.get("why", ""),
    )


@suppression_pages.post("/lift")
@needs("suppressions.edit")
def lift() -> Any:
    """Asks first, for whatever was ticked; the page's own button says it is sure."""
    ids = request.form.getlist("ids", type=row_id)
    entries = suppressions.some(ids)
    if request.form.get("sure") != "yes":
        return _detail(entries)
    try:
        n = suppressions.lift(ids, request.form.get("why", ""))
    except Invalid as problem:
        return _detail(entries, problem.errors["why"], 422)
    say(f"{n:,} {'address is' if n == 1 else 'addresses are'} reachable again.")
    return go("suppressions.page")
