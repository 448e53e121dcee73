"""People to write to over each channel, and the campaigns that do: always some of the people at a time."""

import json
from collections import Counter
from typing import Any

from tests.proof.house import House
from webapp.audience import segments
from webapp.campaigns import campaigns
from webapp.campaigns.campaigns import Campaign
from webapp.messaging import providers, senders, templates
from webapp.messaging.senders import Sender
from webapp.messaging.templates import Template, TemplateVersion
from webapp.platform import organizations, secrets
from webapp.platform.db import db, refresh_statistics, rows, run, transaction, value

PROVIDERS = {"email": "smtp", "sms": "twilio", "whatsapp": "whatsapp_cloud"}
NO_CAP = 1_000_000
PATIENT = {"error_rate": 1, "complaint_rate": 1, "overdue_hours": 168}  # nothing pauses by itself
HTML = '<p>Hello {{ first_name }}, <a href="https://www.example.com/a">look</a></p>'
WHATSAPP = {
    "name": "proof", "language": "en_US", "category": "MARKETING", "status": "APPROVED", "body": "Hello {{1}}",
    "parameters": ["{{ first_name }}"],
}  # fmt: skip


def channels() -> list[str]:
    """Returns the channels that have a provider."""
    return [channel for channel, provider in PROVIDERS.items() if provider in providers.REGISTRY]


def organization(name: str) -> int:
    """Makes an organisation that sends at any hour and pauses nothing. Returns its id."""
    with transaction():
        made = organizations.create(name)
        made.quiet_hours, made.sending_policy = {}, PATIENT
        db.session.flush()
        return made.id


def add_people(org: int, sizes: dict[tuple[str, str], int]) -> None:
    """Adds leads. sizes: (wave, channel) -> how many; they come from that wave and agreed to that channel."""
    sources = [f"{wave} {channel}" for wave, channel in sizes]
    with transaction(org):
        # All in one statement: how references are looked up is planned when the first is, in a table that is still empty.
        run(
            "INSERT INTO leads (first_name, last_name, email, phone, state, source)"
            " SELECT 'First' || g, 'Last' || g, 'p' || g || '@proof.example', '+1' || (4152000000 + g), 'TX', source"
            " FROM (SELECT source, (SELECT count(*) FROM leads) + row_number() OVER () AS g FROM"
            " unnest(CAST(:sources AS text[]), CAST(:counts AS int[])) s (source, n), generate_series(1, n)) each",
            sources=sources, counts=list(sizes.values()),
        )  # fmt: skip
        run(
            "INSERT INTO consents (lead_id, channel, status, source)"
            " SELECT id, split_part(source, ' ', -1), 'subscribed', 'proof' FROM leads WHERE source = ANY(:sources)",
            sources=sources,
        )
    refresh_statistics("leads", "consents")


def add_sender(house: House, channel: str, **columns: Any) -> int:
    """Adds a sender over the house's gateway. columns: of the sender's row. Returns its id."""
    if channel == "email":
        server = {"host": "127.0.0.1", "port": house.smtp_port, "tls": "none"}
        sender = senders.save_smtp(None, {"name": "Proof", "address": "proof@example.com", **server})
    else:
        base = f"http://127.0.0.1:{house.http_port}"
        config, sealed = {
            "sms": ({"account_sid": "AC" + "1" * 32, "messaging_service_sid": "MG" + "2" * 32, "api_base": base},
                    {"auth_token": "t" * 32}),
            "whatsapp": ({"phone_number_id": "1055501234", "business_account_id": "2055501234", "api_base": base},
                         {"access_token": "t" * 32, "app_secret": "s" * 32, "verify_token": "v" * 32}),
        }[channel]  # fmt: skip
        sender = Sender(channel=channel, provider=PROVIDERS[channel], name="Proof", address="+14155550100",
                        config=config, secrets=secrets.seal(sealed))  # fmt: skip
        db.session.add(sender)
    for name, given in columns.items():
        setattr(sender, name, given)
    db.session.flush()
    return sender.id


def add_template(channel: str) -> int:
    """Adds a template of a channel. Returns its id."""
    if channel == "email":
        return templates.save(None, {"name": "Proof", "subject_line": "Hi {{ first_name }}", "html_content": HTML}).id
    body: dict[str, Any] = {"text_content": "Hello {{ first_name }}"} if channel == "sms" else {"whatsapp": WHATSAPP}
    template = Template(name=f"Proof {channel}", slug=f"proof-{channel}", template_type=channel, **body)
    db.session.add(template)
    db.session.flush()
    db.session.add(TemplateVersion(template_id=template.id, number=1, **body))
    db.session.flush()
    return template.id


def campaign(wave: str, channel: str, sender_id: int, template_id: int, daily: int = NO_CAP) -> int:
    """Makes a campaign to the people of a wave and launches it. Returns its id."""
    rule = {"field": "source", "operator": "equals", "value": f"{wave} {channel}"}
    segment = segments.save(None, {"name": f"{wave} {channel}", "criteria": {"match": "all", "rules": [rule]}})
    made: Campaign = campaigns.save(None, {
        "name": f"{wave} {channel}", "segment_id": segment.id, "sender_id": sender_id, "template_id": template_id,
        "channels": [channel],
    })  # fmt: skip
    made.daily_send_limit = daily
    db.session.flush()
    campaigns.launch(made.id)
    return made.id


def sends(org: int) -> list[Any]:
    """Returns every send as the ledger's check wants it."""
    with transaction(org):
        return rows(
            "SELECT id, channel, recipient_address, status, claimed_by,"
            " CAST(extract(epoch FROM claimed_at) AS float) AS claimed_at FROM sends"
        )


def ended(org: int, ids: list[int]) -> bool:
    """True once all these campaigns are completed. In a transaction."""
    return Counter(r.status for r in rows("SELECT status FROM campaigns WHERE id = ANY(:ids)", ids=ids)) == {
        "completed": len(ids)
    }


def waiting(campaign_id: int) -> int:
    """Returns how many people a campaign has not written to yet. In a transaction."""
    return value("SELECT count(*) FROM sends WHERE campaign_id = :id AND status = 'pending'", id=campaign_id)


def last_sent(campaign_id: int) -> float:
    """Returns when a campaign's last message was recorded as sent, in seconds since 1970. In a transaction."""
    return float(value("SELECT extract(epoch FROM max(sent_at)) FROM sends WHERE campaign_id = :id", id=campaign_id))


def stop() -> None:
    """Cancels every campaign of the organisation in scope that still sends. In a transaction."""
    for row in rows("SELECT id FROM campaigns WHERE status IN ('active', 'scheduled')"):
        campaigns.cancel(row.id)


def standing(org: int) -> str:
    """Returns campaigns and sends by status and what senders said last, for a message."""
    with transaction(org):
        told = {
            "campaigns": rows("SELECT status, hold_reason, count(*) FROM campaigns GROUP BY 1, 2"),
            "sends": rows("SELECT channel, status, wait_reason, count(*) FROM sends GROUP BY 1, 2, 3"),
            "senders": rows("SELECT channel, last_error, rate_limited_until, hold_reason FROM senders"),
            "work": rows("SELECT kind, due_at, now() FROM work_due"),
        }
    return json.dumps({name: [list(row) for row in found] for name, found in told.items()}, default=str)
