"""Why a lead gets a campaign's message or not: every thing that decides, in its order and in plain words."""

from datetime import timedelta

import pytest

from tests.audience.members import statements
from tests.messaging import desk
from webapp.audience import consents, leads, segments
from webapp.campaigns import campaigns, why
from webapp.platform import organizations
from webapp.platform.clock import now
from webapp.platform.db import db, run, value
from webapp.platform.tenancy import current_org

TEXANS = {"match": "all", "rules": [{"field": "state", "operator": "equals", "value": "TX"}]}


def asked(campaign_id: int, lead_id: int) -> why.Why:
    return why.why(campaigns.get(campaign_id), leads.get(lead_id))


def signs(found: why.Why) -> dict[str, str]:
    return {step.name: step.sign for step in found.steps}


def words(found: why.Why, name: str) -> str:
    return next(step.words for step in found.steps if step.name == name)


@pytest.fixture
def draft(cast, tx) -> tuple[int, int]:
    """The ids of a draft to Texans and of one who may get it."""
    with tx():
        segment = segments.save(None, {"name": "Texans", "criteria": TEXANS})
        return desk.draft(segment_id=segment.id).id, desk.add_lead(1)


def test_nothing_in_the_way_of_a_draft(cast, tx, draft):
    with tx():
        found = asked(*draft)
        assert signs(found) == {
            "Audience": "yes", "E-mail consent": "yes", "E-mail address": "yes", "Frequency": "yes", "Hours": "yes",
            "Daily limit": "yes",
        }  # fmt: skip
        assert found.rules.holds and "America/" in words(found, "Hours")


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        ("UPDATE leads SET state = 'CA'", "Audience", "Not in the segment"),
        ("UPDATE consents SET status = 'unsubscribed'", "E-mail consent", "Unsubscribed"),
        ("UPDATE consents SET status = 'pending'", "E-mail consent", "Not confirmed yet"),
        ("DELETE FROM consents", "E-mail consent", "Never agreed"),
        ("UPDATE leads SET email = NULL", "E-mail consent", "No e-mail address"),
    ],
)
def test_what_stands_in_the_way_is_named(cast, tx, draft, change, name, said):
    with tx():
        run(change)
        db.session.expire_all()
        found = asked(*draft)
        assert signs(found)[name] == "no" and said in words(found, name) and said in found.outcome


def test_a_barred_address_is_named(cast, tx, draft):
    with tx():
        consents.suppress("email", "lead1@example.com", "hard_bounce")
        assert signs(asked(*draft))["E-mail address"] == "no"


def test_the_frequency_cap_counts_what_went_lately(cast, tx, draft):
    with tx():
        organizations.current().frequency_cap = {"sends": 2, "days": 7}
        for n, days in enumerate((1, 3, 30)):
            run(
                "INSERT INTO sends (kind, lead_id, channel, recipient_address, dedup_key, status, sent_at)"
                " VALUES ('campaign', :lead, 'email', 'x', :key, 'sent', :at)",
                lead=draft[1], key=f"old {n}", at=now() - timedelta(days=days),
            )  # fmt: skip
        found = asked(*draft)
        assert (signs(found)["Frequency"], words(found, "Frequency")) == ("waits", "2 of 2 messages in the last 7 days")


def test_closed_hours_say_when_they_open(cast, tx, draft):
    with tx():
        here = now()
        closed = {"from": f"{(here.hour + 3) % 24:02}:00", "to": f"{(here.hour + 4) % 24:02}:00"}
        organizations.current().quiet_hours = {"email": closed}
        run("UPDATE leads SET timezone = 'UTC'")
        db.session.expire_all()
        found = asked(*draft)
        assert signs(found)["Hours"] == "waits" and f"{closed['from']} their time" in words(found, "Hours")


def test_a_campaign_at_its_daily_limit_says_how_many(cast, tx):
    campaign_id = desk.started(cast.org, 2)
    with tx():
        run("UPDATE campaigns SET daily_send_limit = 2")
        run("UPDATE campaign_batches SET claimed = 2")
        found = asked(campaign_id, value("SELECT min(lead_id) FROM sends"))
        assert (signs(found)["Daily limit"], words(found, "Daily limit")) == ("waits", "2 of 2 used today")
        assert signs(found)["Plan"] == "waits" and words(found, "Plan").startswith("Planned for ")


@pytest.mark.parametrize(
    ("kind", "sign", "said"),
    [("accepted", "told", "Sent by E-mail"), ("rejected", "no", "Not accepted"), ("unknown", "waits", "Nobody knows"),
     ("retry", "waits", "tried again")],
)  # fmt: skip
def test_each_end_of_an_attempt_is_told(cast, tx, kind, sign, said):
    campaign_id = desk.started(cast.org, 1)
    (send_id,) = desk.settle(cast.org, campaign_id, [kind])
    with tx():
        if kind == "accepted":
            run("INSERT INTO engagement_events (send_id, kind, at, provider_event_id) VALUES (:id, 'clicked', now(), 'one')",
                id=send_id)  # fmt: skip
        found = asked(campaign_id, desk.send_of(send_id).lead_id)
        last = found.steps[-1]
        assert (last.name, last.sign) == ("E-mail", sign) and said in last.words
        assert [told for told, _ in last.more] == (["clicked"] if kind == "accepted" else [])
        if kind in ("accepted", "rejected"):
            assert found.outcome == last.words


def test_who_was_left_out_and_who_came_too_late(cast, tx):
    with tx():
        left_out = desk.add_lead(9, None)
    campaign_id = desk.started(cast.org, 1)
    with tx():
        late = desk.add_lead(8)
        assert "Left out at planning: Never agreed" in words(asked(campaign_id, left_out), "Left out")
        assert "They would be now" in words(asked(campaign_id, late), "Audience")


def test_it_asks_no_more_for_more_receipts(cast, tx):
    campaign_id = desk.started(cast.org, 1)
    (send_id,) = desk.settle(cast.org, campaign_id, ["accepted"])
    with tx():
        for n in range(30):
            run("INSERT INTO engagement_events (send_id, kind, at, provider_event_id) VALUES (:id, 'opened', now(), :n)",
                id=send_id, n=str(n))  # fmt: skip
        campaign, lead = campaigns.get(campaign_id), leads.get(desk.send_of(send_id).lead_id)
        organizations.current()
        with statements() as seen:
            assert len(why.why(campaign, lead).steps[-1].more) == 30
        # recipient; sends with their receipts; segment; member since (rules of everybody ask nothing); consents; barred.
        assert len(seen) == 6, seen
        assert current_org() == cast.org
