"""Ten organisations: nine send large campaigns flat out, the tenth launches a small one, and does not wait for them."""

import time
from dataclasses import dataclass

from tests.proof import crowd
from tests.proof.house import House, using

PROCESSES = 2
LARGE = 9
MOST = 5  # of the large ones are still at it when a small one comes
SMALL = 20


@dataclass(frozen=True)
class Scale:
    """rounds: small campaigns, one after the other. within: seconds; the short form shares its machine with other tests."""

    people: int
    rounds: int
    within: float


SCALES = {"full": Scale(20_000, 10, 5), "quick": Scale(2_500, 1, 15)}


def run(seed: int, scale: str, made: House | None = None) -> None:
    """See the module. Raises AssertionError."""
    size, began = SCALES[scale], time.monotonic()
    with using(made) as made:
        made.open_gateway(seed, pace=2)
        made.prepared(PROCESSES)
        large, small = _organizations(made, size)
        taken, still = [], 0
        for wave in range(size.rounds):
            still += _busy(made, large)
            taken.append(_small_one(made, *small, f"small {wave}"))
            time.sleep(1)
        sent = len(made.ledger)
        for org, _ in large:
            made.asked(org, crowd.stop)
    print(f"fair: seed {seed}, {LARGE} organisations with {size.people:,} people each flat out, {SMALL} people of a tenth"
          f" had theirs after {', '.join(f'{s:.1f}' for s in taken)} s (limit {size.within:.0f}), {sent:,} sent meanwhile;"
          f" {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
    assert still >= MOST * size.rounds, f"seed {seed}: the large ones were over before: {still}"
    assert max(taken) <= size.within, f"seed {seed}: a small campaign waited {max(taken):.1f} s"


def _organizations(made: House, size: Scale) -> tuple[list[tuple[int, int]], tuple[int, int, int]]:
    """Returns (organisation, campaign) of the large ones, sending; and organisation, sender, template of the small one."""
    mark, large = f"{time.time():.0f}", []
    everyone = [crowd.organization(f"Fair {mark} {n}") for n in range(LARGE + 1)]
    small = everyone.pop()
    for org in everyone:
        crowd.add_people(org, {("large", "email"): size.people})
    crowd.add_people(small, {(f"small {wave}", "email"): SMALL for wave in range(size.rounds)})
    kit = made.asked(small, lambda: (crowd.add_sender(made, "email"), crowd.add_template("email")))
    for org in everyone:
        large.append((org, made.asked(org, lambda: crowd.campaign(
            "large", "email", crowd.add_sender(made, "email"), crowd.add_template("email")))))  # fmt: skip
    for org, campaign_id in large:
        made.wait(lambda: crowd.waiting(campaign_id), 60, "a large campaign does not start", org)  # noqa: B023
    return large, (small, *kit)


def _small_one(made: House, org: int, sender: int, template: int, wave: str) -> float:
    """Launches a small campaign. Returns the seconds until the last of its messages was accepted."""
    began = time.time()
    campaign_id = made.asked(org, lambda: crowd.campaign(wave, "email", sender, template))
    made.wait(
        lambda: crowd.ended(org, [campaign_id]), 120, lambda: f"the small one does not end: {crowd.standing(org)}", org
    )
    return made.asked(org, lambda: crowd.last_sent(campaign_id)) - began


def _busy(made: House, large: list[tuple[int, int]]) -> int:
    """Returns how many of the large campaigns still have people waiting."""
    return sum(made.asked(org, lambda: crowd.waiting(campaign_id)) > 0 for org, campaign_id in large)  # noqa: B023
