"""Building messages: everything that is the same for all recipients is made once, the rest is spliced in.

A message of the standard library's EmailMessage costs about forty times this; the tests parse what is built here
back with it.
"""

import binascii
import html
import re
import secrets
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from minijinja import TemplateError

from webapp.messaging import tokens
from webapp.messaging.grammar import in_pieces
from webapp.messaging.headers import carried, encoded, mailbox, one_line
from webapp.platform.signing import Signer

# A token inside an address may hold quotes of its own, so it is stepped over whole. No atomic groups: they are broken in
# the Python 3.11.2 that Debian has. Each character fits one branch only, so nothing is tried twice.
HREF = re.compile(
    r"""(<a\b[^>]*?\bhref\s*=\s*)(["'])"""
    r"""((?:\{\{(?:(?!\}\}).)*\}\}|\{%(?:(?!%\}).)*%\}|(?!\2|\{\{|\{%).)*)\2""",
    re.I | re.S,
)
URL_BREAKS = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})|[\t\r\n]+", re.S)
# The author names the place: where a lead's value would, our own address must not vouch for it with a redirect.
FIXED_HOST = re.compile(r"https?://[^/?#{\s]+(?:[/?#]|$)", re.I)
URL_LIMIT = 2000  # bytes: what an index of PostgreSQL surely takes, and more than mail programs follow
# What a click can fill in again; a link that needs more is left as it is.
LEAD_TOKENS = {
    "first_name", "last_name", "customer_name", "email", "phone", "city", "state", "attributes", "company_name",
}  # fmt: skip
FOOTER = (
    '<p style="margin:32px 0 0;font:12px/1.5 sans-serif;color:#777;text-align:center">{{ company_name }} &middot; '
    '<a href="{{ unsubscribe_url }}" style="color:#777">Unsubscribe</a></p>'
)
TEXT_FOOTER = "\n\n--\n{{ company_name }}\nUnsubscribe: {{ unsubscribe_url }}\n"
PREHEADER = '<div style="display:none;max-height:0;overflow:hidden;opacity:0">{{ _preview }}</div>'
PIXEL = '<img src="{{ _open }}" width="1" height="1" alt="" style="display:block;border:0">'
PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "</head><body>{body}</body></html>"
)
LINE_LIMIT = 900  # characters; RFC 5321 lets a line have 998


@dataclass(frozen=True)
class Bodies:
    """What is to be said, as written: tokens and all."""

    subject: str
    preview: str
    html: str
    text: str


@dataclass(frozen=True)
class Letterhead:
    """Who says it. base_url: the house's public address. org_id: whose send tokens are made."""

    org_id: int
    company: str
    currency: str
    base_url: str
    from_name: str
    from_address: str
    reply_to: str | None
    bounce_domain: str
    list_id: str


@dataclass(frozen=True)
class Message:
    """One finished message. data: the bytes between DATA and the final dot, dots stuffed, lines ending CRLF."""

    send_id: int
    mail_from: str
    recipient: str
    message_id: str
    data: bytes


