"""The form of a template."""

from flask_wtf import FlaskForm
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from webapp.messaging.templates import CATEGORIES
from webapp.web.filters import words

TAKES = {"data-takes-tokens": "", "autocomplete": "off"}


class TemplateForm(FlaskForm):
    name = StringField("Name", (InputRequired("Give the template a name."), Length(max=120)))
    category = SelectField("Category", choices=[(c, words(c)) for c in CATEGORIES])
    subject_line = StringField("Subject", (InputRequired("Write a subject."),), render_kw=TAKES)
    preview_text = StringField("Preview text", (Optional(),), render_kw=TAKES)
    html_content = TextAreaField(
        "Message (HTML)",
        (InputRequired("Write the message."),),
        render_kw=TAKES | {"data-code": "", "spellcheck": "false"},
    )
    text_content = TextAreaField("Plain text", (Optional(),), render_kw=TAKES | {"rows": 8})
