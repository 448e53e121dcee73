"""The states of a campaign: they move as the data model says and no other way, and a refused verb changes nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.messaging import desk
from tests.messaging.desk import in_state, status
from webapp.campaigns import campaigns, dispatch
from webapp.campaigns.campaigns import STATUSES
from webapp.messaging import outbox, outcomes
from webapp.messaging.outbox import Outcome
from webapp.platform import tenancy
from webapp.platform.db import one, rows, run, transaction
from webapp.platform.errors import Refused

# The data model's states, said again here: who may become what.
ALLOWED = {
    "draft": {"scheduled", "cancelled"}, "scheduled": {"active", "draft", "cancelled"},
    "active": {"paused", "completed", "cancelled"}, "paused": {"active", "completed", "cancelled"},
    "completed": {"archived"}, "cancelled": {"archived"}, "archived": set(),
}  # fmt: skip
# verb -> what it makes of a campaign in each state it works in
VERBS = {
    campaigns.launch: {"draft": "scheduled"},
    campaigns.unschedule: {"scheduled": "draft"},
    campaigns.pause: {"active": "paused"},
    campaigns.resume: {"paused": "active"},
    campaigns.cancel: dict.fromkeys(("draft", "scheduled", "active", "paused"), "cancelled"),
    campaigns.archive: dict.fromkeys(("completed", "cancelled"), "archived"),
    campaigns.remove: dict.fromkeys(("draft", "completed", "cancelled", "archived"), None),
}
TABLES = ("campaigns", "sends", "campaign_recipients", "campaign_daily", "lead_events", "links")


def everything(org: int) -> list:
    with transaction(org):
        return [[str(row) for row in rows(f"SELECT * FROM {table} ORDER BY id")] for table in TABLES]


@pytest.mark.parametrize("state", STATUSES)
def test_in_every_state_the_verbs_do_what_is_allowed_and_refuse_the_rest(cast, tx, state):
    campaign_id = in_state(cast.org, state)
    for verb, moves in VERBS.items():
        before = everything(cast.org)
        if state not in moves:
            with tx(), pytest.raises(Refused):
                verb(campaign_id)
            assert everything(cast.org) == before
        else:
            with tx() as session:
                point = session.begin_nested()
                verb(campaign_id)
                assert status(campaign_id) == moves[state]
                point.rollback()
            assert everything(cast.org) == before
    with tx():
        campaign = campaigns.get(campaign_id)
        for target in STATUSES:
            if target not in ALLOWED[state]:
                said = f"is {state} already" if state == target else f"{state} cannot become {target}"
                with pytest.raises(Refused, match=said):
                    campaigns.move(campaign, target)
        if state != "draft":
            with pytest.raises(Refused, match="Only a draft can be changed"):
                campaigns.save(campaign, {"name": "Other"})


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from([*VERBS, "start", "send", "settle"]), max_size=12))
def test_any_sequence_of_verbs_stays_on_the_allowed_paths(cast, verbs):
    with transaction(cast.org):
        for table in ("campaigns", "leads", "segments", "templates"):
            run(f"DELETE FROM {table}")
        for n in range(3):
            desk.add_lead(n)
        campaign_id = desk.draft().id
    for verb in verbs:
        before, was = everything(cast.org), None
        with transaction(cast.org):
            was = status(campaign_id)
        try:
            if verb == "send" and was == "active":
                with transaction(cast.org):
                    claimed = outbox.claim(campaign_id, "email", "test", limit=1)
                    outcomes.finalise(claimed, [Outcome(row.id, "accepted") for row in claimed.rows])
            elif verb in ("start", "settle"):
                with tenancy.scope(cast.org):
                    {"start": dispatch.start_due, "settle": dispatch.settle}[verb]()
            elif verb != "send":
                with transaction(cast.org):
                    verb(campaign_id)
        except Refused:
            assert everything(cast.org) == before
            assert was not in VERBS[verb]
        with transaction(cast.org):
            became = status(campaign_id)
            assert became == was or became is None or became in ALLOWED[was]
            if became is None:
                return
            if one("SELECT 1 FROM campaign_analytics WHERE campaign_id = :id", id=campaign_id):
                assert desk.counters(campaign_id) == desk.recount(campaign_id)
            if became in ("completed", "cancelled", "archived"):
                assert not outbox.unfinished(campaign_id)
