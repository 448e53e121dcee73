"""Campaigns by API: from draft to what was sent, and the moves that do not exist."""

import threading
from datetime import timedelta

import pytest

from tests.api.client import data, problem
from tests.api.world import launched
from webapp.audience import consents, leads
from webapp.campaigns import dispatch
from webapp.campaigns.campaigns import STATUSES
from webapp.platform import tenancy
from webapp.platform.clock import now
from webapp.platform.db import run

# verb -> the states it works in; in all others it is refused.
WORKS = {
    "launch": {"draft"}, "pause": {"active"}, "resume": {"paused"}, "cancel": {"draft", "scheduled", "active", "paused"},
}  # fmt: skip


def draft(world) -> dict:
    return {
        "name": "Spring", "segment_id": world.segment_id, "template_id": world.template_id, "sender_id": world.sender_id,
    }  # fmt: skip


@pytest.fixture
def timers(cast):
    """Returns a function that does what the timers do, until nothing is left."""

    def work() -> None:
        with tenancy.scope(cast.org):
            dispatch.start_due()
            dispatch.send_for("test", 5, threading.Event())
            dispatch.settle()

    return work


def test_a_draft_has_what_it_was_given_and_the_default_sender(api, world, cast):
    made = data(api.post("/campaigns", {"name": "Spring", "goal": "engagement", "priority": 1}), 201)
    assert made["status"] == "draft"
    assert (made["goal"], made["priority"], made["sender_id"]) == ("engagement", 1, world.sender_id)
    assert (made["segment_id"], made["template_id"], made["target_count"]) == (None, None, 0)


def test_only_the_fields_given_are_changed(api, world):
    made = data(api.post("/campaigns", draft(world)), 201)
    changed = data(api.put(f"/campaigns/{made['id']}", {"subject_line": "Hello {{ first_name }}"}))
    assert changed == made | {"subject_line": "Hello {{ first_name }}", "updated_at": changed["updated_at"]}


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("name", ""), ("name", "x" * 121), ("name", None), ("priority", 0), ("priority", 11), ("priority", "high"),
        ("category", "gossip"), ("goal", "fame"), ("schedule_type", "whenever"), ("schedule_type", None),
        ("scheduled_at", "tomorrow"), ("scheduled_at", "0001-01-01T00:00:00+14:00"), ("scheduled_at", "9999-12-31T23:59:59"),
        ("subject_line", "{{ nobody }}"), ("preview_text", "x" * 501), ("segment_id", 10**30), ("segment_id", 0),
        ("channels", []), ("channels", "sms"), ("daily_send_limit", 0), ("daily_send_limit", "many"),
        ("late_action", "shout"), ("late_action", "switch"), ("late_action", None), ("deadline_field", "birthday"),
        ("end_at", "tomorrow"), ("end_at", "9999-12-31T23:59:59"), ("paced_by_callbacks", None),
        ("template_id", -1), ("sender_id", "mine"), ("status", "active"), ("id", 1), ("target_count", 5),
    ],
)  # fmt: skip
def test_what_a_field_cannot_hold_is_refused_at_it(api, world, field, bad):
    assert set(problem(api.post("/campaigns", {"name": "Bad", field: bad}), 422)) == {field}
    assert set(problem(api.put(f"/campaigns/{world.campaign_id}", {field: bad}), 422)) == {field}


@pytest.mark.parametrize("field", ["segment_id", "template_id", "sender_id"])
def test_another_organisations_things_cannot_be_chosen(api, world, other_world, field):
    body = {field: other_world.ids()[field]}
    assert set(problem(api.post("/campaigns", {"name": "Spring"} | body), 422)) == {field}
    assert set(problem(api.put(f"/campaigns/{world.campaign_id}", body), 422)) == {field}


def test_the_preview_counts_who_gets_it_and_who_not_and_why(api, world, cast, tx):
    with tx():
        for n, consent in enumerate(["unsubscribed", None]):
            lead = leads.create({"email": f"l{n}@example.com", "state": "TX"})
            if consent:
                consents.set_consent(lead.id, "email", consent, source="test")
        leads.create({"first_name": "No address", "state": "TX"})
    seen = data(api.get(f"/campaigns/{world.campaign_id}/preview"))
    assert seen["recipients"] == 1
    assert sum(seen["skipped"].values()) == 3
    assert len(seen["skipped"]) == 3
    assert data(api.get(f"/campaigns/{world.campaign_id}/sends")) == []


