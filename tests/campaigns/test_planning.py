"""Plans over days: forty batches, planned again when something changes, never moving what was sent; the forecast is the same
plan without writing it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.messaging import desk
from tests.messaging.test_template_kinds import OF_KIND
from webapp.audience import consents, leads
from webapp.campaigns import adjusting, campaigns, checking, dispatch, lanes, plan, replanning, watching
from webapp.campaigns.forecast import _limits, forecast, grown, spans
from webapp.messaging import holidays, outbox, outcomes, policy, portfolios, senders, templates
from webapp.messaging.caps import Limits
from webapp.messaging.hours import Holiday
from webapp.messaging.outbox import Outcome
from webapp.messaging.providers import local
from webapp.messaging.windows import Hours
from webapp.platform import organizations, tenancy
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run, transaction, value
from webapp.platform.errors import Invalid


def campaign_of(org: int, n: int, limit: int | None, name: str = "Autumn", **more) -> int:
    """Returns the id of a draft to the people of one state, made for it."""
    with transaction(org):
        for number in range(n):
            desk.add_lead(f"{name}{number}", state="TX")
        draft = desk.draft(name)
        draft.daily_send_limit = limit
        for field, given in more.items():
            setattr(draft, field, given)
        return draft.id


def several() -> templates.Template:
    """Returns a template that speaks over every channel."""
    return templates.save(None, OF_KIND["multi_channel"] | {"name": "Several", "template_type": "multi_channel"})


def batches(campaign_id: int) -> list[tuple]:
    found = rows(
        "SELECT send_date, batch_number, batch_size FROM campaign_batches WHERE campaign_id = :c ORDER BY send_date",
        c=campaign_id,
    )
    return [tuple(row) for row in found]


def replanned(org: int) -> int:
    with transaction(org):
        return replanning.replan()


def test_what_is_forecast_is_what_is_planned(cast, tx):
    campaign_id = campaign_of(cast.org, 23, 5)
    with tx():
        told = forecast(campaigns.get(campaign_id))
        assert not rows("SELECT 1 FROM campaign_batches") and not rows("SELECT 1 FROM sends")
    desk.start(cast.org, campaign_id)
    with tx():
        assert [(day.on, day.n) for day in told.days] == [(on, n) for on, _, n in batches(campaign_id)]
        assert [n for _, _, n in batches(campaign_id)] == [5, 5, 5, 5, 3]
        assert [number for _, number, _ in batches(campaign_id)] == [1, 2, 3, 4, 5]
        assert told.recipients == 23 and told.ends["slow"] == batches(campaign_id)[-1][0] and told.sending_days == 5
        planned = rows("SELECT planned_on, count(*) AS n, min(not_before) AS at FROM sends GROUP BY 1 ORDER BY 1")
        assert [(row.planned_on, row.n) for row in planned] == [(on, n) for on, _, n in batches(campaign_id)]
        assert all(row.at == lanes.day_start(row.planned_on) for row in planned[1:])


def test_whose_turn_it_is_not_by_the_frequency_cap_is_forecast_for_their_day(cast, tx):
    first = desk.started(cast.org, 3)
    desk.settle(cast.org, first, ["accepted", "accepted", "rejected"])
    with tx():
        for number in (7, 8):
            desk.add_lead(number)
        organizations.set_frequency_cap(1, 7)
        campaign_id = desk.draft("Second").id
        told = forecast(campaigns.get(campaign_id))
        # Seven times 24 hours: when clocks change in between, that may be the eighth day.
        today, turn = lanes.today(), lanes.local(now() + timedelta(days=7), lanes.zone()).date()
        assert [(day.on, day.n) for day in told.days] == [(today, 3), (turn, 2)] and told.recipients == 5
        assert told.notes[0] == (
            f"2 people had as many messages lately as one may get: their turn is from {turn.day} {turn:%b} on."
        )
        campaigns.get(campaign_id).daily_send_limit = 2
        drawn = [(day.on, day.n) for day in forecast(campaigns.get(campaign_id)).days]
        assert [n for _, n in drawn] == [2, 1, 2] and drawn[-1][0] == turn
    desk.start(cast.org, campaign_id)
    with transaction(cast.org):
        held = outbox.claim(campaign_id, "email", "test", limits=Limits(today, frequency=(1, 7)))
        assert (len(held.rows), held.waiting) == (0, 2)
    replanned(cast.org)
    with tx():
        assert drawn == [(on, n) for on, _, n in batches(campaign_id)]
        assert drawn == [(day.on, day.n) for day in forecast(campaigns.get(campaign_id)).days]


def test_a_changed_limit_moves_what_is_left_and_nothing_that_went(cast, tx):
    campaign_id = campaign_of(cast.org, 20, 4)
    desk.start(cast.org, campaign_id)
    desk.settle_some(cast.org, campaign_id, 4)
    with tx():
        gone = rows("SELECT id, planned_on, status FROM sends WHERE status <> 'pending' ORDER BY id")
        run("UPDATE campaigns SET daily_send_limit = 8")
    assert replanned(cast.org) > 0
    with tx():
        assert [n for _, _, n in batches(campaign_id)] == [8, 8, 4]
        assert rows("SELECT id, planned_on, status FROM sends WHERE status <> 'pending' ORDER BY id") == gone
        today = value("SELECT count(*) FROM sends WHERE status = 'pending' AND planned_on = :d", d=lanes.today())
        assert today == 4
    assert replanned(cast.org) == 0


def test_a_missed_day_is_made_up_for_within_the_limits(cast, tx):
    campaign_id = campaign_of(cast.org, 9, 3)
    desk.start(cast.org, campaign_id)
    with tx():
        run("UPDATE sends SET planned_on = planned_on - 2, not_before = not_before - interval '2 days'")
        # In two steps, for a day may not be two batches' at once, whichever is moved first.
        for days in (100, -102):
            run("UPDATE campaign_batches SET send_date = send_date + :days", days=days)
    assert replanned(cast.org) > 0
    with tx():
        assert [(on - lanes.today(), n) for on, _, n in batches(campaign_id)] == [
            (timedelta(days=d), 3) for d in range(3)
        ]


def test_a_higher_priority_takes_the_shared_sender_first(cast, tx):
    with tx():
        for number in range(12):
            desk.add_lead(number)
        run("UPDATE senders SET daily_limit = 4")
        slow, flash = desk.draft("Slow"), desk.draft("Flash")
        run("UPDATE senders SET daily_limit = 4")
        flash.priority = 1
        ids = slow.id, flash.id
    desk.start(cast.org, ids[0])
    with tx():
        told = forecast(campaigns.get(ids[1]))
        assert [day.n for day in told.days] == [4, 4, 4]
    desk.start(cast.org, ids[1])
    replanned(cast.org)
    with tx():
        first = lanes.today()
        assert [(on - first).days for on, _, _ in batches(ids[1])] == [0, 1, 2]
        assert [(on - first).days for on, _, _ in batches(ids[0])] == [3, 4, 5]
        note = forecast(campaigns.get(ids[0])).notes
        assert note and note[0].startswith("Flash (priority 1) goes first")


def test_the_forecast_says_what_sets_the_pace(cast, tx):
    campaign_id = campaign_of(cast.org, 12, 5)
    with tx():
        drawn = campaigns.get(campaign_id)
        run("UPDATE senders SET daily_limit = 4, name = 'Lone {Star}'")
        assert forecast(drawn).notes == ["Lone {Star} may send 4 messages a day: that sets the pace."]
        drawn.daily_send_limit = 4
        assert forecast(drawn).notes == []
        run("UPDATE senders SET daily_limit = 12")
        drawn.daily_send_limit = None
        assert forecast(drawn).notes == []
        portfolio_id = portfolios.save(None, "House", None).id
        run("UPDATE senders SET portfolio_id = :id, daily_limit = 250", id=portfolio_id)
        run("UPDATE portfolios SET daily_people = 3")
        db.session.expire_all()
        lane = lanes.lane(drawn, "email", 12, lanes.today())
        shared = (*lane.demand.resources, ("portfolio", portfolio_id))
        lane = replace(lane, demand=replace(lane.demand, resources=shared))
        assert list(_limits(lane)) == [
            (250, "Lone {Star} may send 250 messages a day"), (3, "House may write to 3 different people in 24 hours"),
        ]  # fmt: skip
        run("UPDATE senders SET daily_limit = 1000000, rate_per_second = 1")
        db.session.expire_all()
        assert next(_limits(lane)) == (86_400, "Lone {Star} may send 86,400 messages a day at its rate")


@pytest.mark.parametrize("action", ["skip", "switch", "send"])
def test_what_would_come_too_late_is_skipped_switched_or_sent_as_the_campaign_says(cast, tx, action):
    with tx():
        sms = senders.Sender(channel="sms", provider="local", name="Text", address="+14155550100", is_default=True)
        db.session.add(sms)
        for number in range(6):
            lead_id = desk.add_lead(number, phone=f"+141520000{number:02}")
            consents.set_consent(lead_id, "sms", "subscribed", source="test")
        draft = desk.draft(template_id=several().id, channels=["email", "sms"])
        draft.daily_send_limit, draft.late_action = 2, action
        draft.end_at = lanes.day_start(lanes.today() + timedelta(days=2))
        campaign_id = draft.id
    desk.start(cast.org, campaign_id)
    with tx():
        found = dict(rows("SELECT channel || ':' || status, count(*) FROM sends GROUP BY 1"))
        expected = {
            "skip": {"email:pending": 4, "email:skipped": 2},
            "switch": {"email:pending": 4, "sms:pending": 2},
            "send": {"email:pending": 6},
        }
        assert found == expected[action]
        assert desk.counters(campaign_id)["skipped"] == (2 if action == "skip" else 0)
        assert len({row.dedup_key for row in rows("SELECT dedup_key FROM sends")}) == 6


def test_each_lead_gets_the_first_channel_they_can_be_reached_over(cast, tx):
    with tx():
        for channel in ("sms", "whatsapp"):
            db.session.add(
                senders.Sender(channel=channel, provider="local", name=channel, address="+14155550100", is_default=True)
            )
        both = desk.add_lead(1, phone="+14152000001")
        consents.set_consent(both, "whatsapp", "subscribed", source="test")
        only_mail, neither = desk.add_lead(2), desk.add_lead(3, None)
        own = value("SELECT id FROM senders WHERE channel = 'whatsapp'")
        draft = desk.draft(template_id=several().id, channels=["whatsapp", "email"], sender_id=own)
        senders.ensure_local("Lone Star", "hello@lone.example")
        campaign_id = draft.id
    desk.start(cast.org, campaign_id)
    with tx():
        assert dict(rows("SELECT lead_id, channel FROM sends")) == {both: "whatsapp", only_mail: "email"}
        left_out = rows("SELECT lead_id, skip_reason FROM campaign_recipients WHERE state = 'skipped'")
        assert [tuple(row) for row in left_out] == [(neither, "no_phone")]


def test_recipients_named_beforehand_are_planned_with_the_segments(cast, tx):
    with tx():
        named, other = desk.add_lead(1, state="NY"), desk.add_lead(2, state="TX")
        draft = desk.draft()
        draft.segment_id = None
        draft.audience = {"rules": {"match": "all", "rules": [{"field": "state", "operator": "equals", "value": "TX"}]}}
        run(
            "INSERT INTO campaign_recipients (campaign_id, lead_id, state) VALUES (:c, :l, 'added')",
            c=draft.id,
            l=named,
        )
        assert plan.preview(draft) == {None: 2}
        campaign_id = draft.id
        campaigns.move(draft, "scheduled")
        draft.scheduled_at = now()
    with tenancy.scope(cast.org):
        dispatch.start_due()
    with tx():
        assert {row.lead_id for row in rows("SELECT lead_id FROM sends")} == {named, other}
        assert campaigns.get(campaign_id).target_count == 2


def test_nothing_long_overdue_goes_out_unasked(cast, tx):
    campaign_id = campaign_of(cast.org, 3, None)
    desk.start(cast.org, campaign_id)
    with tx():
        hours = policy.of(organizations.current()).overdue_hours
        run("UPDATE sends SET not_before = now() - make_interval(hours => :h)", h=int(hours) + 1)
        run("UPDATE campaigns SET started_at = now() - make_interval(hours => :h)", h=int(hours) + 2)
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        held = campaigns.get(campaign_id)
        assert held.status == "paused" and held.hold_reason.startswith("Nothing of it has gone out since")
        campaigns.resume(campaign_id)
    with tenancy.scope(cast.org):
        dispatch.settle()
    with tx():
        assert campaigns.get(campaign_id).status == "active"


def test_a_start_that_was_slept_through_waits_for_a_person_and_then_begins(cast, tx):
    campaign_id = campaign_of(cast.org, 2, None)
    with tx():
        campaigns.launch(campaign_id)
        run("UPDATE campaigns SET scheduled_at = now() - interval '9 hours'")
    with tenancy.scope(cast.org):
        dispatch.start_due()
        dispatch.settle()
    with tx():
        held = campaigns.get(campaign_id)
        assert held.status == "paused" and "when Canvass was not running" in held.hold_reason
        campaigns.resume(campaign_id)
    with tenancy.scope(cast.org):
        dispatch.start_due()
        dispatch.settle()
    with tx():
        assert campaigns.get(campaign_id).status == "active"
        assert value("SELECT count(*) FROM sends") == 2


def test_too_many_failures_pause_a_campaign_and_say_why(cast, tx):
    campaign_id = campaign_of(cast.org, 60, None)
    desk.start(cast.org, campaign_id)
    desk.settle(cast.org, campaign_id, ["rejected"] * 15 + ["accepted"] * 45)
    with tx():
        assert watching.hold_what_fails([campaign_id]) == 1
        assert campaigns.get(campaign_id).hold_reason.startswith("15 of its last 60 messages failed or bounced (25%)")
        campaigns.resume(campaign_id)
        assert watching.hold_what_fails([campaign_id]) == 0  # asked about once


@pytest.mark.parametrize(
    ("days", "every", "people"),
    [(0, 7, 250), (6, 7, 250), (7, 7, 2_000), (21, 7, 100_000), (28, 7, None), (9, None, 250)],
)
def test_a_portfolio_grows_by_tiers(days, every, people):
    assert grown(250, days, every) == people


def test_days_are_said_in_spans():
    first = datetime(2027, 1, 7, tzinfo=UTC).date()
    assert spans([first + timedelta(days=n) for n in (0, 1, 2, 5)]) == "on 7 Jan to 9 Jan, 12 Jan"


def test_a_lead_deleted_meanwhile_leaves_room_for_another(cast, tx):
    campaign_id = campaign_of(cast.org, 6, 2)
    desk.start(cast.org, campaign_id)
    with tx():
        first = value("SELECT lead_id FROM sends ORDER BY planned_on, id LIMIT 1")
        leads.remove([first])
    with tenancy.scope(cast.org):
        dispatch.send_for("test", 5, desk.NEVER)
    with tx():
        assert value("SELECT count(*) FROM sends WHERE status = 'sent'") == 1
    assert replanned(cast.org) > 0
    with tenancy.scope(cast.org):
        dispatch.send_for("test", 5, desk.NEVER)
    with tx():
        assert value("SELECT count(*) FROM sends WHERE status = 'sent'") == 2


def test_the_views_say_the_same_and_nothing_of_other_houses(cast, tx):
    campaign_id = campaign_of(cast.org, 5, 2)
    desk.start(cast.org, campaign_id)
    desk.settle_some(cast.org, campaign_id, 2)
    with tx():
        running = rows("SELECT * FROM v_active_campaigns")[0]
        assert (running.id, running.total_recipients, running.sent, running.pending) == (campaign_id, 5, 2, 3)
        assert running.progress_percentage == 40 and running.estimated_completion_date == batches(campaign_id)[-1][0]
        schedule = rows("SELECT * FROM v_daily_campaign_schedule ORDER BY send_date")
        assert [(row.batch_number, row.batch_size, row.sent, row.remaining) for row in schedule] == [
            (1, 2, 2, 0),
            (2, 2, 0, 2),
            (3, 1, 0, 1),
        ]
        summary = rows("SELECT status, recipients FROM v_recipient_status_summary ORDER BY 1")
        assert [tuple(row) for row in summary] == [("pending", 3), ("sent", 2)]
    with tx(cast.other_org):
        for view in ("v_active_campaigns", "v_daily_campaign_schedule", "v_recipient_status_summary"):
            assert rows(f"SELECT * FROM {view}") == []


def test_a_backlog_of_an_outage_is_asked_about_before_any_of_it_goes(cast, tx):
    campaign_id = campaign_of(cast.org, 4, None)
    desk.start(cast.org, campaign_id)
    with tx():
        run("UPDATE sends SET not_before = now() - interval '9 hours'")
        run("UPDATE campaigns SET started_at = now() - interval '10 hours'")
    with tenancy.scope(cast.org):
        assert dispatch.send_for("test", 5, desk.NEVER) == 0
        replanning.run_due()
    with tx():
        assert value("SELECT count(*) FROM sends WHERE status = 'pending'") == 4
        assert campaigns.get(campaign_id).status == "paused"
        campaigns.resume(campaign_id)
    with tenancy.scope(cast.org):
        assert dispatch.send_for("test", 5, desk.NEVER) > 0
    with tx():
        assert value("SELECT count(*) FROM sends WHERE status = 'sent'") == 4


def test_an_end_that_moves_moves_for_what_is_laid_already(cast, tx):
    campaign_id = campaign_of(cast.org, 6, 2, end_at=now() + timedelta(days=30))
    desk.start(cast.org, campaign_id)
    with tx():
        adjusting.adjust(campaign_id, {"end_at": lanes.day_start(lanes.today() + timedelta(days=1))})
    replanned(cast.org)
    with tx():
        assert dict(rows("SELECT status, count(*) FROM sends GROUP BY 1")) == {"pending": 2, "skipped": 4}
        assert desk.counters(campaign_id)["skipped"] == 4


def test_what_waits_for_its_own_hour_keeps_its_day_and_blocks_no_others(cast, tx):
    campaign_id = campaign_of(cast.org, 6, 2)
    desk.start(cast.org, campaign_id)
    with tx():
        later = now() + timedelta(days=3)
        run(
            "UPDATE sends SET wait_reason = 'frequency', not_before = :later, planned_on = :on WHERE id IN (SELECT id FROM sends"
            " ORDER BY planned_on, id LIMIT 2)",
            later=later, on=lanes.local(later, lanes.zone()).date(),
        )  # fmt: skip
    assert replanned(cast.org) > 0
    with tx():
        waiting = rows("SELECT not_before, wait_reason FROM sends WHERE wait_reason = 'frequency'")
        assert [row.not_before for row in waiting] == [later, later]
        due = value("SELECT count(*) FROM sends WHERE wait_reason IS NULL AND planned_on = :d", d=lanes.today())
        assert due == 2  # others have come forward for them
    assert replanned(cast.org) == 0


def test_a_window_that_never_opens_is_told_before_and_skips_who_it_never_opens_for(cast, tx):
    campaign_id = campaign_of(cast.org, 2, None, send_window={"from": "10:00", "to": "11:00", "days": [1]})
    with tx():
        organizations.current().quiet_hours = {"email": {"from": "08:00", "to": "09:00"}}
        assert "no time in which it may go out" in forecast(campaigns.get(campaign_id)).notes[0]
        assert "send_window" in checking.missing(campaigns.get(campaign_id))
        # Nowhere in all of Russia is it between nine and twelve at once.
        organizations.current().quiet_hours = {"email": {"from": "09:00", "to": "12:00"}}
        run("UPDATE campaigns SET send_window = NULL")
        run("UPDATE leads SET country = 'RU'")
        hours = lanes.hours_of("email", None)
        limits = Limits(lanes.today(), hours=hours)
        campaigns.launch(campaign_id)
    with tenancy.scope(cast.org):
        dispatch.start_due()
    with tx():
        run("UPDATE sends SET not_before = now()")
        sender_id = value("SELECT sender_id FROM campaigns")
        assert outbox.claim(campaign_id, "email", "test", sender_id=sender_id, limits=limits).skipped == 2
        assert {row.skip_reason for row in rows("SELECT skip_reason FROM sends")} == {"no_hours"}


def test_hours_that_no_clock_has_pass_nobody_over(cast, tx):
    campaign_id = campaign_of(cast.org, 2, None)
    desk.start(cast.org, campaign_id)
    with tx(), pytest.raises(Invalid) as refused:
        organizations.current().quiet_hours = {"email": {"from": "08:00", "to": "21:00"}}
        adjusting.adjust(campaign_id, {"send_window": {"from": "05:00", "to": "07:00"}})
    assert list(refused.value.errors) == ["send_window"]
    with tx():
        hours = Hours(((480, 1260), (300, 420)))
        limits = Limits(lanes.today(), hours=hours)
        sender_id = value("SELECT sender_id FROM campaigns")
        claimed = outbox.claim(campaign_id, "email", "test", sender_id=sender_id, limits=limits)
        assert (claimed.rows, claimed.skipped, claimed.waiting) == ([], 0, 2)
        again = value("SELECT max(not_before) FROM sends WHERE wait_reason = 'quiet_hours'")
        assert again < now() + timedelta(hours=2)


def test_a_provider_that_fails_leaves_nobody_uncertain_but_whom_it_had_in_hand(cast, tx, monkeypatch):
    campaign_id = campaign_of(cast.org, 5, None)
    desk.start(cast.org, campaign_id)

    def broken(_sender, messages, _deadline):
        for n, message in enumerate(messages):
            if n == 2:
                raise RuntimeError("a defect of ours")
            yield Outcome(message.send_id, "accepted" if n else "rejected", "5\ud83d0", "bad \ud83d \0 words")

    monkeypatch.setattr(local, "deliver", broken)
    with tenancy.scope(cast.org):
        dispatch.send_for("test", 0, desk.NEVER)
    with tx():
        found = dict(rows("SELECT status, count(*) FROM sends GROUP BY 1"))
        assert found == {"failed": 1, "sent": 1, "unknown": 1, "pending": 2}
        assert desk.counters(campaign_id) == desk.recount(campaign_id)


@pytest.mark.parametrize(
    ("effect", "holds"), [("hold_sender", "senders"), ("hold_template", "templates"), ("suppress", None)]
)
def test_what_a_providers_words_mean_for_the_others_is_heeded(cast, tx, monkeypatch, effect, holds):
    campaign_id = campaign_of(cast.org, 3, None)
    desk.start(cast.org, campaign_id)

    def said(_sender, messages, _deadline):
        first, *others = messages
        yield Outcome(first.send_id, "rejected", "131", "Not with us.", effect=effect)
        yield from (Outcome(message.send_id, "released") for message in others)

    monkeypatch.setattr(local, "deliver", said)
    with tenancy.scope(cast.org):
        dispatch.send_for("test", 0, desk.NEVER)
        assert dispatch.send_for("test", 0, desk.NEVER) == (0 if holds else 1)
    with tx():
        if holds:
            assert value(f"SELECT hold_reason FROM {holds} WHERE hold_reason IS NOT NULL") == "131: Not with us."
        else:
            assert value("SELECT count(*) FROM suppressions WHERE reason = 'stop'") == 2


@pytest.mark.parametrize(("bounces", "barred"), [(["hard"], 1), (["soft", "soft"], 0), (["soft"] * 3, 1)])
def test_who_is_refused_at_the_door_is_barred_by_the_rules_for_bounces(cast, tx, monkeypatch, bounces, barred):
    with tx():
        desk.add_lead(1)
    for n, bounce in enumerate(bounces):

        def refused(_sender, messages, _deadline, bounce=bounce):
            yield from (Outcome(message.send_id, "rejected", "550", "550 no", bounce=bounce) for message in messages)

        monkeypatch.setattr(local, "deliver", refused)
        with tx():
            assert value("SELECT count(*) FROM suppressions") == 0
            campaign_id = desk.draft(f"Round {n}").id
        desk.start(cast.org, campaign_id)
        with tenancy.scope(cast.org):
            assert dispatch.send_for("test", 0, desk.NEVER) == 1
    with tx():
        found = rows("SELECT status, bounce_type, error_code FROM sends ORDER BY id")
        assert [tuple(row) for row in found] == [("failed", bounce, "550") for bounce in bounces]
        assert value("SELECT count(*) FROM suppressions WHERE reason = 'hard_bounce'") == barred
        assert value("SELECT count(*) FROM lead_events WHERE type = 'suppressed'") == barred


def test_who_waits_for_another_day_is_planned_on_it_and_takes_room_there(cast, tx):
    campaign_id = campaign_of(cast.org, 30, 10)
    with tx():
        on = lanes.today()
        db.session.add(Holiday(country="MX", on_date=on, name="A holiday"))
        run("UPDATE leads SET country = 'MX', timezone = 'America/Chicago' WHERE id % 3 = 0")
    desk.start(cast.org, campaign_id)
    with tx():
        order = dispatch.order_of(campaign_id)
        claimed = outbox.claim(campaign_id, "email", "test", sender_id=order.sender_id, limits=order.limits)
        assert claimed.waiting
        outcomes.finalise(claimed, [Outcome(row.id, "accepted") for row in claimed.rows])
    replanned(cast.org)
    with tx():
        planned = dict(rows("SELECT planned_on, count(*) FROM sends GROUP BY 1"))
        assert {n for _, _, n in batches(campaign_id)} == {10} and set(planned.values()) == {10}
        assert {on: n for on, _, n in batches(campaign_id)} == planned
        waits = rows("SELECT DISTINCT planned_on FROM sends WHERE wait_reason = 'holiday'")
        assert [row.planned_on > lanes.today() for row in waits] == [True]
    assert replanned(cast.org) == 0
    with tx():
        holidays.remove(value("SELECT id FROM holidays"))
    with tenancy.scope(cast.org):
        replanning.run_due()
    with tx():
        assert value("SELECT count(*) FROM sends WHERE wait_reason IS NOT NULL") == 0
        assert {n for _, _, n in batches(campaign_id)} == {10}


@pytest.mark.parametrize("whose", ["organisation", "campaign"])
def test_hours_that_open_earlier_let_go_what_waits_for_them(cast, tx, whose):
    late = {"from": "23:58", "to": "23:59"}
    campaign_id = campaign_of(cast.org, 4, 2, send_window=late if whose == "campaign" else None)
    with tx():
        if whose == "organisation":
            organizations.set_quiet_hours({"email": late})
    desk.start(cast.org, campaign_id)
    with tx():
        assert value("SELECT bool_and(not_before > now()) FROM sends")
        if whose == "campaign":
            adjusting.adjust(campaign_id, {"send_window": None})
        else:
            organizations.set_quiet_hours({"email": None})
    with tenancy.scope(cast.org):
        assert replanning.run_due() > 0
    with tx():
        assert value("SELECT count(*) FROM sends WHERE not_before <= now()") == 2
    assert replanned(cast.org) == 0
