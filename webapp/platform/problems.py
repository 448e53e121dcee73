"""Errors as RFC 9457 problem documents, for every face that answers JSON."""

from typing import Any
from uuid import uuid4

from flask import Response, g, json
from psycopg.errors import DeadlockDetected, ForeignKeyViolation, SerializationFailure
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from webapp.platform.errors import Invalid, Refused, TooMany

TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    409: "Conflict", 413: "Too large", 415: "Unsupported media type", 422: "Invalid input", 429: "Too many requests",
    500: "Internal error", 503: "Not now",
}  # fmt: skip


MET = "Two changes met at the same things. Nothing of this one was done; try it again."


def is_meeting(error: Exception) -> bool:
    """True for what ended because two did something to the same things at once: they waited for each other, or one deleted
    what the other was changing. Trying again does it, or tells what is gone."""
    if isinstance(error, (StaleDataError, ObjectDeletedError)) or (
        isinstance(error, InvalidRequestError) and "Could not refresh instance" in str(error)
    ):
        return True
    return isinstance(getattr(error, "orig", None), (DeadlockDetected, SerializationFailure, ForeignKeyViolation))


def problem(status: int, detail: str, errors: dict[str, str] | None = None) -> Response:
    """Returns an application/problem+json response. errors: field -> message."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{g.get('request_id') or uuid4().hex}",
    }
    if errors:
        body["errors"] = [{"field": field, "message": message} for field, message in errors.items()]
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def of_refusal(refused: Refused) -> Response:
    """Returns the problem document of a verb's refusal."""
    response = problem(refused.status, refused.message, refused.errors if isinstance(refused, Invalid) else None)
    if isinstance(refused, TooMany):
        response.headers["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