def test_an_incomplete_draft_is_not_launched_and_says_what_it_needs(api):
    made = data(api.post("/campaigns", {"name": "Spring"}), 201)
    answer = api.post(f"/campaigns/{made['id']}/launch")
    assert set(problem(answer, 422)) == {"segment_id", "template_id", "sender_id"}


@pytest.mark.parametrize("at", [None, "2001-01-01T00:00:00Z"])
def test_a_time_that_is_missing_or_past_is_refused_at_launch(api, world, at):
    made = data(api.post("/campaigns", draft(world) | {"schedule_type": "scheduled", "scheduled_at": at}), 201)
    assert set(problem(api.post(f"/campaigns/{made['id']}/launch"), 422)) == {"scheduled_at"}


def test_a_campaign_waits_for_its_time(api, world, timers):
    at = (now() + timedelta(days=1)).isoformat()
    made = data(api.post("/campaigns", draft(world) | {"schedule_type": "scheduled", "scheduled_at": at}), 201)
    assert data(api.post(f"/campaigns/{made['id']}/launch"))["status"] == "scheduled"
    timers()
    waiting = data(api.get(f"/campaigns/{made['id']}"))
    assert (waiting["status"], waiting["scheduled_at"]) == ("scheduled", at)


def test_a_launched_campaign_is_sent_and_tells_of_it(api, world, timers):
    assert data(api.post(f"/campaigns/{world.campaign_id}/launch"))["status"] == "scheduled"
    timers()
    done = data(api.get(f"/campaigns/{world.campaign_id}"))
    assert (done["status"], done["target_count"]) == ("completed", 1)
    assert done["started_at"] and done["completed_at"]
    (send,) = data(api.get(f"/campaigns/{world.campaign_id}/sends"))
    assert (send["lead_id"], send["channel"], send["status"]) == (world.lead_id, "email", "sent")
    figures = data(api.get(f"/campaigns/{world.campaign_id}/analytics"))
    assert (figures["total_sent"], figures["open_rate"], figures["skipped"]) == (1, 0.0, {})
    assert [fact["type"] for fact in data(api.get(f"/leads/{world.lead_id}/timeline"))][0] == "email_sent"


def test_before_anything_was_sent_there_are_no_rates(api, world):
    figures = data(api.get(f"/campaigns/{world.campaign_id}/analytics"))
    assert figures["total_sent"] == 0
    assert figures["open_rate"] is None
    assert figures["links"] == []


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("verb", WORKS)
def test_a_move_that_does_not_exist_is_a_conflict(api, world, tx, status, verb):
    with tx():
        run("UPDATE campaigns SET status = :status WHERE id = :id", status=status, id=world.campaign_id)
    answer = api.post(f"/campaigns/{world.campaign_id}/{verb}")
    if status in WORKS[verb]:
        data(answer)
    else:
        problem(answer, 409)
        assert data(api.get(f"/campaigns/{world.campaign_id}"))["status"] == status


@pytest.mark.parametrize("status", ["scheduled", "active", "paused"])
def test_what_may_still_send_is_neither_changed_nor_deleted(api, cast, world, status):
    launched(cast.org, world.campaign_id, status)
    problem(api.put(f"/campaigns/{world.campaign_id}", {"name": "Renamed"}), 409)
    problem(api.delete(f"/campaigns/{world.campaign_id}"), 409)


WINDOW = {"from": "09:00", "to": "18:00", "days": [1, 2, 3, 4, 5]}


def test_channels_and_limits_are_taken_and_told(api, world):
    end = (now() + timedelta(days=90)).isoformat()
    given = {"channels": ["email", "sms"], "daily_send_limit": 250, "send_window": WINDOW, "end_at": end, "priority": 2,
             "late_action": "switch", "deadline_field": "renews_on", "paced_by_callbacks": True}  # fmt: skip
    made = data(api.post("/campaigns", {"name": "Spring"} | given), 201)
    assert {name: made[name] for name in given} == given and made["campaign_type"] == "multi_channel"
    without = {"send_window": None, "daily_send_limit": None, "end_at": None}
    assert without.items() <= data(api.put(f"/campaigns/{made['id']}", without)).items()


@pytest.mark.parametrize(
    "bad", [{"from": "09:00"}, {"from": "18:00", "to": "09:00"}, {"from": "x", "to": "y"}, WINDOW | {"days": []},
            WINDOW | {"days": [8]}, WINDOW | {"zone": "UTC"}, [], "9-18"]
)  # fmt: skip
def test_a_window_that_is_none_is_refused(api, world, bad):
    said = problem(api.put(f"/campaigns/{world.campaign_id}", {"send_window": bad}), 422)
    assert said and all(field.startswith("send_window") for field in said)


