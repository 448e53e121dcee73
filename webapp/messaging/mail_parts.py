"""A message as it came in, taken apart: headers, what it says itself, and what it returns of a message of ours.

Whatever comes, reading it never raises: who writes bounces writes no standard.
"""

import email
import email.header
import email.parser
import html
import re
from dataclasses import dataclass
from email.message import Message
from email.utils import parseaddr

LIMIT = 250_000  # bytes that are read; what a bounce says stands in front of the message it returns
HEADER_LIMIT = 5_000  # characters of one value
WORDS_LIMIT = 20_000  # characters of what it says itself
TAG = re.compile(r"<[^<>]{1,2000}>")
BREAK = re.compile(r"<br\s*/?>|</p>|</div>", re.I)
UNSAID = re.compile(r"<(style|script)\b", re.I)
# From here on a bounce without parts speaks no more: the message it returns follows.
RETURNED = re.compile(
    r"^.*(?:below (?:this|the next) line|copy of (?:the|your) (?:original )?message|copy of the first part|original message"
    r"(?: headers?| as received|\s*-{3}|\s*follows|\s*$)|message (?:text|headers?) (?:follows?|is following)|returned "
    r"(?:mail|message)(?! by)\b.{0,20}-{3}|header of the (?:source|original)|returned mail follows|unsent message below|"
    r"your message reads|forwarded message|start of returned message|header and top \d+ lines|first \d+ lines of|"
    r"summary of the undelivered message|message header:?$).*$|^>?(?:Received|Return-Path): ",
    re.I | re.M,
)


@dataclass(frozen=True)
class Parts:
    """message: parsed. says: the text of the message itself, returned messages left out. returned: headers and text of
    what it returns. blocks: the fields of each recipient in a delivery-status part, the first ones those of the message.
    feedback: the fields of a complaint, or None."""

    message: Message
    says: str
    returned: str
    blocks: list[Message]
    feedback: Message | None
    disposition: str

    def header(self, name: str) -> str:
        """Returns a header's first value as people read it, "" where there is none."""
        return decoded(self.message.get(name))

    def headers(self, name: str) -> list[str]:
        return [decoded(value) for value in self.message.get_all(name, [])]

    @property
    def subject(self) -> str:
        return " ".join(self.header("Subject").split())

    @property
    def author(self) -> str:
        try:
            return parseaddr(self.header("From"))[1].lower()
        except RecursionError:
            return ""  # hundreds of brackets


def take_apart(raw: bytes) -> Parts:
    """Returns the parts of a message."""
    message = _parsed(raw[:LIMIT])
    says: list[str] = []
    returned: list[str] = []
    blocks: list[Message] = []
    feedback, disposition = None, ""
    for part in _own_parts(message, returned):
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            blocks += [block for block in _blocks(part) if block.keys()]
        elif kind == "message/feedback-report":
            feedback = _fields(part)
        elif kind == "message/disposition-notification":
            disposition = decoded(_fields(part).get("Disposition"))
        elif kind in ("text/rfc822-headers", "message/rfc822-headers"):
            returned.append(text_of(part))
        elif kind.startswith("text/"):
            says.append(text_of(part))
    own, _, rest = _split("\n".join(says))
    return Parts(message, own[:WORDS_LIMIT], "\n".join([*returned, rest]), blocks, feedback, disposition)


def _parsed(raw: bytes) -> Message:
    try:
        return email.message_from_bytes(raw)
    except RecursionError:
        # Messages in messages in messages: whoever does that gets no more than the headers read.
        return email.parser.BytesHeaderParser().parsebytes(raw)


def _own_parts(message: Message, returned: list[str]) -> list[Message]:
    """Returns the leaves of a message but for messages inside it, whose headers and text go to `returned`."""
    leaves: list[Message] = []
    waiting = [message]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global") and part is not message:
            returned.append(_whole(part))
        elif kind.startswith("multipart/") and part.is_multipart():
            waiting += reversed(_inside(part))
        else:
            leaves.append(part)
    return leaves


def _inside(part: Message) -> list[Message]:
    """Returns the parts of a part. Only here is get_payload safe to ask: of text it reads a charset that may be anything."""
    inner = part.get_payload() if part.is_multipart() else []
    return [each for each in inner if isinstance(each, Message)]


def _whole(part: Message) -> str:
    inner = _inside(part)
    if inner:
        return "\n".join(f"{name}: {decoded(value)}" for name, value in inner[0].items())
    return text_of(part)


def _blocks(part: Message) -> list[Message]:
    if part.is_multipart():
        return _inside(part)
    return [email.message_from_string(block.strip()) for block in re.split(r"\n\s*\n", text_of(part))]


def _fields(part: Message) -> Message:
    blocks = _blocks(part)
    return blocks[0] if blocks else Message()


def _split(text: str) -> tuple[str, str, str]:
    found = RETURNED.search(text)
    return (text[: found.start()], found[0], text[found.start() :]) if found else (text, "", "")


def text_of(part: Message) -> str:
    """Returns the text of a part, mark-up taken off."""
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        payload = None
    if not isinstance(payload, bytes):
        return ""
    try:
        text = payload.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError, TypeError):
        text = payload.decode("utf-8", "replace")
    text = sound(text.replace("\r\n", "\n"))
    if part.get_content_type() == "text/html" or re.match(r"\s*<(?:!doctype|html)", text, re.I):
        text = html.unescape(TAG.sub(" ", BREAK.sub("\n", _without_unsaid(text))))
    return text


def _without_unsaid(text: str) -> str:
    """Returns HTML without its styles and scripts. By hand: a pattern would try every beginning with every end."""
    kept, at, low = [], 0, text.lower()
    for found in UNSAID.finditer(text):
        if found.start() >= at:
            kept.append(text[at : found.start()])
            end = low.find(f"</{found[1].lower()}", found.end())
            at = end if end >= 0 else len(text)
    return "".join([*kept, text[at:]])


def decoded(value: object) -> str:
    """Returns a header's value with its encoded words read, as far as they can be."""
    text = sound(str(value or "")[:HEADER_LIMIT])
    if "=?" not in text:
        return text
    try:
        return sound(str(email.header.make_header(email.header.decode_header(text))))
    except (ValueError, LookupError, email.header.HeaderParseError):
        return text


def sound(text: str) -> str:
    """Returns a text without what no database can hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
