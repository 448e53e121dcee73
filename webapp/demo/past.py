"""The past: campaigns that have run, written down with their messages, receipts and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from webapp.campaigns.campaigns import Campaign
from webapp.demo import audiences, counting, holdings, letters, writing
from webapp.demo.audiences import holds
from webapp.demo.mailings import Dispatch, Mailing
from webapp.demo.materials import Materials
from webapp.demo.people import Person
from webapp.messaging import links, templates
from webapp.messaging.compose import trackable
from webapp.platform.clock import from_local
from webapp.platform.db import db


@dataclass(frozen=True)
class Plan:
    """A campaign of the past. name: with the month it ran in; days: how long ago; opens, clicks: see Mailing."""

    name: str
    letter: dict[str, Any]
    segment: dict[str, Any]
    days: int
    goal: str
    opens: float
    clicks: float


PLANS = (
    Plan("{month} newsletter", letters.NEWSLETTER, audiences.READERS, 150, "engagement", 0.4, 0.16),
    Plan("Bundle home and auto, {month}", letters.CROSS_SELL, audiences.AUTO_HOLDERS, 70, "policy_sales", 0.4, 0.19),
    Plan("{month} renewals", letters.RENEWAL, audiences.RENEWING, 9, "renewal_rate", 0.42, 0.17),
)


def simulate(rng: Random, people: list[Person], registry: holdings.Registry, now: datetime) -> list[list[Dispatch]]:
    """Runs the campaigns in their order, so that each knows who left in the one before."""

    def buys(dispatch: Dispatch, at: datetime) -> bool:
        person = dispatch.person
        if len(person.policies) != 1:
            return False
        bought = holdings.policy(rng, registry.next(), "home", at.date()) | {"created_at": at}
        person.policies.append(bought)
        holdings.pay(rng, person, bought, now)
        dispatch.happened(at, "policy_added", **holdings.described(bought))
        holdings.conclude(person, now.date())
        return True

    ran = []
    for plan in PLANS:
        mailing = Mailing(
            started=started(plan, now),
            audience=_audience(plan, now),
            opens=plan.opens,
            clicks=plan.clicks,
            urls=trackable(plan.letter["html_content"]),
            bought=buys if plan.goal == "policy_sales" else None,
        )
        ran.append(mailing.run(rng, people, now))
    return ran


def _audience(plan: Plan, now: datetime) -> Callable[[Person], bool]:
    start, about_policies = started(plan, now), plan.segment is not audiences.READERS

    def was_in(person: Person) -> bool:
        # Tags of policies are as of today: nobody gets a letter about a policy they did not have yet.
        held = not about_policies or any(policy["created_at"] < start for policy in person.policies)
        return held and holds(plan.segment, person)

    return was_in


def started(plan: Plan, now: datetime) -> datetime:
    """Returns when a campaign of the past began (UTC): ten in the morning in Chicago, on a working day."""
    day = now.date() - timedelta(days=plan.days)
    day -= timedelta(days=max(0, day.weekday() - 4))
    return from_local(datetime.combine(day, time(10)), "America/Chicago")


def write(plan: Plan, dispatches: list[Dispatch], made: Materials, by: int, now: datetime) -> None:
    """Adds a campaign that has run, with everything that came of it. by: id of the user who made it."""
    campaign = _campaign(plan, dispatches, made, by, started(plan, now))
    writing.insert("campaign_recipients", [
        {
            "campaign_id": campaign.id, "lead_id": d.person.id, "skip_reason": d.skip_reason,
            "state": "skipped" if d.skip_reason else "planned", "planned_on": campaign.started_at.date(),
            "created_at": campaign.started_at,
        }
        for d in dispatches
    ])  # fmt: skip
    written = [dispatch for dispatch in dispatches if dispatch.send]
    ids = writing.insert("sends", [_send(campaign, dispatch) for dispatch in written])
    link_ids = {url: links.store(campaign.id, url) for url in trackable(plan.letter["html_content"])}
    receipts = []
    for dispatch, send_id in zip(written, ids, strict=True):
        for payload in dispatch.payloads:
            payload |= {"campaign_id": campaign.id, "send_id": send_id}
        if dispatch.word:
            dispatch.word.evidence = f"send {send_id}"
        receipts += [
            receipt | {"send_id": send_id, "link_id": link_ids.get(receipt["url"]), "created_at": receipt["at"],
                       "provider_event_id": f"demo|{send_id}|{n}"}
            for n, receipt in enumerate(dispatch.receipts)
        ]  # fmt: skip
    writing.insert("engagement_events", receipts)
    revenue = sum(Decimal(p["premium"]) for dispatch in written for p in dispatch.payloads if "premium" in p)
    counting.count(campaign.id, Decimal(revenue))


def _campaign(plan: Plan, dispatches: list[Dispatch], made: Materials, by: int, start: datetime) -> Campaign:
    template = made.templates[plan.letter["name"]]
    done = max((d.send["sent_at"] for d in dispatches if d.send.get("sent_at")), default=start) + timedelta(minutes=3)
    name = plan.name.format(month=f"{start:%B}")
    campaign = Campaign(
        name=name, slug=templates.slugify(f"{name} {start:%Y}"), status="completed", category=plan.letter["category"],
        goal=plan.goal, segment_id=made.segments[plan.segment["name"]].id, target_count=len(dispatches),
        template_id=template.id, template_version_id=templates.latest_version(template).id,
        sender_id=made.sender.id, scheduled_at=start, started_at=start, completed_at=done,
        created_by=by, created_at=start - timedelta(days=2), updated_at=done,
    )  # fmt: skip
    template.usage_count += 1
    db.session.add(campaign)
    db.session.flush()
    _audit(campaign)
    return campaign


def _audit(campaign: Campaign) -> None:
    """Leaves the traces of those who made, launched and sent it."""
    by, made, start = campaign.created_by, campaign.created_at, campaign.started_at
    traces = (
        ("saved", by, made, None), ("scheduled", by, start - timedelta(hours=20), "draft"),
        ("active", None, start, "scheduled"),
    )  # fmt: skip
    writing.insert("audit_log", [
        {
            "action": f"campaign.{did}", "actor_id": actor, "entity": "campaign", "entity_id": campaign.id,
            "before": before and {"status": before}, "created_at": at,
            "after": None if before else {"name": campaign.name},
        }
        for did, actor, at, before in traces
    ])  # fmt: skip


def _send(campaign: Campaign, dispatch: Dispatch) -> dict[str, Any]:
    lead = dispatch.person.lead
    address = lead["email"].lower()
    return dispatch.send | {
        "campaign_id": campaign.id, "kind": "campaign", "lead_id": dispatch.person.id, "channel": "email",
        "sender_id": campaign.sender_id, "recipient_address": address,
        "recipient_name": f"{lead['first_name']} {lead['last_name']}",
        "template_version_id": campaign.template_version_id, "dedup_key": f"campaign:{campaign.id}:email:{address}",
    }  # fmt: skip
