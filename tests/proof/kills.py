"""Random kill -9s of processes and of PostgreSQL while three processes send over all channels to a gateway that breaks
in every way it can: nobody gets two copies, nobody is lost, and unknown is only what nobody can know."""

import random
import time
from dataclasses import dataclass

from tests.proof import crowd, judging
from tests.proof.house import SHORT_LEASES, WAITS, House, using
from tests.proof.ledger import Death, Verdict
from webapp.platform.db import refresh_statistics

PROCESSES = 3


@dataclass(frozen=True)
class Scale:
    """limit: seconds for the waves and the kills; after that no more is launched. rests: how often each fault that makes a
    sender rest should come. between: at most so many seconds from a launch to a kill."""

    people: int
    waves: int
    kills: int
    restarts: int
    limit: float
    rests: int
    doors: float
    between: float
    waits: str


SCALES = {
    "full": Scale(100_000, 100, 200, 10, 2100, 40, 60, 8, WAITS),
    "quick": Scale(3_000, 4, 6, 1, 150, 4, 8, 2.5, f"{WAITS} {SHORT_LEASES}"),
}


def run(seed: int, scale: str, made: House | None = None) -> None:
    """See the module. Raises AssertionError."""
    size, chance, began = SCALES[scale], random.Random(seed), time.monotonic()
    with using(made, size.waits) as made:
        past = len(made.deaths)
        made.open_gateway(
            seed,
            pace=1,
            silence=3,
            share=0.05,
            rest_share=size.rests / size.people,
            no_connection=0.01,
            doors=size.doors,
        )
        made.prepared(PROCESSES)
        org, plan = _people(made, size)
        launched = _storm(made, size, chance, org, plan, began)
        if scale == "quick":
            made.wait(lambda: made.up(), 90, "no process comes up again")
            judging.forget_the_dead(made, org)
        limit = 420 if scale == "full" else 90
        made.wait(
            lambda: crowd.ended(org, launched), limit, lambda: f"seed {seed}: does not end: {crowd.standing(org)}", org
        )
        made.close_gateway()
        _tell(judging.judge(made, org, seed, made.deaths[past:]), seed, size, made.deaths[past:], began)


def _people(made: House, size: Scale) -> tuple[int, list[tuple[str, str, int, int]]]:
    """Returns the organisation and what to launch: wave, channel, sender, template."""
    org = crowd.organization("Kills")
    over = crowd.channels()
    each = size.people // size.waves // len(over)
    sizes = {(f"wave {w}", channel): each for w in range(size.waves) for channel in over}
    first = next(iter(sizes))
    sizes[first] += size.people - sum(sizes.values())
    crowd.add_people(org, sizes)

    def senders() -> dict[str, tuple[int, int]]:
        return {channel: (crowd.add_sender(made, channel), crowd.add_template(channel)) for channel in over}

    known = made.asked(org, senders)
    refresh_statistics("leads", "consents")
    return org, [(wave, channel, *known[channel]) for wave, channel in sizes]


def _storm(made: House, size: Scale, chance: random.Random, org: int, plan: list, began: float) -> list[int]:
    """Launches the waves between the kills, evenly. Returns the campaigns' ids."""
    waiting, launched, per_wave = list(plan), [], len(plan) // size.waves
    restarts = set(chance.sample(range(size.kills), size.restarts))
    for turn in range(size.kills):
        due = -(-size.waves * (turn + 1) // size.kills) * per_wave
        if time.monotonic() - began < size.limit:
            while waiting and len(launched) < due:
                wave, channel, sender, template = waiting.pop(0)
                launched.append(made.asked(org, lambda: crowd.campaign(wave, channel, sender, template)))  # noqa: B023
        elif not waiting:
            break
        if time.monotonic() - began > size.limit:
            break
        # A process takes seconds to come up; with only one alive a kill would leave nobody to send.
        made.wait(lambda: len(up := made.up()) >= PROCESSES - 1 and up, 90, "the processes do not come up again")
        time.sleep(chance.uniform(0.3, size.between))
        if turn in restarts:
            made.kill_database()
            time.sleep(chance.uniform(0, 1))
        made.kill(chance.choice(made.alive))
        made.start()
    return launched


def _tell(found: Verdict, seed: int, size: Scale, deaths: list[Death], began: float) -> None:
    kills = sum(bool(death.pids) for death in deaths)
    restarts = len(deaths) - kills
    print(f"kills: seed {seed}, {found.total:,} sends over {', '.join(crowd.channels())}, {kills} kill -9, {restarts} restarts"
          f" of PostgreSQL: {found}; {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    if (found.total, kills, restarts) != (size.people, size.kills, size.restarts):
        print(f"kills: CUT by its time limit of {size.limit:.0f} s: {found.total:,} of {size.people:,} sends, {kills} of"
              f" {size.kills} kills, {restarts} of {size.restarts} restarts", flush=True)  # fmt: skip
