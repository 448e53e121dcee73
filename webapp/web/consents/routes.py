"""A lead's consents as staff set them: noting one with its evidence, taking them off a channel, asking them to confirm."""

from typing import Any

from flask import Blueprint, request
from flask_login import current_user

from webapp.audience import consents, leads
from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.leads import Lead
from webapp.messaging import confirmations
from webapp.platform.errors import Invalid, NotFound
from webapp.web.consents.forms import NoteForm
from webapp.web.shell import go, needs, render, say, show_errors

consent_pages = Blueprint("consents", __name__, url_prefix="/leads")


def _channel(name: str) -> str:
    if name not in consents.CHANNELS:
        raise NotFound()
    return name


@consent_pages.get("/<int:lead_id>/consents/<channel>")
@needs("leads.edit")
def note_form(lead_id: int, channel: str) -> Any:
    return _note_page(leads.get(lead_id), _channel(channel), NoteForm())


def _note_page(lead: Lead, channel: str, form: NoteForm, status: int = 200) -> Any:
    words = CHANNEL_WORDS[channel]
    return render(
        "consents/note.html", "consents/_note.html", status, lead=lead, channel=channel, words=words, form=form
    )


@consent_pages.post("/<int:lead_id>/consents/<channel>")
@needs("leads.edit")
def note(lead_id: int, channel: str) -> Any:
    lead, form = leads.get(lead_id), NoteForm()
    try:
        consents.note(lead, _channel(channel), "subscribed", by=current_user.name, evidence=form.evidence.data or "")
    except Invalid as problem:
        show_errors(form, problem)
        return _note_page(lead, channel, form, 422)
    say(f"{lead.name} agreed to {CHANNEL_WORDS[channel]}. It is noted.")
    return go("leads.detail", lead_id=lead_id)


@consent_pages.post("/<int:lead_id>/consents/<channel>/withdraw")
@needs("leads.edit")
def withdraw(lead_id: int, channel: str) -> Any:
    lead = leads.get(lead_id)
    consents.note(
        lead, _channel(channel), "unsubscribed", by=current_user.name, evidence=request.form.get("evidence", "")
    )
    say(f"{lead.name} is off {CHANNEL_WORDS[channel]}.")
    return go("leads.detail", lead_id=lead_id)


@consent_pages.post("/<int:lead_id>/consents/email/ask")
@needs("leads.edit")
def ask(lead_id: int) -> Any:
    """Double opt-in: an e-mail that asks them to confirm."""
    lead = leads.get(lead_id)
    if confirmations.ask(lead, by=current_user.name):
        say(f"A request to confirm goes to {lead.email}.")
    else:
        say("They were asked within the last hour, so nothing was sent again.", "warning")
    return go("leads.detail", lead_id=lead_id)
