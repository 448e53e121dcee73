"""Caps over days in which the clocks change: eight processes, killed and started again, claim all they may, hour after
hour. Never more than the cap in any moving 24 hours (a local day for a campaign's own), and 99 % of it when work waits."""

import multiprocessing
import os
import random
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.proof import clock, crowd, ledger
from tests.proof.house import House, house
from webapp import create_app
from webapp.campaigns import dispatch
from webapp.messaging.portfolios import Portfolio
from webapp.platform import tenancy
from webapp.platform.db import db, rows, transaction
from webapp.platform.db import run as execute

PROCESSES = 8
DAY = 86_400
ZONE = "America/New_York"
# The nights between which the clocks of that zone go forward, and back.
STARTS = (datetime(2027, 3, 13, 14, tzinfo=UTC), datetime(2027, 11, 6, 14, tzinfo=UTC))
KINDS = ("sender", "campaign", "portfolio")
USED = 0.99
LOOKS = 3
LATE = 130  # seconds: a message may leave so long after its claim
SLACK = 240  # seconds: a cap counts a claim until its messages have surely left a day ago, and by the minute


@dataclass(frozen=True)
class Scale:
    """hours: simulated, of each change of the clocks; rounds: of claiming in them. kill: share of rounds with one."""

    cap: int
    hours: float
    rounds: int
    starts: int
    kinds: tuple[str, ...]
    kill: float
    seconds: float


SCALES = {
    "full": Scale(10_000, 75, 12, 2, KINDS, 0.5, 30),
    "quick": Scale(400, 54, 8, 1, ("sender",), 0.4, 10),
}


@dataclass
class Run:
    """One organisation over one change of the clocks. spans: (from, to, seconds ahead) in true time of each round."""

    made: House
    kind: str
    size: Scale
    org: int
    seed: int
    campaigns: list[int]
    spans: list[tuple[float, float, float]]
    kills: int = 0


def run(seed: int, scale: str, made: House | None = None) -> None:
    """See the module. Raises AssertionError."""
    size = SCALES[scale]
    for start in STARTS[: size.starts]:
        with house() as own:
            clock.install(own)
            for kind in size.kinds:
                if kind == "portfolio" and "whatsapp" not in crowd.channels():
                    print("caps: portfolio NOT RUN, WhatsApp has no provider here", flush=True)
                else:
                    prove(own, kind, start, seed, size)


