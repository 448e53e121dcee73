"""Pacing by callbacks: no more messages a day than the calls they lead to that the agents on duty can take."""

from webapp.messaging import policy
from webapp.platform.db import one, value
from webapp.platform.organizations import current

LEARN_DAYS = 90
# Before anything is known: one call asked for in fifty messages, which a few hundred real ones soon outweigh.
PRIOR_CALLS, PRIOR_SENT = 1, 50


def rate() -> float:
    """Returns the fraction of messages that lead to a call, as learned over LEARN_DAYS: (calls + prior) / (sent + prior).
    A call is a reply that asks for one, or shows interest."""
    found = one(
        "SELECT (SELECT count(*) FROM inbound_messages WHERE intent IN ('callback', 'interested') AND send_id IS NOT NULL"
        " AND received_at > now() - :days * interval '1 day') AS calls,"
        " (SELECT COALESCE(sum(sent), 0) FROM campaign_daily"
        " WHERE on_date > current_date - CAST(:days AS int)) AS sent",
        days=LEARN_DAYS,
    )
    return float((found.calls + PRIOR_CALLS) / (found.sent + PRIOR_SENT))


def agents(*, on_duty: bool) -> int:
    """Returns how many agents there are, or only those who take calls now."""
    return value(
        "SELECT count(*) FROM users WHERE role = 'agent' AND is_active"
        " AND (NOT :on_duty OR agent_status IN ('available', 'busy'))",
        on_duty=on_duty,
    )


def daily_limit(*, on_duty: bool = True) -> int:
    """Returns how many messages a day lead to no more calls than the agents can take; 0 where there is nobody."""
    capacity = agents(on_duty=on_duty) * policy.of(current()).calls_per_agent
    return int(capacity / rate())
