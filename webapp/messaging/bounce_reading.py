"""Reading what comes back by e-mail: bounces (RFC 3464 and what systems write instead of it), complaints (RFC 5965),
answers of machines and answers of people. Says what a message is and whom it speaks of; whether it may be believed is
another matter (see `mail_taking`)."""

import hashlib
import logging
import re
from dataclasses import dataclass
from email.message import Message

from flufl.bounce import all_failures

from webapp.messaging import auto_replies
from webapp.messaging.bounce_causes import cause, codes_of
from webapp.messaging.mail_parts import Parts, decoded, take_apart
from webapp.platform.logs import log

KINDS = ("hard", "soft", "delay", "delivered", "complaint", "auto_reply", "reply", "other")
COMPLAINTS = ("abuse", "fraud", "opt-out", "opt-out-list", "other", "miscategorized")
DIAGNOSTIC_LIMIT = 500  # characters
TOKEN = r"([0-9a-f]{30,90})"
RETURN_PATH = re.compile(rf"bounce-{TOKEN}(?:@|$)", re.I)
MESSAGE_ID = re.compile(rf"message-?\s?id\W{{0,5}}<?\s*{TOKEN}@", re.I)
ANSWERED = re.compile(rf"<{TOKEN}@", re.I)
DELIVERED_TO = ("X-Original-To", "Delivered-To", "Envelope-To", "X-Envelope-To", "To", "Cc")
DAEMON = re.compile(r"^(?:mailer-?daemon|post-?master|mail-?daemon|mdaemon|no-?reply|maildelivery|mmdf)\b", re.I)
FAILED = re.compile(
    r"undeliver|deliver\w* (?:status|fail|problem|report|notif|error)|fail\w* (?:notice|deliver|mail)|return(?:ed|ing) "
    r"(?:mail|message|to sender)|mail (?:error|delivery|failure|could not)|(?:could ?n[o']t|can ?not) be delivered|not delivered|"
    r"non[- ]?(?:remis|delivery)",
    re.I,
)
DELAYED = re.compile(r"\bdelay(?:ed)?\b|still being retried|will (?:continue|be retried)|warning only", re.I)
logger = log(__name__)
# It tells of each message that is too much for it, with all details, before it raises.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Failure:
    """What became of the message at one address. kind: hard, soft, delay, or delivered."""

    address: str
    kind: str
    status: str = ""
    diagnostic: str = ""


@dataclass(frozen=True)
class Report:
    """One message that came in. kind: one of KINDS. status: an enhanced code as 5.1.1, or "". diagnostic: the words of
    the server. recipient: whom it speaks of as far as it says so. failures: each recipient it speaks of.

    return_token, message_token, answer_token: what may be our token in the address it came to, in the Message-ID of what
    it returns, and in what it answers; none of them is checked here. key: the same whenever this message is read.
    """

    kind: str
    parts: Parts
    status: str = ""
    diagnostic: str = ""
    recipient: str = ""
    failures: tuple[Failure, ...] = ()
    return_token: str = ""
    message_token: str = ""
    answer_token: str = ""
    key: str = ""


def read(raw: bytes, delivered_to: str = "") -> Report:
    """Returns what a message is. delivered_to: the envelope's recipient where the way in knows it."""
    parts = take_apart(raw)
    failures = _from_fields(parts) or _from_words(parts)
    kind, telling = _kind(parts, failures)
    return Report(
        kind, parts,
        status=telling.status if telling else "",
        diagnostic=telling.diagnostic if telling else "",
        recipient=telling.address if telling else _complained_about(parts),
        failures=tuple(failures),
        return_token=_first(RETURN_PATH, delivered_to, *(v for name in DELIVERED_TO for v in parts.headers(name))),
        message_token=_first(MESSAGE_ID, parts.returned, parts.says),
        answer_token=_first(ANSWERED, parts.header("In-Reply-To"), parts.header("References")),
        key=_key(raw, parts),
    )  # fmt: skip


def _kind(parts: Parts, failures: list[Failure]) -> tuple[str, Failure | None]:
    """Returns (kind, the failure that says most). Of several recipients the mildest fate counts: a report about a list
    behind an address does not make the address a dead one."""
    if parts.feedback is not None:
        kind = decoded(parts.feedback.get("Feedback-Type")).strip().lower()
        return ("complaint" if kind in COMPLAINTS else "other"), None
    for kind in ("delivered", "delay", "soft", "hard"):
        telling = next((failure for failure in failures if failure.kind == kind), None)
        if telling:
            return kind, telling
    if auto_replies.announced(parts) or auto_replies.signed(parts):
        return "auto_reply", None
    is_person = parts.author and not DAEMON.match(parts.author) and parts.header("Return-Path").strip() != "<>"
    return ("reply" if is_person and parts.message.get_content_type() != "multipart/report" else "other"), None


def _from_fields(parts: Parts) -> list[Failure]:
    """Returns what the delivery-status parts say of each recipient."""
    blocks = [block for block in parts.blocks if block.get("Action") or block.get("Final-Recipient")]
    found = [_of_block(block, parts.says if len(blocks) == 1 else "") for block in blocks]
    return [failure for failure in found if failure]


