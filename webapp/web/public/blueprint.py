"""The pages anybody may open: no session, no cookie, and a calm answer also when the database is away."""

from typing import Any

from flask import Blueprint, Flask, make_response, render_template, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import HTTPException

from webapp.platform.db import AWAY, db
from webapp.platform.errors import Refused
from webapp.platform.logs import log

public = Blueprint("public", __name__)
ADDRESSES = ("/t/", "/u/", "/p/", "/confirm/", "/v/", "/webhooks/")
AWAY_WORDS = "We cannot look this up just now. Please try again in a few minutes; your link stays good."
logger = log(__name__)


class Sessions(SecureCookieSessionInterface):
    """The house's sessions, which whoever only follows a link of a message gets nothing of."""

    def should_set_cookie(self, app: Flask, session: Any) -> bool:
        return not request.path.startswith(ADDRESSES) and super().should_set_cookie(app, session)


def seen() -> dict[str, Any]:
    """Returns who asks, as receipts and evidence note it."""
    return {"user_agent": request.headers.get("User-Agent"), "ip": request.remote_addr}


def sorry(status: int, message: str, title: str = "This link does not work") -> Any:
    """Returns a page that says why there is nothing to see."""
    return make_response(render_template("public/sorry.html", heading=title, message=message), status)


@public.errorhandler(Refused)
def _refused(problem: Refused) -> Any:
    db.session.rollback()
    return sorry(problem.status, problem.message)


@public.errorhandler(HTTPException)
def _http_error(problem: HTTPException) -> Any:
    return problem if problem.code is None or problem.code < 400 else sorry(problem.code, problem.description or "")


@public.errorhandler(Exception)
def _failure(problem: Exception) -> Any:
    if isinstance(problem, AWAY):
        logger.warning("a public page without the database", path=request.path)
        db.session.remove()
        answer = sorry(503, AWAY_WORDS, "Please come back in a moment")
        answer.headers["Retry-After"] = "60"
        return answer
    db.session.rollback()
    logger.exception("request failed", path=request.path)
    return sorry(500, "Something went wrong on our side. Nothing was changed.", "That did not work")
