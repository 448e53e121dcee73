"""The rule rows of the segment form: what a browser posts, as a rule tree and back."""

from typing import Any
from uuid import uuid4

from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import RadioField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from webapp.audience.rules.fields import FIELDS
from webapp.audience.rules.operators import OPERATORS, for_kind


class SegmentForm(FlaskForm):
    name = StringField(
        "Name", (InputRequired("Give the segment a name."), Length(max=120, message="Use at most 120 characters."))
    )
    description = TextAreaField("Description", (Optional(), Length(max=1000, message="Use at most 1,000 characters.")))
    match = RadioField("Match", choices=[("all", "all"), ("any", "any")], default="all")


def row(rule: dict[str, Any] | None = None, key: str | None = None, error: str = "") -> dict[str, Any]:
    """Returns what the template of one rule row shows; an operator the field does not have becomes its first."""
    rule = rule or {"field": "status", "operator": "equals", "value": ""}
    field = FIELDS.get(rule.get("field") or "", FIELDS["status"])
    operators = for_kind(field.kind)
    operator = OPERATORS.get(rule.get("operator") or "")
    if operator not in operators:
        operator = operators[0]
    value = rule.get("value")
    values = [str(v) for v in value] if isinstance(value, list) else [str(value)] if value not in (None, "") else []
    return {
        "key": key or uuid4().hex[:8],
        "field": field,
        "operator": operator,
        "operators": operators,
        "values": values,
        "error": error,
    }


def posted_rules(form: MultiDict) -> list[tuple[str, dict[str, Any]]]:
    """Returns (row key, rule) in the order of the page."""
    rules = []
    for key in form.getlist("row"):
        values = form.getlist(f"{key}-value")
        operator = form.get(f"{key}-operator", "")
        many = operator in OPERATORS and OPERATORS[operator].many
        if many and len(values) == 1:
            values = [part.strip() for part in values[0].split(",") if part.strip()]
        value: Any = values if many else (values[0] if values else "")
        rules.append((key, {"field": form.get(f"{key}-field", ""), "operator": operator, "value": value}))
    return rules


def posted_tree(form: MultiDict) -> dict[str, Any]:
    """Returns the rule tree of a posted form, unchecked."""
    return {"match": form.get("match", "all"), "rules": [rule for _, rule in posted_rules(form)]}


def posted_rows(form: MultiDict, errors: dict[str, str]) -> list[dict[str, Any]]:
    """Returns the rows of a posted form as they were typed, with their errors."""
    return [row(rule, key, errors.get(f"rules.{n}", "")) for n, (key, rule) in enumerate(posted_rules(form))]
