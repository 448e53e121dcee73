"""The pages of a campaign: its form with channels and limits, the forecast as one types, batches, recipients and why."""

import re
from datetime import timedelta

import pytest

from tests.audience.members import statements
from tests.messaging import desk
from tests.messaging.test_template_kinds import OF_KIND
from tests.web.visitor import Visitor, form_of
from webapp.campaigns import campaigns
from webapp.messaging import templates
from webapp.messaging.senders import Sender
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, transaction, value


@pytest.fixture
def marketer(app, cast) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(cast.emails["marketer"])
    return visitor


@pytest.fixture
def phones(cast) -> dict[str, int]:
    """Senders of SMS and WhatsApp and a template for every channel."""
    with transaction(cast.org):
        made = {}
        for channel in ("sms", "whatsapp"):
            sender = Sender(
                channel=channel, provider="local", name=f"Our {channel}", address="+14155550100", is_default=True
            )
            db.session.add(sender)
            db.session.flush()
            made[channel] = sender.id
        for kind in ("email", "sms", "multi_channel"):
            made[kind] = templates.save(None, OF_KIND[kind] | {"name": f"A {kind}", "template_type": kind}).id
        made["segment"] = desk.draft().segment_id
        desk.add_lead(1, phone="+14152000001")
        return made


def form(phones, **changed) -> dict:
    return {
        "name": "Autumn", "goal": "", "channels": ["whatsapp", "sms"], "template_id": phones["multi_channel"],
        "segment_id": phones["segment"], "sender_id": phones["whatsapp"], "subject_line": "", "schedule_type": "immediate",
        "priority": "2", "daily_send_limit": "250", "window_from": "09:00", "window_to": "18:00",
        "window_days": ["1", "2", "3"], "end_at": "2190-02-01T12:00", "late_action": "switch", "deadline_field": "renews_on",
        "paced_by_callbacks": "y",
    } | changed  # fmt: skip


def test_a_draft_over_several_channels_is_kept_and_shown_again(marketer, cast, phones):
    made = marketer.post("/campaigns/new", form(phones))
    assert made.status_code == 303
    with transaction(cast.org):
        kept = one("SELECT * FROM campaigns WHERE name = 'Autumn'")
        assert (kept.channels, kept.campaign_type, kept.priority, kept.daily_send_limit) == (
            ["whatsapp", "sms"], "multi_channel", 2, 250,
        )  # fmt: skip
        assert kept.send_window == {"from": "09:00", "to": "18:00", "days": [1, 2, 3]}
        assert (kept.late_action, kept.deadline_field, kept.paced_by_callbacks) == ("switch", "renews_on", True)
    page = marketer.get(f"{made.location}/edit")
    shown, errors = form_of(page)
    assert errors == {} and shown["end_at"] == "2190-02-01T12:00" and shown["window_from"] == "09:00"
    assert re.findall(r'value="(\d)" checked', page.text)[:3] == ["1", "2", "3"]
    review = marketer.get(made.location).text
    assert "WhatsApp, then SMS" in review and "09:00 to 18:00, Mon-Wed, their time" in review and "250 a day" in review


@pytest.mark.parametrize(
    ("field", "bad", "at"),
    [("channels", ["fax"], "channels"), ("daily_send_limit", "0", "daily_send_limit"), ("daily_send_limit", "x", "daily_send_limit"),
     ("window_from", "19:00", "window_from"), ("window_to", "99:99", "window_to"), ("end_at", "soon", "end_at"),
     ("late_action", "shout", "late_action"), ("priority", "11", "priority"), ("deadline_field", "x", "deadline_field"),
     ("window_days", ["9"], "error 0")],
)  # fmt: skip
def test_bad_limits_are_told_at_their_field_and_keep_what_was_typed(marketer, cast, phones, field, bad, at):
    answer = marketer.post("/campaigns/new", form(phones, **{field: bad}))
    assert answer.status_code == 422
    kept, errors = form_of(answer)
    assert at in errors
    if field not in ("channels", "late_action", "priority", "deadline_field", "window_days"):
        assert kept[field] == bad
    assert kept["name"] == "Autumn"
    with transaction(cast.org):
        assert value("SELECT count(*) FROM campaigns WHERE name = 'Autumn'") == 0


def test_templates_and_senders_follow_the_channels(marketer, phones):
    def choices(**changed) -> str:
        return marketer.post("/campaigns/choices", form(phones, **changed)).text

    sms = choices(channels=["sms"], daily_send_limit="")
    assert "A sms" in sms and "A email" not in sms and "Our sms" in sms and "Our whatsapp" not in sms
    both = choices(channels=["sms", "email"])
    assert "A sms" not in both and "A multi_channel" in both and "Subject" in both
    assert 'value="250"' in choices(channels=["whatsapp"], daily_send_limit="")
    assert 'value="250"' not in choices(channels=["sms"])
    assert 'value="77"' in choices(channels=["sms"], daily_send_limit="77")
    assert 'type="hidden" name="subject_line" value="Typed"' in choices(channels=["sms"], subject_line="Typed")


