"""Reading the mailboxes that bounces, complaints and answers come to.

A message is marked as seen after what it did is committed: whatever dies in between, it is read again, and what was taken
before changes nothing. One that breaks us is flagged for a person and not read again.
"""

import time
from threading import Event

from webapp.messaging import bounce_reading, mail_taking, senders
from webapp.messaging.bouncing import NotYet
from webapp.messaging.imap import Mailbox, Place, Unreadable, opened
from webapp.messaging.senders import Sender
from webapp.platform.db import AWAY, rows, run, transaction
from webapp.platform.errors import NotFound, Refused
from webapp.platform.logs import log

SLICE_SECONDS = 30  # how long one mailbox is read before the next one gets its turn; the rest waits for the next tick
REST_SECONDS = (60, 120, 300, 900, 1800)  # after so many failures in a row
ERROR = "Mailbox: "  # how a sender's last_error begins where it is ours
# (organisation, sender) -> (failures in a row, when to try again). Of the process: another leader simply tries at once.
_resting: dict[tuple[int, int], tuple[int, float]] = {}
logger = log(__name__)


def place_of(sender: Sender) -> Place | None:
    """Returns where a sender's mailbox is, or None where it has none."""
    config = sender.config.get("imap") or {}
    if not config.get("host"):
        return None
    tls = config.get("tls") or "tls"
    port = int(config.get("port") or (993 if tls == "tls" else 143))
    password = senders.secret(sender, "imap_password")
    return Place(config["host"], port, tls, config.get("username") or "", password, config.get("folder") or "INBOX")


def check(place: Place) -> str:
    """Opens a mailbox. Returns what a person is told of it. Raises Unreadable."""
    with opened(place) as mailbox:
        n = len(mailbox.waiting())
    return f"{n or 'no'} unread message{'' if n == 1 else 's'} in {place.folder}"


def poll(org_id: int, stopping: Event) -> int:
    """Reads the mailboxes of an organisation that are not at rest. Returns how many messages were done with.

    A mailbox that cannot be read says so at its sender and is left alone for longer and longer. Raises where the
    database is away.
    """
    with transaction(org_id):
        waiting = rows(
            "SELECT id FROM senders WHERE channel = 'email' AND status <> 'inactive'"
            " AND config -> 'imap' ->> 'host' <> '' ORDER BY id"
        )
    return sum(_visit(org_id, row.id, stopping) for row in waiting)


def _visit(org_id: int, sender_id: int, stopping: Event) -> int:
    failures, until = _resting.get((org_id, sender_id), (0, 0.0))
    if stopping.is_set() or time.monotonic() < until:
        return 0
    try:
        done = _read(org_id, sender_id, stopping)
    except NotFound:
        return 0  # deleted since
    except (Unreadable, Refused) as problem:
        rest = REST_SECONDS[min(failures, len(REST_SECONDS) - 1)]
        _resting[org_id, sender_id] = failures + 1, time.monotonic() + rest
        logger.warning("mailbox cannot be read", org_id=org_id, sender=sender_id, reason=str(problem))
        _say(org_id, sender_id, f"{ERROR}{problem}"[:1000])
        return 0
    _resting.pop((org_id, sender_id), None)
    _say(org_id, sender_id, None)
    return done


def _say(org_id: int, sender_id: int, error: str | None) -> None:
    """Says at a sender why its mailbox is not read; None takes back what was said here, and nothing else."""
    with transaction(org_id):
        run(
            "UPDATE senders SET last_error = CAST(:error AS text), updated_at = now() WHERE id = :id"
            " AND last_error IS DISTINCT FROM :error AND (CAST(:error AS text) IS NOT NULL OR last_error LIKE :ours)",
            id=sender_id, error=error, ours=f"{ERROR}%",
        )  # fmt: skip


def _read(org_id: int, sender_id: int, stopping: Event) -> int:
    with transaction(org_id):
        place = place_of(senders.get(sender_id))
    if place is None:
        return 0
    deadline, done = time.monotonic() + SLICE_SECONDS, 0
    with opened(place) as mailbox:
        for uid, raw in mailbox.unseen():
            if stopping.is_set() or time.monotonic() > deadline:
                break
            done += _settle(mailbox, uid, _take(org_id, sender_id, raw))
    return done


def _take(org_id: int, sender_id: int, raw: bytes) -> str:
    """Takes one message in a transaction of its own. Returns its outcome, "later" where it is to be read again, "broken"
    where nobody but a person can tell what to do."""
    try:
        report = bounce_reading.read(raw)
        with transaction(org_id):
            return mail_taking.take(report, mail_taking.whose(report, org_id), senders.get(sender_id))
    except NotYet:
        return "later"
    except AWAY:
        raise
    except Exception:
        logger.exception("a message in a mailbox could not be taken", org_id=org_id, sender=sender_id)
        return "broken"


def _settle(mailbox: Mailbox, uid: str, outcome: str) -> bool:
    if outcome == "later":
        return False
    if outcome == "broken":
        mailbox.flag(uid)
    else:
        # A stranger's message stays where people see it.
        mailbox.done(uid, put_away=outcome != "stranger")
    return True