def prove(made: House, kind: str, start: datetime, seed: int, size: Scale) -> None:
    """One cap over one change of the clocks. Raises AssertionError."""
    began, chance = time.monotonic(), random.Random(f"{seed} {kind} {start}")
    made.open_gateway(seed, pace=0)
    clock.move(made, start)
    channel = "whatsapp" if kind == "portfolio" else "email"
    work = _prepare(made, kind, channel, seed, size)
    at, usage, days = start, [], Counter()
    for turn in range(size.rounds):
        ahead = clock.move(made, at)
        if turn < 3:
            # Little at first and the rest then, so that the cap is not used up at one moment of the day.
            with clock.ahead_by(ahead), transaction(work.org):
                _launch(work, channel, turn)
        _round(work, ahead, chance)
        full = turn >= 2
        _check(work, at if full else None, usage, days)
        at += timedelta(hours=size.hours / size.rounds * chance.uniform(0.6, 1.4))
    made.close_gateway()
    total = _check(work, None, usage, days)
    told = f"least used of it {min(usage):.1%}" if usage else "use not looked at"
    print(f"caps: seed {seed}, {kind} cap {size.cap:,}, {PROCESSES} processes, {size.rounds} rounds over"
          f" {(at - start).total_seconds() / 3600:.0f} h from {start:%Y-%m-%d}, {work.kills} kill -9: {total:,} claimed,"
          f" never over it, {told}; {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def _prepare(made: House, kind: str, channel: str, seed: int, size: Scale) -> Run:
    org = crowd.organization(f"Caps {kind} {time.time():.0f}")
    with transaction():
        execute("UPDATE organizations SET timezone = :zone WHERE id = :id", zone=ZONE, id=org)
    waiting = int(size.cap * (size.hours * 1.5 / 24 + 3))
    waves = {"wave 0": size.cap * 4 // 10, "wave 1": size.cap * 3 // 10, "wave 2": waiting}
    crowd.add_people(org, {(wave, channel): n for wave, n in waves.items()})
    return Run(made, kind, size, org, seed, [], [])


def _launch(work: Run, channel: str, turn: int) -> None:
    """Launches the people of one wave; of a campaign's own cap there is one campaign, to the last and largest."""
    size, columns, daily = work.size, {}, crowd.NO_CAP
    if work.kind == "campaign":
        if turn < 2:
            return
        daily = size.cap
    elif work.kind == "sender" and turn == 0:
        columns = {"daily_limit": size.cap}
    elif work.kind == "portfolio":
        # Each wave over another number; what they may do they share.
        known = rows("SELECT id FROM portfolios")
        if not known:
            db.session.add(Portfolio(name="Proof", daily_people=size.cap))
            db.session.flush()
            known = rows("SELECT id FROM portfolios")
        # Without a rate of its own: what a number of WhatsApp takes in a second would be all a round has time for.
        columns = {"portfolio_id": known[0].id, "rate_per_second": 10_000}
    old = rows("SELECT id FROM senders WHERE daily_limit IS NOT NULL")
    sender = old[0].id if old else crowd.add_sender(work.made, channel, **columns)
    template = rows("SELECT id FROM templates WHERE name LIKE 'Proof%'")
    template_id = template[0].id if template else crowd.add_template(channel)
    work.campaigns.append(crowd.campaign(f"wave {turn}", channel, sender, template_id, daily))


def _round(work: Run, ahead: timedelta, chance: random.Random) -> None:
    """Lets eight processes claim and send until they find nothing more; kills one of them now and then."""
    began = time.time()
    fork = multiprocessing.get_context("fork")
    settings, url = work.made.app.config["SETTINGS"], work.made.app.config["OWNER_URL"]
    # One request a message takes longer than a pipeline of them.
    seconds = work.size.seconds * (4 if work.kind == "portfolio" else 1)
    arguments = (settings, url, work.org, ahead, seconds)
    db.session.remove()
    db.engine.dispose()
    running = [fork.Process(target=sender_process, args=arguments) for _ in range(PROCESSES)]
    for process in running:
        process.start()
    if chance.random() < work.size.kill:
        time.sleep(chance.uniform(0.1, 1.5))
        victim = chance.choice(running)
        victim.kill()
        work.kills += 1
        running.append(fork.Process(target=sender_process, args=arguments))
        running[-1].start()
    for process in running:
        process.join()
    assert all(process.exitcode in (0, -9) for process in running), f"seed {work.seed}: a process failed"
    work.spans.append((began, time.time(), ahead.total_seconds()))


def sender_process(settings: Any, url: str, org: int, ahead: timedelta, seconds: float) -> None:
    """One process: starts what is due and sends until nothing may go any more."""
    app = create_app(settings, url)
    with clock.ahead_by(ahead), app.app_context(), tenancy.scope(org):
        dispatch.start_due()
        until = time.monotonic() + seconds
        idle = 0
        while time.monotonic() < until and idle < LOOKS:
            # What one slice found nothing of, another process may have given back since: it is looked for again.
            idle = 0 if dispatch.send_for(f"caps:{os.getpid()}", seconds, threading.Event()) else idle + 1
            time.sleep(0.3 if idle else 0)
        dispatch.settle()


def _check(work: Run, at: datetime | None, usage: list[float], days: Counter[Any]) -> int:
    """Holds all claims so far against the cap; at: then work waited, and how much of the cap is used is noted."""
    with transaction(work.org):
        claims = rows(
            "SELECT campaign_id, recipient_address AS address, CAST(extract(epoch FROM claimed_at) AS float) AS moment"
            " FROM sends WHERE attempts > 0 ORDER BY claimed_at"
        )
    assert all(claim.moment for claim in claims), "the engine does not keep when it claimed"
    cap, who = work.size.cap, f"seed {work.seed}, {work.kind}"
    if work.kind == "campaign":
        zone = ZoneInfo(ZONE)
        per_day = Counter((c.campaign_id, datetime.fromtimestamp(c.moment, zone).date()) for c in claims)
        assert not per_day or max(per_day.values()) <= cap, f"{who}: {per_day.most_common(3)}"
        if at is not None:
            day = at.astimezone(zone).date()
            usage.append(sum(n for (_, of), n in per_day.items() if of == day) / cap)
    else:
        moments = [(claim.moment, claim.address) for claim in claims]
        assert (most := most_in_a_day(moments, DAY)) <= cap, f"{who}: {most} claimed within 24 hours, cap {cap}"
        if at is not None:
            since = at.timestamp() - DAY - SLACK
            usage.append(len({address for moment, address in moments if moment > since}) / cap)
    _check_gateway(work, cap, who)
    if at is not None:
        assert usage[-1] >= USED, (
            f"{who}: {crowd.standing(work.org)}: only {usage[-1]:.1%} of the cap used at {at} while work waited"
        )
    return len(claims)


def _check_gateway(work: Run, cap: int, who: str) -> None:
    """The same by what the gateway accepted, in simulated time: it knows nothing of the database."""
    starts = [span[0] for span in work.spans]
    seen = []
    for attempt in work.made.ledger:
        if attempt.accepted:
            span = work.spans[bisect_right(starts, attempt.moment) - 1]
            seen.append((attempt.moment + span[2], attempt.recipient))
    assert max(ledger.accepted(work.made.ledger).values(), default=0) <= 1, f"{who}: somebody got two copies"
    if work.kind != "campaign":
        assert (most := most_in_a_day(seen, DAY - LATE)) <= cap, f"{who}: {most} arrived within 24 hours, cap {cap}"


def most_in_a_day(moments: list[tuple[float, str]], seconds: float) -> int:
    """Returns the largest number of different addresses within any so many seconds. moments: (moment, address)."""
    inside: dict[str, int] = defaultdict(int)
    ordered = sorted(moments)
    most = first = 0
    for moment, address in ordered:
        inside[address] += 1
        while ordered[first][0] <= moment - seconds:
            gone = ordered[first][1]
            inside[gone] -= 1
            if not inside[gone]:
                del inside[gone]
            first += 1
        most = max(most, len(inside))
    return most
