"""Processes stopped past their lease and continued, as a machine that was suspended: what they held is unknown by then,
so nothing is recorded twice and nothing goes out a second time."""

import random
import signal
import time
from dataclasses import dataclass

from tests.proof import crowd, judging
from tests.proof.house import LEASE, House, Process, using
from tests.proof.ledger import Death
from webapp.platform.db import rows

PROCESSES = 3


@dataclass(frozen=True)
class Scale:
    """rounds: in each, two of the three processes are stopped at once."""

    rounds: int
    people: int


SCALES = {"full": Scale(25, 3_000), "quick": Scale(1, 1_500)}


def run(seed: int, scale: str, made: House | None = None) -> None:
    """See the module. Raises AssertionError."""
    size, chance, began = SCALES[scale], random.Random(seed), time.monotonic()
    with using(made) as made:
        made.open_gateway(seed, pace=30)
        made.prepared(PROCESSES)
        org = crowd.organization("Stopped")
        over = crowd.channels()
        waves = [(f"wave {n}", channel) for n in range(size.rounds) for channel in over]
        crowd.add_people(org, dict.fromkeys(waves, size.people // len(over)))
        known = made.asked(org, lambda: {c: (crowd.add_sender(made, c), crowd.add_template(c)) for c in over})
        launched, stopped, held = [], [], 0
        for n in range(size.rounds):
            for channel in over:
                launched.append(made.asked(org, lambda: crowd.campaign(f"wave {n}", channel, *known[channel])))  # noqa: B023
            who, n = _stop(made, org, chance)
            stopped, held = stopped + who, held + n
            made.wait(lambda: crowd.ended(org, launched), 90, lambda: f"seed {seed}: {crowd.standing(org)}", org)
        made.close_gateway()
        found = judging.judge(made, org, seed, stopped)
    assert held and stopped, f"seed {seed}: nobody was stopped while it held anything"
    print(f"stopped: seed {seed}, {len(stopped)} processes stopped past their lease of {LEASE} s and continued,"
          f" {held} claims in their hands: {found}; {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def _stop(made: House, org: int, chance: random.Random) -> tuple[list[Death], int]:
    """Stops two processes while they hold claims, and lets them go on when their lease is over. Returns who it was, and
    how many claims they held."""
    made.wait(lambda: len(made.ledger) > 20, 60, lambda: f"nothing is sent: {crowd.standing(org)}")
    time.sleep(chance.uniform(0, 0.5))
    stopped: dict[int, tuple[Process, Death]] = {}
    held = 0
    deadline = time.monotonic() + 30
    while len(stopped) < 2 and time.monotonic() < deadline:
        for victim in [p for p in _holders(made, org) if p.running.pid not in stopped][: 2 - len(stopped)]:
            victim.signal(signal.SIGSTOP)
            # It may have recorded the last of them at this very moment: then it is let go, and another time is looked for.
            if n := _holders(made, org).get(victim, 0):
                stopped[victim.running.pid] = (victim, Death(time.time(), frozenset(victim.pids())))
                held += n
            else:
                victim.signal(signal.SIGCONT)
        time.sleep(0.02)
    time.sleep(LEASE + chance.uniform(1, 2))
    for victim, _ in stopped.values():
        victim.signal(signal.SIGCONT)
    return [death for _, death in stopped.values()], held


def _holders(made: House, org: int) -> dict[Process, int]:
    """Returns the processes that hold claims, and how many."""
    claims = made.asked(org, lambda: rows(
        "SELECT split_part(claimed_by, ':', 2)::int AS pid, count(*) AS n FROM sends WHERE status = 'sending' GROUP BY 1"))  # fmt: skip
    return {
        p: sum(c.n for c in claims if c.pid in pids) for p in made.alive if {c.pid for c in claims} & (pids := p.pids())
    }
