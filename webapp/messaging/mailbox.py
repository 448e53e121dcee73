"""The built-in mailbox: a real SMTP server on loopback in every process, whose messages are kept in the database and
shown on a page as a recipient would see them. It stands in for the world's mailboxes until a sender has a server."""

import email
import email.policy
import threading
from datetime import datetime
from typing import Any

from aiosmtpd.controller import Controller
from flask import Flask, current_app
from sqlalchemy import Index, LargeBinary, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.platform.db import Base, Tenant, db, of_organization, run, transaction
from webapp.platform.errors import NotFound
from webapp.platform.logs import log
from webapp.platform.signing import signer

KEEP = 20_000  # messages an organisation; the oldest go first
logger = log(__name__)


class MailboxMessage(Tenant, Base):
    __tablename__ = "mailbox_messages"
    recipient: Mapped[str]
    sender: Mapped[str | None]
    subject: Mapped[str | None]
    raw: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    read_at: Mapped[datetime | None]
    send_id: Mapped[int | None]
    __table_args__ = (of_organization(), Index(None, "org_id", "created_at", "id"), Index(None, "org_id", "recipient"))


class _Handler:
    def __init__(self, app: Flask):
        self.app = app

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        try:
            org_id, send_id = signer().unpack("bounce", envelope.mail_from.partition("@")[0].removeprefix("bounce-"))
        except NotFound:
            return "550 5.7.1 This mailbox takes only this house's own messages"
        try:
            with self.app.app_context(), transaction(org_id):
                for recipient in envelope.rcpt_tos:
                    keep(recipient, bytes(envelope.content), send_id)
        except Exception:
            logger.exception("mailbox could not keep a message")
            return "451 4.3.0 Try again later"
        return "250 2.0.0 Kept"


class _Controller(Controller):
    """A controller on a port of the system's choice; its own first knock must go to the port it really got."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


_controllers: dict[int, Controller] = {}
_starting = threading.Lock()


def address_of_server() -> tuple[str, int]:
    """Returns (host, port) of this process's mailbox server, started at the first use."""
    app = current_app._get_current_object()
    with _starting:
        controller = _controllers.get(id(app))
        if controller is None:
            controller = _Controller(
                _Handler(app), hostname="127.0.0.1", port=0, ready_timeout=15, data_size_limit=10_000_000,
                ident="Canvass mailbox",
            )  # fmt: skip
            controller.start()
            _controllers[id(app)] = controller
        return controller.server.sockets[0].getsockname()[:2]


def keep(recipient: str, raw: bytes, send_id: int | None = None) -> MailboxMessage:
    """Keeps one message as it came over the wire."""
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    kept = MailboxMessage(
        recipient=recipient, sender=str(parsed["From"] or ""), subject=str(parsed["Subject"] or ""), raw=raw,
        send_id=send_id,
    )  # fmt: skip
    db.session.add(kept)
    db.session.flush()
    return kept


def get(message_id: int) -> MailboxMessage:
    """Returns a kept message. Raises NotFound."""
    message = db.session.scalar(select(MailboxMessage).where(MailboxMessage.id == message_id))
    if message is None:
        raise NotFound("That message is not in the mailbox any more.")
    return message


def parts(message: MailboxMessage) -> dict[str, Any]:
    """Returns what a mail program shows: headers (name, value pairs), html and text, "" where there is no such part."""
    parsed = email.message_from_bytes(message.raw, policy=email.policy.default)
    shown = {}
    for kind in ("html", "plain"):
        body = parsed.get_body((kind,))
        shown["text" if kind == "plain" else kind] = body.get_content() if body else ""
    return shown | {"headers": [(name, str(value)) for name, value in parsed.items()]}


def prune() -> None:
    """Forgets the oldest messages of the organisation in scope beyond KEEP."""
    run(
        "DELETE FROM mailbox_messages WHERE id <= (SELECT id FROM mailbox_messages ORDER BY id DESC OFFSET :keep LIMIT 1)",
        keep=KEEP,
    )


def count() -> int:
    """Returns the number of kept messages."""
    return db.session.scalar(select(func.count()).select_from(MailboxMessage))
