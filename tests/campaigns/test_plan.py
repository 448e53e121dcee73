"""Planning: the review counts exactly what the launch writes, everybody is accounted for, and doing it twice adds
nothing."""

from collections import Counter
from itertools import product

from tests.messaging import desk
from webapp.audience import consents, leads, segments
from webapp.campaigns import campaigns, plan
from webapp.platform.clock import now
from webapp.platform.db import one, rows, run, value


def crowd() -> Counter:
    """Adds a lead of every kind there is; returns how many should fall under which reason, None for will be reached."""
    expected: Counter = Counter()
    kinds = product(
        (None, "subscribed", "unsubscribed", "pending"), (None, "hard_bounce", "manual"), (True, False), (True, False)
    )
    for n, (consent, bar, has_address, is_deleted) in enumerate(kinds):
        address = {"email": f"Lead{n}@Example.com"} if has_address else {"email": None, "phone": f"+1415200{n:04}"}
        lead_id = desk.add_lead(n, consent, **address)
        if bar and has_address:
            consents.suppress("email", f"lead{n}@EXAMPLE.com", bar)
        if is_deleted:
            leads.remove([lead_id])
            continue
        expected[_reason(consent, bar, has_address)] += 1
    return expected


def _reason(consent: str | None, bar: str | None, has_address: bool) -> str | None:
    if not has_address:
        return "no_email"
    if consent == "unsubscribed":
        return "unsubscribed"
    if bar:
        return "suppressed"
    return {"subscribed": None, "pending": "consent_pending", None: "no_consent"}[consent]


def begun(campaign):
    """A campaign whose time has come, not planned yet."""
    campaigns.launch(campaign.id)
    campaigns.move(campaign, "active")
    return campaign


def test_the_review_counts_what_the_launch_writes(cast, tx):
    with tx():
        expected = crowd()
        campaign = begun(desk.draft(priority=2))
        assert plan.preview(campaign) == expected
        assert plan.write(campaign) == campaign.target_count == expected.total()
        frozen = rows("SELECT skip_reason, count(*) FROM campaign_recipients GROUP BY 1")
        assert dict(frozen) == expected
        assert value("SELECT count(*) FROM sends WHERE status = 'pending'") == expected[None]
        assert plan.skipped(campaign) == {reason: n for reason, n in expected.items() if reason}
        found = desk.counters(campaign.id)
        assert found == desk.recount(campaign.id)
        assert found["planned"] == found["skipped"] + expected[None]


def test_every_reason_can_be_said_in_words(cast, tx):
    with tx():
        crowd()
        for reason in plan.preview(desk.draft()):
            assert reason is None or consents.reason_words(reason) != reason.replace("_", " ")


def test_planning_twice_adds_nothing(cast, tx):
    with tx():
        crowd()
        campaign = begun(desk.draft())
        planned = plan.write(campaign)
        before = [
            rows(f"SELECT * FROM {table} ORDER BY id") for table in ("sends", "campaign_recipients", "campaign_daily")
        ]
        assert plan.write(campaign) == 0
        after = [
            rows(f"SELECT * FROM {table} ORDER BY id") for table in ("sends", "campaign_recipients", "campaign_daily")
        ]
        assert after == before and campaign.target_count == planned
        assert desk.counters(campaign.id) == desk.recount(campaign.id)


def test_planning_again_after_the_audience_grew_counts_the_new_ones_only(cast, tx):
    with tx():
        expected = crowd()
        campaign = begun(desk.draft())
        plan.write(campaign)
        desk.add_lead(900)
        desk.add_lead(901, None)
        assert plan.write(campaign) == 2
        assert campaign.target_count == expected.total() + 2
        assert desk.counters(campaign.id) == desk.recount(campaign.id)


def test_a_send_says_what_goes_to_whom(cast, tx):
    with tx():
        lead_id = desk.add_lead(1, email="Ada@Example.com", first_name="Ada", last_name="Lopez")
        campaign = begun(desk.draft(priority=3))
        plan.write(campaign)
        send = one("SELECT * FROM sends")
        assert (send.lead_id, send.recipient_address, send.recipient_name) == (lead_id, "ada@example.com", "Ada Lopez")
        assert send.dedup_key == f"campaign:{campaign.id}:email:ada@example.com"
        assert (send.kind, send.channel, send.status, send.attempts, send.priority) == (
            "campaign",
            "email",
            "pending",
            0,
            3,
        )
        assert (send.sender_id, send.template_version_id) == (campaign.sender_id, campaign.template_version_id)
        assert abs((send.planned_on - now().date()).days) <= 1


def test_names_that_are_missing_leave_no_stray_spaces(cast, tx):
    with tx():
        for n, names in enumerate(({"first_name": None, "last_name": "Only"}, {"first_name": None})):
            desk.add_lead(n, **names)
        plan.write(begun(desk.draft()))
        assert [row.recipient_name for row in rows("SELECT recipient_name FROM sends ORDER BY id")] == ["Only", None]


def test_only_the_segment_is_meant(cast, tx):
    with tx():
        for n, tags in enumerate((["vip-gold"], ["plain"], [])):
            desk.add_lead(n, tags=tags)
        for operator, expected in (("starts_with", 1), ("not_contains", 3), ("ends_with", 0)):
            criteria = {"match": "all", "rules": [{"field": "tags", "operator": operator, "value": "vip"}]}
            segment = segments.save(None, {"name": operator, "criteria": criteria})
            campaign = desk.draft(operator, segment_id=segment.id)
            assert plan.preview(campaign).get(None, 0) == expected == segment.estimated_size
            assert plan.write(begun(campaign)) == expected


def test_a_campaign_without_a_segment_reaches_nobody(cast, tx):
    with tx():
        desk.add_lead(1)
        assert plan.preview(desk.draft(segment_id=None)) == {}


def test_an_empty_audience_is_planned_as_such(cast, tx):
    with tx():
        campaign = begun(desk.draft())
        assert plan.preview(campaign) == {} and plan.write(campaign) == 0
        assert value("SELECT count(*) FROM sends") == 0


def test_two_campaigns_write_to_the_same_people_each_once(cast, tx):
    with tx():
        desk.add_lead(1)
        for name in ("One", "Two"):
            assert plan.write(begun(desk.draft(name))) == 1
        assert value("SELECT count(DISTINCT dedup_key) FROM sends") == 2


def test_a_lead_that_came_later_is_not_in_a_frozen_audience(cast, tx):
    campaign_id = desk.started(cast.org, 2)
    with tx():
        desk.add_lead(9)
        assert value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = :id", id=campaign_id) == 2


def test_another_organisations_leads_are_nobody_here(cast, tx):
    with tx(cast.other_org):
        desk.add_lead(1)
    with tx():
        assert plan.preview(desk.draft()) == {}


def test_the_frozen_reasons_and_those_at_claiming_are_told_together(cast, tx):
    campaign_id = desk.started(cast.org, 3)
    with tx():
        run(
            "UPDATE sends SET status = 'skipped', skip_reason = 'address_changed' WHERE id = (SELECT min(id) FROM sends)"
        )
        run("UPDATE campaign_recipients SET state = 'skipped', skip_reason = 'no_consent'"
            " WHERE id = (SELECT max(id) FROM campaign_recipients)")  # fmt: skip
        assert plan.skipped(campaigns.get(campaign_id)) == {"address_changed": 1, "no_consent": 1}
