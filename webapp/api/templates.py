"""Templates of every channel, and the e-mails among them in the shape older clients know."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import marshmallow as ma
from flask import g
from flask.views import MethodView
from sqlalchemy import select

from webapp.api.face import PageArgs, answer, envelope, needs, paged, room
from webapp.messaging import templates
from webapp.messaging.bodies import BODIES, KINDS, WHATSAPP_STATUSES
from webapp.messaging.templates import CATEGORIES, Template
from webapp.platform.errors import Invalid, NotFound

template_api = room(
    "templates", "/templates", "Messages written once and filled in for each lead, for one channel or several"
)
email_template_api = room(
    "email_templates", "/automations/email-templates", "The same templates: subject, body_html, body_text"
)
# name here -> name in the house
OLDER_NAMES = {"subject": "subject_line", "body_html": "html_content", "body_text": "text_content"}
PURPOSES = ("marketing", "transactional", "notification")


class WhatsAppSchema(ma.Schema):
    """A message as WhatsApp approved it. parameters: what stands for {{1}}, {{2}}, ..., as token expressions."""

    name = ma.fields.String()
    language = ma.fields.String()
    category = ma.fields.String()
    status = ma.fields.String(validate=ma.validate.OneOf(WHATSAPP_STATUSES))
    header = ma.fields.String()
    body = ma.fields.String()
    footer = ma.fields.String()
    parameters = ma.fields.List(ma.fields.String())
    buttons = ma.fields.List(ma.fields.Dict(keys=ma.fields.String()))


class TemplateInputSchema(ma.Schema):
    template_type = ma.fields.String(
        validate=ma.validate.OneOf(KINDS), metadata={"description": "for good; email if not given"}
    )
    name = ma.fields.String(validate=ma.validate.Length(1, 120))
    slug = ma.fields.String(validate=ma.validate.Length(1, 80))
    description = ma.fields.String(allow_none=True)
    category = ma.fields.String(validate=ma.validate.OneOf(CATEGORIES))
    subject_line = ma.fields.String()
    preview_text = ma.fields.String(allow_none=True)
    html_content = ma.fields.String()
    text_content = ma.fields.String(allow_none=True)
    whatsapp = ma.fields.Nested(WhatsAppSchema, allow_none=True)
    is_active = ma.fields.Boolean()


class TemplateSchema(TemplateInputSchema):
    id = ma.fields.Integer()
    template_type = ma.fields.String()
    channels = ma.fields.Function(templates.channels_of)
    hold_reason = ma.fields.String(allow_none=True, dump_only=True)
    available_tokens = ma.fields.List(ma.fields.String())
    usage_count = ma.fields.Integer()
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class EmailTemplateInputSchema(ma.Schema):
    name = ma.fields.String(validate=ma.validate.Length(1, 120))
    slug = ma.fields.String(validate=ma.validate.Length(1, 80))
    subject = ma.fields.String()
    body_html = ma.fields.String()
    body_text = ma.fields.String(allow_none=True)
    template_type = ma.fields.String(validate=ma.validate.OneOf(PURPOSES))
    is_active = ma.fields.Boolean()


class EmailTemplateSchema(ma.Schema):
    id = ma.fields.Integer()
    name = ma.fields.String()
    slug = ma.fields.String()
    subject = ma.fields.String(attribute="subject_line")
    body_html = ma.fields.String(attribute="html_content")
    body_text = ma.fields.String(attribute="text_content")
    template_type = ma.fields.Function(lambda t: t.category if t.category in PURPOSES else "marketing")
    is_active = ma.fields.Boolean()
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


def _older(body: dict[str, Any]) -> dict[str, Any]:
    values = {OLDER_NAMES.get(name, name): value for name, value in body.items() if name != "template_type"}
    purpose = body.get("template_type")
    return values | ({"category": "acquisition" if purpose == "marketing" else purpose} if purpose else {})


def _saved(template: Template | None, body: dict[str, Any]) -> Template:
    kept = ("name", "slug", "description", "category", *BODIES, "is_active")
    before = {field: getattr(template, field) for field in kept} if template else {}
    if template and template.text_is_derived:
        before["text_content"] = ""  # it follows the HTML, until somebody writes their own
    if template and template.whatsapp:
        before["whatsapp"] = template.whatsapp
        body = body | ({"whatsapp": template.whatsapp | body["whatsapp"]} if body.get("whatsapp") else {})
    return templates.save(template, before | body, g.user.id)


@contextmanager
def _older_words() -> Iterator[None]:
    """A refusal names the fields as the older client wrote them."""
    try:
        yield
    except Invalid as problem:
        newer = {house: name for name, house in OLDER_NAMES.items()}
        raise Invalid({newer.get(field, field): words for field, words in problem.errors.items()}) from None


def _letter(template_id: int) -> Template:
    """Returns a template with an e-mail. Raises NotFound for others: older clients know no other kind."""
    template = templates.get(template_id)
    if "email" not in templates.channels_of(template):
        raise NotFound("That template has no e-mail.")
    return template


def _add_endpoints(
    room_: Any, shown: type[ma.Schema], taken: type[ma.Schema], read: Any = dict, words: Any = nullcontext,
    *, get_one: Any = templates.get, listed: Any = None,
) -> None:  # fmt: skip
    every = select(Template) if listed is None else select(Template).where(listed)

    @room_.route("")
    class Templates(MethodView):
        @needs("templates.view")
        @room_.arguments(PageArgs, location="query")
        @room_.response(200, envelope(shown, many=True))
        def get(self, args: dict[str, Any]) -> Any:
            """Lists templates, newest first."""
            return paged(every, Template.id, args, lambda template: template)

        @needs("templates.edit")
        @room_.arguments(taken)
        @room_.response(201, envelope(shown))
        def post(self, body: dict[str, Any]) -> Any:
            """Makes a template."""
            with words():
                return answer(_saved(None, read(body)), "Template created")

    @room_.route("/<int:template_id>")
    class OneTemplate(MethodView):
        @needs("templates.view")
        @room_.response(200, envelope(shown))
        def get(self, template_id: int) -> Any:
            """Returns a template."""
            return answer(get_one(template_id))

        @needs("templates.edit")
        @room_.arguments(taken)
        @room_.response(200, envelope(shown))
        def put(self, body: dict[str, Any], template_id: int) -> Any:
            """Changes what is given, and keeps the bodies as a new version."""
            with words():
                return answer(_saved(get_one(template_id), read(body)), "Template updated")

        @needs("templates.edit")
        @room_.response(200, envelope(None))
        def delete(self, template_id: int) -> Any:
            """Deletes a template. Campaigns that used it stay, and so does what was sent."""
            templates.remove(get_one(template_id))
            return answer(message="Template deleted")


_add_endpoints(template_api, TemplateSchema, TemplateInputSchema)
_add_endpoints(
    email_template_api, EmailTemplateSchema, EmailTemplateInputSchema, _older, _older_words, get_one=_letter,
    listed=templates.speaks("email") | (Template.template_type == "drip"),
)  # fmt: skip
