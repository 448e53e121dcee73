"""Messages that a mail server pipes into a command."""

from webapp.messaging import bounce_reading, mail_taking
from webapp.messaging.bouncing import NotYet
from webapp.platform.db import transaction
from webapp.platform.logs import log

TAKEN, TRY_AGAIN = 0, 75  # what mail servers understand (sysexits.h); anything else would bounce the bounce
logger = log(__name__)


def take(raw: bytes, delivered_to: str = "") -> int:
    """Takes one message. delivered_to: the envelope's recipient. Returns the exit status: 0 where it is dealt with, also
    where it is none of ours or makes no sense; 75 where it has to be brought again."""
    try:
        report = bounce_reading.read(raw, delivered_to)
        about = mail_taking.whose(report)
        if about is None:
            logger.info("a message none of ours was piped in", kind=report.kind)
            return TAKEN
        with transaction(about.org_id):
            outcome = mail_taking.take(report, about)
        logger.info("a message was piped in", kind=report.kind, outcome=outcome, send=about.send_id)
    except NotYet:
        return TRY_AGAIN
    except Exception:
        # The database, or a fault of ours: the mail server keeps it until it is put right.
        logger.exception("a piped message could not be taken")
        return TRY_AGAIN
    return TAKEN
