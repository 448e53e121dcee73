"""What the rule builder asks while one edits: a row again, the live figures, the values a field has."""

from typing import Any

from flask import render_template, request

from webapp.audience import estimating, pickers, references, segments
from webapp.audience.rules import contradictions
from webapp.audience.rules.tree import Group, parse
from webapp.audience.rules.words import say
from webapp.platform.errors import Invalid
from webapp.web.segments import builder
from webapp.web.segments.builder import Node
from webapp.web.segments.room import segment_pages
from webapp.web.shell import needs, row_id

OVERLAPS = 3


@segment_pages.get("/rule")
@needs("segments.edit")
def new_rule() -> Any:
    """A new row."""
    return _row(builder.rule_node())


@segment_pages.post("/rule")
@needs("segments.edit")
def rule() -> Any:
    """One row again, after its field or operator was changed; posted, as its value may be 10,000 lines."""
    key = request.args.get("row", "")
    if not key.isalnum() or len(key) > 20:
        return _row(builder.rule_node())
    if request.args.get("changed") == "field":
        # Another field is asked in its own usual way, and its value is still to be given.
        return _row(builder.rule_node({"field": request.form.get(f"{key}-field")}, key))
    return _row(builder.posted_rule(request.form, key))


@segment_pages.get("/group")
@needs("segments.edit")
def group() -> Any:
    """A new group with one rule in it."""
    node = Node(builder.fresh_key(), match="any", rules=[builder.rule_node()])
    return render_template("segments/_group.html", g=node, **choices())


def _row(node: Node) -> str:
    return render_template("segments/_rule.html", r=node, **choices())


def choices() -> dict[str, Any]:
    """Returns what the rows choose among: fields by group, and the organisation's people, segments and campaigns."""
    return {"field_groups": pickers.field_groups(), "pick": pickers.Choices()}


@segment_pages.post("/live")
@needs("segments.view")
def live() -> Any:
    """The count, the funnel and a sample for the rules as they stand in the form."""
    root = builder.posted(request.form)
    return render_template("segments/_live.html", root=root, **figures(root))


def figures(root: Node) -> dict[str, Any]:
    """Returns the live figures of a form's tree, or what is wrong with it."""
    finished = root.finished()
    try:
        group = parse(finished.to_json())
    except Invalid as problem:
        return {"problems": list(problem.errors.values()), "counts": {}}
    found = estimating.funnel(group)
    steps = finished.rules or []
    counts = {node.key: n for node, n in zip(steps, found.steps, strict=True)}
    for node in [*steps, *(root.rules or [])]:
        node.count = counts.get(node.key)
    return {
        "funnel": found,
        "steps": steps,
        "counts": counts,
        "unfinished": root.size() - finished.size(),
        "empty_groups": len(root.empty_groups()),
        "contradictions": contradictions.find(group),
        "sample": estimating.sample(group, found.count, found.everyone),
        "in_words": say(group, references.names(group)),
    }


@segment_pages.post("/reach")
@needs("segments.view")
def reach() -> Any:
    """Whom the rules reach by channel, and what they share with other segments: slower, so asked for by itself."""
    own = request.form.get("segment_id", type=row_id)
    try:
        # Who only looks has nothing to post: the rules of the segment are asked as they are stored.
        seen = segments.get(own).tree if own and "match" not in request.form else None
        group = seen or parse(builder.posted(request.form).finished().to_json())
    except Invalid:
        return "", 204
    return render_template("segments/_reach.html", **_reach(group))


def _reach(group: Group) -> dict[str, Any]:
    own = request.form.get("segment_id", type=row_id)
    chosen = set(request.form.getlist("overlap", type=row_id)[:OVERLAPS])
    others = [segment for segment in segments.every() if segment.id != own]
    largest = sorted(others, key=lambda segment: -segment.estimated_size)[:OVERLAPS]
    compared = [segment for segment in others if segment.id in chosen] or largest
    return {
        "by_hand": bool(chosen) and chosen != {segment.id for segment in largest},
        "reach": estimating.reach(group),
        "overlaps": estimating.overlaps(group, compared),
        "others": others,
    }


@segment_pages.get("/values")
@needs("segments.view")
def values() -> Any:
    """The values a field has, with how many leads have each, for a list of suggestions."""
    found = pickers.values_of(request.args.get("field", ""))
    return render_template("segments/_values.html", found=found)
