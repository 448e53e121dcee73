"""The crowd that rules are asked about."""

import time
from collections.abc import Iterator

import pytest

from tests.audience import rules_crowd
from tests.audience.rules_crowd import Crowd
from webapp.platform import organizations
from webapp.platform.db import transaction


@pytest.fixture(scope="module")
def crowd(app) -> Iterator[Crowd]:
    """An organisation with 320 awkward leads and all that stands beside them, for a module that writes nothing."""
    made = rules_crowd.make(320)
    with app.app_context():
        with transaction():
            org = organizations.create(f"Crowd {time.time_ns()}", timezone=rules_crowd.ZONE).id
        with transaction(org):
            rules_crowd.settle(made)
        yield Crowd(org, {lead["id"]: lead for lead in made})
