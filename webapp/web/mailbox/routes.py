"""The mailbox page: what the built-in mailbox received, as a recipient would see it."""

from typing import Any

from flask import Blueprint, render_template, url_for
from sqlalchemy import func, select

from webapp.messaging import mailbox
from webapp.messaging.mailbox import MailboxMessage
from webapp.web import filters
from webapp.web.shell import needs, render
from webapp.web.table import Column, Table
from webapp.web.templates.previews import sandboxed

mailbox_pages = Blueprint("mailbox", __name__, url_prefix="/mailbox")


@mailbox_pages.get("")
@needs("mailbox.view")
def page() -> Any:
    table = Table(
        name="messages",
        noun=("message", "messages"),
        query=select(MailboxMessage),
        key=MailboxMessage.id,
        columns=(
            Column("subject", "Subject", lambda m: m.subject or "(no subject)"),
            Column("recipient", "To", lambda m: m.recipient),
            Column("sender", "From", lambda m: m.sender, wide=True),
            Column(
                "received", "Received", lambda m: filters.moment(m.created_at), MailboxMessage.created_at, wide=True
            ),
        ),
        default_sort="-received",
        empty="Nothing has arrived. Messages of the built-in sender land here instead of in the world's mailboxes.",
        url_of=lambda m: url_for("mailbox.message", message_id=m.id),
        search=lambda term: (
            (
                func.strpos(func.lower(MailboxMessage.recipient), term.lower())
                + func.strpos(func.lower(MailboxMessage.subject), term.lower())
            )
            > 0
        ),
        search_label="Recipient or subject",
    )
    summary = "Everything the built-in sender delivered. Nobody outside this machine got any of it."
    return table.respond("list.html", title="Mailbox", summary=summary)


@mailbox_pages.get("/<int:message_id>")
@needs("mailbox.view")
def message(message_id: int) -> Any:
    found = mailbox.get(message_id)
    return render("mailbox/message.html", message=found, parts=mailbox.parts(found))


@mailbox_pages.get("/<int:message_id>/html")
@needs("mailbox.view")
def html(message_id: int) -> Any:
    """The HTML part in a document of its own. Reading it fetches its pixel, as in any mail program that shows pictures."""
    body = mailbox.parts(mailbox.get(message_id))["html"]
    # Links open beside the mailbox and not inside the frame, as they do in a mail program.
    return sandboxed('<base target="_blank">' + body)


@mailbox_pages.get("/<int:message_id>/source")
@needs("mailbox.view")
def source(message_id: int) -> Any:
    found = mailbox.get(message_id)
    return render_template("mailbox/source.html", message=found, raw=found.raw.decode("utf-8", "replace"))
