"""What is going out, how fast, and what is stuck: read from plans, meters, counters and the small indexes of sends,
never by counting over all sends."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from webapp.audience.consents import CHANNELS
from webapp.messaging import advice
from webapp.messaging.advice import Advice
from webapp.platform import tenancy
from webapp.platform.clock import from_local, local, now
from webapp.platform.db import rows, value

COUNT_LIMIT = 10_000  # more than so many waiting (of one campaign) or unknown is told as "more"
FAILURES_LIMIT = 50_000  # failures looked at, the latest
FAILURE_DAYS = 7
NEXT_DAYS = 14
RATE_MINUTES = 60


@dataclass(frozen=True)
class Queue:
    """One channel. waiting: due now (is_more: at least so many); oldest: since when the first of them is due."""

    channel: str
    waiting: int
    is_more: bool
    oldest: datetime | None
    sending: int
    planned: int
    sent: int


@dataclass(frozen=True)
class Minute:
    """What left in one minute (its start, UTC), by channel."""

    at: datetime
    sent: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.sent.values())


@dataclass(frozen=True)
class Failure:
    """What went wrong in the same way. n: how many."""

    channel: str
    status: str
    code: str | None
    n: int

    @property
    def advice(self) -> Advice:
        return advice.of(self.channel, self.code)


def queues(zone: str) -> list[Queue]:
    """Returns what waits and goes on each channel. zone: the organisation's, whose midnight begins the day."""
    waits = {row.channel: row for row in _waiting()}
    sending = {
        row.channel: row.n
        for row in rows(
            "SELECT channel, count(*)::int AS n FROM sends WHERE org_id = :org AND status = 'sending' GROUP BY 1",
            org=_org(),
        )
    }
    today = local(now(), zone).date()
    planned, sent = _planned(today), _sent_since(from_local(datetime.combine(today, time.min), zone))
    return [
        Queue(
            channel=channel,
            waiting=waits[channel].n if channel in waits else 0,
            is_more=channel in waits and waits[channel].is_more,
            oldest=waits[channel].oldest if channel in waits else None,
            sending=sending.get(channel, 0),
            planned=planned.get(channel, 0),
            sent=sent.get(channel, 0),
        )
        for channel in CHANNELS
    ]


def _org() -> int | None:
    return tenancy.current_org()


def _waiting() -> list[Any]:
    """Returns channel, n, is_more and oldest of what is due of campaigns that send, and of what belongs to none."""
    due = (
        "SELECT s.not_before FROM sends s WHERE s.org_id = :org AND s.campaign_id {whose} AND s.channel = ch.channel"
        " AND s.status = 'pending' AND s.not_before <= now() ORDER BY s.not_before LIMIT :limit"
    )
    counted = (
        "SELECT ch.channel, d.n, d.oldest FROM {of} CROSS JOIN LATERAL"
        " (SELECT count(*)::int AS n, min(not_before) AS oldest FROM ({due}) w) d"
    )
    channels = "unnest(CAST(:channels AS text[])) ch (channel)"
    of_campaigns = f"campaigns c CROSS JOIN {channels}"
    return rows(
        "SELECT channel, LEAST(sum(n), :limit)::int AS n, bool_or(n >= :limit) AS is_more, min(oldest) AS oldest FROM ("
        + counted.format(of=of_campaigns, due=due.format(whose="= c.id"))
        + " WHERE c.org_id = :org AND c.status = 'active' UNION ALL "
        + counted.format(of=channels, due=due.format(whose="IS NULL"))
        + ") waiting GROUP BY channel",
        org=_org(), limit=COUNT_LIMIT, channels=list(CHANNELS),
    )  # fmt: skip


def _planned(today: date) -> dict[str, int]:
    found = rows(
        "SELECT c.channels[1] AS channel, sum(b.batch_size)::int AS n FROM campaign_batches b"
        " JOIN campaigns c ON c.org_id = b.org_id AND c.id = b.campaign_id"
        " WHERE b.org_id = :org AND b.send_date = :today AND c.status IN ('active', 'paused', 'completed') GROUP BY 1",
        org=_org(), today=today,
    )  # fmt: skip
    return {row.channel: row.n for row in found}


def _sent_since(moment: datetime) -> dict[str, int]:
    found = rows(
        "SELECT s.channel, COALESCE(sum(m.sent), 0)::int AS n FROM senders s JOIN sender_minutes m"
        " ON m.org_id = s.org_id AND m.sender_id = s.id AND m.minute >= :since WHERE s.org_id = :org GROUP BY 1",
        org=_org(), since=moment,
    )  # fmt: skip
    return {row.channel: row.n for row in found}


def rate() -> list[Minute]:
    """Returns the last 60 whole minutes, the oldest first."""
    last = now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    first = last - timedelta(minutes=RATE_MINUTES - 1)
    minutes: dict[datetime, dict[str, int]] = {first + timedelta(minutes=n): {} for n in range(RATE_MINUTES)}
    found = rows(
        "SELECT m.minute, s.channel, sum(m.sent)::int AS n FROM senders s JOIN sender_minutes m"
        " ON m.org_id = s.org_id AND m.sender_id = s.id AND m.minute BETWEEN :first AND :last"
        " WHERE s.org_id = :org AND m.sent > 0 GROUP BY 1, 2",
        org=_org(), first=first, last=last,
    )  # fmt: skip
    for row in found:
        minutes[row.minute][row.channel] = row.n
    return [Minute(at, sent) for at, sent in minutes.items()]


