"""Lanes: what each live campaign still has to send over one channel, and what it shares with the others.

Planning, forecasting and claiming read a campaign's limits here and nowhere else.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from webapp.campaigns import pacing
from webapp.campaigns.allocation import Demand, Rooms
from webapp.campaigns.limits import WHATSAPP_DAILY
from webapp.messaging import senders, windows
from webapp.messaging.caps import Limits
from webapp.messaging.senders import Sender
from webapp.messaging.warming import daily_limit_on
from webapp.messaging.windows import Hours
from webapp.platform.clock import from_local, local, now
from webapp.platform.db import one, rows, value
from webapp.platform.organizations import Organization, current

WHATSAPP_RATE = 80  # messages a second, of a number where nothing else is known
KEPT_SECONDS = 20
# What may be laid on another day: not what waits for a moment that is known (its own hours, its turn by the frequency cap).
MOVABLE = "(s.status = 'pending' AND (s.wait_reason IS NULL OR s.wait_reason = 'switched' OR s.not_before <= now()))"
_kept: dict[tuple[Any, ...], tuple[float, Any]] = {}


@dataclass(frozen=True)
class Lane:
    """demand.key: (campaign id, channel). name: the campaign's. sender: None where the channel has none. coming: day -> how
    many messages beside the demand wait for a moment on it that is known."""

    demand: Demand
    name: str
    sender: Sender | None
    hours: Hours
    daily: int | None
    coming: dict[date, int] = field(default_factory=dict)


def today() -> date:
    """Returns the organisation's local day."""
    return local(now(), current().timezone).date()


def zone() -> str:
    """Returns the organisation's time zone."""
    return current().timezone


def day_start(day: date) -> datetime:
    """Returns when a day of the organisation begins (UTC)."""
    return from_local(datetime(day.year, day.month, day.day), current().timezone)


def daily_of(campaign: Any, channel: str, *, on_duty: bool = False) -> int | None:
    """Returns how many messages a campaign may send in a day over a channel; None for no limit. on_duty: by the agents who
    take calls now, for a claim; else by all of them, for a plan."""
    limit = campaign.daily_send_limit
    if limit is None and channel == "whatsapp":
        limit = WHATSAPP_DAILY
    if not campaign.paced_by_callbacks:
        return limit
    # What agents can take on other days is not what those on duty at this moment can.
    paced = _keep(("pace", current().id, on_duty), lambda: pacing.daily_limit(on_duty=on_duty))
    return paced if limit is None else min(limit, paced)


def rate_of(sender: Any) -> int | None:
    """Returns how many messages a second may leave a sender; None for no limit."""
    return sender.rate_per_second or (WHATSAPP_RATE if sender.channel == "whatsapp" else None)


def hours_of(channel: str, window: dict[str, Any] | None) -> Hours:
    """Returns when a campaign's channel may be used."""
    organization = current()
    key = ("hours", organization.id, organization.updated_at, channel, json.dumps(window, sort_keys=True))
    return _keep(key, lambda: windows.hours_of(organization, channel, window))


def _keep(key: tuple[Any, ...], read: Callable[[], Any]) -> Any:
    kept = _kept.get(key)
    if kept is None or kept[0] < time.monotonic():
        if len(_kept) > 1000:
            _kept.clear()
        kept = _kept[key] = (time.monotonic() + KEPT_SECONDS, read())
    return kept[1]


def sender_id_for(campaign: Any, channel: str) -> int | None:
    """Returns the sender of a campaign over a channel: its own, else the channel's default, else one that is active."""
    own = campaign.sender_id and value(
        "SELECT id FROM senders WHERE id = :id AND channel = :channel", id=campaign.sender_id, channel=channel
    )
    return own or value(
        "SELECT id FROM senders WHERE channel = :channel AND (is_default OR status IN ('active', 'warming'))"
        " ORDER BY is_default DESC, id LIMIT 1",
        channel=channel,
    )


