"""The form that notes a consent by hand."""

from flask_wtf import FlaskForm
from wtforms import TextAreaField


class NoteForm(FlaskForm):
    evidence = TextAreaField("How do you know?", render_kw={"rows": 3})
