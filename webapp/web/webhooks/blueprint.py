"""Where providers tell us of messages: no session, no cookie, no page. What comes here is signed, or changes nothing.

Answers are for machines: 200 where there is nothing more to do, 4xx where it would not help to tell it again, 503 where
it would.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from webapp.messaging import senders, webhooks
from webapp.messaging.notices import Garbled
from webapp.messaging.senders import Sender
from webapp.platform import problems
from webapp.platform.db import AWAY, db, transaction
from webapp.platform.errors import Forbidden, NotFound, Refused
from webapp.platform.logs import log

webhook_pages = Blueprint("webhooks", __name__, url_prefix="/webhooks")
BODY_LIMIT = 1_000_000  # bytes
TRIES = 3  # two bodies that meet at the same rows are told apart by trying again
AGAIN_SECONDS = 30
logger = log(__name__)


def plain(status: int, text: str = "") -> Response:
    """Returns an answer of a few words."""
    return Response(text, status, mimetype="text/plain")


def later(text: str) -> Response:
    """Returns the answer that has the provider tell it again."""
    answer = plain(503, text)
    answer.headers["Retry-After"] = str(AGAIN_SECONDS)
    return answer


def body() -> bytes:
    """Returns the body as it came over the wire. Raises RequestEntityTooLarge beyond BODY_LIMIT."""
    request.max_content_length = BODY_LIMIT
    return request.get_data(cache=False, parse_form_data=False)


def of_sender(provider: str, token: str, answer: Callable[[Sender], Any]) -> Any:
    """Returns what `answer` makes of the sender an address belongs to, in one transaction of its organisation; tried
    again where it met another. Raises NotFound for an address that is nobody's."""
    org_id, sender_id = webhooks.address(token)
    for tried in range(TRIES):
        try:
            with transaction(org_id):
                return answer(webhooks.sender_of(provider, sender_id))
        except Exception as problem:
            if not problems.is_meeting(problem) or tried == TRIES - 1:
                raise
    raise AssertionError("not reached")


def secret(sender: Sender, name: str) -> str:
    """Returns a secret that signatures are made with. Raises Forbidden where the sender has none."""
    found = senders.secret(sender, name)
    if not found:
        raise Forbidden("This sender takes no webhooks: it has no secret to know them by.")
    return found


@webhook_pages.errorhandler(Garbled)
def _garbled(problem: Garbled) -> Any:
    db.session.rollback()
    return plain(400, str(problem))


@webhook_pages.errorhandler(Refused)
def _refused(problem: Refused) -> Any:
    db.session.rollback()
    if isinstance(problem, NotFound | Forbidden):
        return plain(problem.status, problem.message)
    # Such as credentials sealed under another key: nothing is wrong with what was told.
    logger.warning("a webhook could not be taken", path=request.path, reason=problem.message)
    return later(problem.message)


@webhook_pages.errorhandler(HTTPException)
def _http_error(problem: HTTPException) -> Any:
    return plain(problem.code or 500, problem.name)


@webhook_pages.errorhandler(Exception)
def _failure(problem: Exception) -> Any:
    if isinstance(problem, AWAY):
        logger.warning("a webhook without the database", path=request.path)
        db.session.remove()
        return later("Not now.")
    db.session.rollback()
    if problems.is_meeting(problem):
        return later("Not now.")
    logger.exception("webhook failed", path=request.path)
    return plain(500, "Something went wrong on our side.")
