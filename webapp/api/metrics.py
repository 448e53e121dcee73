"""Figures for a monitor at /metrics; they are asked for with an admin's token."""

from flask import Blueprint, Response

from webapp.analytics import metrics as figures
from webapp.api.face import authenticate, needs, refused
from webapp.platform.errors import Refused
from webapp.platform.organizations import current as current_organization
from webapp.schedule import JOBS

metrics = Blueprint("metrics", __name__)
metrics.before_request(authenticate)
metrics.register_error_handler(Refused, refused)


@metrics.get("/metrics")
@needs("metrics.view")
def show() -> Response:
    """Returns the figures of the token's organisation and of this process."""
    once = [job.name for job in JOBS if not job.everywhere]
    return Response(figures.text(current_organization().timezone, once), content_type=figures.CONTENT_TYPE)