def test_the_forecast_follows_the_form(marketer, cast, phones):
    with transaction(cast.org):
        for n in range(2, 8):
            desk.add_lead(n)
    typed = form(phones, channels=["email"], template_id=phones["email"], sender_id="", window_from="", window_to="",
                 window_days=[], late_action="skip", end_at="", deadline_field="", paced_by_callbacks="")  # fmt: skip
    with transaction(cast.org):
        before = value("SELECT count(*) FROM campaigns")

    def drawn(**changed) -> str:
        return marketer.post("/campaigns/forecast", typed | changed).text

    assert "1 sending day" in drawn(daily_send_limit="") and "7 people" in drawn(daily_send_limit="")
    assert "4 sending days" in drawn(daily_send_limit="2") and drawn(daily_send_limit="2").count("<rect") == 4
    assert "Put right first" in drawn(daily_send_limit="0") and "style=" not in drawn(daily_send_limit="2")
    assert "Choose a segment" in drawn(segment_id="") and "Choose a segment" in drawn(segment_id="999999")
    assert "4 sending days" in drawn(name="", daily_send_limit="2")
    with transaction(cast.org):
        assert value("SELECT count(*) FROM campaigns") == before


def test_limits_are_changed_under_way_by_who_may(marketer, app, cast):
    campaign_id = desk.started(cast.org, 3)
    page = marketer.get(f"/campaigns/{campaign_id}/limits")
    kept, _ = form_of(page)
    for name in ("window_days", "csrf_token"):
        kept.pop(name, None)
    drawn = marketer.post(f"/campaigns/{campaign_id}/forecast", kept | {"daily_send_limit": "2"}).text
    assert 'id="forecast"' in page.text and "2 sending days" in drawn and "3 people" in drawn
    assert (
        marketer.post(f"/campaigns/{campaign_id}/limits", kept | {"daily_send_limit": "5", "priority": "1"}).status_code
        == 303
    )
    with transaction(cast.org):
        assert (campaigns.get(campaign_id).daily_send_limit, campaigns.get(campaign_id).priority) == (5, 1)
    stale = marketer.post(f"/campaigns/{campaign_id}/limits", kept | {"priority": "9"})
    assert stale.status_code == 422 and "changed while you had the page open" in stale.text
    with transaction(cast.org):
        assert campaigns.get(campaign_id).daily_send_limit == 5
    kept |= {"version": form_of(stale)[0]["version"]}
    bad = marketer.post(f"/campaigns/{campaign_id}/limits", kept | {"end_at": "2001-01-01T10:00"})
    assert bad.status_code == 422 and "end_at" in form_of(bad)[1]
    viewer = Visitor(app)
    viewer.sign_in(cast.emails["viewer"])
    assert viewer.post(f"/campaigns/{campaign_id}/limits", kept).status_code == 403
    marketer.post(f"/campaigns/{campaign_id}/cancel")
    assert marketer.get(f"/campaigns/{campaign_id}/limits").status_code == 303
    assert marketer.post(f"/campaigns/{campaign_id}/limits", kept).status_code == 409


def test_a_running_campaign_shows_its_batches_and_what_it_waits_for(marketer, cast):
    with transaction(cast.org):
        for n in range(5):
            desk.add_lead(n)
        campaign_id = desk.draft(daily_send_limit=2).id
    desk.start(cast.org, campaign_id)
    desk.settle(cast.org, campaign_id, ["accepted"] * 2)
    with transaction(cast.org):
        run("UPDATE campaign_batches SET sent = 2, done = 2 WHERE batch_number = 1")
        run("UPDATE sends SET wait_reason = 'quiet_hours' WHERE status = 'pending'")
    page = marketer.get(f"/campaigns/{campaign_id}").text
    assert "2 of 2</b> today" in page and "2 days to go" in page and "Waits: The hours" in page
    assert page.count('aria-current="date"') == 1
    every = marketer.get(f"/campaigns/{campaign_id}/batches").text
    assert every.count("<tr") == 4 and "(today)" in every
    assert marketer.get(f"/campaigns/{campaign_id}/batches?status=pending").text.count("<tr") <= 4


