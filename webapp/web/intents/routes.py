"""Reply rules: which words of a reply mean what, in the order in which they are tried."""

from typing import Any

from flask import Blueprint, request

from webapp.messaging import intents
from webapp.messaging.intents import INTENT_WORDS, IntentRule
from webapp.platform.errors import Invalid, Refused
from webapp.web.intents.forms import ANY, MATCH_WORDS, RuleForm
from webapp.web.shell import go, needs, render, say, show_errors

intent_pages = Blueprint("intents", __name__, url_prefix="/reply-rules")
TRY_LIMIT = 2_000  # characters


@intent_pages.get("")
@needs("intents.view")
def page() -> Any:
    """The list, and a box that says what would become of a message. Trying writes nothing."""
    said = request.args.get("text", "")[:TRY_LIMIT]
    channel = request.args.get("channel", "sms")
    channel = channel if channel in ANY and channel != "any" else "sms"
    language = request.args.get("language", "")[:2].lower()
    intent, rule = intents.explain(channel, language, said) if said.strip() else ("", None)
    return render(
        "intents/page.html", "intents/_verdict.html", rules=intents.every(), words_of=words, labels=INTENT_WORDS,
        channels=ANY, said=said, channel=channel, language=language, intent=intent, fits=rule,
    )  # fmt: skip


def words(rule: IntentRule) -> str:
    """Returns what a rule says, in words: the first few of what it looks for."""
    shown = ", ".join(rule.words[:6]) + (f" and {len(rule.words) - 6} more" if len(rule.words) > 6 else "")
    where = [ANY[rule.channel]] if rule.channel != "any" else []
    where += [rule.language] if rule.language else []
    return f"{MATCH_WORDS[rule.match]}: {shown}" + (f" ({', '.join(where)})" if where else "")


@intent_pages.post("/defaults")
@needs("intents.edit")
def defaults() -> Any:
    intents.ensure_defaults()
    say("These are the usual rules. Change them as you like.")
    return go("intents.page")


@intent_pages.route("/new", methods=["GET", "POST"])
@needs("intents.edit")
def new() -> Any:
    return _edit(None)


@intent_pages.route("/<int:intent_id>", methods=["GET", "POST"])
@needs("intents.edit")
def edit(intent_id: int) -> Any:
    return _edit(intents.get(intent_id))


def _edit(rule: IntentRule | None) -> Any:
    form = RuleForm(rule)
    if request.method == "POST" and form.validate() and not (rule and form.is_stale(rule.updated_at)):
        try:
            saved = intents.save(rule, form.values())
            say("Saved. It counts for what comes from now on.")
            return go("intents.page", _anchor=f"rule-{saved.id}")
        except Invalid as problem:
            show_errors(form, problem)
        except Refused as problem:
            form.form_errors.append(problem.message)
    status = 422 if request.method == "POST" else 200
    return render("intents/rule.html", status=status, form=form, rule=rule)


@intent_pages.post("/<int:intent_id>/switch")
@needs("intents.edit")
def switch(intent_id: int) -> Any:
    rule = intents.get(intent_id)
    # What the button said, and not the opposite of what is now: somebody else may have pressed it too.
    return _done(rule, lambda: intents.switch(rule, request.form.get("on") == "1"))


@intent_pages.post("/<int:intent_id>/move")
@needs("intents.edit")
def move(intent_id: int) -> Any:
    rule = intents.get(intent_id)
    return _done(rule, lambda: intents.move(rule, -1 if request.form.get("to") == "up" else 1))


@intent_pages.post("/<int:intent_id>/delete")
@needs("intents.edit")
def delete(intent_id: int) -> Any:
    rule = intents.get(intent_id)
    return _done(rule, lambda: intents.remove(rule))


def _done(rule: IntentRule, act: Any) -> Any:
    """Does it, or says on the list why not."""
    anchor = f"rule-{rule.id}"
    try:
        act()
    except Refused as problem:
        say(problem.message, "danger")
    return go("intents.page", _anchor=anchor)
