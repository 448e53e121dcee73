"""Taking a message that came in: whom it speaks of, whether it may be believed, and what then happens.

The sender of an e-mail is whoever it says. What counts is a token of ours that only somebody can have who had the
message: in the return path the report was delivered to, or in the Message-ID of the message it returns. It acts on the
address the message went to and never on one that a report names.
"""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from webapp.messaging import bouncing, inbound, receipts, senders
from webapp.messaging.bounce_reading import Report
from webapp.messaging.reply_text import written
from webapp.messaging.senders import Sender
from webapp.platform.clock import now
from webapp.platform.db import value
from webapp.platform.errors import NotFound
from webapp.platform.logs import log
from webapp.platform.signing import signer

# bounced, complained, replied: taken. noted: believed, and nothing to be done. repeated: taken before. stranger: none
# of ours, forged, or about a message that is not known any more.
OUTCOMES = ("bounced", "complained", "replied", "noted", "repeated", "stranger")
BIGGEST = 2**63 - 1
logger = log(__name__)


class Whose(NamedTuple):
    """The message a report speaks of, vouched for by a token."""

    org_id: int
    send_id: int


def whose(report: Report, org_id: int | None = None) -> Whose | None:
    """Returns the message a report speaks of, or None where no token vouches for one. org_id: only of this organisation,
    whose mailbox or address the report came to."""
    told = (
        ("bounce", report.return_token), ("message", report.message_token), ("message", report.answer_token),
    )  # fmt: skip
    for purpose, token in told:
        try:
            found = Whose(*signer().unpack(purpose, token))
        except (NotFound, TypeError):
            continue
        if org_id in (None, found.org_id) and max(found) <= BIGGEST:
            return found
    return None


def take(report: Report, about: Whose | None, sender: Sender | None = None) -> str:
    """Does what a report asks for, in a transaction of its organisation. Returns one of OUTCOMES.

    about: what `whose` said. sender: whose mailbox or address it came to, where that is known; a person's answer counts
    also without a token there. Raises NotYet while the message it speaks of is being sent.
    """
    try:
        if report.kind == "reply":
            return _reply(report, about, sender)
        return _report(report, about) if about else "stranger"
    except NotFound:
        return "stranger"


def _report(report: Report, about: Whose) -> str:
    event_id = f"mail:{about.send_id}:{report.key}"
    if report.kind == "complaint":
        return "complained" if bouncing.complained(about.send_id, event_id) else "repeated"
    if report.kind in ("hard", "soft"):
        told = bouncing.bounced(about.send_id, report.kind, report.status, report.diagnostic, event_id)
        return "bounced" if told else "repeated"
    if report.kind in ("delay", "auto_reply", "delivered"):
        # Somebody's server has it: it did go out.
        receipts.went_out(about.send_id)
    return "noted"


def _reply(report: Report, about: Whose | None, sender: Sender | None) -> str:
    parts = report.parts
    if sender is None and about:
        sender_id = value("SELECT sender_id FROM sends WHERE id = :id", id=about.send_id)
        sender = senders.get(sender_id) if sender_id else None
    if sender is None:
        return "stranger"
    if about:
        # Who answers a message has it.
        receipts.went_out(about.send_id)
    inbound.receive(
        sender,
        "email",
        from_address=parts.author,
        to_address=sender.reply_to or sender.address,
        body=written(parts),
        provider_message_id=f"mail:{report.key}",
        answers=signer().pack("message", *about) if about else None,
        received_at=_sent_at(parts.header("Date")),
    )
    return "replied"


def _sent_at(date: str) -> datetime:
    """Returns when a message was written, as far as its Date can be believed: not later than now."""
    try:
        told = parsedate_to_datetime(date)
        return min(told.astimezone(now().tzinfo), now())
    except (ValueError, TypeError, IndexError, OverflowError):
        return now()
