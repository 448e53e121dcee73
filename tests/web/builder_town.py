"""An organisation with three hundred leads, the same ones every time, and what a person at the desk would ask of them:
fifteen segments, each as a rule tree and as SQL written by hand."""

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import insert

from webapp.audience import segments, syncing
from webapp.audience.consents import Consent
from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES
from webapp.audience.leads import Lead
from webapp.audience.policies import Policy
from webapp.audience.timeline import LeadEvent
from webapp.campaigns import campaigns
from webapp.platform import clock
from webapp.platform.db import db, rows, value
from webapp.platform.organizations import current as current_organization

HOURS = (1, 5, 20, 30, 70, 500, 900, 3000)
SOURCES, STATES = ("Website", "Referral", "trade fair", None), ("TX", "CA", "NY", "FL", None)
LAST_NAMES = ("Alvarez", "Okafor", "Adams", "Lindqvist", "Sharma", "Ng")
TAGS = ("vip", "family", "fleet", "renewal")


@dataclass(frozen=True)
class Town:
    """The ids a rule may name."""

    owner: int
    campaign: int
    texans: int


def furnish(owner: int) -> Town:
    """Writes the leads and what belongs to them into the organisation in scope."""
    dice, now = random.Random(11), clock.now()
    today = clock.local(now, current_organization().timezone).date()
    campaign = campaigns.save(None, {"name": "Autumn renewals"}).id
    leads = [_lead(dice, n, now, today, owner) for n in range(300)]
    ids = db.session.scalars(insert(Lead).returning(Lead.id, sort_by_parameter_order=True), leads).all()
    held = [{"lead_id": one} | _policy(dice, today) for one in ids for _ in range(dice.choice((0, 0, 1, 1, 2, 3)))]
    db.session.execute(insert(Policy), [policy | {"number": f"LIC-{n:05}"} for n, policy in enumerate(held)])
    db.session.execute(insert(Consent), [
        {"lead_id": one, "channel": "email", "status": dice.choice(("subscribed", "subscribed", "unsubscribed", "pending"))}
        for one in ids if dice.random() < 0.7
    ])  # fmt: skip
    db.session.execute(insert(LeadEvent), [
        {"lead_id": one, "type": dice.choice(("email_sent", "email_clicked", "email_clicked")),
         "payload": {"campaign_id": dice.choice((campaign, campaign, campaign + 1))},
         "occurred_at": now - timedelta(hours=dice.choice(HOURS), minutes=30)}
        for one in ids for _ in range(dice.choice((0, 1, 3, 6)))
    ])  # fmt: skip
    texas = {"field": "state", "operator": "equals", "value": "TX"}
    texans = segments.save(None, {"name": "Texans", "criteria": {"match": "all", "rules": [texas]}})
    syncing.sync(texans)
    return Town(owner, campaign, texans.id)


def _lead(dice: random.Random, n: int, now: Any, today: date, owner: int) -> dict[str, Any]:
    born = today + timedelta(days=dice.randint(-60, 60))
    created = now - timedelta(hours=dice.choice(HOURS), minutes=30)
    return {
        "first_name": f"Lead {n}",
        "last_name": dice.choice(LAST_NAMES),
        "email": f"lead{n}@{dice.choice(('example.com', 'example.org'))}",
        "status": dice.choice(STATUSES),
        "priority": dice.choice(PRIORITIES),
        "source": dice.choice(SOURCES),
        "insurance_type": dice.choice((*INSURANCE_TYPES[:4], None)),
        "state": dice.choice(STATES),
        "value_estimate": dice.choice((None, 200, 999.99, 1000, 1000.01, 4000, 5000, 5001, 20000)),
        "score": dice.choice((10, 50, 51, 90)),
        "engagement_score": dice.choice((0, 60, 61, 95)),
        "owner_id": dice.choice((owner, None)),
        "created_at": created,
        "last_activity_at": dice.choice((None, now - timedelta(days=dice.choice((1, 10, 29, 31, 90)), hours=1))),
        "date_of_birth": dice.choice((None, date(1980, born.month, born.day))),
        "tags": dice.sample(TAGS, dice.choice((0, 1, 2, 3))),
        "attributes": dice.choice(({}, {"household": dice.randint(1, 6)}, {"household": "many"})),
    }


