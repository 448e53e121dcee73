"""What every room of the API uses: who asks, what they may, envelopes, paging, idempotency and problems."""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

import marshmallow as ma
import structlog
from flask import Response, current_app, g, make_response, request
from flask_smorest import Blueprint
from sqlalchemy import Select, func, select
from werkzeug.exceptions import HTTPException

from webapp.api.reading import Parser
from webapp.platform import api_tokens, audit, idempotency, problems, roles, tenancy
from webapp.platform.api_tokens import NotSignedIn
from webapp.platform.db import db, transaction
from webapp.platform.errors import Invalid, Refused

PREFIX = "/api/v1"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
PAGE_LIMIT = 200
logger = structlog.stdlib.get_logger(__name__)


class _Room(Blueprint):
    ARGUMENTS_PARSER = Parser()


def room(name: str, prefix: str, description: str, *, open_to_all: bool = False) -> Blueprint:
    """Returns a blueprint of the API. open_to_all: no token is asked for."""
    made = _Room(f"api_{name}", __name__, url_prefix=PREFIX + prefix, description=description)
    if not open_to_all:
        made.before_request(authenticate)
        made.before_request(_begin_idempotent)
        made.after_request(_finish_idempotent)
    made.register_error_handler(Refused, refused)
    made.register_error_handler(HTTPException, _http_problem)
    made.register_error_handler(Exception, _failure)
    return made


def authenticate() -> None:
    """Lets a call in by its bearer token, in the scope of the token's organisation. Raises NotSignedIn, TooMany."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn("Send an access token: Authorization: Bearer <token>.")
    org_id, jti = api_tokens.read(token.strip(), current_app.config["SECRET_KEY"])
    # Its own transaction: that a token was used is kept also where the call itself only reads.
    with transaction(org_id):
        g.user = api_tokens.user_of(jti)
        api_tokens.count_call(jti, current_app.config["SETTINGS"].api_rate_limit)
    tenancy.enter(org_id)
    audit.context.set((audit.context.get() or {}) | {"actor_id": g.user.id})


def _begin_idempotent() -> Response | None:
    key = request.headers.get("Idempotency-Key")
    g.idempotency_key = key if request.method in WRITES else None
    if not g.idempotency_key:
        return None
    answered = idempotency.begin(g.user.id, key, request.method, request.full_path, _sent())
    if answered is None:
        return None
    g.idempotency_key = None
    response = make_response(answered.body["json"] or "", answered.status)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _sent() -> str:
    """Returns what tells the body of this call from another."""
    if request.mimetype != "multipart/form-data":
        return request.get_data(cache=True).decode("latin-1")
    # By its parts: the line between them is another one at every try.
    parts = [("", name, value) for name, value in request.form.items(multi=True)]
    for name, file in request.files.items(multi=True):
        parts.append((name, file.filename or "", hashlib.file_digest(file.stream, "sha256").hexdigest()))
        file.stream.seek(0)
    return repr(sorted(parts))


def _finish_idempotent(response: Response) -> Response:
    if g.get("idempotency_key") and response.status_code < 400:
        idempotency.finish(g.user.id, g.idempotency_key, response.status_code, response.get_json(silent=True))
    return response


def needs(permission: str) -> Callable:
    """Decorates an endpoint: the token's user must hold the permission."""
    assert permission in roles.PERMISSIONS, permission

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            roles.require(g.user, permission)
            return view(*args, **kwargs)

        checked.permission = permission
        return checked

    return decorate


def refused(refusal: Refused) -> Response:
    """Answers a verb's refusal."""
    db.session.rollback()
    return problems.of_refusal(refusal)


def _http_problem(error: HTTPException) -> Response:
    db.session.rollback()
    messages = (getattr(error, "data", None) or {}).get("messages")
    if isinstance(messages, dict):
        errors = {".".join(map(str, path)): text for path, text in _flattened(messages)}
        return problems.problem(error.code or 422, "Some of this needs another look.", errors)
    return problems.problem(error.code or 500, error.description or error.name)


def _flattened(messages: Any, path: tuple = ()) -> list[tuple[tuple, str]]:
    if isinstance(messages, dict):
        return [pair for key, value in messages.items() for pair in _flattened(value, _step(path, key))]
    texts = messages if isinstance(messages, list) else [messages]
    return [(path or ("body",), " ".join(map(str, texts)))]


