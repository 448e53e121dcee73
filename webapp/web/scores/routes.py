"""Scores: the rules of the two scores, what they would make of everybody, and the lines whose crossing is told."""

from typing import Any

from flask import Blueprint, make_response, render_template, request

from webapp.audience import pickers, scores
from webapp.audience.score_rules import OWN, can_count
from webapp.audience.scores import ScoreRule
from webapp.platform.clock import now
from webapp.platform.errors import Invalid, NotFound
from webapp.web import filters
from webapp.web.scores.forms import MODEL_WORDS, RuleForm, ThresholdForm
from webapp.web.segments import builder
from webapp.web.segments.builder import Node
from webapp.web.shell import go, needs, render, say, show_errors

score_pages = Blueprint("scores", __name__, url_prefix="/scores")
KEY = "rule"  # of the one condition in the form
ABOUT = {
    "score": "How likely it is that a lead buys.",
    "engagement_score": "How much a lead has had to do with us of late.",
}


@score_pages.get("")
@needs("scores.view")
def page() -> Any:
    return _page({model: ThresholdForm(prefix=model, formdata=None) for model in MODEL_WORDS})


def _page(forms: dict[str, ThresholdForm], status: int = 200) -> Any:
    models = [
        {"name": model, "label": label, "about": ABOUT[model], "rules": scores.every(model), "form": forms[model],
         "thresholds": scores.thresholds(model), "bands": scores.distribution(model)}
        for model, label in MODEL_WORDS.items()
    ]  # fmt: skip
    return render("scores/page.html", status=status, models=models, words_of=scores.words, **_state())


def _state() -> dict[str, Any]:
    due = scores.next_at()
    return {"due": due, "is_working": due is not None and due <= now()}


@score_pages.get("/state")
@needs("scores.view")
def state() -> Any:
    """When scores are worked out next; asked again and again while they are being worked out."""
    standing = _state()
    response = make_response(render_template("scores/_state.html", **standing))
    if not standing["is_working"]:
        response.headers["HX-Refresh"] = "true"
    return response


@score_pages.post("/recompute")
@needs("scores.edit")
def recompute() -> Any:
    scores.ask_for_recompute()
    return go("scores.page")


@score_pages.post("/defaults")
@needs("scores.edit")
def defaults() -> Any:
    scores.ensure_defaults()
    say("These are the usual rules. Change them as you like.")
    return go("scores.page")


@score_pages.route("/rules/new", methods=["GET", "POST"])
@needs("scores.edit")
def new() -> Any:
    return _edit(None)


@score_pages.route("/rules/<int:rule_id>", methods=["GET", "POST"])
@needs("scores.edit")
def edit(rule_id: int) -> Any:
    return _edit(scores.get(rule_id))


def _edit(rule: ScoreRule | None) -> Any:
    model, kind = _model(rule), _kind(rule)
    form, node = RuleForm(rule, _types(rule), model), _node(rule)
    if request.method == "POST" and form.validate():
        try:
            scores.save(rule, _values(form, kind, node), model=model, kind=kind)
            say("Saved. The scores are being worked out anew.")
            return go("scores.page")
        except Invalid as problem:
            node.error = problem.errors.pop("rule", "")
            show_errors(form, problem)
            form.form_errors.extend(["One condition needs another look."] if node.error else [])
    return render(
        "scores/rule.html", status=422 if request.method == "POST" else 200, form=form, rule=rule, model=model,
        kind=kind, r=node, labels=MODEL_WORDS, **_choices(model),
    )  # fmt: skip


def _model(rule: ScoreRule | None) -> str:
    said = rule.model if rule else request.values.get("model", "score")
    return said if said in MODEL_WORDS else "score"


def _kind(rule: ScoreRule | None) -> str:
    said = rule.kind if rule else request.values.get("kind", "event")
    return said if said in scores.KINDS else "event"


def _node(rule: ScoreRule | None = None) -> Node:
    if request.method == "POST":
        return builder.posted_rule(request.form, KEY)
    return builder.rule_node(rule.condition if rule and rule.kind == "attribute" else None, KEY)


def _values(form: RuleForm, kind: str, node: Node) -> dict[str, Any]:
    event = {"type": form.type.data, "within_days": form.within_days.data}
    fields = ("name", "points", "half_life_days", "limit", "is_active")
    return {name: form[name].data for name in fields} | {"condition": event if kind == "event" else node.to_json()}


