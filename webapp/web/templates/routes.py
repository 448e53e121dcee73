"""Templates: the list, and the editor of one."""

from typing import Any

from flask import request, url_for
from flask_login import current_user
from sqlalchemy import func, select

from webapp.audience.consents import CHANNEL_WORDS
from webapp.messaging import bodies, templates, tokens
from webapp.messaging.templates import CATEGORIES, Template
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.shell import go, needs, render, say
from webapp.web.table import Column, Filter, Table
from webapp.web.templates.filling import people
from webapp.web.templates.forms import form_of
from webapp.web.templates.previews import counted, places
from webapp.web.templates.room import template_pages

STARTER = """<h1>Hello {{ first_name|default("there", true) }},</h1>
<p>write what you have to say here.</p>
<p><a href="https://www.example.com/">Read more</a></p>
<p><small><a href="{{ unsubscribe_url }}">Unsubscribe</a></small></p>
"""
KINDS = {"email": "E-mail", "sms": "SMS", "whatsapp": "WhatsApp", "multi_channel": "Several channels"}
# kind -> which of its messages the preview may show.
SHOWS: dict[str, tuple[tuple[str, str], ...]] = {
    "email": (("html", "HTML"), ("text", "Plain text")),
    "sms": (("sms", "SMS"),),
    "whatsapp": (("whatsapp", "WhatsApp"),),
    "multi_channel": (("html", "E-mail"), ("sms", "SMS"), ("whatsapp", "WhatsApp")),
}


def _table() -> Table:
    kinds = Filter("kind", "Kind", tuple(KINDS.items()), lambda kind: Template.template_type == kind)
    categories = tuple((c, filters.words(c)) for c in CATEGORIES)
    return Table(
        name="templates",
        noun=("template", "templates"),
        query=select(Template),
        key=Template.id,
        columns=(
            Column("name", "Name", lambda t: t.name, func.lower(Template.name)),
            Column("kind", "Kind", lambda t: KINDS.get(t.template_type, filters.words(t.template_type))),
            Column("says", "Says", _says, wide=True),
            Column("state", "State", lambda t: filters.status(_state(t)), wide=True),
            Column("category", "Category", lambda t: filters.words(t.category), wide=True),
            Column("used", "Used", lambda t: filters.number(t.usage_count), Template.usage_count, numeric=True),
            Column("changed", "Changed", lambda t: filters.ago(t.updated_at), Template.updated_at, wide=True),
        ),
        default_sort="name",
        empty="No templates yet. A template is a message written once and filled in for each lead.",
        url_of=lambda t: url_for("templates.edit", template_id=t.id),
        search=lambda term: func.strpos(func.lower(Template.name), term.lower()) > 0,
        search_label="Template name",
        filters=(kinds, Filter("category", "Category", categories, lambda c: Template.category == c)),
    )


def _says(template: Template) -> str:
    message = template.whatsapp or {}
    return (template.subject_line or template.text_content or message.get("body") or "–").strip()[:80]


def _state(template: Template) -> str:
    if template.hold_reason:
        return "held"
    status = (template.whatsapp or {}).get("status")
    if template.is_active and status and status not in bodies.SENDABLE:
        return status.lower()
    return "active" if template.is_active else "inactive"


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
    asked = request.args.get("kind", "")
    kind = template.template_type if template else asked if asked in KINDS else "email"
    form = form_of(kind, template)
    if request.method != "POST":
        form.note(template.updated_at if template else None)
        if template is None and kind == "email":
            form.html_content.data = STARTER
    elif form.validate() and not (template and form.is_stale(template.updated_at)):
        try:
            values = {"template_type": kind} | form.values(template.whatsapp if template else None)
            saved = templates.save(template, values, current_user.local_id)
            say("Saved.")
            return go("templates.edit", template_id=saved.id)
        except Invalid as problem:
            form.show(problem.errors)
    return _page(form, template, kind)


def _page(form: Any, template: Template | None, kind: str) -> Any:
    shown_to = people(kind)
    text = form.text_content.data if "text_content" in form and kind in ("sms", "multi_channel") else None
    rows = places(form.whatsapp_body.data or "", form.whatsapp_parameters.data) if "whatsapp_body" in form else []
    hindrance = templates.hindrance(template, templates.channels_of(template)) if template else None
    return render(
        "templates/edit.html",
        status=422 if request.method == "POST" else 200,
        form=form,
        template=template,
        kind=kind,
        kinds=KINDS,
        shows=SHOWS["email" if kind == "drip" else kind],
        tokens=_usable_tokens(template, kind),
        people=shown_to,
        length=counted(text or "", shown_to[0] if shown_to else None),
        rows=rows,
        hindrance=hindrance,
        channels=[CHANNEL_WORDS[channel] for channel in templates.channels_of(template)] if template else [],
    )


def _usable_tokens(template: Template | None, kind: str) -> dict[str, tuple[str, str]]:
    known = tokens.TOKENS | (tokens.SYSTEM_TOKENS if template and template.is_system else {})
    # A phone has the message itself: there is no page of it to open.
    left_out = tokens.UNBUILT | ({"view_url"} if kind in ("sms", "whatsapp") else set())
    return {name: words for name, words in known.items() if name not in left_out}


@template_pages.post("/<int:template_id>/release")
@needs("templates.edit")
def release(template_id: int) -> Any:
    """Lets a held template be sent again."""
    freed = templates.let_go_on(template_id)
    say("The template may be sent again." if freed else "It was not held.")
    return go("templates.edit", template_id=template_id)


@template_pages.post("/<int:template_id>/delete")
@needs("templates.edit")
def delete(template_id: int) -> Any:
    template = templates.get(template_id)
    templates.remove(template)
    say(f"Template {template.name} deleted. Campaigns that used it stay, and so does what was sent.")
    return go("templates.page")
