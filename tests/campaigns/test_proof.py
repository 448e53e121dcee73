"""The short forms of the proofs: one house, broken in every way, one proof after the other. `make proof` runs the long ones."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from tests.proof import claims, crowd, fair, hours, judging, kills, pauses, stopped
from tests.proof.house import House, house
from webapp.platform.db import one, rows, transaction, value

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
SEED = 20261125
PEOPLE = 5_000


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    """A house for all of them: its database and processes take longer to come up than most proofs take."""
    with house() as made:
        yield made


def begun(shared: House, name: str, processes: int = 2, pace: int = 1) -> tuple[int, int]:
    """Returns an organisation and its campaign to PEOPLE, on its way from some processes. pace: milliseconds a message."""
    shared.open_gateway(SEED, pace=pace)
    shared.prepared(processes)
    org = crowd.organization(name)
    crowd.add_people(org, {("wave", "email"): PEOPLE})
    campaign = shared.asked(
        org, lambda: crowd.campaign("wave", "email", crowd.add_sender(shared, "email"), crowd.add_template("email"))
    )
    shared.wait(lambda: len(shared.ledger) > 200, 60, lambda: crowd.standing(org))
    return org, campaign


def all_sent(shared: House, org: int, campaign: int) -> None:
    """Waits for its end: everybody has one copy, and nobody is in doubt."""
    shared.wait(lambda: crowd.ended(org, [campaign]), 120, lambda: crowd.standing(org), org)
    shared.close_gateway()
    assert judging.judge(shared, org, SEED, []).counts == {"sent": PEOPLE, "accepted": PEOPLE}


def test_two_processes_send_one_campaign_once_and_every_tick_runs_once(shared):
    org, campaign = begun(shared, "Two processes", pace=10)
    all_sent(shared, org, campaign)
    with transaction(org):
        assert value("SELECT count(DISTINCT split_part(claimed_by, ':', 2)) FROM sends") == 2
        assert value("SELECT count(DISTINCT lead_id) FROM lead_events WHERE type = 'email_sent'") == PEOPLE
    with transaction():
        ticks = one("SELECT count(*) AS n, count(DISTINCT (job, tick_at)) AS ticks FROM job_runs")
        assert ticks.n == ticks.ticks > 0
        assert len(rows("SELECT FROM scheduler_lease WHERE until > now()")) == 1


def test_a_process_that_is_asked_to_stop_finishes_what_it_holds(shared):
    org, campaign = begun(shared, "Clean stops", 3, 10)
    for _ in range(2):
        assert len(shared.ledger) < PEOPLE, "too fast: nothing was under way"
        assert shared.stop(shared.alive[0]) == 0
    all_sent(shared, org, campaign)


def test_each_row_is_claimed_once(shared):
    claims.run(SEED, "quick", shared)


def test_a_process_stopped_past_its_lease_does_no_harm(shared):
    stopped.run(SEED, "quick", shared)


def test_pause_kill_and_resume_lose_and_repeat_nothing(shared):
    pauses.run(SEED, "quick", shared)


def test_killing_processes_and_postgresql_among_faults_loses_and_repeats_nothing(shared):
    kills.run(SEED, "quick", shared)


def test_a_small_campaign_does_not_wait_for_the_large_ones_of_others(shared):
    fair.run(SEED, "quick", shared)


def test_nobody_is_written_to_outside_the_hours_of_their_own_clock():
    hours.run(SEED, "quick")


def test_the_proof_of_hours_sees_a_clock_that_is_a_minute_off():
    size = hours.SCALES["quick"]
    zones = ("America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
    hours.check_here(hours.by_wall_clock, zones, 2026, SEED, size)
    with pytest.raises(AssertionError, match="is shut|is open"):
        hours.check_here(partial(hours.by_wall_clock, wrong=timedelta(minutes=1)), zones, 2026, SEED, size)