def limits(campaign: Any, channel: str, sender: Any, people: int | None) -> Limits:
    """Returns what a claim of a campaign over a channel has to keep to. people: of the sender's portfolio."""
    organization, day = current(), today()
    return Limits(
        day=day,
        campaign_daily=daily_of(campaign, channel, on_duty=True),
        sender_daily=daily_limit_on(sender, day),
        rate=rate_of(sender),
        portfolio_id=sender.portfolio_id if channel == "whatsapp" else None,
        people=people if channel == "whatsapp" else None,
        frequency=frequency_of(organization),
        hours=hours_of(channel, campaign.send_window),
    )


def frequency_of(organization: Organization) -> tuple[int, int] | None:
    """Returns how much marketing one lead may get, as (messages, days); None for no limit."""
    cap = organization.frequency_cap or {}
    return (cap["sends"], cap["days"]) if cap.get("sends") and cap.get("days") else None


def lane(campaign: Any, channel: str, n: int, start: date) -> Lane:
    """Returns what a campaign wants to send over a channel. n: messages."""
    sender_id = sender_id_for(campaign, channel)
    sender = senders.get(sender_id) if sender_id else None
    hours = hours_of(channel, campaign.send_window)
    daily = daily_of(campaign, channel)
    if start == today() and not usable_today(hours):
        start += timedelta(days=1)
    shared: list[Hashable] = []
    if daily is not None:
        # A limit of its own counts all channels together; the one WhatsApp has by itself counts that alone.
        shared.append(("campaign", campaign.id, None if campaign.daily_send_limit else channel))
    if sender is not None:
        shared.append(("sender", sender.id))
        if channel == "whatsapp" and sender.portfolio_id:
            shared.append(("portfolio", sender.portfolio_id))
    due = local(campaign.end_at, current().timezone).date() if campaign.end_at else None
    demand = Demand(
        (campaign.id, channel), n, campaign.priority or 5, start, due, tuple(shared), hours.days
    )  # fmt: skip
    return Lane(demand, campaign.name, sender, hours, daily)


def live(*, but: int | None = None) -> list[Lane]:
    """Returns the lanes of the active and scheduled campaigns of the organisation in scope, but for one campaign's."""
    found = rows(
        "SELECT c.id, c.name, c.status, c.priority, c.sender_id, c.channels, c.daily_send_limit, c.send_window, c.end_at,"
        " c.paced_by_callbacks, c.scheduled_at, COALESCE(NULLIF(c.target_count, 0), g.estimated_size, 0) AS target_count,"
        " w.channel, w.n FROM campaigns c LEFT JOIN segments g ON g.org_id = c.org_id AND g.id = c.segment_id"
        f" LEFT JOIN LATERAL (SELECT s.channel, count(*) FILTER (WHERE {MOVABLE}) AS n FROM sends s"
        " WHERE s.org_id = c.org_id AND s.campaign_id = c.id AND s.status = 'pending' GROUP BY 1) w ON c.status = 'active'"
        " WHERE c.status IN ('active', 'scheduled') AND c.id IS DISTINCT FROM :but"
        " ORDER BY c.started_at NULLS LAST, c.id, w.channel",
        but=but,
    )
    made, coming = [], _coming(but)
    for row in found:
        if row.status == "active" and row.channel:
            made.append(replace(lane(row, row.channel, row.n, today()), coming=coming[row.id, row.channel]))
        elif row.status == "scheduled" and row.target_count:
            start = local(max(row.scheduled_at, now()), current().timezone).date()
            made.append(lane(row, row.channels[0], row.target_count, start))
    return made


def _coming(but: int | None) -> dict[tuple[int, str], dict[date, int]]:
    """Returns what is coming on the lanes of the active campaigns but one, by (campaign id, channel)."""
    found = rows(
        "SELECT s.campaign_id, s.channel, GREATEST(s.planned_on, :today) AS day, count(*)::int AS n FROM campaigns c"
        " JOIN sends s ON s.org_id = c.org_id AND s.campaign_id = c.id AND s.status = 'pending'"
        f" WHERE c.status = 'active' AND NOT {MOVABLE} AND c.id IS DISTINCT FROM :but GROUP BY 1, 2, 3",
        today=today(), but=but,
    )  # fmt: skip
    coming: dict[tuple[int, str], dict[date, int]] = defaultdict(dict)
    for row in found:
        coming[row.campaign_id, row.channel][row.day] = row.n
    return coming