def held_campaigns() -> list[Any]:
    """Returns the campaigns that wait for a person: id, name, hold_reason, paused_at, remaining, the longest first."""
    return rows(
        "SELECT c.id, c.name, c.hold_reason, c.paused_at, GREATEST(COALESCE(a.total_planned - a.total_sent"
        " - a.total_failed - a.total_unknown - a.total_skipped, 0), 0)::int AS remaining FROM campaigns c"
        " LEFT JOIN campaign_analytics a ON a.org_id = c.org_id AND a.campaign_id = c.id"
        " WHERE c.org_id = :org AND c.status = 'paused' AND c.hold_reason IS NOT NULL ORDER BY c.paused_at, c.id",
        org=_org(),
    )


def held_senders() -> list[Any]:
    """Returns the senders that wait for a person: id, name, address, channel, held_at, hold_reason."""
    return rows(
        "SELECT id, name, address, channel, held_at, hold_reason FROM senders WHERE org_id = :org"
        " AND held_at IS NOT NULL ORDER BY held_at, id",
        org=_org(),
    )


def held_templates() -> list[Any]:
    """Returns the templates that nothing is sent with until a person has looked: id, name, hold_reason."""
    return rows(
        "SELECT id, name, hold_reason FROM templates WHERE org_id = :org AND hold_reason IS NOT NULL"
        " ORDER BY lower(name), id LIMIT 100",
        org=_org(),
    )


def resting_senders() -> list[Any]:
    """Returns the senders that wait a while before they go on by themselves: id, name, address, rate_limited_until,
    last_error."""
    return rows(
        "SELECT id, name, address, rate_limited_until, last_error FROM senders WHERE org_id = :org AND held_at IS NULL"
        " AND status IN ('active', 'warming') AND rate_limited_until > now() ORDER BY rate_limited_until, id",
        org=_org(),
    )


def unknown() -> int:
    """Returns how many sends nobody knows the outcome of, counted to COUNT_LIMIT and one more."""
    return value(
        "SELECT count(*) FROM (SELECT FROM sends WHERE org_id = :org AND status = 'unknown' LIMIT :limit) u",
        org=_org(), limit=COUNT_LIMIT + 1,
    )  # fmt: skip


def unknown_of_campaign(campaign_id: int) -> int:
    """Returns how many sends of a campaign are unknown now."""
    return value(
        "SELECT count(*) FROM sends WHERE org_id = :org AND status = 'unknown' AND campaign_id = :id",
        org=_org(), id=campaign_id,
    )  # fmt: skip


def campaigns_with_unknown() -> list[Any]:
    """Returns the campaigns (id, name) that have unknown sends, by name."""
    return rows(
        "SELECT c.id, c.name FROM campaigns c JOIN (SELECT DISTINCT campaign_id FROM sends WHERE org_id = :org"
        " AND status = 'unknown' AND campaign_id IS NOT NULL) u ON u.campaign_id = c.id"
        " WHERE c.org_id = :org ORDER BY lower(c.name), c.id LIMIT 200",
        org=_org(),
    )


def failures() -> list[Failure]:
    """Returns what went wrong in the last 7 days, the most frequent first (of the latest FAILURES_LIMIT)."""
    found = rows(
        "SELECT channel, status, error_code, count(*)::int AS n FROM (SELECT channel, status, error_code FROM sends"
        " WHERE org_id = :org AND status IN ('failed', 'bounced') AND updated_at > now() - :days * interval '1 day'"
        " ORDER BY updated_at DESC LIMIT :limit) f GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 2, 3 LIMIT 50",
        org=_org(), days=FAILURE_DAYS, limit=FAILURES_LIMIT,
    )  # fmt: skip
    return [Failure(row.channel, row.status, row.error_code, row.n) for row in found]


def schedule(on: date) -> list[Any]:
    """Returns a day's batches, the most urgent first: campaign_id, campaign_name, campaign_status, priority,
    batch_number, batches (how many the campaign has), batch_size, sent, remaining, status."""
    return rows(
        "SELECT v.*, (SELECT max(b.batch_number) FROM campaign_batches b WHERE b.org_id = v.org_id"
        " AND b.campaign_id = v.campaign_id) AS batches FROM v_daily_campaign_schedule v"
        " WHERE v.org_id = :org AND v.send_date = :on AND v.campaign_status <> 'archived'"
        " ORDER BY v.priority, v.campaign_name, v.campaign_id LIMIT 100",
        org=_org(), on=on,
    )  # fmt: skip


def next_days(today: date) -> list[Any]:
    """Returns the days after today on which something is planned: on, n (still to send), campaigns (how many)."""
    return rows(
        'SELECT b.send_date AS "on", sum(b.remaining)::int AS n, count(*)::int AS campaigns FROM campaign_batches b'
        " JOIN campaigns c ON c.org_id = b.org_id AND c.id = b.campaign_id AND c.status IN ('active', 'paused')"
        " WHERE b.org_id = :org AND b.send_date > :today AND b.send_date <= CAST(:today AS date) + CAST(:days AS int)"
        " AND b.remaining > 0 GROUP BY 1 ORDER BY 1",
        org=_org(), today=today, days=NEXT_DAYS,
    )  # fmt: skip
