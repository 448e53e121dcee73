"""The API face: the same verbs as the web face, in JSON under /api/v1."""

from http import HTTPStatus

import marshmallow as ma
from flask import Flask, Response, jsonify, render_template
from flask_login import login_required
from flask_smorest import Api

from webapp.api.auth import auth_api
from webapp.api.campaigns import campaign_api
from webapp.api.events import event_api
from webapp.api.leads import lead_api
from webapp.api.marketing import marketing_api
from webapp.api.metrics import metrics
from webapp.api.segments import segment_api
from webapp.api.senders import sender_api
from webapp.api.templates import email_template_api, template_api
from webapp.api.why import why_api

ROOMS = (
    auth_api,
    lead_api,
    event_api,
    segment_api,
    why_api,
    template_api,
    email_template_api,
    campaign_api,
    sender_api,
    marketing_api,
)
INFO = {
    "title": "Canvass API",
    "description": "Leads, segments, templates, senders and campaigns of one organisation. Send `Authorization: Bearer <token>`; get"
    " a token from POST /auth/token. Answers carry {success, data, message}; lists add total, page and page_size; errors"
    " are problem documents with one entry a field. Every mutating call takes an `Idempotency-Key`."
    " A token that calls too often is answered 429 with `Retry-After`.",
}


class _FieldProblemSchema(ma.Schema):
    field = ma.fields.String()
    message = ma.fields.String()


class _ProblemSchema(ma.Schema):
    type = ma.fields.String()
    title = ma.fields.String()
    status = ma.fields.Integer()
    detail = ma.fields.String()
    instance = ma.fields.String()
    errors = ma.fields.List(ma.fields.Nested(_FieldProblemSchema))


class _Api(Api):
    """flask-smorest without its error pages: each room answers its own problems."""

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        content = {"application/problem+json": {"schema": _ProblemSchema}}
        named = {status.name: status.phrase for status in HTTPStatus} | {self.DEFAULT_ERROR_RESPONSE_NAME: "A problem"}
        for name, words in named.items():
            self.spec.components.response(name, {"description": words, "content": content}, lazy=True)


def init_app(app: Flask) -> None:
    """Adds the API to the application."""
    app.config.update(
        API_TITLE=INFO["title"],
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        API_SPEC_OPTIONS={
            "info": {"description": INFO["description"]},
            "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}},
            "security": [{"bearer": []}],
            "servers": [{"url": "/"}],
        },
        JSON_SORT_KEYS=False,
    )
    api = _Api(app)
    for room in ROOMS:
        api.register_blueprint(room)
        # The bearer token is the authority; a browser does not send it by itself.
        app.extensions["csrf"].exempt(room)
    app.register_blueprint(metrics)

    @app.get("/api/openapi.json")
    def openapi_document() -> Response:
        return jsonify(api.spec.to_dict())

    @app.get("/api/docs")
    @login_required
    def openapi_page() -> str:
        document = api.spec.to_dict()
        return render_template("api/docs.html", document=document, groups=_by_tag(document))


def _by_tag(document: dict) -> dict[str, list[tuple[str, str, dict]]]:
    groups: dict[str, list[tuple[str, str, dict]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "put", "delete", "patch"):
                groups.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return groups
