"""What recipients reach without signing in, beside their decisions: the pixel, links, the message in a browser; and
the health of the house. The token in the address is the authority."""

import base64
from typing import Any

from flask import Response, current_app, jsonify, redirect, request
from minijinja import TemplateError

from webapp.audience.leads import Lead
from webapp.campaigns.campaigns import Campaign
from webapp.messaging import delivery, links, receipts, senders, templates, tokens
from webapp.messaging.compose import Bodies, Composer, lead_values
from webapp.messaging.sends import Send
from webapp.platform import jobs, organizations
from webapp.platform.db import AWAY, db, one, transaction
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer
from webapp.web.public.blueprint import seen
from webapp.web.public.decisions import public
from webapp.web.templates.previews import sandboxed

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def _is_asked_for() -> bool:
    """True where somebody wants to see it: not where a browser looks ahead or asks for the head alone, which changes nothing
    anywhere. What it fetched ahead it may not keep, so it comes again if it is really asked for."""
    purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or ""
    return request.method == "GET" and "prefetch" not in purpose.lower()


@public.get("/t/o/<token>.gif")
def pixel(token: str) -> Any:
    """The pixel. It is always answered: a broken picture would be seen, a lost receipt is not."""
    try:
        if _is_asked_for():
            org_id, send_id = signer().unpack("open", token)
            with transaction(org_id):
                receipts.opened(send_id, seen())
    except NotFound:
        pass
    except AWAY:
        db.session.remove()
    return Response(PIXEL, mimetype="image/gif")


@public.get("/t/c/<token>")
def click(token: str) -> Any:
    """A link: counted, then on to the address that was stored when the message was made."""
    org_id, send_id, link_id = signer().unpack("click", token)
    with transaction(org_id):
        url = _filled(links.get(link_id).url, send_id)
        if _is_asked_for():
            receipts.clicked(send_id, link_id, url, seen())
    return redirect(url, 302)


def _filled(url: str, send_id: int) -> str:
    """Returns a stored link with the recipient's values in it."""
    if "{{" not in url and "{%" not in url:
        return links.filled(url, {})
    lead = (
        db.session.query(Lead)
        .join(Send, (Send.lead_id == Lead.id) & (Send.org_id == Lead.org_id))
        .filter(Send.id == send_id)
    )
    found = lead.first()
    return links.filled(url, lead_values(found, organizations.current().name) if found else {})


@public.get("/v/<token>")
def view(token: str) -> Any:
    """The message in a browser, as it was filled in for its recipient."""
    org_id, send_id = signer().unpack("view", token)
    with transaction(org_id):
        send = db.session.get(Send, (org_id, send_id))
        if send is None or send.template_version_id is None or send.sender_id is None:
            raise NotFound("This message cannot be shown any more.")
        bodies, sender = _bodies(send), senders.get(send.sender_id)
        head = delivery.letterhead(organizations.current(), sender, current_app.config["BASE_URL"])
        composer = Composer(bodies, head, signer(), pixel=send.campaign_id is not None)
        row = one("SELECT l.*, l.id AS lead_id FROM leads l WHERE l.id = :id", id=send.lead_id or 0)
        if row is None:
            raise NotFound("This message cannot be shown any more.")
        extra = tokens.lookups(composer.needs, [row.lead_id]).get(row.lead_id, {})
        try:
            html = composer.render(_Row(row, send), extra)[1]
        except (TemplateError, ValueError):
            # What is known of the lead has changed since, into something the message has no words for.
            raise NotFound("This message cannot be shown any more.") from None
    return sandboxed(html)


def _bodies(send: Send) -> Bodies:
    """Returns what was sent: the template version's words, but for those the campaign had of its own."""
    version = templates.version(send.template_version_id)
    own = db.session.get(Campaign, (send.org_id, send.campaign_id)) if send.campaign_id else None
    return Bodies(
        subject=(own and own.subject_line) or version.subject_line,
        preview=(own and own.preview_text) or version.preview_text or "",
        html=version.html_content,
        text=version.text_content,
    )


class _Row:
    """A lead's columns with the send's id, as the outbox claims them."""

    def __init__(self, lead: Any, send: Send):
        self._lead, self.id = lead, send.id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lead, name)


@public.get("/healthz")
def healthz() -> Any:
    """Alive: this process answers."""
    return jsonify(status="ok")


@public.get("/readyz")
def readyz() -> Any:
    """Ready: the database answers and some process's timers lead."""
    checks = {"database": False, "scheduler": False}
    try:
        with transaction(None):
            checks = {"database": True, "scheduler": jobs.leader() is not None}
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with the database, the answer is: not ready
        current_app.logger.warning("not ready: %s", problem)
    ready = all(checks.values())
    return jsonify(status="ok" if ready else "unavailable", **checks), 200 if ready else 503