def _step(path: tuple, key: Any) -> tuple:
    # webargs puts the place it read from first; the caller knows where they put it.
    return path if not path and key in ("json", "query", "form", "files", "json_or_form") else (*path, key)


def problems_by_row(schema: ma.Schema, rows: list[Any]) -> tuple[dict[int, Any], dict[int, dict[str, str]]]:
    """Reads many rows, each by itself. Returns the good ones as read and what is wrong with the others, by their place."""
    try:
        return dict(enumerate(schema.load(rows, many=True))), {}
    except ma.ValidationError as problem:
        wrong = {
            place: {".".join(map(str, path)).replace("_schema", "row"): text for path, text in _flattened(said)}
            for place, said in problem.normalized_messages().items()
        }
        return {place: row for place, row in enumerate(problem.valid_data) if place not in wrong}, wrong


def _failure(error: Exception) -> Response:
    db.session.rollback()
    if problems.is_meeting(error):
        response = problems.problem(503, problems.MET)
        response.headers["Retry-After"] = "1"
        return response
    logger.exception("request failed", path=request.path)
    return problems.problem(500, "Something went wrong on our side. It has been noted; nothing was changed.")


def envelope(schema: type[ma.Schema] | None, *, many: bool = False) -> ma.Schema:
    """Returns the schema of an answer: success, data, message, and for lists total, page, page_size, next_cursor."""
    fields: dict[str, Any] = {"success": ma.fields.Boolean(), "message": ma.fields.String(allow_none=True)}
    if schema is not None:
        fields["data"] = ma.fields.List(ma.fields.Nested(schema)) if many else ma.fields.Nested(schema)
    else:
        fields["data"] = ma.fields.Raw(allow_none=True)
    if many:
        fields |= {name: ma.fields.Integer() for name in ("total", "page", "page_size")}
        fields["next_cursor"] = ma.fields.String(allow_none=True)
    name = f"{schema.__name__.removesuffix('Schema') if schema else 'Plain'}{'List' if many else ''}Answer"
    if name not in _answers:
        _answers[name] = type(name, (ma.Schema,), fields)
    return _answers[name]()


_answers: dict[str, type[ma.Schema]] = {}


def answer(data: Any = None, message: str | None = None, **more: Any) -> dict[str, Any]:
    """Returns the envelope of a success."""
    return {"success": True, "data": data, "message": message, **more}


class PageArgs(ma.Schema):
    """Query parameters of every list."""

    page = ma.fields.Integer(load_default=1, validate=ma.validate.Range(1, 100_000))
    page_size = ma.fields.Integer(load_default=50, validate=ma.validate.Range(1, PAGE_LIMIT))
    cursor = ma.fields.String(metadata={"description": "next_cursor of the answer before, for deep reading"})


def paged(
    query: Select, key: Any, args: dict[str, Any], shown: Callable[[Any], Any], *, at_most: int | None = None
) -> dict[str, Any]:
    """Returns a list answer, newest first. With a cursor the page number does not count. at_most: of a list that may be
    millions long, the total is counted so far and no further, and pages are numbered so far; a cursor goes on."""
    size = args["page_size"]
    if at_most and args.get("cursor") is None and args["page"] * size > at_most:
        raise Invalid({"page": f"Beyond the first {at_most:,}, follow next_cursor."})
    counted = query.with_only_columns(key).order_by(None).limit(at_most).subquery()
    total = db.session.scalar(select(func.count()).select_from(counted))
    ordered = query.order_by(key.desc()).limit(size + 1)
    cursor = args.get("cursor")
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdecimal()) or len(cursor) > 18:
            raise Invalid({"cursor": "This is not a cursor of ours."})
        ordered = ordered.where(key < int(cursor))
    else:
        ordered = ordered.offset((args["page"] - 1) * size)
    found = db.session.scalars(ordered).all()
    more = str(getattr(found[size - 1], key.key)) if len(found) > size else None
    data = [shown(row) for row in found[:size]]
    return answer(data, total=total, page=args["page"], page_size=size, next_cursor=more)