def _policy(dice: random.Random, today: date) -> dict[str, Any]:
    status = dice.choice(("active", "active", "active", "lapsed", "cancelled"))
    return {
        "type": dice.choice(("auto", "home", "life")),
        "status": status,
        "premium": dice.choice((None, 300, 1200.5, 4000)),
        "payment_status": dice.choice(("paid", "paid", "due", "overdue")),
        "renews_on": today + timedelta(days=dice.randint(-20, 60)),
        "lapsed_on": today - timedelta(days=dice.randint(1, 200)) if status == "lapsed" else None,
    }


def rule(field: str, operator: str, *said: Any) -> dict[str, Any]:
    """Returns a rule; what is said is its value."""
    return {"field": field, "operator": operator} | ({"value": said[0]} if said else {})


def tree(match: str, *rules: dict[str, Any]) -> dict[str, Any]:
    """Returns a group."""
    return {"match": match, "rules": list(rules)}


@dataclass(frozen=True)
class Wanted:
    """A segment to be built: name, rules, and the condition over leads l that finds the same. hands: mouse or keys."""

    name: str
    tree: dict[str, Any]
    sql: str
    hands: str = "keys"


TODAY = "(now() AT TIME ZONE 'America/Chicago')::date"
SENT = "SELECT lead_id FROM lead_events WHERE type = 'email_sent' AND occurred_at"
HOLDS = "EXISTS (SELECT FROM policies p WHERE p.lead_id = l.id AND {})"
CONSENT = "(SELECT c.status FROM consents c WHERE c.lead_id = l.id AND c.channel = 'email')"
CLICKS = (
    "(SELECT count(*) FROM lead_events e WHERE e.lead_id = l.id AND e.type = 'email_clicked' AND e.campaign_id = {}"
    " AND e.occurred_at >= now() - interval '30 days')"
)


def wanted(town: Town) -> list[Wanted]:
    """Returns the fifteen."""
    return [*_of_sales(), *_of_policies(), *_of_the_calendar(), *_nested(town)]


def _of_sales() -> list[Wanted]:
    return [
        Wanted(
            "High-value auto leads",
            tree("all", rule("insurance_type", "equals", "auto"), rule("value_estimate", "greater_than", "1000"),
                 rule("status", "equals", "new")),
            "insurance_type = 'auto' AND value_estimate > 1000 AND status = 'new'", "mouse",
        ),
        Wanted(
            "Nurture from the website",
            tree("all", rule("source", "equals", "website"), rule("insurance_type", "in", ["home", "life"])),
            "lower(source) = 'website' AND insurance_type IN ('home', 'life')",
        ),
        Wanted(
            "Call first",
            tree("all", rule("value_estimate", "greater_than", "5000"), rule("status", "in", ["new", "contacted"]),
                 rule("score", "greater_than", "50")),
            "value_estimate > 5000 AND status IN ('new', 'contacted') AND score > 50", "mouse",
        ),
        Wanted(
            "Follow up",
            tree("all", rule("status", "equals", "new"), rule("created_at", "older_than", "24 hours"),
                 rule("event.email_sent", "did_not", {"times": 1, "within": "24 hours"})),
            f"status = 'new' AND created_at < now() - interval '24 hours' AND id NOT IN ({SENT} >= now() - interval '24 hours')",
        ),
        Wanted("Engaged", tree("all", rule("engagement_score", "greater_than", "60")), "engagement_score > 60", "mouse"),
    ]  # fmt: skip


def _of_policies() -> list[Wanted]:
    overdue = {"status": "active", "payment_status": "overdue"}
    return [
        Wanted(
            "Auto without home",
            tree("all", rule("policies", "has", {"type": "auto", "status": "active"}),
                 rule("policies", "has_none", {"type": "home"})),
            HOLDS.format("type = 'auto' AND status = 'active'") + " AND NOT " + HOLDS.format("type = 'home'"), "mouse",
        ),
        Wanted("Policyholders", tree("all", rule("policies", "has", {"status": "active"})),
               HOLDS.format("p.status = 'active'")),
        Wanted("Prospects", tree("all", rule("policy_count", "equals", "0")), "NOT " + HOLDS.format("true"), "mouse"),
        Wanted("Renewing soon", tree("all", rule("policies", "has", {"renews_within": "30 days"})),
               HOLDS.format(f"p.renews_on BETWEEN {TODAY} AND {TODAY} + 30")),
        Wanted("Behind with payment", tree("all", rule("policies", "has", overdue)),
               HOLDS.format("p.status = 'active' AND p.payment_status = 'overdue'"), "mouse"),
    ]  # fmt: skip


