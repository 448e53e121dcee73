"""Channels and limits of a campaign: what can be set, what follows from it, and what may change while it sends."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.messaging import desk
from tests.messaging.test_template_kinds import OF_KIND, WHATSAPP
from webapp.campaigns import adjusting, campaigns, checking
from webapp.messaging import senders, templates
from webapp.messaging.senders import Sender
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, value
from webapp.platform.errors import Invalid, Refused

WINDOW = {"from": "09:00", "to": "18:00", "days": [1, 2, 3, 4, 5]}


def number(channel: str = "whatsapp", **values) -> int:
    sender = Sender(channel=channel, provider="local", name=channel, address="+14155550100", **values)
    db.session.add(sender)
    db.session.flush()
    return sender.id


def template(kind: str = "multi_channel", **values) -> int:
    return templates.save(None, OF_KIND[kind] | {"name": f"A {kind}", "template_type": kind} | values).id


def refused(values: dict, campaign=None) -> list[str]:
    with pytest.raises(Invalid) as caught:
        campaigns.save(campaign, {"name": "Offer"} | values)
    return list(caught.value.errors)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"channels": []}, "channels"), ({"channels": None}, "channels"), ({"channels": ["fax"]}, "channels"),
     ({"channels": ["sms", "sms"]}, "channels"), ({"channels": "sms"}, "channels"), ({"channels": [None]}, "channels"),
     ({"daily_send_limit": 0}, "daily_send_limit"), ({"daily_send_limit": "x"}, "daily_send_limit"),
     ({"daily_send_limit": True}, "daily_send_limit"), ({"daily_send_limit": 10**30}, "daily_send_limit"),
     ({"send_window": {}}, "send_window"), ({"send_window": "nine to five"}, "send_window"),
     ({"send_window": WINDOW | {"from": "9"}}, "send_window"), ({"send_window": WINDOW | {"from": "18:00"}}, "send_window"),
     ({"send_window": WINDOW | {"to": "25:00"}}, "send_window"), ({"send_window": WINDOW | {"days": []}}, "send_window"),
     ({"send_window": WINDOW | {"days": [0]}}, "send_window"), ({"send_window": WINDOW | {"days": ["1"]}}, "send_window"),
     ({"send_window": WINDOW | {"zone": "UTC"}}, "send_window"), ({"end_at": "tomorrow"}, "end_at"),
     ({"late_action": "shout"}, "late_action"), ({"late_action": None}, "late_action"), ({"late_action": "switch"}, "late_action"),
     ({"deadline_field": "birthday"}, "deadline_field"), ({"paced_by_callbacks": None}, "paced_by_callbacks"),
     ({"priority": True}, "priority"), ({"priority": None}, "priority")],
)  # fmt: skip
def test_what_a_limit_cannot_be_is_refused_at_its_field(cast, tx, values, field):
    with tx():
        assert refused(values) == [field]
        assert value("SELECT count(*) FROM campaigns") == 0


def test_the_type_and_the_usual_limit_follow_from_the_channels(cast, tx):
    with tx():
        whatsapp, sms = number(), number("sms")
        campaign = campaigns.save(None, {"name": "A", "channels": ["whatsapp"]})
        assert (campaign.campaign_type, campaign.sender_id, campaign.daily_send_limit) == ("whatsapp", whatsapp, 250)
        campaigns.save(campaign, {"channels": ["sms", "whatsapp"]})
        assert (campaign.campaign_type, campaign.sender_id, campaign.channels) == (
            "multi_channel",
            sms,
            ["sms", "whatsapp"],
        )
        unlimited = campaigns.save(None, {"name": "B", "channels": ["whatsapp"], "daily_send_limit": None})
        assert unlimited.daily_send_limit is None
        assert campaigns.save(None, {"name": "C"}).daily_send_limit is None


def test_a_template_must_speak_over_every_channel_and_the_sender_over_the_first(cast, tx):
    with tx():
        mail, phone = senders.ensure_local("Us", "us@lone.example").id, number("sms")
        letter, sms = template("email"), template("sms")
        assert refused({"channels": ["sms"], "template_id": letter, "sender_id": phone}) == ["template_id"]
        assert refused({"channels": ["sms", "email"], "template_id": sms, "sender_id": phone}) == ["template_id"]
        assert refused({"channels": ["sms"], "template_id": sms, "sender_id": mail}) == ["sender_id"]
        both = {"channels": ["sms", "email"], "template_id": template(), "sender_id": phone}
        assert campaigns.save(None, {"name": "Offer"} | both).template_id


def test_windows_are_kept_in_order_and_nothing_is_no_window(cast, tx):
    with tx():
        campaign = campaigns.save(
            None, {"name": "A", "send_window": WINDOW | {"days": [5, 1, 1]}, "deadline_field": ""}
        )
        assert campaign.send_window == WINDOW | {"days": [1, 5]} and campaign.deadline_field is None
        assert campaigns.save(campaign, {"send_window": {"from": "00:00", "to": "24:00"}}).send_window["days"] == [
            *range(1, 8)
        ]
        assert campaigns.save(campaign, {"send_window": None}).send_window is None


def test_what_hinders_its_message_or_its_senders_keeps_a_draft_back(cast, tx):
    with tx():
        held = number(held_at=now(), hold_reason="Quality.")
        pending = template(whatsapp=WHATSAPP | {"status": "PENDING"})
        chosen = {"channels": ["whatsapp", "sms"], "template_id": pending, "sender_id": held}
        campaign = desk.draft(**chosen, end_at=now() - timedelta(days=1))
        said = checking.missing(campaign)
        assert set(said) == {"template_id", "sender_id", "channels", "end_at"}
        assert "not approved" in said["template_id"] and "Quality." in said["sender_id"] and "SMS" in said["channels"]
        number("sms")
        senders.let_go_on(held)
        db.session.expire_all()
        templates.save(templates.get(pending), OF_KIND["multi_channel"] | {"name": "A"})
        campaigns.save(campaign, {"end_at": None})
        assert checking.missing(campaign) == {}


def test_a_copy_has_the_same_channels_and_limits_and_no_end_that_has_passed(cast, tx):
    with tx():
        number()
        campaign = campaigns.save(None, {"name": "A", "channels": ["whatsapp", "email"], "send_window": WINDOW,
                                         "late_action": "switch", "deadline_field": "renews_on", "daily_send_limit": 7,
                                         "paced_by_callbacks": True, "end_at": now() - timedelta(days=1)})  # fmt: skip
        copy = campaigns.clone(campaign, None)
        assert (copy.channels, copy.send_window, copy.late_action, copy.daily_send_limit) == (
            ["whatsapp", "email"], WINDOW, "switch", 7,
        )  # fmt: skip
        assert (copy.deadline_field, copy.paced_by_callbacks, copy.end_at) == ("renews_on", True, None)


@pytest.mark.parametrize("state", ["scheduled", "active", "paused"])
def test_limits_change_under_way_and_what_is_left_is_planned_again(cast, tx, state):
    campaign_id = desk.in_state(cast.org, state)
    later = datetime(2190, 1, 1, tzinfo=UTC)
    with tx():
        run("DELETE FROM work_due WHERE kind = 'plans'")
        wanted = {"priority": 1, "daily_send_limit": 9, "send_window": WINDOW, "end_at": later, "late_action": "send"}
        campaign = adjusting.adjust(campaign_id, wanted | {"name": "Not this", "segment_id": None})
        assert {name: getattr(campaign, name) for name in wanted} == wanted
        assert campaign.name != "Not this" and campaign.segment_id and campaign.status == state
        noted = one("SELECT before, after FROM audit_log WHERE action = 'campaign.adjusted'")
        assert (noted.before["priority"], noted.after["priority"], noted.after["end_at"]) == (5, 1, later.isoformat())
        assert value("SELECT count(*) FROM work_due WHERE kind = 'plans'") == 1


def test_changing_nothing_is_nothing(cast, tx):
    campaign_id = desk.in_state(cast.org, "active")
    with tx():
        run("DELETE FROM work_due WHERE kind = 'plans'")
        adjusting.adjust(campaign_id, {"priority": 5, "end_at": None})
        assert value("SELECT count(*) FROM audit_log WHERE action = 'campaign.adjusted'") == 0
        assert value("SELECT count(*) FROM work_due WHERE kind = 'plans'") == 0


@pytest.mark.parametrize("state", ["draft", "completed", "cancelled", "archived"])
def test_limits_of_what_is_not_under_way_are_not_changed(cast, tx, state):
    campaign_id = desk.in_state(cast.org, state)
    with tx(), pytest.raises(Refused):
        adjusting.adjust(campaign_id, {"priority": 1})


@pytest.mark.parametrize(
    ("values", "field"),
    [({"priority": 0}, "priority"), ({"daily_send_limit": -1}, "daily_send_limit"), ({"late_action": "switch"}, "late_action"),
     ({"end_at": datetime(2001, 1, 1, tzinfo=UTC)}, "end_at"), ({"send_window": {"from": "x"}}, "send_window")],
)  # fmt: skip
def test_bad_limits_under_way_change_nothing(cast, tx, values, field):
    campaign_id = desk.in_state(cast.org, "active")
    with tx():
        with pytest.raises(Invalid) as caught:
            adjusting.adjust(campaign_id, {"priority": 2} | values)
        assert list(caught.value.errors) == [field]
        assert value("SELECT priority FROM campaigns WHERE id = :id", id=campaign_id) == 5
