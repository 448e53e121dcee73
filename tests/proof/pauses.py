"""A campaign paused, a process killed, the campaign resumed, again and again: nobody is missing, nobody gets it twice, and
a pause stops what has not been begun."""

import random
import time
from dataclasses import dataclass

from tests.proof import crowd, judging
from tests.proof.house import House, using
from webapp.campaigns import campaigns
from webapp.platform.db import rows, value
from webapp.schedule import SEND_THREADS

PROCESSES = 2
STILL_SECONDS = 1.5


@dataclass(frozen=True)
class Scale:
    """people: for each cycle."""

    cycles: int
    people: int


SCALES = {"full": Scale(50, 3_000), "quick": Scale(3, 3_000)}


def run(seed: int, scale: str, made: House | None = None) -> None:
    """See the module. Raises AssertionError."""
    size, chance, began = SCALES[scale], random.Random(seed), time.monotonic()
    with using(made) as made:
        past = len(made.deaths)
        made.open_gateway(seed, pace=1)
        made.prepared(PROCESSES)
        org = crowd.organization("Pauses")
        waves = {(f"wave {n}", "email"): size.people for n in range(size.cycles)}
        crowd.add_people(org, waves)
        sender, template = made.asked(org, lambda: (crowd.add_sender(made, "email"), crowd.add_template("email")))
        launched, caught = [], 0
        for wave, _ in waves:
            launched.append(made.asked(org, lambda: crowd.campaign(wave, "email", sender, template)))  # noqa: B023
            caught += _cycle(made, org, launched[-1], chance)
        made.wait(lambda: made.up(), 90, "no process comes up again")
        judging.forget_the_dead(made, org)
        made.wait(lambda: crowd.ended(org, launched), 120, lambda: f"seed {seed}: {crowd.standing(org)}", org)
        made.close_gateway()
        found = judging.judge(made, org, seed, made.deaths[past:])
    assert found.counts["skipped"] == 0, f"seed {seed}: a pause lost {found.counts['skipped']}"
    print(f"pauses: seed {seed}, {size.cycles} cycles of pause, kill -9 and resume, {caught} of them in the middle: {found};"
          f" {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


def _cycle(made: House, org: int, campaign_id: int, chance: random.Random) -> bool:
    """Pauses a campaign under way, kills a process, resumes it. Returns True if something was left to send."""
    enough = chance.randrange(1, 100)
    made.wait(
        lambda: _gone(made, org, campaign_id) > enough,
        60,
        lambda: f"nothing is sent: {crowd.standing(org)}",
    )
    paused = made.asked(org, lambda: _paused(campaign_id))
    if not paused:
        return False
    at = _gone(made, org, campaign_id)
    if chance.random() < 0.5:
        _kill_one(made)
        time.sleep(STILL_SECONDS)
    else:
        time.sleep(STILL_SECONDS)
        _kill_one(made)
    went = _gone(made, org, campaign_id) - at
    left = made.asked(org, lambda: value(
        "SELECT count(*) FROM sends WHERE campaign_id = :id AND status = 'pending'", id=campaign_id))  # fmt: skip
    # Each thread may finish the batch in hand, and nothing else.
    assert went <= PROCESSES * SEND_THREADS * 200, f"{went} went out after the pause"
    time.sleep(0.3)
    still = made.asked(org, lambda: rows(
        "SELECT count(*) AS n FROM sends WHERE campaign_id = :id AND status = 'pending'", id=campaign_id))[0].n  # fmt: skip
    assert still >= left, f"{left - still} were claimed while it was paused"
    made.asked(org, lambda: campaigns.resume(campaign_id))
    return left > 0


def _gone(made: House, org: int, campaign_id: int) -> int:
    """Returns how often the gateway was asked to take a message of a campaign; others may still be under way."""
    asked = made.asked(
        org, lambda: rows("SELECT recipient_address AS a FROM sends WHERE campaign_id = :id", id=campaign_id)
    )
    theirs = {row.a for row in asked}
    return sum(attempt.recipient in theirs for attempt in made.ledger)


def _paused(campaign_id: int) -> bool:
    if campaigns.get(campaign_id, lock=True).status != "active":
        return False
    campaigns.pause(campaign_id)
    return True


def _kill_one(made: House) -> None:
    """Kills the process that was started first; another is started and is up before the next kill."""
    made.wait(lambda: len(up := made.up()) >= PROCESSES and up, 90, "the processes do not come up again")
    made.kill(made.alive[0])
    made.start()
