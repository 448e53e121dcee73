"""Segments: the list, and the rule builder with its live count."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_login import current_user
from sqlalchemy import func, select

from webapp.audience import estimating, segments
from webapp.audience.rules.fields import FIELDS
from webapp.audience.rules.tree import parse
from webapp.audience.segments import Segment
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.segments.forms import SegmentForm, posted_rows, posted_tree, row
from webapp.web.shell import go, needs, render, say, show_errors
from webapp.web.table import Column, Table

segment_pages = Blueprint("segments", __name__, url_prefix="/segments")
SAMPLE = 10


def _table() -> Table:
    return Table(
        name="segments",
        noun=("segment", "segments"),
        query=select(Segment),
        key=Segment.id,
        columns=(
            Column("name", "Name", lambda s: s.name, func.lower(Segment.name)),
            Column("rules", "In words", lambda s: filters.words(s.tree.words()), wide=True, wraps=True),
            Column("size", "Leads", lambda s: filters.number(s.estimated_size), Segment.estimated_size, numeric=True),
            Column("counted", "Counted", lambda s: filters.ago(s.last_calculated_at), wide=True),
            Column("created", "Created", lambda s: filters.day(s.created_at), Segment.created_at, wide=True),
        ),
        default_sort="name",
        empty="No segments yet. A segment is a set of leads found by rules, always up to date.",
        url_of=lambda s: url_for("segments.edit", segment_id=s.id),
        search=lambda term: func.strpos(func.lower(Segment.name), term.lower()) > 0,
        search_label="Segment name",
    )


@segment_pages.get("")
@needs("segments.view")
def page() -> Any:
    action = ("New segment", url_for("segments.new")) if can(current_user, "segments.edit") else None
    return _table().respond("list.html", title="Segments", action=action)


@segment_pages.route("/new", methods=["GET", "POST"])
@needs("segments.edit")
def new() -> Any:
    return _edit(None)


@segment_pages.get("/<int:segment_id>")
@needs("segments.view")
def edit(segment_id: int) -> Any:
    return _edit(segments.get(segment_id))


@segment_pages.post("/<int:segment_id>")
@needs("segments.edit")
def save(segment_id: int) -> Any:
    return _edit(segments.get(segment_id))


def _edit(segment: Segment | None) -> Any:
    form = SegmentForm(obj=segment)
    errors: dict[str, str] = {}
    if request.method == "POST":
        tree = posted_tree(request.form)
        if form.validate():
            try:
                values = {"name": form.name.data, "description": form.description.data, "criteria": tree}
                saved = segments.save(segment, values, current_user.local_id)
                say(f"Saved: {saved.estimated_size:,} leads.")
                return go("segments.edit", segment_id=saved.id)
            except Invalid as problem:
                errors = problem.errors
                show_errors(form, Invalid({k: v for k, v in errors.items() if not k.startswith("rules.")}))
                if any(k.startswith("rules.") for k in errors):
                    form.form_errors.append(problem.message)
        rows = posted_rows(request.form, errors)
    else:
        form.match.data = segment.criteria["match"] if segment else "all"
        rows = [row(rule) for rule in segment.criteria["rules"]] if segment else [row()]
    live = _live({"match": form.match.data, "rules": []} if not segment else segment.criteria) if not errors else {}
    return render(
        "segments/edit.html",
        status=422 if request.method == "POST" else 200,
        form=form,
        segment=segment,
        rows=rows,
        fields=FIELDS.values(),
        **live,
    )


@segment_pages.get("/rule")
@needs("segments.view")
def rule() -> Any:
    """One row again, after its field or operator was changed (or a new one)."""
    key = request.args.get("row", "")
    if not key.isalnum() or len(key) > 20:
        return render_template("segments/_rule.html", r=row(), fields=FIELDS.values())
    asked = {"field": request.args.get(f"{key}-field"), "operator": request.args.get(f"{key}-operator")}
    again = row(asked | {"value": request.args.getlist(f"{key}-value")}, key)
    if request.args.get("changed") == "field":
        again["values"] = []
    return render_template("segments/_rule.html", r=again, fields=FIELDS.values())


@segment_pages.post("/live")
@needs("segments.view")
def live() -> Any:
    """The count and a sample for the rules as they stand in the form."""
    return render_template("segments/_live.html", **_live(posted_tree(request.form)))


def _live(tree: dict[str, Any]) -> dict[str, Any]:
    try:
        group = parse(tree)
    except Invalid as problem:
        places = [(int(k.split(".")[1]) + 1, v) for k, v in problem.errors.items() if k.startswith("rules.")]
        return {"problems": places or [(1, problem.message)]}
    return {
        "count": segments.count(group),
        "sample": estimating.sample(group),
        "in_words": filters.words(group.words()),
    }


@segment_pages.post("/<int:segment_id>/delete")
@needs("segments.edit")
def delete(segment_id: int) -> Any:
    segment = segments.get(segment_id)
    segments.remove(segment)
    say(f"Segment {segment.name} deleted. Campaigns that used it stay.")
    return go("segments.page")
