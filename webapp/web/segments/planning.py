"""The planning side of a segment: who they are to the business, and how many of them it wants to reach."""

from typing import Any

from flask import request
from flask_login import current_user

from webapp.audience import planning as planned
from webapp.audience import segments
from webapp.platform.errors import Invalid
from webapp.web.segments.forms import PlanningForm
from webapp.web.segments.room import segment_pages
from webapp.web.shell import go, needs, render, say, show_errors


@segment_pages.get("/<int:segment_id>/planning")
@needs("segments.view")
def planning(segment_id: int) -> Any:
    return _planning(segment_id)


@segment_pages.post("/<int:segment_id>/planning")
@needs("segments.edit")
def save_planning(segment_id: int) -> Any:
    return _planning(segment_id)


def _planning(segment_id: int) -> Any:
    segment = segments.get(segment_id)
    form = PlanningForm(obj=segment)
    if request.method == "GET":
        for name in planned.LISTS:
            form[name].data = "\n".join(getattr(segment, name) or [])
    elif form.validate():
        try:
            segments.save(
                segment, {name: form[name].data for name in planned.FIELDS if name in form}, current_user.local_id
            )
            say("Saved.")
            return go("segments.planning", segment_id=segment.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("segments/planning.html", status=422 if request.method == "POST" else 200, form=form, segment=segment)
