"""The forms that bar addresses."""

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import SelectField, StringField, TextAreaField

from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.suppressions import BY_HAND, REASON_WORDS


class _BarForm(FlaskForm):
    channel = SelectField("Channel", choices=list(CHANNEL_WORDS.items()))
    reason = SelectField("Reason", choices=[(reason, REASON_WORDS[reason]) for reason in BY_HAND])
    note = StringField("Note")


class AddForm(_BarForm):
    addresses = TextAreaField("Addresses, one a line", render_kw={"rows": 10, "spellcheck": "false"})


class FileForm(_BarForm):
    file = FileField("File", render_kw={"accept": ".csv,.txt,.tsv,.xlsx"})
