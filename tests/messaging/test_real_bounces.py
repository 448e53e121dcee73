"""End to end with a real Postfix: our message leaves, the recipient's server refuses it, Postfix writes its bounce to the
return path, and the send, the address and the counters say so."""

import threading
import time

import pytest
from aiosmtpd.controller import Controller

from tests.bench.sending import free_port
from tests.messaging import desk
from tests.messaging.real_postfix import postfix, refusing
from webapp.campaigns import campaigns, dispatch
from webapp.messaging import mail_pipe, senders
from webapp.platform import tenancy
from webapp.platform.db import rows, transaction, value

WAIT_SECONDS = 40


class Pipe:
    """What the mail server hands over goes where the pipe command takes it."""

    def __init__(self, app):
        self.app, self.raw = app, []

    async def handle_DATA(self, _server, _session, envelope) -> str:
        self.raw.append(bytes(envelope.content))
        with self.app.app_context():
            fates = [mail_pipe.take(self.raw[-1], recipient) for recipient in envelope.rcpt_tos]
        return "250 taken" if not any(fates) else "451 4.3.0 once more"


@pytest.mark.slow
@pytest.mark.postfix
def test_a_refused_message_comes_back_through_postfix(app, cast, tx):
    sink = Pipe(app)
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        with (
            refusing("-f", "-B", "550 5.1.1 No such user here") as for_good,
            refusing("-r", "-b", "452 4.2.2 Mailbox full") as for_now,
            postfix({
                "refused.example": f"smtp:[127.0.0.1]:{for_good}", "full.example": f"smtp:[127.0.0.1]:{for_now}",
                "taken.example": "discard:", "lone.example": f"smtp:[127.0.0.1]:{controller.port}",
            }) as (port, log),
        ):  # fmt: skip
            campaign_id = send_to(cast.org, port, "refused.example", "full.example", "taken.example")
            deadline = time.monotonic() + WAIT_SECONDS
            while time.monotonic() < deadline and bounced(cast.org) < 2:
                time.sleep(0.2)
            told = log.read_text()
    finally:
        controller.stop()
    with tx():
        sends = rows("SELECT * FROM sends WHERE campaign_id = :c ORDER BY id", c=campaign_id)
        assert [(send.status, send.bounce_type) for send in sends] == [
            ("bounced", "hard"), ("bounced", "soft"), ("sent", None),
        ], told  # fmt: skip
        assert [send.error_code for send in sends] == ["5.1.1", "4.2.2", None]
        assert "No such user here" in sends[0].error_message
        assert [row.address for row in rows("SELECT address FROM suppressions")] == ["lead0@refused.example"]
        found = desk.counters(campaign_id)
        assert found == desk.recount(campaign_id)
        assert (found["sent"], found["delivered"], found["bounced"]) == (3, 1, 2)
    assert all(b"multipart/report" in raw for raw in sink.raw)


def send_to(org: int, port: int, *domains: str) -> int:
    """Sends a campaign to one lead at each domain over the mail server. Returns its id."""
    with transaction(org):
        for n, domain in enumerate(domains):
            desk.add_lead(n, email=f"lead{n}@{domain}")
        server = {"host": "127.0.0.1", "port": port, "tls": "none"}
        sender = senders.save_smtp(None, {"name": "Lone Star", "address": "hello@lone.example", **server})
        campaign_id = desk.draft(sender_id=sender.id).id
        campaigns.launch(campaign_id)
    with tenancy.scope(org):
        dispatch.start_due()
        dispatch.send_for("test", 20, threading.Event())
    return campaign_id


def bounced(org: int) -> int:
    with transaction(org):
        return value("SELECT count(*) FROM sends WHERE status = 'bounced'")
