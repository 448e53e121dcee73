"""Caps: how many messages may leave now. They live in the database, are taken in the transaction that claims, under the
locks of the rows that count them, and are given back only by what provably did not go out.

Always locked in this order: frequency, the campaign's day, the sender's meter, the portfolio. A rolling day counts a claim
until the last moment at which its messages may have left is a day ago.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from webapp.messaging import meters
from webapp.messaging.windows import Hours
from webapp.platform import tenancy
from webapp.platform.db import one, run, value

LEASE_SECONDS = 120  # how long after its claim a message may still leave
AHEAD_SECONDS = 2  # how far ahead of the clock a sender's rate is given away
# A minute counts until it is over, and so are the leases taken in it.
ROLLING = f"interval '24 hours' + interval '{60 + LEASE_SECONDS} seconds'"
ROLLING_PEOPLE = f"interval '24 hours' + interval '{LEASE_SECONDS} seconds'"


@dataclass(frozen=True)
class Limits:
    """What a campaign's claim has to keep to. day: the organisation's local one. campaign_daily, sender_daily: messages.
    rate: messages a second. people: different people a portfolio may write to in a moving 24 hours. frequency: at most
    (n, days) marketing messages to one lead. hours: when anybody may be written to. None: no limit."""

    day: date
    campaign_daily: int | None = None
    sender_daily: int | None = None
    rate: int | None = None
    portfolio_id: int | None = None
    people: int | None = None
    frequency: tuple[int, int] | None = None
    hours: Hours = Hours()


@dataclass(frozen=True)
class Room:
    """What may be claimed now. only_free: nobody but those who take no place of the portfolio. starts_in, gap: seconds
    until the first message may leave, and between two. minute: where the sender's claim is written down. full: why there
    is no room, "" while there is."""

    n: int
    only_free: bool = False
    starts_in: float = 0
    gap: float = 0
    minute: datetime | None = None
    full: str = ""


def room(campaign_id: int | None, sender_id: int, limits: Limits, wanted: int) -> Room:
    """Locks what counts and returns how many of the wanted messages may be claimed. Without a campaign there is no limit
    of its own among them."""
    if limits.frequency:
        # Two campaigns claiming one lead at once would both see the other's message missing.
        run("SELECT pg_advisory_xact_lock(1, :org)", org=tenancy.current_org())
    if campaign_id is not None and limits.campaign_daily is not None:
        wanted = min(wanted, limits.campaign_daily - _claimed_today(campaign_id, limits.day))
        if wanted <= 0:
            return Room(0, full="campaign_daily")
    metered = _meter(sender_id, limits, wanted)
    if metered.n <= 0 or limits.people is None:
        return metered
    return _among_people(metered, limits, (tenancy.current_org(), campaign_id, sender_id))


def _claimed_today(campaign_id: int, day: date) -> int:
    found = None
    while found is None:
        ensure_batch(campaign_id, day)
        # Gone again where a plan that has nothing for today was written while we waited for the row.
        found = value(
            # What was refused was given back, and others may take its place.
            "SELECT GREATEST(claimed, sent) FROM campaign_batches WHERE org_id = :org AND campaign_id = :c"
            " AND send_date = :day FOR UPDATE",
            org=tenancy.current_org(), c=campaign_id, day=day,
        )  # fmt: skip
    return found


def ensure_batch(campaign_id: int, day: date) -> None:
    """Makes sure that a campaign has a batch for a day."""
    run(
        "INSERT INTO campaign_batches (campaign_id, send_date, batch_number) SELECT :c, :day,"
        " (SELECT count(*) + 1 FROM campaign_batches WHERE org_id = :org AND campaign_id = :c AND send_date < :day)"
        " WHERE NOT EXISTS (SELECT FROM campaign_batches WHERE org_id = :org AND campaign_id = :c AND send_date = :day)"
        " ON CONFLICT (org_id, campaign_id, send_date) DO NOTHING",
        org=tenancy.current_org(), c=campaign_id, day=day,
    )  # fmt: skip


def _meter(sender_id: int, limits: Limits, wanted: int) -> Room:
    if limits.sender_daily is None and limits.rate is None and limits.people is None:
        # Counted all the same: of a limit that somebody sets tomorrow, it is used by then.
        return Room(wanted, minute=value("SELECT date_trunc('minute', clock_timestamp())"))
    run(
        "INSERT INTO sender_meters (sender_id) SELECT :s WHERE NOT EXISTS (SELECT FROM sender_meters"
        " WHERE org_id = :org AND sender_id = :s) ON CONFLICT (org_id, sender_id) DO NOTHING",
        org=tenancy.current_org(), s=sender_id,
    )  # fmt: skip
    # The clock is read behind the lock: the transaction's own may be older than what others wrote meanwhile.
    meter = one(
        "SELECT date_trunc('minute', clock_timestamp()) AS minute,"
        " GREATEST(EXTRACT(EPOCH FROM next_free_at - clock_timestamp()), 0)::float8 AS starts_in"
        " FROM sender_meters WHERE org_id = :org AND sender_id = :s FOR UPDATE",
        org=tenancy.current_org(), s=sender_id,
    )  # fmt: skip
    if limits.sender_daily is not None:
        wanted = min(wanted, limits.sender_daily - used(sender_id))
        if wanted <= 0:
            return Room(0, full="sender_daily")
    if limits.rate is None:
        return Room(wanted, minute=meter.minute)
    starts_in = meter.starts_in or 0.0
    n = min(wanted, max(1, int(limits.rate * (AHEAD_SECONDS - starts_in))))
    if starts_in >= AHEAD_SECONDS:
        return Room(0, full="rate")
    return Room(n, starts_in=starts_in, gap=1 / limits.rate, minute=meter.minute)


def book(sender_id: int | None, gap: float, n: int) -> float | None:
    """Takes n more moments of a sender's rate, `gap` seconds apart, for messages whose own have gone by. Returns seconds
    until the first; None where too many are given away already."""
    return value(
        "UPDATE sender_meters SET next_free_at = GREATEST(next_free_at, clock_timestamp()) + :taken * interval '1 second'"
        " WHERE org_id = :org AND sender_id = :s"
        " AND next_free_at < clock_timestamp() + :ahead * interval '1 second' RETURNING"
        " GREATEST(EXTRACT(EPOCH FROM next_free_at - clock_timestamp())::float8 - :taken, 0)",
        taken=n * gap, org=tenancy.current_org(), s=sender_id, ahead=AHEAD_SECONDS,
    )  # fmt: skip


def used(sender_id: int) -> int:
    """Returns how many messages of a sender count against its limit of a rolling 24 hours."""
    return value(
        # What went out before there was a limit counts as well.
        "SELECT GREATEST(COALESCE(sum(claimed), 0), COALESCE(sum(sent + unknown), 0))::bigint"
        " FROM sender_minutes WHERE org_id = :org AND sender_id = :s"
        f" AND minute > clock_timestamp() - ({ROLLING})",
        org=tenancy.current_org(), s=sender_id,
    )  # fmt: skip


def people_used(portfolio_id: int) -> int:
    """Returns how many different people count against a portfolio's limit of a moving 24 hours."""
    return value(
        "SELECT count(*) FROM portfolio_people WHERE org_id = :org AND portfolio_id = :p"
        f" AND last_at > now() - ({ROLLING_PEOPLE})",
        org=tenancy.current_org(), p=portfolio_id,
    )  # fmt: skip


