"""The short forms of the proofs: one house, broken in every way, one proof after the other. `make proof` runs the long ones."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from tests.proof import claims, fair, hours, kills, pauses, stopped
from tests.proof.house import House, house

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
SEED = 20261125


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    """A house for all of them: its database and processes take longer to come up than most proofs take."""
    with house() as made:
        yield made


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
