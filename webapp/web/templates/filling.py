"""Filling a message in for a chosen lead, or for nobody in particular, as sending would."""

from types import SimpleNamespace
from typing import Any

from flask import current_app, request
from sqlalchemy import select

from webapp.audience import leads
from webapp.audience.leads import ALIVE, Lead
from webapp.messaging import delivery, senders, tokens, whatsapp
from webapp.messaging.bodies import WHATSAPP
from webapp.messaging.compose import Bodies, Composer, Letterhead
from webapp.messaging.html_to_text import html_to_text
from webapp.messaging.senders import Sender
from webapp.messaging.texting import TextComposer
from webapp.platform import organizations
from webapp.platform.db import db
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer
from webapp.web.shell import row_id

PEOPLE = 20
EXAMPLE = {"first_name": "Ada", "last_name": "Lopez", "email": "ada@example.com", "city": "Austin", "state": "TX"}


def people(kind: str) -> list[Lead]:
    """Returns some leads whom a kind of message could reach."""
    address = Lead.phone if kind in ("sms", "whatsapp") else Lead.email
    wanted = select(Lead).where(ALIVE, address.is_not(None)).order_by(Lead.id).limit(PEOPLE)
    return list(db.session.scalars(wanted))


def chosen() -> Lead | None:
    """Returns the lead the form is to be shown as; None for an example."""
    try:
        return leads.get(request.form.get("as_lead", type=row_id) or 0)
    except NotFound:
        return None


def rendered(values: dict[str, str], lead: Lead | None) -> tuple[str, str, str]:
    """Returns (subject, HTML, text) of bodies filled in for a lead (or for nobody in particular)."""
    bodies = Bodies(values["subject_line"], values["preview_text"], values["html_content"],
                    values["text_content"].strip() or html_to_text(values["html_content"]))  # fmt: skip
    composer = _composer(bodies)
    return composer.render(_as_row(lead), _extra(composer.needs, lead))


def filled(text: str, lead: Lead | None) -> str:
    """Returns an SMS filled in for a lead, with the way out it gets. Raises TemplateError or ValueError where it cannot be."""
    composer = TextComposer(Bodies("", "", "", text), _head("sms"), signer())
    return composer.render(_as_row(lead), _extra(composer.needs, lead))


def filled_whatsapp(message: dict[str, Any], lead: Lead | None) -> str:
    """Returns a WhatsApp message filled in for a lead. Raises TemplateError or ValueError where it cannot be."""
    return whatsapp.text(message, _values(" ".join(message.get("parameters") or []), lead))


def posted_whatsapp() -> dict[str, Any]:
    """Returns the WhatsApp message as it stands in the form."""
    plain = [part for part in WHATSAPP if part not in ("parameters", "buttons")]
    given = {part: request.form.get(f"whatsapp_{part}") or "" for part in plain}
    return given | {"parameters": request.form.getlist("whatsapp_parameters")}


def _values(text: str, lead: Lead | None) -> dict[str, Any]:
    composer = _composer(Bodies("", "", "", text))
    known = composer.values(_as_row(lead)) | _extra(composer.needs, lead)
    return {name: value for name, value in known.items() if value is not None}


def _composer(bodies: Bodies) -> Composer:
    return Composer(bodies, _head("email"), signer())


def _head(channel: str) -> Letterhead:
    sender = next(iter(senders.usable(channel)), None) or Sender(name="", address="nobody@canvass.example", config={})
    return delivery.letterhead(organizations.current(), sender, current_app.config["BASE_URL"])


def _extra(needs: set[str], lead: Lead | None) -> dict[str, Any]:
    if lead is not None:
        return tokens.lookups(needs, [lead.id]).get(lead.id, {})
    known = tokens.POLICY_TOKENS | {"agent_name"}
    return {name: example for name, (_, example) in tokens.TOKENS.items() if name in known}


def _as_row(lead: Lead | None) -> Any:
    if lead is None:
        return SimpleNamespace(id=0, lead_id=0, phone="+14152000000", attributes={}, **EXAMPLE)
    fields = ("first_name", "last_name", "email", "phone", "city", "state", "attributes")
    return SimpleNamespace(id=0, lead_id=lead.id, **{field: getattr(lead, field) for field in fields})
