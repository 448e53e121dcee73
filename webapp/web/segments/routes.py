"""Segments: the list, and the builder's page."""

from typing import Any

from flask import flash, request, url_for
from flask_login import current_user
from sqlalchemy import func, select

from webapp.audience import references, segments
from webapp.audience.rules.words import say as in_plain_words
from webapp.audience.segments import Changed, Segment
from webapp.campaigns import campaigns
from webapp.platform import users
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.segments import builder
from webapp.web.segments.builder import Node
from webapp.web.segments.forms import SegmentForm
from webapp.web.segments.live import choices, figures
from webapp.web.segments.room import segment_pages
from webapp.web.shell import go, needs, render, say, show_errors
from webapp.web.table import Column, Filter, Table

GONE = "Somebody deleted this segment while you were editing it. What you typed stands here: Save makes it anew."
KINDS = (("dynamic", "By rules"), ("static", "By hand"), ("stakeholders", "Stakeholders"))


def in_words(segment: Segment) -> str:
    """Returns what a segment's rules ask, as said on screen."""
    if not segment.is_dynamic:
        return "Picked by hand"
    group = segment.tree
    return in_plain_words(group, references.names(group))


def _of_kind(kind: str) -> Any:
    if kind == "stakeholders":
        return Segment.segment_type.is_not(None)
    return Segment.is_dynamic if kind == "dynamic" else ~Segment.is_dynamic


def _table() -> Table:
    return Table(
        name="segments",
        noun=("segment", "segments"),
        query=select(Segment),
        key=Segment.id,
        columns=(
            Column("name", "Name", lambda s: s.name, func.lower(Segment.name)),
            Column("rules", "In words", in_words, wide=True, wraps=True),
            Column("size", "Leads", lambda s: filters.number(s.estimated_size), Segment.estimated_size, numeric=True),
            Column("counted", "Counted", lambda s: filters.ago(s.last_calculated_at), wide=True),
            Column("created", "Created", lambda s: filters.day(s.created_at), Segment.created_at, wide=True),
        ),
        default_sort="name",
        empty="No segments yet. A segment is a set of leads, found by rules and always up to date, or picked by hand.",
        url_of=lambda s: url_for("segments.edit", segment_id=s.id),
        search=lambda term: func.strpos(func.lower(Segment.name), term.lower()) > 0,
        search_label="Segment name",
        filters=(Filter("kind", "Kind", KINDS, _of_kind),),
    )


@segment_pages.get("")
@needs("segments.view")
def page() -> Any:
    action = ("New segment", url_for("segments.new")) if can(current_user, "segments.edit") else None
    return _table().respond("list.html", title="Segments", action=action)


@segment_pages.route("/new", methods=["GET", "POST"])
@needs("segments.edit")
def new() -> Any:
    static = request.values.get("kind") == "static"
    return _edit(None, static)


@segment_pages.get("/<int:segment_id>")
@needs("segments.view")
def edit(segment_id: int) -> Any:
    return _edit(segments.get(segment_id))


@segment_pages.post("/<int:segment_id>")
@needs("segments.edit")
def save(segment_id: int) -> Any:
    try:
        return _edit(segments.get(segment_id))
    except NotFound:
        return _edit(None, "match" not in request.form, GONE)


def _edit(segment: Segment | None, static: bool = False, note: str = "") -> Any:
    form, status, conflict = SegmentForm(obj=segment), 404 if note else 200, None
    static = static or (segment is not None and not segment.is_dynamic)
    root = _root(segment)
    if request.method == "POST":
        root = builder.posted(request.form)
        form.form_errors += [note] if note else []
    if request.method == "POST" and not note and "draft" not in request.form:
        status = 422
        if form.validate() and not _show_empty_groups(form, root):
            try:
                saved = _save(segment, form, None if static else root, static)
                return go("segments.edit" if not static or segment else "segments.members", segment_id=saved.id)
            except Changed as problem:
                status, conflict = 409, problem.segment
            except Invalid as problem:
                _show_problems(form, root, problem)
    return render(
        "segments/edit.html", status=status, form=form, segment=segment, static=static, root=root,
        conflict=conflict and {"who": users.name_of(conflict.updated_by), "words": in_words(conflict), "of": conflict},
        users_of=_users_of(segment), **({} if static else figures(root)), **choices(),
    )  # fmt: skip


def _show_empty_groups(form: SegmentForm, root: Node) -> bool:
    """Says of groups without rules that they need one. Returns False where there are none."""
    empty = root.empty_groups()
    for group in empty:
        group.error = "Put a rule into this group, or remove it."
    form.form_errors += ["A group has no rule in it."] if empty else []
    return bool(empty)


def _root(segment: Segment | None) -> Node:
    return builder.of_tree(segment.criteria) if segment else Node("root", rules=[builder.rule_node()])


def _save(segment: Segment | None, form: SegmentForm, root: Node | None, static: bool) -> Segment:
    values: dict[str, Any] = {"name": form.name.data, "description": form.description.data}
    if root is not None:
        values["criteria"] = root.to_json()
    elif segment is None:
        values["is_dynamic"] = not static
    seen = request.form.get("version", type=int) if not request.form.get("overwrite") else None
    saved = segments.save(segment, values, current_user.local_id, seen)
    say(
        f"Saved: {saved.estimated_size:,} leads."
        if not static
        else "Saved. Now put leads into it."
        if not segment
        else "Saved."
    )
    return saved


def _show_problems(form: SegmentForm, root: Node, problem: Invalid) -> None:
    show_errors(form, Invalid({k: v for k, v in problem.errors.items() if not k.startswith("rules")}))
    builder.show_errors_in(root, problem.errors)
    if any(place.startswith("rules") for place in problem.errors):
        form.form_errors.append(problem.errors.get("rules", "Some rules need another look."))


def _users_of(segment: Segment | None) -> dict[str, list[Any]]:
    """Returns what would miss a segment: the segments that ask about it, and the campaigns sent to it."""
    if segment is None:
        return {"segments": [], "campaigns": []}
    return {"segments": segments.used_by(segment), "campaigns": campaigns.to_segment(segment.id)}


@segment_pages.post("/<int:segment_id>/delete")
@needs("segments.edit")
def delete(segment_id: int) -> Any:
    segment = segments.get(segment_id)
    kept = len(campaigns.to_segment(segment.id))
    segments.remove(segment)
    stay = f" {kept} campaign{'s' if kept != 1 else ''} that used it stay{'' if kept != 1 else 's'}." if kept else ""
    say(f"Segment {segment.name} deleted.{stay}")
    return go("segments.page")


@segment_pages.post("/<int:segment_id>/freeze")
@needs("segments.edit")
def freeze(segment_id: int) -> Any:
    segment = segments.get(segment_id)
    today = filters.day(filters.clock.now())
    try:
        frozen = segments.freeze(segment, f"{segment.name[:90]}, {today}", current_user.local_id)
    except Invalid as problem:
        flash({"text": next(iter(problem.errors.values())), "undo": None}, "warning")
        return go("segments.edit", segment_id=segment.id)
    say(f"{frozen.estimated_size:,} leads kept as they are today.")
    return go("segments.members", segment_id=frozen.id)
