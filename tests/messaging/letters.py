"""Composers and recipients without a database, and messages read back as a receiving server and mail program read them."""

import email
import email.policy
import re
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any

from webapp.messaging.compose import Bodies, Composer, Letterhead, Message
from webapp.platform.signing import Signer

SIGNER = Signer("a secret for the composers of the tests")
HTML = '<p>Hello {{ first_name }}</p><p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
TEXT = "Hello {{ first_name }}\n\n{{ unsubscribe_url }}"


def head(**changed: Any) -> Letterhead:
    values = {
        "org_id": 7, "company": "Lone Star", "currency": "USD", "base_url": "https://desk.example",
        "from_name": "Lone Star Insurance", "from_address": "hello@lone.example", "reply_to": None,
        "bounce_domain": "lone.example", "list_id": "<lone-star.lone.example>",
    }  # fmt: skip
    return Letterhead(**(values | changed))


def composer(
    html: str = HTML, text: str = TEXT, subject: str = "Hi", preview: str = "", link_ids: Any = None, **changed: Any
) -> Composer:
    return Composer(Bodies(subject, preview, html, text), head(**changed), SIGNER, link_ids or {})


def row(**changed: Any) -> SimpleNamespace:
    """A claimed send with its lead's columns."""
    values = {
        "id": 42, "lead_id": 5, "recipient_address": "ada@example.com", "recipient_name": "Ada Lopez", "first_name": "Ada",
        "last_name": "Lopez", "email": "Ada@example.com", "phone": None, "city": "Austin", "state": "TX", "attributes": {},
    }  # fmt: skip
    return SimpleNamespace(**(values | changed))


def check_wire(data: bytes) -> None:
    """Checks that the bytes may go over the wire."""
    assert data.endswith(b"\r\n") and not data.startswith(b".")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|[\x00\x80-\xff]", data), "bare CR or LF, NUL or eight bits"
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not [line for line in lines if line.startswith(b".") and not line.startswith(b"..")]


def received(message: Message) -> EmailMessage:
    """Checks that the bytes may go over the wire and returns the message a receiver has: dots unstuffed, parsed."""
    data = message.data
    check_wire(data)
    return email.message_from_bytes(re.sub(rb"(?m)^\.\.", b".", data), policy=email.policy.default)


def body(parsed: EmailMessage, kind: str) -> str:
    """Returns the "plain" or "html" part with its line ends as LF."""
    return parsed.get_body((kind,)).get_content().replace("\r\n", "\n")