def _of_the_calendar() -> list[Wanted]:
    return [
        Wanted(
            "Birthday this week",
            tree("all", rule("birthday", "within", "7 days")),
            f"to_char(date_of_birth, 'MMDD') IN (SELECT to_char({TODAY} + n, 'MMDD') FROM generate_series(0, 7) n)",
        )
    ]


def _nested(town: Town) -> list[Wanted]:
    clicked = {"times": 2, "within": "30 days", "campaign_id": town.campaign}
    members = f"id IN (SELECT lead_id FROM segment_members WHERE segment_id = {town.texans} AND exited_at IS NULL)"
    lapsed = HOLDS.format("p.status = 'lapsed'")
    household = "CASE WHEN attributes ->> 'household' ~ '^[0-9]+$' THEN (attributes ->> 'household')::int > 3 END"
    return [
        Wanted(
            "Keen families",
            tree("all", rule("status", "not_in", ["lost"]),
                 tree("any", rule("tags", "has_all", ["vip", "family"]),
                      tree("all", rule("event.email_clicked", "did", clicked), rule("consent.email", "equals", "subscribed"))),
                 tree("none", rule("owner_id", "equals", town.owner), rule("policies", "has", {"status": "lapsed"}))),
            f"status <> 'lost' AND (tags @> '{{vip,family}}' OR ({CLICKS.format(town.campaign)} >= 2 AND"
            f" {CONSENT} = 'subscribed')) AND owner_id IS DISTINCT FROM {town.owner} AND NOT"
            f" {lapsed}", "mouse",
        ),
        Wanted(
            "Texans and large households",
            tree("any", rule("segment", "in", [town.texans]),
                 tree("all", rule("attributes.household", "greater_than", "3"),
                      tree("none", rule("consent.email", "in", ["unsubscribed"]), rule("status", "equals", "lost"))),
                 rule("birthday", "this_month")),
            f"{members} OR ({household} AND {CONSENT} IS DISTINCT FROM 'unsubscribed' AND status <> 'lost')"
            f" OR extract(month FROM date_of_birth) = extract(month FROM {TODAY})",
        ),
        Wanted(
            "Not worth a letter",
            tree("none", rule("insurance_type", "is_not_set"),
                 tree("all", rule("value_estimate", "less_than", "500"),
                      tree("any", rule("tags", "has_any", ["fleet"]), rule("state", "in", ["tx", "ca"]))),
                 rule("event.email_sent", "did", {"times": 1, "within": "7 days", "before": "12 hours"})),
            "insurance_type IS NOT NULL AND (value_estimate < 500 AND (tags && '{fleet}' OR state IN ('TX', 'CA')))"
            f" IS NOT TRUE AND id NOT IN ({SENT} BETWEEN now() - interval '7 days' AND now() - interval '12 hours')", "mouse",
        ),
        Wanted(
            "Quiet and valuable",
            tree("all", rule("inactive", "for", "30 days"),
                 tree("any", rule("last_name", "starts_with", "a"),
                      tree("all", rule("priority", "in", ["high", "urgent"]), rule("policy_count", "between", ["1", "2"])),
                      tree("none", rule("segment", "in", [town.texans]), rule("email", "contains", "example.org")))),
            "coalesce(last_activity_at, created_at) <= now() - interval '30 days' AND (last_name ILIKE 'a%' OR"
            " (priority IN ('high', 'urgent') AND (SELECT count(*) FROM policies p WHERE p.lead_id = l.id) BETWEEN 1 AND 2)"
            f" OR (NOT {members} AND email NOT LIKE '%example.org%'))",
        ),
    ]  # fmt: skip


def counted(condition: str) -> int:
    """Returns how many leads of the organisation in scope a condition written by hand is true for."""
    return value(f"SELECT count(*) FROM leads l WHERE deleted_at IS NULL AND ({condition})")


def stored(name: str) -> Any:
    """Returns id, criteria, version and estimated_size of a segment by its name."""
    return rows("SELECT id, criteria, version, estimated_size FROM segments WHERE name = :name", name=name)[0]
