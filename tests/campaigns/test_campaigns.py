"""Campaigns: drafts are checked at their fields, a launch freezes what will be said, and what a campaign used may go."""

from datetime import timedelta

import pytest

from tests.messaging import desk
from tests.messaging.desk import in_state
from webapp.audience import leads, segments
from webapp.campaigns import campaigns, checking, dispatch
from webapp.messaging import confirmations, senders, templates
from webapp.platform import tenancy
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, value
from webapp.platform.errors import Invalid, NotFound, Refused


def refused(values: dict, campaign=None) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        campaigns.save(campaign, {"name": "Offer"} | values)
    return caught.value.errors


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": " "}, "name"), ({"name": None}, "name"), ({"name": "x" * 121}, "name"), ({"segment_id": 99_999}, "segment_id"),
     ({"template_id": 99_999}, "template_id"), ({"sender_id": 99_999}, "sender_id"), ({"schedule_type": "automated"}, "schedule_type"),
     ({"category": "x"}, "category"), ({"goal": "x"}, "goal"), ({"priority": 0}, "priority"), ({"priority": 11}, "priority"),
     ({"priority": "5"}, "priority"), ({"subject_line": "{{ x }}"}, "subject_line"), ({"preview_text": "{% if %}"}, "preview_text"),
     ({"subject_line": "x" * 501}, "subject_line"), ({"name": "\0"}, "name"), ({"segment_id": 0}, "segment_id"),
     ({"segment_id": 2**63}, "segment_id"), ({"template_id": -1}, "template_id"), ({"sender_id": "x"}, "sender_id")],
)  # fmt: skip
def test_a_draft_with_what_cannot_be_is_refused_at_its_field(cast, tx, values, field):
    with tx():
        assert list(refused(values)) == [field]
        assert value("SELECT count(*) FROM campaigns") == 0


def test_another_organisations_things_cannot_be_chosen(cast, tx):
    with tx(cast.other_org):
        foreign = segments.save(None, {"name": "Theirs"}).id
    with tx():
        assert list(refused({"segment_id": foreign})) == ["segment_id"]
        with pytest.raises(NotFound):
            campaigns.get(99_999)


def test_what_postgresql_cannot_hold_is_left_out(cast, tx):
    with tx():
        campaign = campaigns.save(None, {"name": "Off\0er", "description": "a\0b\ud800", "subject_line": "Hi\0"})
        assert (campaign.name, campaign.description, campaign.subject_line) == ("Offer", "ab", "Hi")


def test_a_time_alone_means_at_that_time(cast, tx):
    later = now() + timedelta(days=1)
    with tx():
        campaign = desk.draft(scheduled_at=later)
        assert (campaign.schedule_type, campaign.scheduled_at) == ("scheduled", later)
        campaigns.save(campaign, {"schedule_type": "immediate", "scheduled_at": later})
        assert (campaign.schedule_type, campaign.scheduled_at) == ("immediate", None)
        campaigns.save(campaign, {"scheduled_at": later})
        assert (campaign.schedule_type, campaign.scheduled_at) == ("scheduled", later)
        campaigns.save(campaign, {"description": "x"})
        assert campaign.scheduled_at == later and campaigns.launch(campaign.id).scheduled_at == later
        assert campaigns.save(None, {"name": "At once"}).schedule_type == "immediate"


def test_what_was_switched_off_keeps_a_draft_back(cast, tx):
    with tx():
        campaign = desk.draft()
        templates.get(campaign.template_id).is_active = False
        segments.get(campaign.segment_id).is_active = False
        assert set(checking.missing(campaign)) == {"template_id", "segment_id"}
        assert list(refused({"template_id": confirmations.template().id})) == ["template_id"]


@pytest.mark.parametrize("what", ["segment", "sender"])
def test_a_campaign_held_at_its_start_is_not_resumed_to_reach_nobody(cast, tx, what):
    with tx():
        desk.add_lead(1)
        campaign_id = desk.draft().id
        campaigns.launch(campaign_id)
        run(f"DELETE FROM {what}s")
    with tenancy.scope(cast.org):
        dispatch.start_due()
    with tx():
        with pytest.raises(Refused, match=f"Its {what} was deleted"):
            campaigns.resume(campaign_id)
        assert desk.status(campaign_id) == "paused"
        campaigns.cancel(campaign_id)


def test_a_campaign_under_way_goes_on_without_its_segment_and_not_without_its_sender(cast, tx):
    campaign_id = desk.started(cast.org, 2)
    with tx():
        campaigns.pause(campaign_id)
        run("DELETE FROM segments")
        assert campaigns.resume(campaign_id).status == "active"
        campaigns.pause(campaign_id)
        run("DELETE FROM senders")
        db.session.expire_all()
        with pytest.raises(Refused):
            campaigns.resume(campaign_id)