def _of_block(block: Message, says: str) -> Failure | None:
    action = decoded(block.get("Action")).strip().lower()
    status = decoded(block.get("Status")).strip()
    diagnostic = _one_line(decoded(block.get("Diagnostic-Code")))
    address = _address(block.get("Original-Recipient")) or _address(block.get("Final-Recipient"))
    statuses = codes_of(status) + codes_of(diagnostic) or codes_of(says, running=True)
    code = next(iter(sorted(statuses, key=_vague)), "")
    words = "\n".join((status, _after_semicolon(diagnostic), says))
    if action.startswith("delay"):
        return Failure(address, "delay", code, diagnostic)
    if action.startswith(("deliver", "relay", "expand")):
        return Failure(address, "delivered", status, diagnostic)
    if not action.startswith(("fail", "error")):
        return None
    if not diagnostic:
        diagnostic = _one_line(status if " " in status else _telling_line(says))
    told = [*sorted(statuses, key=_vague), *codes_of(says, running=True)]
    return Failure(address, cause(told, words), code, diagnostic)


def _vague(code: str) -> bool:
    return code.endswith((".0.0", ".3.0", ".5.0"))


def _after_semicolon(diagnostic: str) -> str:
    """The words of a Diagnostic-Code without the name of their protocol, so that a reply code stands in front."""
    kind, semicolon, words = diagnostic.partition(";")
    return words.strip() if semicolon and len(kind) < 20 else diagnostic


def _from_words(parts: Parts) -> list[Failure]:
    """Returns what a message says in words, where it is a bounce at all: one verdict for all its recipients."""
    if parts.feedback is not None or "displayed" in parts.disposition.lower():
        return []
    # A person's or a machine's answer may speak of failing deliveries, too.
    if auto_replies.announced(parts) or _is_conversation(parts):
        return []
    temporary, permanent = _addresses(parts.message)
    notice = f"{parts.subject}\n{parts.says}"
    if not temporary and not permanent and not (FAILED.search(parts.subject) and FAILED.search(parts.says)):
        return []
    statuses = sorted(codes_of(notice, running=True), key=_vague)
    code, line = next(iter(statuses), ""), _telling_line(parts.says)
    if permanent:
        return [Failure(address, cause(statuses, notice), code, line) for address in sorted(permanent)]
    if temporary or DELAYED.search(notice):
        return [Failure(address, "delay", code, line) for address in sorted(temporary) or [""]]
    return [Failure("", cause(statuses, notice), code, line)]


def _is_conversation(parts: Parts) -> bool:
    """True where a person answers one of our messages: it names what it answers and says "Re:"."""
    answers = ANSWERED.search(f"{parts.header('In-Reply-To')} {parts.header('References')}")
    return bool(
        answers and re.match(r"(?:re|aw|sv|antw|rv|res|fwd?|wg|tr)\s*:", parts.subject, re.I)
        and not DAEMON.match(parts.author) and not auto_replies.signed(parts)
    )  # fmt: skip


def _addresses(message: Message) -> tuple[set[str], set[str]]:
    """Returns the addresses that (may get it later, will not get it) by the known shapes of systems' own bounces."""
    try:
        temporary, permanent = all_failures(message)
    except Exception as problem:  # noqa: BLE001 - made for bounces; what is none, or is broken, may be too much for it
        logger.info("a message could not be looked through for bounces", reason=repr(problem)[:300])
        return set(), set()
    return tuple({a.decode("ascii", "replace").lower() for a in found if a} for found in (temporary, permanent))


def _complained_about(parts: Parts) -> str:
    return _address(parts.feedback.get("Original-Rcpt-To")) if parts.feedback is not None else ""


def _address(value: object) -> str:
    text = decoded(value).strip()
    kind, semicolon, address = text.partition(";")
    if semicolon and kind.strip().lower() not in ("rfc822", "utf-8"):
        return ""
    return (address if semicolon else text).strip().strip("<>").lower()[:320]


def _telling_line(says: str) -> str:
    """Returns the line that tells most: with a code, or the words of a failure."""
    lines = [_one_line(line) for line in says.splitlines() if line.strip()]
    for telling in (codes_of, lambda line: re.search(r"\b[45]\d\d\b", line), FAILED.search):
        found = next((line for line in lines if telling(line)), None)
        if found:
            return found
    return lines[0] if lines else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:DIAGNOSTIC_LIMIT]


def _first(pattern: re.Pattern[str], *texts: str) -> str:
    return next((found[1].lower() for text in texts if (found := pattern.search(text))), "")


def _key(raw: bytes, parts: Parts) -> str:
    # Not of the whole: each way in adds headers of its own.
    named = f"{parts.header('Message-ID')}\n{parts.header('Date')}\n{parts.header('Subject')}"
    return hashlib.sha256(named.encode("utf-8", "replace") if parts.header("Message-ID") else raw).hexdigest()[:40]
