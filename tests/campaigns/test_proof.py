"""The short forms of the proofs: one house, broken in every way, one proof after the other. `make proof` runs the long ones."""

from collections.abc import Iterator

import pytest

from tests.proof import claims, kills, pauses, stopped
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