def _types(rule: ScoreRule | None) -> list[tuple[str, str]]:
    """Returns the kinds of facts that can give points: the house's and this organisation's own."""
    fields = [field for _, group in pickers.field_groups() for field in group]
    found = {f.name.partition(".")[2]: f.label for f in fields if f.name.startswith("event.")}
    if rule is not None and rule.kind == "event":
        found.setdefault(rule.condition["type"], filters.words(rule.condition["type"]))
    return [("", "Choose…"), *((type, label) for type, label in found.items() if can_count(type))]


def _choices(model: str) -> dict[str, Any]:
    # What they did has rules of its own kind, with points for each time.
    groups = [
        (name, [f for f in fields if f.name not in OWN[model] and not f.name.startswith("event.")])
        for name, fields in pickers.field_groups()
    ]
    return {"field_groups": [group for group in groups if group[1]], "pick": pickers.Choices()}


@score_pages.get("/condition")
@needs("scores.edit")
def condition() -> Any:
    """The condition again, after its field or its operator was changed."""
    node = builder.posted_rule(request.args, KEY)
    if request.args.get("changed") == "field":
        node.raw = None
    return render_template("scores/_condition.html", r=node, **_choices(_model(None)))


@score_pages.post("/preview")
@needs("scores.edit")
def preview() -> Any:
    """What the rules, with the one in the form as it stands, would make of everybody. Nothing is written."""
    rule = _edited()
    model, kind = _model(rule), _kind(rule)
    form, node = RuleForm(rule, _types(rule), model), _node()
    others = [other for other in scores.every(model, active_only=True) if other is not rule]
    try:
        rules = [*others, scores.draft(model, kind, _values(form, kind, node))]
        return render_template("scores/_preview.html", seen=scores.preview(model, rules), without=False)
    except Invalid:
        return render_template("scores/_preview.html", seen=scores.preview(model, others), without=True)


def _edited() -> ScoreRule | None:
    rule_id = request.form.get("rule_id", type=int) or 0
    if not 0 < rule_id < 2**63:
        return None
    try:
        return scores.get(rule_id)
    except NotFound:
        return None


@score_pages.post("/rules/<int:rule_id>/switch")
@needs("scores.edit")
def switch(rule_id: int) -> Any:
    rule = scores.get(rule_id)
    # What the button said, and not the opposite of what is now: somebody else may have pressed it too.
    scores.switch(rule, request.form.get("on") == "1")
    say(f"{rule.name} {'counts again' if rule.is_active else 'does not count any more'}.")
    return go("scores.page")


@score_pages.post("/rules/<int:rule_id>/move")
@needs("scores.edit")
def move(rule_id: int) -> Any:
    scores.move(scores.get(rule_id), -1 if request.form.get("to") == "up" else 1)
    return go("scores.page", _anchor=f"rule-{rule_id}")


@score_pages.post("/rules/<int:rule_id>/delete")
@needs("scores.edit")
def delete(rule_id: int) -> Any:
    rule = scores.get(rule_id)
    scores.remove(rule)
    say(f"{rule.name} is deleted.")
    return go("scores.page")


@score_pages.post("/thresholds")
@needs("scores.edit")
def add_threshold() -> Any:
    chosen = _model(None)
    forms = {
        model: ThresholdForm(prefix=model, **({} if model == chosen else {"formdata": None})) for model in MODEL_WORDS
    }
    form = forms[chosen]
    form.validate()
    form.value.errors, form.name.errors = [], []
    try:
        scores.add_threshold(chosen, {"value": form.value.raw_data and form.value.raw_data[0], "name": form.name.data})
    except Invalid as problem:
        show_errors(form, problem)
        return _page(forms, 422)
    return go("scores.page", _anchor=f"thresholds-{chosen}")


@score_pages.post("/thresholds/<int:threshold_id>/delete")
@needs("scores.edit")
def remove_threshold(threshold_id: int) -> Any:
    threshold = scores.remove_threshold(threshold_id)
    say(f"{threshold.name} is deleted.")
    return go("scores.page", _anchor=f"thresholds-{threshold.model}")
