"""Health of senders: a score from how their messages of the last seven days went, and the brake where it goes wrong.

score = 100 - trust * (errors + complaints + unknown), never below 0, where
  trust      = n / (n + 20) for n messages that came to an end: few say little;
  errors     = 60 * min(1, (failed + bounced) / n / 0.2): a fifth failing is a sender that does not work;
  complaints = complaints per sent message, 0 points at none, 20 at 0.10 % (where Gmail wants them), 80 from 0.30 % on
               (where it never wants them), in a straight line between;
  unknown    = 20 * min(1, unknown / n / 0.1): the line to the provider breaks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.messaging import policy, sender_figures, senders
from webapp.messaging.meters import HEALTH
from webapp.messaging.senders import Sender
from webapp.platform import tenancy, work
from webapp.platform.db import one, run, value

TRUST = 20
ERRORS, ERROR_RATE = 60, 0.2
WANTED, NEVER = (0.001, 20), (0.003, 80)  # complaints per sent message, points
UNKNOWN, UNKNOWN_RATE = 20, 0.1


@dataclass(frozen=True)
class Health:
    """score: 0 to 100. reasons: what costs it points, in words, the worst first."""

    score: int
    reasons: tuple[str, ...]


def of(sums: Any) -> Health:
    """Returns the health that a sender's sums of seven days (sent, failed, unknown, bounced, complaints) speak of."""
    n = sums.sent + sums.failed + sums.unknown
    if n <= 0:
        return Health(100, ())
    errors = sums.failed + sums.bounced
    complaint_rate = sums.complaints / max(sums.sent, 1)
    costs = (
        (ERRORS * min(1, errors / n / ERROR_RATE), f"{errors:,} of {n:,} failed or bounced ({_percent(errors / n)})"),
        (
            _complaint_points(complaint_rate),
            f"{sums.complaints:,} complaint{'s' * (sums.complaints != 1)} ({_percent(complaint_rate, 2)})",
        ),
        (UNKNOWN * min(1, sums.unknown / n / UNKNOWN_RATE), f"nobody knows of {sums.unknown:,} whether they went out"),
    )
    trust = n / (n + TRUST)
    score = max(0, round(100 - trust * sum(points for points, _ in costs)))
    return Health(score, tuple(words for points, words in sorted(costs, reverse=True) if points * trust >= 0.5))


def _complaint_points(rate: float) -> float:
    (low, few), (high, many) = WANTED, NEVER
    if rate <= low:
        return few * rate / low
    return few + (many - few) * min(1, (rate - low) / (high - low))


def _percent(rate: float, digits: int = 1) -> str:
    return f"{rate * 100:.{digits}f} %"


def refresh() -> int:
    """Brings score and usage of the organisation's senders up to date, and holds those that go wrong. Returns how many
    senders it looked at. Their `updated_at` stays: it says when somebody changed them."""
    looked = list(sender_figures.weeks().values())
    run(
        "UPDATE senders s SET health_score = n.score, used_last_24h = n.used"
        " FROM (SELECT id, COALESCE(f.score, 100) AS score, COALESCE(f.used, 0) AS used FROM senders"
        "  LEFT JOIN unnest(CAST(:ids AS bigint[]), CAST(:scores AS int[]), CAST(:used AS int[])) AS f (id, score, used)"
        "  USING (id) WHERE org_id = :org) n"
        " WHERE s.org_id = :org AND s.id = n.id AND (s.health_score, s.used_last_24h) IS DISTINCT FROM (n.score, n.used)",
        org=tenancy.current_org(), ids=[row.id for row in looked], scores=[of(row).score for row in looked],
        used=[row.used for row in looked],
    )  # fmt: skip
    for row in looked:
        auto_hold(row)
    work.settle(HEALTH, next_at)
    return len(looked)


def next_at() -> datetime | None:
    """Returns when the organisation's senders are to be looked at again: soon while they send, by the hour while there
    is still something to forget; None after that."""
    return value(
        "SELECT CASE WHEN max(minute) > now() - interval '1 hour' THEN now() + interval '5 minutes'"
        " WHEN max(minute) > now() - interval '8 days' THEN now() + interval '1 hour' END"
        " FROM sender_minutes WHERE org_id = :org",
        org=tenancy.current_org(),
    )


def auto_hold(sender: Sender | Any) -> bool:
    """Holds a sender (anything with its id) where more of its messages of the last hour, or else of the last 24 hours, go
    wrong than the organisation's policy lets pass. Returns whether it was held just now.

    What was told before a person last let it go on does not count again. One query, by the sender's own minutes.
    """
    found = one(
        f"SELECT {_sums('24 hours', 'day')}, {_sums('60 minutes', 'hour')}, max(o.sending_policy::text)::jsonb AS sending_policy"
        " FROM senders s JOIN organizations o ON o.id = s.org_id JOIN sender_minutes m ON m.org_id = s.org_id"
        " AND m.sender_id = s.id AND m.minute > GREATEST(now() - interval '24 hours',"
        "  COALESCE(CAST(s.config ->> 'judged_from' AS timestamptz), now() - interval '24 hours'))"
        " WHERE s.org_id = :org AND s.id = :id AND s.held_at IS NULL",
        org=tenancy.current_org(), id=sender.id,
    )  # fmt: skip
    reason = next(_reasons(found, policy.of(found)), None)
    return reason is not None and senders.hold(sender.id, reason)


def _sums(span: str, name: str) -> str:
    measures = ("sent", "failed", "unknown", "bounced", "complaints")
    since = f"FILTER (WHERE minute > now() - interval '{span}')"
    return ", ".join(
        f"GREATEST(COALESCE(sum({measure}) {since}, 0), 0)::int AS {name}_{measure}" for measure in measures
    )


def _reasons(found: Any, limits: policy.Policy) -> Iterator[str]:
    for name, span in (("hour", "an hour"), ("day", "24 hours")):
        sent, failed, unknown, bounced, complaints = (
            getattr(found, f"{name}_{measure}") for measure in ("sent", "failed", "unknown", "bounced", "complaints")
        )
        n = sent + failed + unknown
        if n < limits.error_sample:
            continue
        what = "bounced" if not failed else "failed" if not bounced else "failed or bounced"
        if failed + bounced > limits.error_rate * n:
            yield (
                f"{failed + bounced:,} of the last {n:,} messages {what} ({_percent((failed + bounced) / n, 0)}) within"
                f" {span}: more than the {_percent(limits.error_rate, 0)} you let"
                " pass. Look at its recent problems before it goes on."
            )
        if complaints > limits.complaint_rate * max(sent, 1):
            yield (
                f"{complaints:,} of the last {sent:,} messages brought a complaint ({_percent(complaints / max(sent, 1), 2)})"
                f" within {span}: more than the"
                f" {_percent(limits.complaint_rate, 2)} you let pass. Look at whom you write to before it goes on."
            )
