"""The forms of a template, one for each kind of message."""

from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from webapp.messaging.bodies import BODIES, WHATSAPP, WHATSAPP_STATUSES
from webapp.messaging.templates import CATEGORIES, Template
from webapp.web.filters import words
from webapp.web.opened import Opened

TAKES = {"data-takes-tokens": "", "autocomplete": "off"}
CODE = TAKES | {"data-code": "", "spellcheck": "false"}
PURPOSES = ("MARKETING", "UTILITY", "AUTHENTICATION")
PLACES = 20  # rows shown at most; more than a message of theirs may have


class Lines(Field):
    """As many texts as there are fields of the name."""

    data: list[str]

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = valuelist[:PLACES]


class _Form(Opened, FlaskForm):
    name = StringField("Name", (InputRequired("Give the template a name."), Length(max=120)))
    category = SelectField("Category", choices=[(c, words(c)) for c in CATEGORIES])

    def values(self, standing: dict[str, Any] | None) -> dict[str, Any]:
        """Returns the fields as the verb takes them. standing: a WhatsApp message whose other parts are kept."""
        given = {name: value for name, value in self.data.items() if name not in ("csrf_token", "version")}
        parts = {part: given.pop(f"whatsapp_{part}") for part in WHATSAPP if f"whatsapp_{part}" in given}
        return given | ({"whatsapp": (standing or {}) | parts} if parts else {})

    def show(self, errors: dict[str, str]) -> None:
        """Puts a verb's messages at the fields; those without a field go to the top."""
        for name, message in errors.items():
            at = name.replace(".", "_")
            if at in self:
                self[at].errors = [*self[at].errors, message]
            else:
                self.form_errors.append(message)


class _EmailBodies:
    subject_line = StringField("Subject", (InputRequired("Write a subject."),), render_kw=TAKES)
    preview_text = StringField("Preview text", (Optional(),), render_kw=TAKES)
    html_content = TextAreaField("Message (HTML)", (InputRequired("Write the message."),), render_kw=CODE)
    text_content = TextAreaField("Plain text", (Optional(),), render_kw=TAKES | {"rows": 8})


class _WhatsAppBodies:
    whatsapp_name = StringField("Name at WhatsApp", render_kw={"autocomplete": "off", "spellcheck": "false"})
    whatsapp_language = StringField("Language", default="en_US", render_kw={"autocomplete": "off"})
    whatsapp_category = SelectField("Category at WhatsApp", choices=[(p, words(p.lower())) for p in PURPOSES])
    whatsapp_status = SelectField("State at WhatsApp", choices=[(s, words(s.lower())) for s in WHATSAPP_STATUSES])
    whatsapp_header = StringField("Header", (Optional(),), render_kw={"autocomplete": "off"})
    whatsapp_body = TextAreaField("Message", render_kw={"rows": 7})
    whatsapp_footer = StringField("Footer", (Optional(),), render_kw={"autocomplete": "off"})
    whatsapp_parameters = Lines("What stands in the numbered places", default=list)


class EmailForm(_EmailBodies, _Form):
    pass


class SmsForm(_Form):
    text_content = TextAreaField("Message", (InputRequired("Write the message."),), render_kw=TAKES | {"rows": 7})


class WhatsAppForm(_WhatsAppBodies, _Form):
    pass


class SeveralForm(_EmailBodies, _WhatsAppBodies, _Form):
    subject_line = StringField("Subject", (Optional(),), render_kw=TAKES)
    html_content = TextAreaField("Message (HTML)", (Optional(),), render_kw=CODE)
    text_content = TextAreaField("SMS", (Optional(),), render_kw=TAKES | {"rows": 5})
    whatsapp_name = StringField("Name at WhatsApp", (Optional(),), render_kw={"autocomplete": "off"})
    whatsapp_body = TextAreaField("WhatsApp message", (Optional(),), render_kw={"rows": 6})


FORMS: dict[str, type[_Form]] = {
    "email": EmailForm,
    "drip": EmailForm,
    "sms": SmsForm,
    "whatsapp": WhatsAppForm,
    "multi_channel": SeveralForm,
}


def form_of(kind: str, template: Template | None) -> _Form:
    """Returns the form of a kind of template, filled in from one."""
    if template is None:
        return FORMS[kind]()
    message = template.whatsapp or {}
    known = {name: getattr(template, name) for name in ("name", "category", *BODIES)}
    known |= {f"whatsapp_{part}": message[part] for part in WHATSAPP if part in message}
    if template.text_is_derived and request.method != "POST":
        known["text_content"] = ""
    return FORMS[kind](data=known)
