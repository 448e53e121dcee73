"""Privacy requests: everything kept about a lead as a file, and making a lead nobody's."""

import json
from typing import Any

from flask import Blueprint, Response, request

from webapp.audience import leads, privacy
from webapp.platform.errors import Invalid, Refused
from webapp.web.privacy.forms import AnonymiseForm
from webapp.web.shell import go, needs, render, say, show_errors

privacy_pages = Blueprint("privacy", __name__, url_prefix="/leads")


@privacy_pages.post("/<int:lead_id>/privacy/export")
@needs("privacy.manage")
def export(lead_id: int) -> Any:
    """A download. It is asked for by POST, because it is noted that it was handed out."""
    everything = privacy.export(leads.get(lead_id))
    written = json.dumps(everything, indent=2, ensure_ascii=False, default=str)
    response = Response(written, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="lead-{lead_id}.json"'
    return response


@privacy_pages.route("/<int:lead_id>/privacy/anonymise", methods=["GET", "POST"])
@needs("privacy.manage")
def anonymise(lead_id: int) -> Any:
    lead, form = leads.get(lead_id), AnonymiseForm()
    if lead.anonymized_at:
        raise Refused("This lead is anonymised already.")
    if request.method == "POST":
        try:
            privacy.anonymise(lead, form.typed.data or "")
            say("Nobody can be recognised in this lead any more.")
            return go("leads.detail", lead_id=lead_id)
        except Invalid as problem:
            show_errors(form, problem)
    return render("privacy/anonymise.html", status=422 if request.method == "POST" else 200, lead=lead, form=form)