def _among_people(metered: Room, limits: Limits, key: tuple[int | None, int | None, int]) -> Room:
    run(
        "SELECT id FROM portfolios WHERE org_id = :org AND id = :p FOR NO KEY UPDATE",
        org=tenancy.current_org(),
        p=limits.portfolio_id,
    )
    left = limits.people - people_used(limits.portfolio_id)
    if left > 0:
        return Room(min(metered.n, left), False, metered.starts_in, metered.gap, metered.minute)
    n = 0 if time.monotonic() < _none_free.get(key, 0) else metered.n
    return Room(n, True, metered.starts_in, metered.gap, metered.minute, "people")


def note_full(campaign_id: int, day: date) -> None:
    """Notes that a campaign is held back by a cap of ours and by nothing else: no silence that a person should hear of."""
    run(
        "UPDATE campaign_batches SET moved_at = now() WHERE org_id = :org AND campaign_id = :c AND send_date = :day"
        " AND (moved_at IS NULL OR moved_at < now() - interval '1 minute')",
        org=tenancy.current_org(), c=campaign_id, day=day,
    )  # fmt: skip


# The people who take no place of the portfolio: written to within the day already, or asked us something within the last
# 24 hours (the service window, of this very number).
FREE_PEOPLE = (
    "(SELECT w.address FROM portfolio_people w WHERE w.org_id = :org AND w.portfolio_id = :portfolio"
    f" AND w.last_at > now() - ({ROLLING_PEOPLE})"
    " UNION SELECT i.from_address FROM inbound_messages i WHERE i.org_id = :org AND i.channel = :channel"
    " AND i.sender_id = :sender AND i.received_at > now() - interval '24 hours' + interval '5 minutes')"
)
FREE_LOOK_SECONDS = 10  # a full portfolio stays full for hours, and every process asks again every second
# (organisation, campaign, sender) -> when to look for free people again, in this process.
_none_free: dict[tuple[int | None, int | None, int], float] = {}


def nobody_free(campaign_id: int | None, sender_id: int) -> None:
    """Notes that none of those who wait takes no place of the portfolio (see `Room.only_free`)."""
    if len(_none_free) > 10_000:
        _none_free.clear()
    _none_free[tenancy.current_org(), campaign_id, sender_id] = time.monotonic() + FREE_LOOK_SECONDS


