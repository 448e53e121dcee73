"""The form of a rule by which replies are sorted. What it may hold is checked by `intents` itself."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField, TextAreaField

from webapp.audience.consents import CHANNEL_WORDS
from webapp.messaging.intents import INTENT_WORDS, IntentRule
from webapp.web.opened import Opened

MATCH_WORDS = {"is": "The whole message is", "begins": "It begins with", "contains": "It contains"}
ANY = {"any": "Any channel"} | CHANNEL_WORDS


class RuleForm(Opened, FlaskForm):
    intent = SelectField("Means", choices=list(INTENT_WORDS.items()), validate_choice=False)
    channel = SelectField("Channel", choices=list(ANY.items()), validate_choice=False)
    match = SelectField("Fits if", choices=list(MATCH_WORDS.items()), validate_choice=False)
    language = StringField("Language", render_kw={"maxlength": 2, "autocomplete": "off", "spellcheck": "false"})
    words = TextAreaField("Words, one a line", render_kw={"rows": 10})
    is_active = BooleanField("Counts", default=True)

    def __init__(self, rule: IntentRule | None):
        kept: dict[str, Any] = {}
        if rule is not None:
            kept = {name: getattr(rule, name) for name in ("intent", "channel", "match", "language", "is_active")}
            kept["words"] = "\n".join(rule.words)
        super().__init__(data=kept)
        self.note(rule.updated_at if rule else None)

    def values(self) -> dict[str, Any]:
        """Returns what `intents.save` takes."""
        lines = (self.words.data or "").splitlines()
        return {field.name: field.data for field in self if field.name not in ("csrf_token", "version")} | {
            "words": lines
        }
