"""How receivers come to believe a sender's e-mail: its DKIM key, and the records of its domain."""

from typing import Any

from flask import request, url_for

from webapp.messaging import alignment, dkim_signing, senders
from webapp.messaging.senders import Sender
from webapp.platform.errors import Invalid, Refused
from webapp.web.senders.room import sender_pages
from webapp.web.shell import go, needs, render, say


@sender_pages.get("/<int:sender_id>/records")
@needs("senders.view")
def records(sender_id: int) -> Any:
    return _page(_email(sender_id))


def _email(sender_id: int) -> Sender:
    sender = senders.get(sender_id)
    if sender.channel != "email":
        raise Refused("Only e-mail is signed, and has such records.")
    return sender


def _page(sender: Sender, errors: dict[str, str] | None = None) -> Any:
    return render(
        "senders/records.html", status=422 if errors else 200, sender=sender, verdicts=alignment.of(sender),
        record=dkim_signing.record_of(sender), kept=sender.config.get("dns") or {}, errors=errors or {},
        typed=request.form, back=url_for("senders.detail", sender_id=sender.id),
    )  # fmt: skip


@sender_pages.post("/<int:sender_id>/records")
@needs("senders.edit")
def paste(sender_id: int) -> Any:
    sender = _email(sender_id)
    try:
        alignment.save_pasted(sender, request.form.get("records", ""))
    except Invalid as problem:
        return _page(sender, problem.errors)
    return go("senders.records", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/look-up")
@needs("senders.edit")
def look_up(sender_id: int) -> Any:
    sender = _email(sender_id)
    try:
        alignment.look_up(sender)
    except Refused as problem:
        say(problem.message, "danger")
    return go("senders.records", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/dkim")
@needs("senders.edit")
def make_key(sender_id: int) -> Any:
    sender = _email(sender_id)
    try:
        dkim_signing.make_key(sender, request.form.get("selector", ""), request.form.get("kind", "rsa"))
    except Invalid as problem:
        return _page(sender, problem.errors)
    say("The key is made. Publish its record, then look it up here.")
    return go("senders.records", sender_id=sender_id)


@sender_pages.post("/<int:sender_id>/dkim/forget")
@needs("senders.edit")
def forget_key(sender_id: int) -> Any:
    dkim_signing.forget_key(_email(sender_id))
    say("The key is gone. Messages of this sender go out unsigned.")
    return go("senders.records", sender_id=sender_id)
