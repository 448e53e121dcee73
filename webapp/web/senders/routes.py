"""Senders: the identities messages go out under; how they are doing, and what can be done with them."""

from typing import Any

from flask import current_app, request, url_for
from flask_login import current_user

from webapp.messaging import connection_test, credentials, sender_reading, senders
from webapp.messaging.senders import Sender
from webapp.platform.errors import Invalid
from webapp.platform.roles import can
from webapp.web.senders import pages
from webapp.web.senders.forms import sender_form, values_of
from webapp.web.senders.room import sender_pages
from webapp.web.shell import go, needs, render, say, show_errors


@sender_pages.get("")
@needs("senders.view")
def page() -> Any:
    action = ("New sender", url_for("senders.new")) if can(current_user, "senders.edit") else None
    return render("senders/page.html", rows=pages.listed(), action=action, **pages.WORDS)


@sender_pages.get("/<int:sender_id>")
@needs("senders.view")
def detail(sender_id: int) -> Any:
    return _detail(senders.get(sender_id))


def _detail(sender: Sender, status: int = 200, **more: Any) -> Any:
    address = senders.webhook_address(sender, current_app.config["BASE_URL"])
    return render("senders/detail.html", status=status, **pages.detail(sender), webhook=address, **pages.WORDS, **more)


@sender_pages.route("/new", methods=["GET", "POST"])
@needs("senders.edit")
def new() -> Any:
    kind = request.values.get("kind", "smtp-email")
    provider, _, channel = (kind if kind in pages.KINDS else "smtp-email").partition("-")
    return _edit(None, provider, channel)


@sender_pages.route("/<int:sender_id>/edit", methods=["GET", "POST"])
@needs("senders.edit")
def edit(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    return _edit(sender, sender.provider, sender.channel)


def _edit(sender: Sender | None, provider: str, channel: str) -> Any:
    kept = set(credentials.still_good(sender.secrets)) if sender else set()
    form = sender_form(provider, channel, sender, kept, sender_reading.written(sender) if sender else {})
    if request.method == "POST" and form.validate() and not (sender and form.is_stale(sender.updated_at)):
        try:
            saved = senders.save(sender, values_of(form) | {"provider": provider, "channel": channel})
            say("Saved. Test the connection before you send with it.")
            return go("senders.detail", sender_id=saved.id)
        except Invalid as problem:
            problem.errors = {name.replace("warming.", "warming_"): words for name, words in problem.errors.items()}
            show_errors(form, problem)
    return render(
        "senders/form.html", status=422 if request.method == "POST" else 200, form=form, sender=sender,
        kind=f"{provider}-{channel}", kinds=pages.KINDS,
    )  # fmt: skip


@sender_pages.post("/<int:sender_id>/test")
@needs("senders.edit")
def test(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    told = connection_test.test(sender)
    words = f"{sender.name} {'is reachable' if told.reached else 'cannot be reached'}: {told.said}"
    if told.mailbox:
        words = f"{words.rstrip('.')}. Its mailbox {'can' if told.readable else 'cannot'} be read: {told.mailbox}"
    say(words, "danger" if told.problem else "success")
    return go("senders.detail", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/default")
@needs("senders.edit")
def default(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    senders.make_default(sender)
    say(f"{sender.name} is the default now.")
    return go("senders.detail", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/hold")
@needs("senders.edit")
def hold(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    why = " ".join(request.form.get("reason", "").split())[:500]
    senders.hold(sender_id, f"Held by {current_user.name}{': ' + why if why else '.'}")
    say(f"{sender.name} sends nothing until somebody lets it go on.")
    return go("senders.detail", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/release")
@needs("senders.edit")
def release(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    if senders.let_go_on(sender_id):
        say(f"{sender.name} sends again.")
    return go("senders.detail", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/delete")
@needs("senders.edit")
def delete(sender_id: int) -> Any:
    sender = senders.get(sender_id)
    name = sender.name
    senders.remove(sender)
    say(f"{name} is deleted. What was sent with it stays.")
    return go("senders.page")


@sender_pages.post("/<int:sender_id>/secret")
@needs("senders.edit")
def secret(sender_id: int) -> Any:
    """Makes a secret of ours anew and shows it, this once; the same page sent again makes no second one."""
    sender = senders.get(sender_id)
    name = request.form.get("name", "")
    if request.form.get("version", sender.updated_at.isoformat()) != sender.updated_at.isoformat():
        say("It was made and shown already, and is not shown again. If it is lost, make a new one.", "warning")
        return go("senders.detail", sender_id=sender_id)
    return _detail(sender, made=(name, senders.renew_secret(sender, name)))