def take(campaign_id: int | None, sender_id: int, limits: Limits, room: Room, token: str, addresses: list[str]) -> None:
    """Writes down what was claimed (see `room`, whose locks are still held), whether or not there is a limit yet."""
    n, org = len(addresses), tenancy.current_org()
    if campaign_id is not None:
        if limits.campaign_daily is None:
            ensure_batch(campaign_id, limits.day)
        run(
            "UPDATE campaign_batches SET claimed = claimed + :n, status = 'processing', updated_at = now()"
            " WHERE org_id = :org AND campaign_id = :c AND send_date = :day",
            n=n, org=org, c=campaign_id, day=limits.day,
        )  # fmt: skip
    if room.gap:
        run(
            "UPDATE sender_meters SET next_free_at = clock_timestamp() + :ahead * interval '1 second'"
            " WHERE org_id = :org AND sender_id = :s",
            ahead=room.starts_in + n * room.gap, org=org, s=sender_id,
        )  # fmt: skip
    if room.minute is not None:
        run(
            "INSERT INTO sender_minutes (sender_id, minute, claimed) VALUES (:s, :minute, :n)"
            " ON CONFLICT (org_id, sender_id, minute) DO UPDATE SET claimed = sender_minutes.claimed + EXCLUDED.claimed",
            s=sender_id, minute=room.minute, n=n,
        )  # fmt: skip
    if limits.portfolio_id is not None:
        _note_people(limits.portfolio_id, sender_id, token, addresses)


def _note_people(portfolio_id: int, sender_id: int, token: str, addresses: list[str]) -> None:
    run(
        "INSERT INTO portfolio_people AS p (portfolio_id, address, last_at, claim_token)"
        " SELECT :portfolio, a, clock_timestamp(), :token FROM unnest(CAST(:addresses AS text[])) AS a"
        " WHERE NOT EXISTS (SELECT FROM inbound_messages i WHERE i.org_id = :org AND i.channel = 'whatsapp'"
        " AND i.sender_id = :sender AND i.from_address = a AND i.received_at > now() - interval '24 hours' + interval '5 minutes')"
        " ORDER BY a ON CONFLICT (org_id, portfolio_id, address) DO UPDATE"
        " SET before_at = p.last_at, last_at = EXCLUDED.last_at, claim_token = EXCLUDED.claim_token",
        portfolio=portfolio_id, sender=sender_id, token=token, addresses=addresses, org=tenancy.current_org(),
    )  # fmt: skip


def give_back(claimed: Any, moved: Counter[str], addresses: list[str]) -> None:
    """Gives back what provably did not go out, and moves the batch and the sender's meters. claimed: an outbox.Claim.
    moved: status -> how many ended so. addresses: of those who got nothing. In the order of `room`."""
    limits = claimed.limits
    if limits is None:
        return
    if claimed.campaign_id is not None:
        _move_batch(claimed.campaign_id, limits, moved, len(addresses))
    if addresses and claimed.minute is not None:
        run(
            "UPDATE sender_minutes SET claimed = GREATEST(claimed - :n, 0)"
            " WHERE org_id = :org AND sender_id = :s AND minute = :minute",
            n=len(addresses), org=tenancy.current_org(), s=claimed.sender_id, minute=claimed.minute,
        )  # fmt: skip
    meters.count(claimed.sender_id, moved)
    if addresses and limits.portfolio_id is not None:
        _forget_people(limits.portfolio_id, claimed.token, addresses)


def _move_batch(campaign_id: int, limits: Limits, moved: Counter[str], back: int) -> None:
    done = moved["sent"] + moved["failed"] + moved["unknown"]
    ensure_batch(campaign_id, limits.day)
    run(
        "UPDATE campaign_batches SET claimed = GREATEST(claimed - :back, 0), sent = sent + :sent, done = done + :done,"
        " batch_size = GREATEST(batch_size, done + :done), moved_at = CASE WHEN :done > 0 THEN now() ELSE moved_at END,"
        " status = CASE WHEN done + :done >= batch_size THEN 'completed' ELSE 'processing' END, updated_at = now()"
        " WHERE org_id = :org AND campaign_id = :c AND send_date = :day",
        back=back, sent=moved["sent"], done=done,
        org=tenancy.current_org(), c=campaign_id, day=limits.day,
    )  # fmt: skip


def _forget_people(portfolio_id: int, token: str, addresses: list[str]) -> None:
    where = "org_id = :org AND portfolio_id = :p AND address = ANY(:addresses) AND claim_token = :token"
    given = {"org": tenancy.current_org(), "p": portfolio_id, "addresses": addresses, "token": token}
    run(f"DELETE FROM portfolio_people WHERE {where} AND before_at IS NULL", **given)
    run(f"UPDATE portfolio_people SET last_at = before_at, before_at = NULL, claim_token = NULL WHERE {where}", **given)
