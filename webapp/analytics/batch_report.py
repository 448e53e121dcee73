"""How the batches of campaigns stand: read from their own counters, never by counting sends."""

from datetime import date
from typing import Any

from webapp.platform import tenancy
from webapp.platform.db import one, rows

NEAR = 8  # batches shown beside the figures; the others stand on a page of their own
BATCH = "b.send_date, b.batch_number, b.batch_size, b.claimed, b.sent, b.done, b.remaining, b.status"


def near(campaign_id: int, today: date) -> list[Any]:
    """Returns the batches around today: the last two before it, today's, and the next ones."""
    return rows(
        f"SELECT {BATCH} FROM campaign_batches b WHERE b.org_id = :org AND b.campaign_id = :id AND b.send_date >= COALESCE("
        " (SELECT min(send_date) FROM (SELECT send_date FROM campaign_batches WHERE org_id = :org AND campaign_id = :id"
        "  AND send_date < :today ORDER BY send_date DESC LIMIT 2) p), :today) ORDER BY b.send_date LIMIT :limit",
        org=tenancy.current_org(), id=campaign_id, today=today, limit=NEAR,
    )  # fmt: skip


def standing(campaign_id: int, today: date) -> Any:
    """Returns batches and days (how many there are and how many are left), ends (the last day with something left),
    today_sent and today_size (None where nothing is planned for today)."""
    return one(
        "SELECT count(*)::int AS batches, count(*) FILTER (WHERE remaining > 0)::int AS days,"
        " max(send_date) FILTER (WHERE remaining > 0) AS ends,"
        " max(sent) FILTER (WHERE send_date = :today) AS today_sent,"
        " max(batch_size) FILTER (WHERE send_date = :today) AS today_size"
        " FROM campaign_batches WHERE org_id = :org AND campaign_id = :id",
        org=tenancy.current_org(), id=campaign_id, today=today,
    )  # fmt: skip


def next_waiting(campaign_id: int, channels: list[str]) -> Any:
    """Returns wait_reason and not_before of the campaign's next pending send; None where nothing is pending."""
    return one(
        "SELECT n.wait_reason, n.not_before FROM unnest(CAST(:channels AS text[])) AS c (channel) CROSS JOIN LATERAL"
        " (SELECT s.wait_reason, s.not_before, s.id FROM sends s WHERE s.org_id = :org AND s.campaign_id = :id"
        " AND s.status = 'pending' AND s.channel = c.channel ORDER BY s.not_before, s.id LIMIT 1) n"
        " ORDER BY n.not_before, n.id LIMIT 1",
        org=tenancy.current_org(), id=campaign_id, channels=channels,
    )  # fmt: skip


def sending(today: date, limit: int = 5) -> list[Any]:
    """Returns the campaigns that are scheduled, active or paused, the most urgent first: id, name, status, priority,
    scheduled_at, hold_reason, daily_send_limit, planned, ended, ends, today_sent, today_size."""
    return rows(
        "SELECT c.id, c.name, c.status, c.priority, c.scheduled_at, c.hold_reason, c.daily_send_limit,"
        " COALESCE(a.total_planned, 0) AS planned,"
        " COALESCE(a.total_sent + a.total_failed + a.total_unknown + a.total_skipped, 0) AS ended,"
        " (SELECT max(b.send_date) FROM campaign_batches b WHERE b.org_id = c.org_id AND b.campaign_id = c.id"
        "  AND b.remaining > 0) AS ends, t.sent AS today_sent, t.batch_size AS today_size"
        " FROM campaigns c LEFT JOIN campaign_analytics a ON a.org_id = c.org_id AND a.campaign_id = c.id"
        " LEFT JOIN campaign_batches t ON t.org_id = c.org_id AND t.campaign_id = c.id AND t.send_date = :today"
        " WHERE c.org_id = :org AND c.status IN ('active', 'paused', 'scheduled')"
        " ORDER BY array_position(ARRAY['active', 'paused', 'scheduled'], c.status), c.priority, c.id LIMIT :limit",
        org=tenancy.current_org(), today=today, limit=limit,
    )  # fmt: skip
