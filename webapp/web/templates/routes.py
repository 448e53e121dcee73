"""Templates: the list, and the editor with its live preview as a chosen lead."""

from types import SimpleNamespace
from typing import Any

from flask import Blueprint, Response, current_app, make_response, render_template, request, url_for
from flask_login import current_user
from minijinja import TemplateError
from sqlalchemy import func, select

from webapp.audience import leads
from webapp.audience.leads import ALIVE, Lead
from webapp.messaging import delivery, senders, templates, tokens
from webapp.messaging.compose import Bodies, Composer
from webapp.messaging.html_to_text import html_to_text
from webapp.messaging.senders import Sender
from webapp.messaging.templates import CATEGORIES, Template
from webapp.platform import organizations
from webapp.platform.db import db
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.roles import can
from webapp.platform.signing import signer
from webapp.web import filters
from webapp.web.shell import go, needs, render, row_id, say, show_errors
from webapp.web.table import Column, Filter, Table
from webapp.web.templates.forms import TemplateForm

template_pages = Blueprint("templates", __name__, url_prefix="/templates")
# A user's HTML is shown, never run: no scripts, no origin of its own, nothing fetched but pictures.
PREVIEW_CSP = (
    "default-src 'none'; img-src 'self' http: https: data:; style-src 'unsafe-inline'; font-src http: https:;"
    " sandbox allow-popups allow-popups-to-escape-sandbox; frame-ancestors 'self'"
)
STARTER = """<h1>Hello {{ first_name|default("there", true) }},</h1>
<p>write what you have to say here.</p>
<p><a href="https://www.example.com/">Read more</a></p>
<p><small><a href="{{ unsubscribe_url }}">Unsubscribe</a></small></p>
"""


def _table() -> Table:
    return Table(
        name="templates",
        noun=("template", "templates"),
        query=select(Template),
        key=Template.id,
        columns=(
            Column("name", "Name", lambda t: t.name, func.lower(Template.name)),
            Column("subject", "Subject", lambda t: t.subject_line or "–", wide=True),
            Column("category", "Category", lambda t: filters.words(t.category)),
            Column("used", "Used", lambda t: filters.number(t.usage_count), Template.usage_count, numeric=True),
            Column("changed", "Changed", lambda t: filters.ago(t.updated_at), Template.updated_at, wide=True),
        ),
        default_sort="name",
        empty="No templates yet. A template is a message written once and filled in for each lead.",
        url_of=lambda t: url_for("templates.edit", template_id=t.id),
        search=lambda term: func.strpos(func.lower(Template.name), term.lower()) > 0,
        search_label="Template name",
        filters=(
            Filter(
                "category",
                "Category",
                tuple((c, filters.words(c)) for c in CATEGORIES),
                lambda c: Template.category == c,
            ),
        ),
    )


@template_pages.get("")
@needs("templates.view")
def page() -> Any:
    action = ("New template", url_for("templates.new")) if can(current_user, "templates.edit") else None
    return _table().respond("list.html", title="Templates", action=action)


@template_pages.route("/new", methods=["GET", "POST"])
@needs("templates.edit")
def new() -> Any:
    return _edit(None)


@template_pages.get("/<int:template_id>")
@needs("templates.view")
def edit(template_id: int) -> Any:
    return _edit(templates.get(template_id))


@template_pages.post("/<int:template_id>")
@needs("templates.edit")
def save(template_id: int) -> Any:
    return _edit(templates.get(template_id))


def _edit(template: Template | None) -> Any:
    form = TemplateForm(obj=template)
    if request.method != "POST":
        if template is None:
            form.html_content.data = STARTER
        elif template.text_is_derived:
            form.text_content.data = ""
    elif form.validate():
        try:
            saved = templates.save(
                template, {k: v for k, v in form.data.items() if k != "csrf_token"}, current_user.local_id
            )
            say("Saved.")
            return go("templates.edit", template_id=saved.id)
        except Invalid as problem:
            show_errors(form, problem)
    return render(
        "templates/edit.html",
        status=422 if request.method == "POST" else 200,
        form=form,
        template=template,
        tokens=_usable_tokens(template),
        people=db.session.scalars(select(Lead).where(ALIVE, Lead.email.is_not(None)).order_by(Lead.id).limit(20)).all(),
    )


