"""What a lead has received: the sends to one person, with the campaigns they belong to."""

from typing import Any

from webapp.platform.db import rows

PAGE = 10


def of_lead(lead_id: int, *, before: int | None = None, limit: int = PAGE) -> list[Any]:
    """Returns a lead's sends, newest first: id, campaign_id, campaign, channel, kind, status, skip_reason, opened_at,
    clicked_at, at (when it went out, else when it is due). before: id of the last one seen."""
    return rows(
        "SELECT s.id, s.campaign_id, c.name AS campaign, s.channel, s.kind, s.status, s.skip_reason, s.opened_at,"
        " s.clicked_at, COALESCE(s.sent_at, s.not_before) AS at FROM sends s"
        " LEFT JOIN campaigns c ON c.org_id = s.org_id AND c.id = s.campaign_id"
        " WHERE s.lead_id = :lead AND s.id < :before ORDER BY s.id DESC LIMIT :limit",
        lead=lead_id,
        before=before or 2**63 - 1,
        limit=limit,
    )
