"""The form that makes sure of an anonymising."""

from flask_wtf import FlaskForm
from wtforms import StringField


class AnonymiseForm(FlaskForm):
    typed = StringField("Their name", render_kw={"autocomplete": "off"})