def test_what_is_missing_for_a_launch_is_said_all_at_once(cast, tx):
    with tx():
        campaign = campaigns.save(None, {"name": "Empty", "schedule_type": "scheduled"})
        with pytest.raises(Invalid) as caught:
            campaigns.launch(campaign.id)
        assert set(caught.value.errors) == {"template_id", "segment_id", "sender_id", "scheduled_at"}
        assert (campaign.status, campaign.template_version_id) == ("draft", None)


def test_a_time_that_has_passed_and_a_sender_at_rest_keep_a_draft_back(cast, tx):
    with tx():
        campaign = desk.draft(schedule_type="scheduled", scheduled_at=now() - timedelta(seconds=1))
        senders.get(campaign.sender_id).status = "banned"
        assert set(checking.missing(campaign)) == {"scheduled_at", "sender_id"}
        senders.get(campaign.sender_id).status = "warming"
        campaigns.save(campaign, {"scheduled_at": now() + timedelta(minutes=1)})
        assert checking.missing(campaign) == {}
        campaigns.launch(campaign.id)
        assert value("SELECT due_at FROM work_due WHERE kind = 'campaigns'") == campaign.scheduled_at
    with tenancy.scope(cast.org):
        assert dispatch.start_due() == 0


def test_the_message_is_frozen_at_the_launch(cast, tx):
    with tx():
        desk.add_lead(1)
        campaign = desk.draft()
        campaigns.launch(campaign.id)
        version_id, template = campaign.template_version_id, templates.get(campaign.template_id)
        templates.save(template, desk.LETTER | {"name": template.name, "subject_line": "Changed"})
        campaign_id = campaign.id
    with tenancy.scope(cast.org):
        dispatch.start_due()
    with tx():
        assert value("SELECT template_version_id FROM sends") == version_id
        assert templates.version(version_id).subject_line == desk.LETTER["subject_line"]
        assert templates.get(campaigns.get(campaign_id).template_id).usage_count == 1


def test_a_copy_is_a_draft_with_the_same_message_and_no_past(cast, tx):
    campaign_id = in_state(cast.org, "completed")
    with tx():
        original = campaigns.get(campaign_id)
        original.name = "x" * 120
        copy = campaigns.clone(original, cast.marketer)
        assert (copy.status, copy.schedule_type, copy.scheduled_at, copy.target_count) == (
            "draft",
            "immediate",
            None,
            0,
        )
        assert (copy.template_id, copy.segment_id, copy.sender_id) == (
            original.template_id,
            original.segment_id,
            original.sender_id,
        )
        assert copy.name.endswith("(copy)") and copy.slug != original.slug and copy.created_by == cast.marketer
        assert campaigns.clone(original, None).slug != copy.slug
        assert copy.template_version_id is None


def test_what_a_campaign_used_may_go_and_the_campaign_stays(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    with tx():
        campaign = campaigns.get(campaign_id)
        segments.remove(segments.get(campaign.segment_id))
        run("DELETE FROM templates WHERE id = :id", id=campaign.template_id)
        run("DELETE FROM senders")
        kept = one("SELECT * FROM campaigns WHERE id = :id", id=campaign_id)
        assert (kept.segment_id, kept.template_id, kept.sender_id, kept.status) == (None, None, None, "active")
        assert kept.template_version_id is not None and value("SELECT sender_id FROM sends") is None


def test_a_campaign_whose_segment_went_before_its_time_waits_for_a_person(cast, tx):
    campaign_id = in_state(cast.org, "scheduled")
    with tx():
        segments.remove(segments.get(campaigns.get(campaign_id).segment_id))
    with tenancy.scope(cast.org):
        dispatch.start_due()
    with tx():
        campaign = campaigns.get(campaign_id)
        assert (campaign.status, campaign.hold_reason) == ("paused", "Its segment was deleted before it started.")
        campaigns.cancel(campaign_id)


def test_deleting_a_campaign_takes_its_own_and_leaves_the_people(cast, tx):
    campaign_id = in_state(cast.org, "completed")
    with tx():
        campaigns.remove(campaign_id)
        for table in ("sends", "campaign_recipients", "campaign_daily", "campaign_analytics", "links"):
            assert value(f"SELECT count(*) FROM {table}") == 0, table
        assert leads.count() == 2 and value("SELECT count(*) FROM template_versions") == 1