def rooms(lanes: list[Lane], growth: Callable[[int | None, int], int | None] = lambda people, _: people) -> Rooms:
    """Returns how many messages each shared thing takes on a day, less what it took today and what is coming. growth:
    (people a portfolio may write to, days from now) -> people."""
    base = today()
    coming: Counter[tuple[Hashable, date]] = Counter()
    for lane in lanes:
        for shared in lane.demand.resources:
            coming.update({(shared, day): n for day, n in lane.coming.items()})
    by_sender = {lane.sender.id: lane for lane in lanes if lane.sender is not None}
    dailies = {shared: lane.daily for lane in lanes for shared in lane.demand.resources if shared[0] == "campaign"}
    known: dict[Hashable, int | None] = {}

    def room(shared: Hashable, day: date) -> int | None:
        kind, row_id = shared[0], shared[1]
        if kind == "campaign":
            limit = dailies[shared]
        elif kind == "sender":
            limit = sender_room(by_sender[row_id], day)
        else:
            if shared not in known:
                known[shared] = value("SELECT daily_people FROM portfolios WHERE id = :id", id=row_id)
            limit = growth(known[shared], (day - base).days)
        if limit is None:
            return None
        gone = _used_today(kind, row_id) if day == base else 0
        return max(limit - gone - coming[shared, day], 0)

    return room


def sender_room(lane: Lane, day: date) -> int | None:
    """Returns how many messages the sender of a lane takes on a day, by its daily limit and by its rate; None for no limit."""
    limit, rate = daily_limit_on(lane.sender, day), rate_of(lane.sender)
    if rate is None:
        return limit
    seconds = max(lane.hours.closes - lane.hours.opens, 1) * 60
    return rate * seconds if limit is None else min(limit, rate * seconds)


USED_TODAY = {
    "campaign": "SELECT GREATEST(claimed, sent) AS n FROM campaign_batches WHERE campaign_id = :id AND send_date = :day",
    "sender": "SELECT GREATEST(COALESCE(sum(claimed), 0), COALESCE(sum(sent + unknown), 0))::bigint AS n"
    " FROM sender_minutes WHERE sender_id = :id AND minute >= :since",
    "portfolio": "SELECT count(*) AS n FROM portfolio_people WHERE portfolio_id = :id AND last_at >= :since",
}


def _used_today(kind: str, row_id: int) -> int:
    day = today()
    found = one(USED_TODAY[kind], id=row_id, **({"day": day} if kind == "campaign" else {"since": day_start(day)}))
    return found.n if found else 0


def closed_days(days: int = 400) -> frozenset[date]:
    """Returns the coming holidays of the organisation's own country."""
    first = today()
    found = rows(
        "SELECT on_date FROM holidays WHERE country = :country AND on_date BETWEEN :first AND :last",
        country=current().country, first=first, last=first + timedelta(days=days),
    )  # fmt: skip
    return frozenset(row.on_date for row in found)


def opens_on(hours: Hours, day: date, first: datetime) -> datetime:
    """Returns when messages of a day become due (UTC): at the opening by the organisation's clock, not before `first`.
    Those whose own clock says otherwise then wait for it at their claim."""
    midnight = datetime(day.year, day.month, day.day)
    at = from_local(midnight + timedelta(minutes=hours.opens % windows.DAY), current().timezone)
    return max(at, first)


def usable_today(hours: Hours) -> bool:
    """True if there is time left today in which messages may go out, by the organisation's clock."""
    clock = local(now(), current().timezone)
    return clock.hour * 60 + clock.minute < hours.closes