def test_a_held_campaign_says_why_and_resuming_it_asks(marketer, cast):
    campaign_id = desk.started(cast.org, 1)
    with transaction(cast.org):
        campaigns.pause(campaign_id).hold_reason = "More than 20 % failed."
        run("UPDATE senders SET held_at = now(), hold_reason = 'Too many complaints.'")
    page = marketer.get(f"/campaigns/{campaign_id}").text
    assert "Held: it waits for you." in page and "Too many complaints." in page
    assert 'data-ask="It was held: More than 20 % failed. Send what is left now?"' in page


def test_a_recipient_over_several_channels_stands_there_once(marketer, cast):
    campaign_id = desk.started(cast.org, 1)
    with transaction(cast.org):
        run("UPDATE campaigns SET channels = '{email,sms}'")
        lead = value("SELECT lead_id FROM sends")
        run("UPDATE sends SET status = 'skipped', skip_reason = 'too_late'")
        run("INSERT INTO sends (campaign_id, kind, lead_id, channel, recipient_address, dedup_key, planned_on, wait_reason)"
            " VALUES (:c, 'campaign', :lead, 'sms', '+14152000001', 'second', '2030-01-02', 'holiday')",
            c=campaign_id, lead=lead)  # fmt: skip
    page = marketer.get(f"/campaigns/{campaign_id}/recipients").text
    assert page.count("<tr data-href") == 1 and "The end of a holiday" in page and "2 Jan 2030" in page
    assert f"/campaigns/{campaign_id}/why/{lead}" in page
    assert marketer.get(f"/campaigns/{campaign_id}/recipients?channel=email").text.count("<tr data-href") == 0
    why = marketer.get(f"/campaigns/{campaign_id}/why/{lead}").text
    assert "Not sent by E-mail: Its time had passed" in why and "Planned for 2 Jan 2030 by SMS" in why


def test_why_belongs_to_one_organisation(marketer, app, cast):
    campaign_id = desk.started(cast.org, 1)
    with transaction(cast.org):
        lead = value("SELECT lead_id FROM sends")
    with transaction(cast.other_org):
        foreign = desk.add_lead(7)
    assert marketer.get(f"/campaigns/{campaign_id}/why/{foreign}").status_code == 404
    for role, status in (("viewer", 200), ("agent", 403), ("stranger", 404)):
        visitor = Visitor(app)
        visitor.sign_in(cast.emails[role])
        assert visitor.get(f"/campaigns/{campaign_id}/why/{lead}").status_code == status


def test_home_says_what_is_sent_and_what_needs_somebody(marketer, cast):
    campaign_id = desk.started(cast.org, 3)
    desk.settle(cast.org, campaign_id, ["accepted", "unknown", "accepted"])
    with transaction(cast.org):
        run("UPDATE campaign_batches SET sent = 2, done = 3")
        run("UPDATE campaigns SET daily_send_limit = 250")
        held = desk.draft(name="Stuck").id
        run(
            "UPDATE campaigns SET status = 'paused', hold_reason = 'Nothing went out for 5 hours.' WHERE id = :id",
            id=held,
        )
        run("UPDATE senders SET held_at = now(), hold_reason = 'Spam rate.'")
    page = marketer.get("/").text
    assert "3 / 3" in page and "2 of 250 today" in page
    for words in ("Stuck is held", "Nothing went out for 5 hours.", "Spam rate."):
        assert words in page


def test_home_asks_no_more_for_more_campaigns(marketer, cast):
    def asked() -> int:
        with statements() as seen:
            assert marketer.get("/").status_code == 200
        return len(seen)

    desk.started(cast.org, 1)
    marketer.get("/")
    once = asked()
    with transaction(cast.org):
        for n in range(4):
            made = desk.draft(name=f"Later {n}", scheduled_at=now() + timedelta(days=1))
            campaigns.launch(made.id)
            run("UPDATE campaigns SET created_at = now() - interval '9 years' WHERE id = :id", id=made.id)
    # The latest campaigns ask for their counters one by one, of at most six; what is sent now and what needs somebody
    # are one statement each, however many there are.
    assert asked() - once <= 4


def test_the_page_of_a_running_campaign_asks_as_much_whatever_its_size(marketer, cast):
    with transaction(cast.org):
        for n in range(12):
            desk.add_lead(n)
        campaign_id = desk.draft(daily_send_limit=1).id
    desk.start(cast.org, campaign_id)
    marketer.get(f"/campaigns/{campaign_id}")
    with statements() as seen:
        page = marketer.get(f"/campaigns/{campaign_id}").text
    assert "All 12" in page and page.count('class="is-today"') == 1
    # scope and who asks; organisation; campaign; counters; over time; links; problems; skipped; segment, sender and template
    # (sender and template twice: what is shown and what is held); next waiting; batches near; how they stand.
    assert len(seen) <= 20, seen
