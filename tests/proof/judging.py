"""The sentence on a run that has ended: each send against the gateway's ledger, its facts and its campaign's counters."""

from tests.proof import crowd, ledger
from tests.proof.house import House
from tests.proof.ledger import ENDS, Death, Verdict
from webapp.campaigns import campaigns
from webapp.platform import work
from webapp.platform.db import one, rows, run

TOLD = [f"{channel}_{end}" for channel in crowd.PROVIDERS for end in ("sent", "failed", "unknown")]


def judge(made: House, org: int, seed: int, deaths: list[Death]) -> Verdict:
    """Returns what became of all sends of an organisation. Raises AssertionError with the seed."""
    sends = crowd.sends(org)
    try:
        found = ledger.compare(made.ledger, sends, deaths)
        made.asked(org, lambda: _counted(found, len(sends)))
    except AssertionError as problem:
        raise AssertionError(f"seed {seed}: {problem}") from problem
    return found


def _counted(found: Verdict, n: int) -> None:
    ends = {name: found.counts[name] for name in ENDS}
    sums = ", ".join(f"COALESCE(sum(total_{name}), 0)::int AS {name}" for name in (*ENDS, "planned"))
    counted = one(f"SELECT {sums} FROM campaign_analytics")._asdict()
    assert sum(ends.values()) == n, f"{n} sends, ended {ends}"
    assert counted == ends | {"planned": n}, f"counters say {counted}, the sends {ends}"
    # A send that was finalised twice has told so twice.
    twice = rows(
        "SELECT payload ->> 'send_id' AS id, count(*) AS n FROM lead_events WHERE type = ANY(:types)"
        " GROUP BY 1 HAVING count(*) > 1",
        types=TOLD,
    )
    told = one("SELECT count(*) AS n FROM lead_events WHERE type = ANY(:types)", types=TOLD).n
    assert not twice, f"{len(twice)} sends ended twice: {twice[:3]}"
    assert told == n - ends["skipped"], f"{told} facts of {n} sends, {ends}"


def forget_the_dead(made: House, org: int) -> None:
    """Stands for the rest of the leases of those who are provably dead: they cannot finalise any more."""
    pids = [str(pid) for death in made.deaths for pid in death.pids]

    def move() -> None:
        run(
            "UPDATE sends SET lease_until = now() WHERE status = 'sending' AND split_part(claimed_by, ':', 2) = ANY(:pids)",
            pids=pids,
        )
        work.announce(campaigns.WORK)

    made.asked(org, move)
