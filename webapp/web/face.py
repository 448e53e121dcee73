"""The web face: thin views over the verbs, pages and fragments rendered on the server."""

import secrets
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import structlog
from flask import Flask, Response, g, request
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect
from htmx_flask import Htmx
from htmx_flask.requests import HtmxAwareRequest
from werkzeug.datastructures import ImmutableMultiDict, iter_multi_items
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import IntegerConverter

from webapp.platform import audit, courtesy, problems, tenancy
from webapp.platform.db import db
from webapp.platform.errors import Refused, TooMany
from webapp.platform.logs import log
from webapp.web import filters
from webapp.web.account.routes import account, load_user
from webapp.web.audit.routes import audit_pages
from webapp.web.campaigns.room import campaign_pages
from webapp.web.consents.routes import consent_pages
from webapp.web.delivery.routes import delivery_pages
from webapp.web.groups.routes import group_pages
from webapp.web.home.routes import home
from webapp.web.imports.routes import import_pages
from webapp.web.inbound.routes import inbound_pages
from webapp.web.intents.routes import intent_pages
from webapp.web.leads.routes import lead_pages
from webapp.web.mailbox.routes import mailbox_pages
from webapp.web.navigation import menu
from webapp.web.personas.routes import persona_pages
from webapp.web.phones.routes import phone_pages
from webapp.web.policies.routes import policy_pages
from webapp.web.privacy.routes import privacy_pages
from webapp.web.public.blueprint import Sessions
from webapp.web.public.routes import public
from webapp.web.scheduler.routes import scheduler_pages
from webapp.web.scores.routes import score_pages
from webapp.web.segments.routes import segment_pages
from webapp.web.senders.room import sender_pages
from webapp.web.sending.routes import sending_pages
from webapp.web.shell import error_page, go, wants_fragment
from webapp.web.suppressions.routes import suppression_pages
from webapp.web.templates.room import template_pages
from webapp.web.users.routes import user_pages
from webapp.web.webhooks.routes import webhook_pages
from webapp.web.webhooks.smtp import smtp_webhooks

CSP = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; font-src 'self'; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'self'; frame-src 'self'; connect-src 'self'"
)
WITHOUT_SESSION = ("public", "webhooks")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
ROOMS = (
    account, home, lead_pages, policy_pages, import_pages, segment_pages, score_pages, group_pages, persona_pages,
    template_pages, campaign_pages, mailbox_pages, phone_pages, sender_pages, sending_pages, user_pages,
    scheduler_pages, audit_pages, consent_pages, suppression_pages, privacy_pages, delivery_pages, inbound_pages,
    intent_pages, public, smtp_webhooks, webhook_pages,
)  # fmt: skip
logger = log(__name__)
csrf = CSRFProtect()


class _Parameters(ImmutableMultiDict):
    """Parameters without the character NUL: PostgreSQL's text cannot hold it, and nobody types it."""

    def __init__(self, given: Any = None):
        pairs = iter_multi_items(given) if given is not None else ()
        super().__init__([(_without_nul(name), _without_nul(value)) for name, value in pairs])


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "") if isinstance(value, str) else value


class _Request(HtmxAwareRequest):
    parameter_storage_class = _Parameters


class _RowId(IntegerConverter):
    """A number in an address is the id of a row, and a row has none beyond a bigint."""

    def __init__(self, map: Any, *args: Any, **kwargs: Any):
        super().__init__(map, *args, **{"max": 2**63 - 1} | kwargs)


def init_app(app: Flask) -> None:
    """Adds the web face to the application."""
    app.url_map.converters["int"] = _RowId
    # Tied to the session and not to the clock: a page left open all day still works.
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    app.config.setdefault("WTF_CSRF_SSL_STRICT", False)
    csrf.init_app(app)
    Htmx(app)
    app.request_class = _Request
    app.session_interface = Sessions()
    manager = LoginManager(app)
    manager.unauthorized_handler(_to_the_door)
    manager.session_protection = None
    manager.user_loader(load_user)
    for room in ROOMS:
        app.register_blueprint(room)
    # The token in the address is the authority there; mail programs post without cookies (RFC 8058).
    csrf.exempt(public)
    csrf.exempt(smtp_webhooks)
    # Signed by the provider.
    csrf.exempt(webhook_pages)
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_leave)
    app.context_processor(_page_values)
    filters.init_app(app)
    for kind, handler in (
        (Refused, _refused),
        (CSRFError, _stale),
        (HTTPException, _http_error),
        (Exception, _failure),
    ):
        app.register_error_handler(kind, handler)


def _to_the_door() -> Response:
    """Whoever has no session signs in first, and comes back to the page they were on."""
    reading = request.method in ("GET", "HEAD")
    # htmx asks for a part of a page: it is told to go there, or the door would stand in that part.
    page = request.headers.get("HX-Current-URL", "") if wants_fragment() else request.url if reading else ""
    try:
        parts = urlsplit(page)
    except ValueError:
        return go("account.sign_in")
    return go("account.sign_in", next=urlunsplit(("", "", parts.path, parts.query, "")) or None)


def _begin() -> None:
    courtesy.begin()
    g.courteous = True
    tenancy.enter(None)
    g.request_id = request.headers.get("X-Request-Id", "")[:64] or secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    audit.context.set({"actor_id": None, "ip": request.remote_addr, "request_id": g.request_id})
    if request.endpoint != "static" and request.blueprint not in WITHOUT_SESSION and not _for_api():
        # Before any view opens a transaction: who asks decides the scope it will have.
        current_user.is_authenticated  # noqa: B018


def _leave(_problem: BaseException | None) -> None:
    if g.pop("courteous", False):
        courtesy.end()


def _finish(response: Response) -> Response:
    if request.method in WRITES and response.status_code < 400:
        db.session.commit()
    else:
        db.session.rollback()
    response.headers.setdefault("Content-Security-Policy", CSP)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
        response.vary.add("HX-Request")
    return response


def _page_values() -> dict[str, Any]:
    return {"menu": menu, "me": current_user, "request_id": g.get("request_id", "")}


def _for_api() -> bool:
    return f"{request.path}/".startswith("/api/v1/")


def _refused(problem: Refused) -> Any:
    db.session.rollback()
    if _for_api():
        return problems.of_refusal(problem)
    response = error_page(problem.status, problem.message)
    if isinstance(problem, TooMany):
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def _stale(_problem: CSRFError) -> Any:
    return error_page(400, "This page was open too long. Reload it and try again; what you typed is still in the form.")


HTTP_WORDS = {
    404: "There is nothing here under that address.",
    405: "That cannot be done here.",
    413: "This is larger than Canvass takes: 100 MB for a file, 5 MB for a form.",
}


def _http_error(problem: HTTPException) -> Any:
    if problem.code is None or problem.code < 400:
        return problem
    words = HTTP_WORDS.get(problem.code, problem.description or problem.name)
    response = problems.problem(problem.code, words) if _for_api() else error_page(problem.code, words)
    if isinstance(problem, MethodNotAllowed):
        response.allow.update(problem.valid_methods or ())
    return response


def _failure(problem: Exception) -> Any:
    db.session.rollback()
    if problems.is_meeting(problem):
        return error_page(503, problems.MET)
    logger.exception("request failed", path=request.path)
    words = "Something went wrong on our side. It has been noted; nothing was changed."
    return problems.problem(500, words) if _for_api() else error_page(500, words)
