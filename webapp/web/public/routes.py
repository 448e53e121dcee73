"""What recipients reach without signing in: the pixel, links, unsubscribing, the message in a browser; and the
health of the house. The token in the address is the authority; only a POST changes what a person decided."""

import base64
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request
from minijinja import TemplateError

from webapp.audience.leads import Lead
from webapp.messaging import delivery, links, receipts, senders, templates
from webapp.messaging.compose import Bodies, Composer, lead_values
from webapp.messaging.sends import Send
from webapp.messaging.tokens import environment
from webapp.platform import jobs, organizations
from webapp.platform.db import db, one, transaction
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer
from webapp.web.templates.routes import sandboxed

public = Blueprint("public", __name__)
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def _seen() -> dict[str, Any]:
    return {"user_agent": request.headers.get("User-Agent"), "ip": request.remote_addr}


def _purpose() -> str:
    return request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or ""


@public.get("/t/o/<token>.gif")
def pixel(token: str) -> Any:
    """The pixel. It is always answered: a broken picture would be seen, a lost receipt is not."""
    try:
        if request.method == "GET":
            org_id, send_id = signer().unpack("open", token)
            with transaction(org_id):
                receipts.opened(send_id, _seen(), _purpose())
    except NotFound:
        pass
    return Response(PIXEL, mimetype="image/gif")


@public.get("/t/c/<token>")
def click(token: str) -> Any:
    """A link: counted, then on to the address that was stored when the message was made."""
    org_id, send_id, link_id = signer().unpack("click", token)
    with transaction(org_id):
        url = _filled(links.get(link_id).url, send_id)
        if request.method == "GET":
            receipts.clicked(send_id, link_id, url, _seen(), _purpose())
    return redirect(url, 302)


def _filled(url: str, send_id: int) -> str:
    """Returns a stored link with the recipient's values in it."""
    if "{{" not in url and "{%" not in url:
        return url
    lead = (
        db.session.query(Lead)
        .join(Send, (Send.lead_id == Lead.id) & (Send.org_id == Lead.org_id))
        .filter(Send.id == send_id)
    )
    found = lead.first()
    values = lead_values(found, organizations.current().name) if found else {}
    try:
        return environment().render_str(url, "link.txt", **values)
    except (TemplateError, ValueError):
        raise NotFound("This link leads nowhere any more.") from None


def _recipient(token: str) -> tuple[int, int, str, str]:
    """Returns (org_id, send_id, address, company) of an unsubscribe token. Raises NotFound."""
    org_id, send_id = signer().unpack("unsubscribe", token)
    with transaction(org_id):
        send = one("SELECT recipient_address FROM sends WHERE id = :id", id=send_id)
        if send is None:
            raise NotFound("This message is not known any more.")
        return org_id, send_id, send.recipient_address, organizations.current().name


@public.get("/u/<token>")
def unsubscribe(token: str) -> Any:
    """The page asks and changes nothing: scanners follow links."""
    *_, address, company = _recipient(token)
    return render_template("public/unsubscribe.html", state="asking", address=_veiled(address), company=company)


@public.post("/u/<token>")
def unsubscribe_post(token: str) -> Any:
    """RFC 8058: a POST without cookies, answered 200 and with no redirect. The page's own buttons come here too."""
    org_id, send_id, address, company = _recipient(token)
    back = request.form.get("do") == "resubscribe"
    with transaction(org_id):
        if back:
            receipts.resubscribed(send_id, _seen())
        else:
            one_click = request.form.get("List-Unsubscribe") == "One-Click"
            receipts.unsubscribed(send_id, _seen(), source="one-click" if one_click else "page")
    state = "back" if back else "gone"
    return render_template("public/unsubscribe.html", state=state, address=_veiled(address), company=company)


def _veiled(address: str) -> str:
    # The link may have been forwarded: enough to recognise one's own address, too little to learn another's.
    local, _, domain = address.partition("@")
    return f"{local[:2]}{'•' * max(len(local) - 2, 1)}@{domain}"


@public.get("/v/<token>")
def view(token: str) -> Any:
    """The message in a browser, as it was filled in for its recipient."""
    org_id, send_id = signer().unpack("view", token)
    with transaction(org_id):
        send = db.session.get(Send, (org_id, send_id))
        if send is None or send.template_version_id is None or send.sender_id is None:
            raise NotFound("This message cannot be shown any more.")
        version, sender = templates.version(send.template_version_id), senders.get(send.sender_id)
        bodies = Bodies(version.subject_line, version.preview_text or "", version.html_content, version.text_content)
        head = delivery.letterhead(organizations.current(), sender, current_app.config["BASE_URL"])
        composer = Composer(bodies, head, signer())
        row = one("SELECT l.*, l.id AS lead_id FROM leads l WHERE l.id = :id", id=send.lead_id or 0)
        if row is None:
            raise NotFound("This message cannot be shown any more.")
        extra = delivery.lookups(composer.needs, [row.lead_id]).get(row.lead_id, {})
        try:
            html = composer.render(_Row(row, send), extra)[1]
        except (TemplateError, ValueError):
            # What is known of the lead has changed since, into something the message has no words for.
            raise NotFound("This message cannot be shown any more.") from None
    return sandboxed(html)


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
