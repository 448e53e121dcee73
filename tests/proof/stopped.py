"""Processes stopped past their lease and continued, as a machine that was suspended: what they held is unknown by then,
so nothing is recorded twice and nothing goes out a second time."""

import random
import signal
import time
from dataclasses import dataclass

from tests.proof import crowd, judging
from tests.proof.house import LEASE, House, Process, using
from tests.proof.ledger import Death

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
        launched, stopped = [], []
        for n in range(size.rounds):
            for channel in over:
                launched.append(made.asked(org, lambda: crowd.campaign(f"wave {n}", channel, *known[channel])))  # noqa: B023
            stopped += _stop(made, org, chance)
            made.wait(lambda: crowd.ended(org, launched), 90, lambda: f"seed {seed}: {crowd.standing(org)}", org)
        made.close_gateway()
        found = judging.judge(made, org, seed, stopped)
    print(f"stopped: seed {seed}, {len(stopped)} processes stopped past their lease of {LEASE} s and continued: {found};"
          f" {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def _stop(made: House, org: int, chance: random.Random) -> list[Death]:
    """Stops two processes once messages flow, and lets them go on when their lease is over. Returns who it was."""
    before = len(made.ledger)
    made.wait(lambda: len(made.ledger) > before + 20, 30, lambda: f"nothing is sent: {crowd.standing(org)}")
    victims: list[Process] = chance.sample(made.alive, 2)
    stopped = []
    for victim in victims:
        time.sleep(chance.uniform(0, 0.3))
        stopped.append(Death(time.time(), frozenset(victim.pids())))
        victim.signal(signal.SIGSTOP)
    time.sleep(LEASE + chance.uniform(1, 2))
    for victim in victims:
        victim.signal(signal.SIGCONT)
    return stopped
