"""The scheduler page: what runs, when, how it went, and which process leads."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, current_app

from webapp.platform import jobs
from webapp.platform.db import rows
from webapp.platform.jobs import tick_of
from webapp.schedule import JOBS
from webapp.web.shell import needs, render

scheduler_pages = Blueprint("scheduler", __name__, url_prefix="/scheduler")
HISTORY = 25


@scheduler_pages.get("")
@needs("scheduler.view")
def page() -> Any:
    last = jobs.last_runs()
    listed = [
        {"job": job, "last": last.get(job.name), "next": tick_of(job) + timedelta(seconds=job.every)} for job in JOBS
    ]
    history = rows("SELECT * FROM job_runs ORDER BY tick_at DESC, id DESC LIMIT :n", n=HISTORY)
    here = current_app.extensions.get("runner")
    return render("scheduler/page.html", "scheduler/_panel.html", jobs=listed, nodes=jobs.nodes(), leader=jobs.leader(),
                  history=history, here=here.node if here else None)  # fmt: skip