@dataclass
class Composer:
    """Builds the messages of one campaign. link_ids: link as written -> link id; others are left alone. pixel: whether
    opening is counted. dkim: signs each message."""

    bodies: Bodies
    head: Letterhead
    signer: Signer
    link_ids: dict[str, int] = field(default_factory=dict)
    pixel: bool = True
    dkim: Any = None

    def __post_init__(self) -> None:
        self.environment = tokens.environment()
        self.needs = tokens.used(self.bodies.subject, self.bodies.preview, self.bodies.html, self.bodies.text)
        text = self.bodies.text
        if "unsubscribe_url" not in tokens.used(text):
            text += TEXT_FOOTER
        page = self._tracked(dressed(self.bodies.html, pixel=self.pixel))
        for name, body in (("subject.txt", self.bodies.subject), ("preview.txt", self.bodies.preview),
                           ("body.txt", text), ("body.html", page)):  # fmt: skip
            self.environment.add_template(name, in_pieces(body))
        # Not to be guessed by who writes a text, because a plain part is not encoded.
        self.boundary = f"=_{secrets.token_hex(12)}"
        self.fixed = self._fixed_headers()

    def _fixed_headers(self) -> str:
        head = self.head
        lines = [f"From: {mailbox(one_line(head.from_name), head.from_address)}"]
        if head.reply_to:
            lines.append(f"Reply-To: {head.reply_to}")
        lines += [
            f"List-Id: {head.list_id}",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{self.boundary}"',
        ]
        return "\n".join(lines) + "\n"

    def _tracked(self, body: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            link_id = self.link_ids.get(_address_of(match))
            return f"{match[1]}{match[2]}{{{{ _link_{link_id} }}}}{match[2]}" if link_id else match[0]

        return HREF.sub(replaced, body)

    def values(self, row: Any) -> dict[str, Any]:
        """Returns what the tokens stand for. row: a lead's columns as the outbox claims them, with the send's id."""
        values = lead_values(row, self.head.company)
        values["unsubscribe_url"] = self._url("u", "unsubscribe", row.id)
        if "view_url" in self.needs:
            values["view_url"] = self._url("v", "view", row.id)
        if "preferences_url" in self.needs:
            values["preferences_url"] = self._url("p", "preferences", row.lead_id or 0)
        if "confirm_url" in self.needs:
            values["confirm_url"] = self._url("confirm", "confirm", row.id)
        values["_open"] = self._url("t/o", "open", row.id) + ".gif"
        for link_id in self.link_ids.values():
            values[f"_link_{link_id}"] = self._url("t/c", "click", row.id, link_id)
        return values

    def _url(self, path: str, purpose: str, *numbers: int) -> str:
        return f"{self.head.base_url}/{path}/{self.signer.pack(purpose, self.head.org_id, *numbers)}"

    def render(self, row: Any, extra: dict[str, Any] | None = None) -> tuple[str, str, str]:
        """Returns (subject, HTML, text) for one lead, as `build` puts them into a message."""
        return self._filled(self.values(row) | (extra or {}))

    def _filled(self, values: dict[str, Any]) -> tuple[str, str, str]:
        # A missing value is an undefined token, so that `default` fills it in and no filter ever shows "None".
        values = {name: value for name, value in values.items() if value is not None}
        render = self.environment.render_template
        values["_preview"] = render("preview.txt", **values)
        subject = one_line(render("subject.txt", **values))
        return subject, render("body.html", **values), render("body.txt", **values)

    def build(self, row: Any, extra: dict[str, Any] | None = None) -> Message:
        """Returns the message for one claimed row. extra: values looked up beside the lead (policy, agent).

        Raises TemplateError or ValueError where the template cannot be filled in for this lead, Unsendable where
        e-mail cannot carry its address.
        """
        recipient = carried(row.recipient_address)
        values = self.values(row) | (extra or {})
        subject, page, text = self._filled(values)
        bounce = f"bounce-{self.signer.pack('bounce', self.head.org_id, row.id)}@{self.head.bounce_domain}"
        message_id = f"<{self.signer.pack('message', self.head.org_id, row.id)}@{self.head.bounce_domain}>"
        headers = (
            f"To: {mailbox(one_line(row.recipient_name or ''), recipient)}\n"
            f"Subject: {encoded(subject)}\nDate: {formatdate()}\nMessage-ID: {message_id}\n"
            f"List-Unsubscribe: <{values['unsubscribe_url']}>\n{self.fixed}"
        )
        boundary = self.boundary
        data = b"\n".join(
            (
                headers.encode("ascii"),
                f"--{boundary}".encode(),
                _part("text/plain", text),
                f"--{boundary}".encode(),
                _part("text/html", page),
                f"--{boundary}--\n".encode(),
            )
        )
        data = data.replace(b"\n", b"\r\n")
        if self.dkim is not None:
            data = self.dkim.signed(data)
        return Message(row.id, bounce, recipient, message_id, data.replace(b"\r\n.", b"\r\n.."))


def _has_short_lines(text: str) -> bool:
    """True if no line is longer than LINE_LIMIT: looked at once every so many characters, not line by line."""
    at = 0
    while len(text) - at > LINE_LIMIT:
        at = text.rfind("\n", at, at + LINE_LIMIT + 1) + 1
        if not at:
            return False
    return True


def _part(kind: str, text: str) -> bytes:
    """Returns one body part with its headers: as it is where it is plain ASCII in short lines, else quoted-printable."""
    # No CR goes in, so none comes out: a bare CR or LF must never reach the wire.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    plain = text.isascii() and "\0" not in text and _has_short_lines(text)
    body = text.encode() if plain else binascii.b2a_qp(text.encode(), istext=True)
    encoding = "7bit" if plain else "quoted-printable"
    return f'Content-Type: {kind}; charset="utf-8"\nContent-Transfer-Encoding: {encoding}\n\n'.encode() + body


def dressed(body: str, *, pixel: bool = True) -> str:
    """Returns the HTML as a page with preheader, a visible unsubscribe link and the pixel in their places."""
    if "unsubscribe_url" not in tokens.used(body):
        body = _before_end(body, FOOTER)
    if pixel:
        body = _before_end(body, PIXEL)
    if "<body" not in body.lower():
        return PAGE.replace("{body}", PREHEADER + body)
    return re.sub(r"(<body\b[^>]*>)", lambda match: match[1] + PREHEADER, body, count=1, flags=re.I)


def _before_end(body: str, piece: str) -> str:
    # Not by lower(): that makes some letters longer and moves the place.
    ends = [match.start() for match in re.finditer("</body", body, re.I)]
    return body[: ends[-1]] + piece + body[ends[-1] :] if ends else body + piece


def trackable(body: str) -> list[str]:
    """Returns the distinct links of a body that can be counted: web addresses, the lead's tokens inside them included."""
    return [url for url in dict.fromkeys(_address_of(match) for match in HREF.finditer(body)) if is_countable(url)]


def _address_of(match: re.Match[str]) -> str:
    # As a browser reads it: line breaks inside an address do not count.
    return URL_BREAKS.sub(lambda part: part[1] or "", html.unescape(match[3])).strip()


def is_countable(url: str) -> bool:
    """True if a click on this address can be counted: its host is the author's and a click can fill it in again."""
    if not FIXED_HOST.match(url) or len(url.encode()) > URL_LIMIT:
        return False
    try:
        return {name.partition(".")[0] for name in tokens.used(url)} <= LEAD_TOKENS
    except TemplateError:
        return False


def lead_values(row: Any, company: str) -> dict[str, Any]:
    """Returns the tokens that come from the lead itself (LEAD_TOKENS); one whose value is missing is not there."""
    names = [part for part in (row.first_name, row.last_name) if part]
    values = {
        "first_name": row.first_name,
        "last_name": row.last_name,
        "customer_name": " ".join(names) or None,
        "email": row.email,
        "phone": row.phone,
        "city": row.city,
        "state": row.state,
        "attributes": row.attributes or {},
        "company_name": company,
    }
    return {name: value for name, value in values.items() if value is not None}
