"""Senders: the identities messages go out under."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user

from webapp.messaging import providers, senders
from webapp.messaging.providers.smtp import Unreachable
from webapp.messaging.senders import Sender
from webapp.platform.clock import now
from webapp.platform.errors import Invalid, Refused
from webapp.platform.roles import can
from webapp.web.senders.forms import SmtpForm
from webapp.web.shell import go, needs, render, say, show_errors

sender_pages = Blueprint("senders", __name__, url_prefix="/senders")


@sender_pages.get("")
@needs("senders.view")
def page() -> Any:
    action = ("New SMTP sender", url_for("senders.new")) if can(current_user, "senders.edit") else None
    return render("senders/page.html", senders=senders.every(), action=action)


@sender_pages.route("/new", methods=["GET", "POST"])
@needs("senders.edit")
def new() -> Any:
    return _edit(None)


@sender_pages.route("/<int:sender_id>", methods=["GET", "POST"])
@needs("senders.edit")
def edit(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    if sender.provider != "smtp":
        raise Refused("The built-in sender has nothing to set.")
    return _edit(sender)


def _edit(sender: Sender | None) -> Any:
    form = SmtpForm(sender)
    if request.method == "POST" and form.validate():
        try:
            senders.save_smtp(sender, {k: v for k, v in form.data.items() if k != "csrf_token"})
            say("Saved. Test the connection before you send with it.")
            return go("senders.page")
        except Invalid as problem:
            show_errors(form, problem)
    return render("senders/form.html", status=422 if request.method == "POST" else 200, form=form, sender=sender)


@sender_pages.post("/<int:sender_id>/test")
@needs("senders.edit")
def test(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    try:
        say(f"{sender.name} is reachable: {providers.of(sender.provider).check(sender)}")
        sender.last_connected_at, sender.last_error, sender.rate_limited_until = now(), None, None
    except Unreachable as problem:
        sender.last_error = str(problem)
        say(f"{sender.name} cannot be reached: {problem}", "danger")
    return go("senders.page")


@sender_pages.post("/<int:sender_id>/default")
@needs("senders.edit")
def default(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    senders.make_default(sender)
    say(f"{sender.name} is the default now.")
    return go("senders.page")
