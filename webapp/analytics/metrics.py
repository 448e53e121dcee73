"""Figures for a monitor, in the text format of Prometheus: of one organisation, and of the process that is asked."""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any

from webapp.analytics import delivery_report, marketing_report
from webapp.messaging.meters import MEASURES
from webapp.platform import tenancy
from webapp.platform.clock import from_local, local, now
from webapp.platform.db import db, one, rows

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "canvass"
Sample = tuple[dict[str, str], float]


def text(zone: str, jobs: Iterable[str]) -> str:
    """Returns the figures. zone: the organisation's; jobs: names of those that run once for the whole house."""
    well = marketing_report.health(zone)
    families: list[tuple[str, str, list[Sample]]] = [
        ("messages_today", "Messages of the local day by channel and how they went", _today(zone)),
        ("messages_per_minute", "Messages sent a minute, over the last five whole minutes", [({}, _per_minute())]),
        ("batches_last_minute", "Batches of the day that got somewhere within the last minute", [({}, _moving(zone))]),
        *(
            (name, words, [({}, well[key])])
            for name, key, words in (
                ("pending", "pending", "Messages due and not claimed"),
                ("sending", "sending", "Messages being sent"),
                ("unknown", "unknown", "Messages of unknown outcome, counted to 10,001"),
                ("oldest_pending_seconds", "oldest_pending_seconds", "How long the first of those due has waited"),
                ("active_campaigns", "active_campaigns", "Campaigns that send"),
                ("held_campaigns", "held_campaigns", "Campaigns that wait for a person"),
                ("held_senders", "held_senders", "Senders that wait for a person"),
            )
        ),
        ("job_age_seconds", "Since the last tick of a job began, in seconds", _ages(jobs)),
        ("db_pool_in_use", "Database connections of this process in use", [({}, db.engine.pool.checkedout())]),
    ]
    return "".join(_family(*family) for family in families)


def _family(name: str, words: str, samples: list[Sample]) -> str:
    full = f"{PREFIX}_{name}"
    lines = [f"# HELP {full} {words}", f"# TYPE {full} gauge", *(f"{full}{_labels(at)} {n:g}" if n % 1 else
             f"{full}{_labels(at)} {int(n)}" for at, n in samples)]  # fmt: skip
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    inside = ",".join(f'{name}="{_escaped(held)}"' for name, held in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(held: str) -> str:
    return held.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _today(zone: str) -> list[Sample]:
    midnight = from_local(datetime.combine(local(now(), zone).date(), time.min), zone)
    sums = ", ".join(f"COALESCE(sum(m.{name}), 0)::int AS {name}" for name in MEASURES)
    found = rows(
        f"SELECT s.channel, {sums} FROM senders s LEFT JOIN sender_minutes m ON m.org_id = s.org_id AND m.sender_id = s.id"
        " AND m.minute >= :midnight WHERE s.org_id = :org GROUP BY 1 ORDER BY 1",
        org=tenancy.current_org(), midnight=midnight,
    )  # fmt: skip
    return [({"channel": row.channel, "status": name}, getattr(row, name)) for row in found for name in MEASURES]


def _per_minute() -> float:
    return sum(minute.total for minute in delivery_report.rate()[-5:]) / 5


def _moving(zone: str) -> int:
    moved: Any = one(
        "SELECT count(*)::int AS n FROM campaign_batches WHERE org_id = :org AND send_date = :today"
        " AND moved_at > now() - interval '1 minute'",
        org=tenancy.current_org(), today=local(now(), zone).date(),
    )  # fmt: skip
    return moved.n


def _ages(jobs: Iterable[str]) -> list[Sample]:
    # One look at the end of the index for each: the rows of a job that ticks every second are a million.
    found = rows(
        "SELECT j.job, r.at FROM unnest(CAST(:jobs AS text[])) j (job) CROSS JOIN LATERAL (SELECT max(tick_at) AS at"
        " FROM job_runs WHERE job_runs.job = j.job) r WHERE r.at IS NOT NULL ORDER BY 1",
        jobs=list(jobs),
    )
    at = now().astimezone(UTC)
    return [({"job": row.job}, round((at - row.at).total_seconds(), 1)) for row in found]
