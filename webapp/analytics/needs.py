"""What waits for a person: held campaigns, senders and templates, sends nobody knows the end of, replies to answer."""

from typing import Any

from webapp.platform import tenancy
from webapp.platform.db import rows

LISTED = 5


def somebody() -> list[Any]:
    """Returns what needs a person: kind (campaign, sender, template, unknown or replies), id and name of a thing that is
    held, reason, and n for what is only counted. Nothing is listed that is not there."""
    return rows(
        """
        (SELECT 'campaign' AS kind, id, name, hold_reason AS reason, 1 AS n FROM campaigns
         WHERE org_id = :org AND status = 'paused' AND hold_reason IS NOT NULL ORDER BY priority, id LIMIT :listed)
        UNION ALL
        (SELECT 'sender', id, name, hold_reason, 1 FROM senders
         WHERE org_id = :org AND held_at IS NOT NULL ORDER BY id LIMIT :listed)
        UNION ALL
        (SELECT 'template', id, name, hold_reason, 1 FROM templates
         WHERE org_id = :org AND hold_reason IS NOT NULL ORDER BY id LIMIT :listed)
        UNION ALL
        SELECT 'unknown', NULL, NULL, NULL, count(*)::int FROM sends
         WHERE org_id = :org AND status = 'unknown' HAVING count(*) > 0
        UNION ALL
        SELECT 'replies', NULL, NULL, NULL, count(*)::int FROM inbound_messages
         WHERE org_id = :org AND handled_at IS NULL HAVING count(*) > 0
        """,
        org=tenancy.current_org(), listed=LISTED,
    )  # fmt: skip