def test_limits_change_under_way_and_only_those(api, world, cast):
    problem(api.post(f"/campaigns/{world.campaign_id}/adjust", {"priority": 1}), 409)
    launched(cast.org, world.campaign_id, "active")
    path = f"/campaigns/{world.campaign_id}/adjust"
    changed = data(api.post(path, {"priority": 1, "daily_send_limit": 50, "send_window": WINDOW}))
    assert (changed["priority"], changed["daily_send_limit"], changed["send_window"]) == (1, 50, WINDOW)
    assert set(problem(api.post(path, {"name": "Other"}), 422)) == {"name"}
    assert set(problem(api.post(path, {"end_at": "2001-01-01T00:00:00Z"}), 422)) == {"end_at"}
    assert set(problem(api.post(path, {"late_action": "switch"}), 422)) == {"late_action"}


def test_the_forecast_draws_the_calendar_and_writes_nothing(api, world, tx):
    with tx():
        for n in range(4):
            consents.set_consent(
                leads.create({"email": f"l{n}@example.com", "state": "TX"}).id, "email", "subscribed", source="x"
            )
        leads.create({"first_name": "No address", "state": "TX"})
    data(api.put(f"/campaigns/{world.campaign_id}", {"daily_send_limit": 2}))
    seen = data(api.get(f"/campaigns/{world.campaign_id}/forecast"))
    assert [day["people"] for day in seen["days"]] == [2, 2, 1]
    assert (seen["recipients"], seen["sending_days"], seen["skipped"]) == (5, 3, {"no_email": 1})
    assert set(seen["ends"]) == {"slow", "likely", "fast"} and seen["ends"]["likely"] == seen["days"][-1]["date"]
    assert data(api.get(f"/campaigns/{world.campaign_id}/sends")) == []


def test_why_a_lead_gets_a_campaign(api, world, other_world):
    path = f"/leads/{world.lead_id}/why"
    seen = data(api.get(f"{path}?campaign_id={world.campaign_id}"))
    assert (seen["lead_id"], seen["campaign_id"]) == (world.lead_id, world.campaign_id)
    assert [step["name"] for step in seen["steps"]][:2] == ["Audience", "E-mail consent"]
    assert {step["sign"] for step in seen["steps"]} == {"yes"} and seen["rules"]["holds"]
    problem(api.get(f"{path}?campaign_id={other_world.campaign_id}"), 404)
    problem(api.get(f"/leads/{other_world.lead_id}/why?campaign_id={world.campaign_id}"), 404)
    for query in ("", f"?campaign_id={world.campaign_id}&segment_id={world.segment_id}"):
        assert set(problem(api.get(path + query), 422)) == {"segment_id"}


def test_pause_and_resume_keep_the_rest_for_later(api, world, cast, timers):
    data(api.post(f"/campaigns/{world.campaign_id}/launch"))
    with tenancy.scope(cast.org):
        dispatch.start_due()
    assert data(api.post(f"/campaigns/{world.campaign_id}/pause"))["paused_at"]
    timers()
    assert data(api.get(f"/campaigns/{world.campaign_id}/sends"))[0]["status"] == "pending"
    assert data(api.post(f"/campaigns/{world.campaign_id}/resume"))["paused_at"] is None
    timers()
    assert data(api.get(f"/campaigns/{world.campaign_id}"))["status"] == "completed"


def test_cancelling_skips_what_has_not_gone_out(api, world, cast, timers):
    data(api.post(f"/campaigns/{world.campaign_id}/launch"))
    with tenancy.scope(cast.org):
        dispatch.start_due()
    data(api.post(f"/campaigns/{world.campaign_id}/cancel"))
    timers()
    (send,) = data(api.get(f"/campaigns/{world.campaign_id}/sends"))
    assert (send["status"], send["skip_reason"]) == ("skipped", "cancelled")


def test_campaigns_are_listed_by_status(api, world):
    data(api.post("/campaigns", {"name": "Newer"}), 201)
    assert [c["name"] for c in data(api.get("/campaigns?status=draft"))] == ["Newer", "The offer"]
    assert data(api.get("/campaigns?status=active")) == []
    assert set(problem(api.get("/campaigns?status=asleep"), 422)) == {"status"}
