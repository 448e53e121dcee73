"""Threads: what went to and fro with one person over one channel, around one of their messages."""

from typing import Any

from webapp.messaging.inbound import InboundMessage
from webapp.platform import tenancy
from webapp.platform.db import rows

SHOWN = 30  # of each direction


def around(message: InboundMessage) -> list[Any]:
    """Returns a thread, oldest first: kind (in, out), id, at (UTC), text, status, campaign_id, and name of the campaign, else
    of the template. Messages that went out have no text: they stand in their campaign."""
    return rows(
        "SELECT * FROM ((SELECT 'in' AS kind, id, received_at AS at, body AS text, intent AS status,"
        " NULL::bigint AS campaign_id, NULL AS name FROM inbound_messages WHERE org_id = :org AND channel = :channel"
        " AND (lead_id = :lead OR from_address = :address) ORDER BY received_at DESC, id DESC LIMIT :shown)"
        " UNION ALL (SELECT 'out', s.id, s.sent_at, NULL, s.status, s.campaign_id, COALESCE(c.name, t.name)"
        " FROM sends s LEFT JOIN campaigns c ON c.org_id = s.org_id AND c.id = s.campaign_id"
        " LEFT JOIN template_versions v ON v.org_id = s.org_id AND v.id = s.template_version_id"
        " LEFT JOIN templates t ON t.org_id = v.org_id AND t.id = v.template_id"
        " WHERE s.org_id = :org AND s.channel = :channel AND s.sent_at IS NOT NULL AND (s.lead_id = :lead OR s.id = :send)"
        " ORDER BY s.sent_at DESC, s.id DESC LIMIT :shown)) found ORDER BY at, kind DESC, id",
        org=tenancy.current_org(), channel=message.channel, lead=message.lead_id or 0, send=message.send_id or 0,
        address=message.from_address, shown=SHOWN,
    )  # fmt: skip
