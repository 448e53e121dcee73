"""Building messages: everything that is the same for all recipients is made once, the rest is spliced in.

A message of the standard library's EmailMessage costs about forty times this; the tests parse what is built here
back with it.
"""

import binascii
import html
import re
from dataclasses import dataclass, field
from email.header import Header
from email.utils import formataddr, formatdate
from typing import Any

from webapp.messaging import tokens
from webapp.platform.signing import Signer

HREF = re.compile(r"""(<a\b[^>]*?\bhref\s*=\s*)(["'])(.*?)\2""", re.I | re.S)
PLAIN_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ]{0,60}$")
URL_TOKEN = re.compile(r"^\{\{[-\s]*(\w+)[-\s]*\}\}$")
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
BOUNDARY = "=_canvass_alternative_part"  # "=_" cannot occur in quoted-printable text


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
    """Builds the messages of one campaign. track: link as written -> link id, or None to leave links alone."""

    bodies: Bodies
    head: Letterhead
    signer: Signer
    link_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment = tokens.environment()
        self.needs = tokens.used(self.bodies.subject, self.bodies.preview, self.bodies.html, self.bodies.text)
        text = self.bodies.text
        if "unsubscribe_url" not in tokens.used(text):
            text += TEXT_FOOTER
        self.environment.add_template("subject.txt", self.bodies.subject)
        self.environment.add_template("preview.txt", self.bodies.preview)
        self.environment.add_template("body.txt", text)
        self.environment.add_template("body.html", self._tracked(dressed(self.bodies.html)))
        self.fixed = self._fixed_headers()

    def _fixed_headers(self) -> str:
        head = self.head
        lines = [f"From: {formataddr((_one_line(head.from_name), head.from_address))}"]
        if head.reply_to:
            lines.append(f"Reply-To: {head.reply_to}")
        lines += [
            f"List-Id: {head.list_id}",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/alternative; boundary="{BOUNDARY}"',
        ]
        return "\n".join(lines) + "\n"

    def _tracked(self, body: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            link_id = self.link_ids.get(html.unescape(match[3]).strip())
            return f"{match[1]}{match[2]}{{{{ _link_{link_id} }}}}{match[2]}" if link_id else match[0]

        return HREF.sub(replaced, body)

    def values(self, row: Any) -> dict[str, Any]:
        """Returns what the tokens stand for. row: a lead's columns as the outbox claims them, with the send's id."""
        values = lead_values(row, self.head.company)
        values["unsubscribe_url"] = self._url("u", "unsubscribe", row.id)
        if "view_url" in self.needs:
            values["view_url"] = self._url("v", "view", row.id)
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
        render = self.environment.render_template
        values["_preview"] = render("preview.txt", **values)
        subject = _one_line(render("subject.txt", **values))
        return subject, render("body.html", **values), render("body.txt", **values)

    def build(self, row: Any, extra: dict[str, Any] | None = None) -> Message:
        """Returns the message for one claimed row. extra: values looked up beside the lead (policy, agent).

        Raises minijinja.TemplateError where the template cannot be filled in for this lead.
        """
        values = self.values(row) | (extra or {})
        subject, page, text = self._filled(values)
        bounce = f"bounce-{self.signer.pack('bounce', self.head.org_id, row.id)}@{self.head.bounce_domain}"
        message_id = f"<{self.signer.pack('message', self.head.org_id, row.id)}@{self.head.bounce_domain}>"
        headers = (
            f"To: {mailbox(_one_line(row.recipient_name or ''), row.recipient_address)}\n"
            f"Subject: {encoded(subject)}\nDate: {formatdate()}\nMessage-ID: {message_id}\n"
            f"List-Unsubscribe: <{values['unsubscribe_url']}>\n{self.fixed}"
        )
        data = b"\n".join((
            headers.encode("ascii"),
            b"--" + BOUNDARY.encode(),
            b'Content-Type: text/plain; charset="utf-8"\nContent-Transfer-Encoding: quoted-printable\n', _printable(text),
            b"--" + BOUNDARY.encode(),
            b'Content-Type: text/html; charset="utf-8"\nContent-Transfer-Encoding: quoted-printable\n', _printable(page),
            b"--" + BOUNDARY.encode() + b"--\n",
        ))  # fmt: skip
        # b2a_qp leaves lone CRs of the input as they are; a bare CR or LF must never reach the wire.
        data = data.replace(b"\r", b"").replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        return Message(row.id, bounce, row.recipient_address, message_id, data)


def _printable(text: str) -> bytes:
    return binascii.b2a_qp(text.replace("\r\n", "\n").encode(), istext=True)


def dressed(body: str) -> str:
    """Returns the HTML as a page with preheader, a visible unsubscribe link and the pixel in their places."""
    if "unsubscribe_url" not in tokens.used(body):
        body = _before_end(body, FOOTER)
    body = _before_end(body, PIXEL)
    if "<body" not in body.lower():
        return PAGE.replace("{body}", PREHEADER + body)
    return re.sub(r"(<body\b[^>]*>)", lambda match: match[1] + PREHEADER, body, count=1, flags=re.I)


def _before_end(body: str, piece: str) -> str:
    at = body.lower().rfind("</body")
    return body + piece if at < 0 else body[:at] + piece + body[at:]


def trackable(body: str) -> list[str]:
    """Returns the distinct links of a body that can be counted: web addresses, tokens inside them included."""
    found = dict.fromkeys(html.unescape(match[3]).strip() for match in HREF.finditer(body))
    return [url for url in found if url.lower().startswith(("http://", "https://")) and not URL_TOKEN.match(url)]


def lead_values(row: Any, company: str) -> dict[str, Any]:
    """Returns the tokens that come from the lead itself."""
    names = [part for part in (row.first_name, row.last_name) if part]
    return {
        "first_name": row.first_name,
        "last_name": row.last_name,
        "customer_name": " ".join(names),
        "email": row.email,
        "phone": row.phone,
        "city": row.city,
        "state": row.state,
        "attributes": row.attributes or {},
        "company_name": company,
    }


def mailbox(name: str, address: str) -> str:
    """Returns a name and an address as a header shows them. Plain names, nearly all of them, need no quoting."""
    if PLAIN_NAME.match(name):
        return f"{name} <{address}>"
    return formataddr((name, address))


def encoded(subject: str) -> str:
    """Returns a header value: as it is where it is short ASCII, otherwise folded and encoded by RFC 2047."""
    if subject.isascii() and subject.isprintable() and len(subject) < 68 and "=?" not in subject:
        return subject
    return Header(subject, "utf-8", header_name="Subject").encode(linesep="\n")


def _one_line(text: str) -> str:
    # A header value is one line of printable characters, whatever a lead's name contains.
    if text.isprintable():
        return " ".join(text.split())
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
