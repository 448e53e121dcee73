"""The forms of scores: a rule beside its condition, and a threshold. What they may hold is checked by `scores` itself."""

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, IntegerField, SelectField, StringField
from wtforms.validators import Optional

from webapp.audience.scores import ScoreRule

MODEL_WORDS = {"score": "Lead score", "engagement_score": "Engagement score"}
NUMBER = {"inputmode": "numeric", "autocomplete": "off"}


class RuleForm(FlaskForm):
    name = StringField("Name", (Optional(),), render_kw={"maxlength": 120})
    model = SelectField("Counts towards", choices=list(MODEL_WORDS.items()), validate_choice=False)
    type = SelectField("What they did", validate_choice=False)
    points = StringField("Points", render_kw=NUMBER)
    within_days = StringField("Only the last so many days", (Optional(),), render_kw=NUMBER)
    half_life_days = StringField("Half worth after so many days", (Optional(),), render_kw={"inputmode": "decimal"})
    limit = StringField("At most so many points", (Optional(),), render_kw=NUMBER)
    is_active = BooleanField("Counts", default=True)

    def __init__(self, rule: ScoreRule | None, types: list[tuple[str, str]], model: str):
        kept: dict[str, Any] = {"model": model}
        if rule is not None:
            half_life = f"{rule.half_life_days.normalize():f}" if rule.half_life_days else ""
            kept |= {"name": rule.name, "points": rule.points, "limit": rule.limit, "half_life_days": half_life,
                     "is_active": rule.is_active, "type": rule.condition.get("type"),
                     "within_days": rule.condition.get("within_days")}  # fmt: skip
        super().__init__(data=kept)
        self.type.choices = types


class ThresholdForm(FlaskForm):
    value = IntegerField("Score", render_kw={"min": 1, "max": 100})
    name = StringField("Name", render_kw={"maxlength": 60})
