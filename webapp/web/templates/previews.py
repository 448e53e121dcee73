"""Previews: a message as the chosen lead would get it, in a document of its own that may do nothing."""

import re
from typing import Any

from flask import Response, make_response, render_template, request
from minijinja import TemplateError

from webapp.audience.leads import Lead
from webapp.messaging import bodies, tokens, whatsapp
from webapp.messaging.bodies import BODIES
from webapp.web.shell import needs
from webapp.web.templates.counting import Length, length
from webapp.web.templates.filling import chosen, filled, filled_whatsapp, posted_whatsapp, rendered
from webapp.web.templates.forms import PLACES
from webapp.web.templates.room import template_pages

# A user's HTML is shown, never run: no scripts, no origin of its own, nothing fetched but pictures.
PREVIEW_CSP = (
    "default-src 'none'; img-src 'self' http: https: data:; style-src 'unsafe-inline'; font-src http: https:;"
    " sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'"
)
PLACE = re.compile(r"\{\{\s*(\d{1,3})\s*\}\}")


def sandboxed(html: str) -> Response:
    """Returns a document of user-written HTML that can neither run anything nor reach our pages."""
    response = make_response(html)
    response.headers["Content-Security-Policy"] = PREVIEW_CSP
    return response


@template_pages.post("/preview")
@needs("templates.view")
def preview() -> Any:
    """The message as the chosen lead would get it."""
    show = request.form.get("show") or "html"
    if show == "whatsapp":
        return phone_of_whatsapp(posted_whatsapp(), chosen())
    values = {field: request.form.get(field) or "" for field in BODIES}
    if show == "sms":
        return phone_of_sms(values["text_content"], chosen())
    errors = {f: p for f in BODIES if (p := tokens.problem(values[f], system=True))}
    return _unshown(errors) if errors else shown(values, chosen(), as_text=show == "text")


def _unshown(errors: dict[str, str]) -> Response:
    return sandboxed(render_template("templates/preview_errors.html", errors=errors))


def _unfilled(problem: Exception, lead: Lead | None) -> Response:
    return _unshown({"message": f"It cannot be filled in for {lead.name if lead else 'our example'}: {problem}."})


def shown(values: dict[str, str], lead: Lead | None, *, as_text: bool = False) -> Response:
    """Returns the document of an e-mail's bodies filled in for a lead, or of why they cannot be."""
    try:
        subject, html, text = rendered(values, lead)
    except (TemplateError, ValueError) as problem:
        return _unfilled(problem, lead)
    head = render_template("templates/preview_head.html", subject=subject)
    return sandboxed(head + (render_template("templates/preview_text.html", text=text) if as_text else html))


def phone_of_sms(text: str, lead: Lead | None) -> Response:
    """Returns the document of a phone that shows an SMS filled in for a lead."""
    if problem := tokens.problem(text):
        return _unshown({"text_content": problem})
    try:
        said = filled(text, lead) if text.strip() else ""
    except (TemplateError, ValueError) as problem:
        return _unfilled(problem, lead)
    return sandboxed(render_template("templates/preview_phone.html", channel="sms", text=said, to=lead))


def phone_of_whatsapp(message: dict[str, Any], lead: Lead | None) -> Response:
    """Returns the document of a phone that shows a WhatsApp message filled in for a lead."""
    errors = {
        part: said
        for part, said in whatsapp.problem(message).items()
        if part in ("header", "body", "footer", "parameters")
    }
    if errors:
        return _unshown({f"whatsapp_{part}": said for part, said in errors.items()})
    try:
        said = filled_whatsapp(message, lead)
    except (TemplateError, ValueError) as problem:
        return _unfilled(problem, lead)
    return sandboxed(render_template("templates/preview_phone.html", channel="whatsapp", text=said, to=lead))


@template_pages.post("/count")
@needs("templates.view")
def count() -> Any:
    """How long the SMS in the form is for the chosen lead."""
    return render_template("templates/_count.html", length=counted(request.form.get("text_content") or "", chosen()))


def counted(text: str, lead: Lead | None) -> Length | None:
    """Returns how long an SMS is for a lead; None where it cannot be filled in."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > bodies.SMS_LIMIT or tokens.problem(text):
        return None
    try:
        return length(filled(text, lead) if text else "")
    except (TemplateError, ValueError):
        return None


@template_pages.post("/parameters")
@needs("templates.view")
def parameters() -> Any:
    """The rows of what stands in the numbered places of the WhatsApp message in the form."""
    message = posted_whatsapp()
    return render_template("templates/_parameters.html", rows=places(message["body"], message["parameters"]))


def places(body: str, given: list[str]) -> list[str]:
    """Returns what stands in each numbered place of a body, as far as it was given; empty where it was not."""
    numbers = [int(n) for n in PLACE.findall(body)]
    n = min(max(numbers, default=0), PLACES)
    return [*given, *[""] * n][:n]
