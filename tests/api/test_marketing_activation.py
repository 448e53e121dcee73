"""Activating a marketing campaign: 10,000 people at 250 a day become 40 batches, said before the first has gone."""

from datetime import date, timedelta

import pytest

from tests.api.client import data, problem
from tests.api.test_marketing import add, campaign, sale  # noqa: F401 - fixtures
from webapp.platform.clock import local, now
from webapp.platform.db import one

EVIDENCE = {"consent_evidence": "Agreed at the counter"}


def today() -> date:
    return local(now(), "America/Chicago").date()


@pytest.fixture
def filled(api, campaign) -> int:  # noqa: F811 - a fixture
    many = [f"+1415{2_000_000 + n}" for n in range(1000)]
    assert add(api, campaign, many, **EVIDENCE)["recipients_added"] == 1000
    return campaign


def activate(api, campaign_id: int, start: str = ""):
    return api.post(f"/marketing/campaigns/{campaign_id}/activate" + (f"?start_date={start}" if start else ""))


def test_the_schedule_stands_before_the_first_message_goes(api, filled, tx):
    start = today() + timedelta(days=3)
    made = data(activate(api, filled, start.isoformat()))
    assert (made["id"], made["status"], made["estimated_days"]) == (filled, "scheduled", 4)
    days = [(start + timedelta(days=n)).isoformat() for n in range(4)]
    assert [batch["date"] for batch in made["schedule"]] == days
    assert [batch["batch_number"] for batch in made["schedule"]] == [1, 2, 3, 4]
    assert {batch["batch_size"] for batch in made["schedule"]} == {250}
    assert made["estimated_completion_date"] == days[-1]
    with tx():
        at = one("SELECT scheduled_at AT TIME ZONE 'America/Chicago' AS at FROM campaigns").at
        assert (at.date(), at.hour) == (start, 0)


@pytest.mark.parametrize("said", ["", "today"])
def test_without_a_day_it_begins_now(api, filled, tx, said):
    made = data(activate(api, filled, said and today().isoformat()))
    assert made["estimated_days"] >= 4
    with tx():
        assert one("SELECT scheduled_at <= now() AS due FROM campaigns").due


@pytest.mark.parametrize("start", ["2001-01-01", "2200-01-01", "9999-12-31", "tomorrow", "05/10/2026"])
def test_a_day_it_cannot_begin_on_is_refused(api, filled, start):
    assert set(problem(activate(api, filled, start), 422)) == {"start_date"}
    assert data(api.get(f"/campaigns/{filled}"))["status"] == "draft"


def test_it_is_activated_once_then_paused_resumed_and_cancelled_as_any_campaign(api, filled):
    data(activate(api, filled, (today() + timedelta(days=2)).isoformat()))
    problem(activate(api, filled), 409)
    problem(api.post(f"/marketing/campaigns/{filled}/pause"), 409)
    assert data(api.post(f"/marketing/campaigns/{filled}/cancel"))["status"] == "cancelled"
    problem(api.post(f"/marketing/campaigns/{filled}/resume"), 409)


def test_people_may_be_named_until_it_begins(api, filled):
    data(activate(api, filled, (today() + timedelta(days=2)).isoformat()))
    assert add(api, filled, ["+1 415 555 0100"], **EVIDENCE)["recipients_added"] == 1


def test_without_anybody_it_is_not_activated(api, campaign):  # noqa: F811 - a fixture
    problem(activate(api, campaign), 422)
