"""Where mail servers post bounces, complaints and answers. The token in the address says whose they are, the signature
that the server sent them."""

from typing import Any

from flask import Blueprint, jsonify, request

from webapp.messaging import mail_webhook
from webapp.platform import problems
from webapp.platform.db import AWAY, db
from webapp.platform.errors import Refused
from webapp.platform.logs import log

smtp_webhooks = Blueprint("smtp_webhooks", __name__)
AGAIN_SECONDS = 60
logger = log(__name__)


@smtp_webhooks.post("/webhooks/smtp/<token>")
def receive(token: str) -> Any:
    """One message in the body, as it came or as base64 in JSON."""
    if (request.content_length or 0) > mail_webhook.LIMIT:
        return problems.problem(413, "A message may have 30 MB.")
    body = request.get_data(cache=False)
    signature = request.headers.get("X-Canvass-Signature", "")
    return jsonify(outcome=mail_webhook.receive(token, body, signature, request.mimetype))


@smtp_webhooks.errorhandler(Refused)
def _refused(problem: Refused) -> Any:
    db.session.rollback()
    answer = problems.of_refusal(problem)
    if problem.status == 503:
        answer.headers["Retry-After"] = str(AGAIN_SECONDS)
    return answer


def _away(_problem: Exception) -> Any:
    logger.warning("a message came without the database", path=request.path)
    db.session.remove()
    answer = problems.problem(503, "This cannot be written down just now. Post it again in a minute.")
    answer.headers["Retry-After"] = str(AGAIN_SECONDS)
    return answer


for kind in AWAY:
    smtp_webhooks.register_error_handler(kind, _away)