def _usable_tokens(template: Template | None) -> dict[str, tuple[str, str]]:
    known = tokens.TOKENS | (tokens.SYSTEM_TOKENS if template and template.is_system else {})
    return {name: words for name, words in known.items() if name not in tokens.UNBUILT}


@template_pages.post("/preview")
@needs("templates.view")
def preview() -> Any:
    """The message as the chosen lead would get it, in a document of its own that may do nothing."""
    values = {field: request.form.get(field) or "" for field in templates.BODIES}
    errors = {f: p for f in templates.BODIES if (p := tokens.problem(values[f], system=True))}
    if errors:
        return sandboxed(render_template("templates/preview_errors.html", errors=errors))
    try:
        lead = leads.get(request.form.get("as_lead", type=row_id) or 0)
    except NotFound:
        lead = None
    return shown(values, lead, as_text=request.form.get("show") == "text")


def shown(values: dict[str, str], lead: Lead | None, *, as_text: bool = False) -> Response:
    """Returns the document of bodies filled in for a lead, or of why they cannot be."""
    try:
        subject, html, text = rendered(values, lead)
    except (TemplateError, ValueError) as problem:
        words = f"It cannot be filled in for {lead.name if lead else 'our example'}: {problem}."
        return sandboxed(render_template("templates/preview_errors.html", errors={"message": words}))
    head = render_template("templates/preview_head.html", subject=subject)
    return sandboxed(head + (render_template("templates/preview_text.html", text=text) if as_text else html))


def rendered(values: dict[str, str], lead: Lead | None) -> tuple[str, str, str]:
    """Returns (subject, HTML, text) of bodies filled in for a lead (or for nobody in particular)."""
    bodies = Bodies(values["subject_line"], values["preview_text"], values["html_content"],
                    values["text_content"].strip() or html_to_text(values["html_content"]))  # fmt: skip
    sender = next(iter(senders.usable()), None) or Sender(name="", address="nobody@canvass.example", config={})
    head = delivery.letterhead(organizations.current(), sender, current_app.config["BASE_URL"])
    composer = Composer(bodies, head, signer())
    row = _as_row(lead)
    extra = delivery.lookups(composer.needs, [lead.id]).get(lead.id, {}) if lead else _examples()
    return composer.render(row, extra)


def _as_row(lead: Lead | None) -> Any:
    if lead is None:
        known = {"first_name": "Ada", "last_name": "Lopez", "email": "ada@example.com", "city": "Austin", "state": "TX"}
        return SimpleNamespace(id=0, lead_id=0, phone="+14152000000", attributes={}, **known)
    fields = ("first_name", "last_name", "email", "phone", "city", "state", "attributes")
    return SimpleNamespace(id=0, lead_id=lead.id, **{field: getattr(lead, field) for field in fields})


def _examples() -> dict[str, str]:
    return {
        name: example for name, (_, example) in tokens.TOKENS.items() if name in tokens.POLICY_TOKENS | {"agent_name"}
    }


def sandboxed(html: str) -> Response:
    """Returns a document of user-written HTML that can neither run anything nor reach our pages."""
    response = make_response(html)
    response.headers["Content-Security-Policy"] = PREVIEW_CSP
    return response


@template_pages.post("/<int:template_id>/delete")
@needs("templates.edit")
def delete(template_id: int) -> Any:
    template = templates.get(template_id)
    templates.remove(template)
    say(f"Template {template.name} deleted. Campaigns that used it stay, and so does what was sent.")
    return go("templates.page")
