"""Judging: what becomes of a due send when it is claimed: it is sent, skipped, or waits; the parts of the statement that
claims."""

from dataclasses import dataclass
from typing import Any

from webapp.audience.consents import verdict, verdict_joins
from webapp.messaging import windows
from webapp.messaging.caps import Limits
from webapp.messaging.windows import Hours

# What the frequency cap counts: marketing, on its way or gone. What went before claims were dated has the time it went.
HEARD = "kind IN ('campaign', 'drip', 'automation') AND status NOT IN ('pending', 'skipped', 'failed')"
HEARD_AT = "COALESCE(claimed_at, sent_at)"
# p: org_id, lead_id and the id of the send that is judged.
LATELY = f"""LEFT JOIN LATERAL (
            SELECT count(*) AS n, min(at) AS first_at FROM (
                SELECT {HEARD_AT} AS at FROM sends e
                WHERE e.org_id = p.org_id AND e.lead_id = p.lead_id AND e.id <> p.id AND {HEARD}
                    AND {HEARD_AT} > now() - :frequency_days * interval '1 day'
                ORDER BY 1 DESC LIMIT :frequency_n) latest) lately ON true"""
# Whether to wait for one's turn, and until when.
TURN = "lately.n >= :frequency_n", "lately.first_at + :frequency_days * interval '1 day'"
# Two leads of one campaign that turned out to be one person, who hears of it once: by the message that is out, or else
# by the one that was planned first.
TWICE = """EXISTS (SELECT FROM lead_merges m WHERE m.org_id = p.org_id AND m.kept_id = p.lead_id AND m.undone_at IS NULL)
                         AND EXISTS (SELECT FROM sends o WHERE o.org_id = p.org_id AND o.lead_id = p.lead_id
                             AND o.campaign_id = p.campaign_id AND o.id <> p.id AND (o.status = 'pending' AND o.id < p.id
                                 OR o.status NOT IN ('pending', 'skipped', 'failed')))"""
CLOCKS = """clocks AS MATERIALIZED (
            SELECT * FROM unnest(CAST(:clock_keys AS text[]), CAST(:clock_open AS boolean[]), CAST(:clock_never AS boolean[]),
                CAST(:clock_opens AS timestamptz[]), CAST(:clock_first AS date[]), CAST(:clock_last AS date[]),
                CAST(:clock_tomorrow AS timestamptz[])) AS c (key, is_open, never, opens_at, first_day, last_day, tomorrow)), """
CLOCK_JOINS = """LEFT JOIN clocks zt ON zt.key = l.timezone
            LEFT JOIN clocks zc ON zc.key = 'country:' || l.country
            LEFT JOIN clocks zh ON zh.key = :clock_home"""


def _clock(column: str) -> str:
    return f"COALESCE(zt.{column}, zc.{column}, zh.{column})"


HOLIDAY = (
    "EXISTS (SELECT FROM holidays h WHERE h.org_id = p.org_id AND h.on_date"
    f" BETWEEN {_clock('first_day')} AND {_clock('last_day')}"
    " AND h.country = CASE WHEN zc.key IS NULL THEN :clock_country ELSE l.country END)"
)


@dataclass(frozen=True)
class Judgement:
    """tables: CTEs that come first. joins: behind `FROM picked p LEFT JOIN leads l`. skip: SQL of the reason to skip, or
    NULL. waits, until: SQL of what it waits for and how long, or NULL. values: bound parameters."""

    tables: str
    joins: str
    skip: str
    waits: str
    until: str
    values: dict[str, Any]


def judgement(channel: str, limits: Limits | None, *, confirming: bool = False) -> Judgement:
    """Returns how the sends of a channel are judged."""
    address = "l.email_key" if channel == "email" else "l.phone"
    skip = f"""CASE WHEN l.id IS NULL THEN 'lead_removed'
                     WHEN {address} IS DISTINCT FROM p.recipient_address AND l.deleted_at IS NULL THEN 'address_changed'
                     WHEN p.expires_at <= now() THEN 'too_late'
                     WHEN {TWICE} THEN 'duplicate_address'
                     ELSE {verdict(channel, confirming=confirming)} END"""
    joins = [f"LEFT JOIN {table} ON {condition}" for table, condition in verdict_joins(channel)]
    tables, waits, values = "", [], {}
    if limits is not None and not limits.hours.always:
        tables = CLOCKS
        joins.append(CLOCK_JOINS)
        values |= _clock_values(limits.hours)
        if not all(values["clock_never"]):
            # Where it opens nowhere at all, a setting is wrong: that may be put right, and nobody is passed over for it.
            skip = f"COALESCE({skip}, CASE WHEN {_clock('never')} THEN 'no_hours' END)"
        waits.append((f"NOT {_clock('is_open')}", "quiet_hours", _clock("opens_at")))
        if limits.hours.holidays:
            waits.append((HOLIDAY, "holiday", _clock("tomorrow")))
            values["clock_country"] = limits.hours.country
    if limits is not None and limits.frequency:
        joins.append(LATELY)
        values |= {"frequency_n": limits.frequency[0], "frequency_days": limits.frequency[1]}
        waits.append((TURN[0], "frequency", TURN[1]))
    return Judgement(tables, " ".join(joins), skip, *_cases(waits), values)


def _cases(waits: list[tuple[str, str, str]]) -> tuple[str, str]:
    if not waits:
        return "NULL::text", "NULL::timestamptz"
    reason = " ".join(f"WHEN {condition} THEN '{word}'" for condition, word, _ in waits)
    until = " ".join(f"WHEN {condition} THEN {moment}" for condition, _, moment in waits)
    return f"CASE {reason} END", f"CASE {until} END"


def _clock_values(hours: Hours) -> dict[str, Any]:
    clocks = windows.clocks(hours)
    return {
        "clock_keys": clocks.keys,
        "clock_open": clocks.is_open,
        "clock_never": clocks.never,
        "clock_opens": clocks.opens_at,
        "clock_first": clocks.first_day,
        "clock_last": clocks.last_day,
        "clock_tomorrow": clocks.tomorrow,
        "clock_home": f"country:{hours.country}",
    }
