"""Campaigns with their sends, brought to any state without a mail server; and what their counters should say."""

import threading
from collections.abc import Iterable
from typing import Any

from webapp.audience import consents, leads, segments
from webapp.campaigns import campaigns, dispatch
from webapp.campaigns.campaigns import Campaign
from webapp.messaging import outbox, outcomes, senders, templates
from webapp.messaging.outbox import Outcome
from webapp.messaging.tallies import MEASURES
from webapp.platform import tenancy
from webapp.platform.db import one, rows, run, transaction, value

NEVER = threading.Event()
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
APPLE_PROXY = "Mozilla/5.0"
HTML = (
    '<p>Hello {{ first_name }}</p><a href="https://offer.example/?s={{ state }}">Offer</a>'
    '<a href="https://terms.example/">Terms</a><a href="{{ view_url }}">View</a><a href="{{ unsubscribe_url }}">Leave</a>'
)
LETTER = {"subject_line": "Hi {{ first_name }}", "html_content": HTML}
# A send is described in the outbox's own columns; this is what the counters must add up to.
COUNTED = {
    "sent": "count(sent_at)", "delivered": "count(delivered_at)", "failed": "count(*) FILTER (WHERE status = 'failed')",
    "unknown": "count(*) FILTER (WHERE status = 'unknown')", "opens": "sum(open_count)", "opened": "count(opened_at)",
    "machine_opened": "count(*) FILTER (WHERE machine_open_count > 0)", "clicks": "sum(click_count)",
    "clicked": "count(clicked_at)", "unsubscribed": "count(unsubscribed_at)",
    "skipped": "count(*) FILTER (WHERE status = 'skipped')",
    "bounced": "count(*) FILTER (WHERE status = 'bounced')",
    "complaints": "count(*) FILTER (WHERE bounce_type = 'complaint')",
}  # fmt: skip


def add_lead(n: int, consent: str | None = "subscribed", **values: Any) -> int:
    lead = leads.create({"first_name": f"Lead{n}", "email": f"lead{n}@example.com", "state": "TX"} | values)
    if consent:
        consents.set_consent(lead.id, "email", consent, source="test")
    return lead.id


def draft(name: str = "Offer", **changed: Any) -> Campaign:
    """Returns a complete draft to everyone."""
    values = {"name": name, "sender_id": senders.ensure_local("Lone Star", "hello@lone.example").id} | changed
    values.setdefault("template_id", templates.save(None, LETTER | {"name": f"Letter of {name}"}).id)
    values.setdefault("segment_id", segments.save(None, {"name": f"Everyone of {name}"}).id)
    return campaigns.save(None, values)


def start(org: int, campaign_id: int) -> None:
    """Launches a draft and starts it, as its time has come."""
    with transaction(org):
        campaigns.launch(campaign_id)
    with tenancy.scope(org):
        dispatch.start_due()


def started(org: int, n: int = 3) -> int:
    """Returns the id of a campaign that began to send to n people."""
    with transaction(org):
        for number in range(n):
            add_lead(number)
        campaign_id = draft().id
    start(org, campaign_id)
    return campaign_id


def settle(org: int, campaign_id: int, kinds: Iterable[str]) -> list[int]:
    """Claims a campaign's sends and records how they went, an hour ago. Returns their ids in order of their leads."""
    with transaction(org):
        claimed = outbox.claim(campaign_id, "email", "test")
    ids = sorted(row.id for row in claimed.rows)
    told = [Outcome(id, kind, provider_id=f"<{id}@x>") for id, kind in zip(ids, kinds, strict=True)]
    with transaction(org):
        outcomes.finalise(claimed, told)
        run(
            "UPDATE sends SET updated_at = now() - interval '1 hour', sent_at = sent_at - interval '1 hour' WHERE id = ANY(:ids)",
            ids=ids,
        )
    return ids


def settle_some(org: int, campaign_id: int, n: int) -> None:
    """Sends n of a campaign's messages of today through the engine's own claim, to a provider that takes them."""
    with transaction(org):
        order = dispatch.order_of(campaign_id)
        claimed = outbox.claim(campaign_id, "email", "test", n, sender_id=order.sender_id, limits=order.limits)
        assert len(claimed.rows) == n
    with transaction(org):
        outcomes.finalise(claimed, [Outcome(row.id, "accepted") for row in claimed.rows])


def status(campaign_id: int) -> str | None:
    return value("SELECT status FROM campaigns WHERE id = :id", id=campaign_id)


def in_state(org: int, state: str) -> int:
    """Returns the id of a campaign to two people, brought to a state the way it gets there in life."""
    if state in ("draft", "scheduled"):
        with transaction(org):
            campaign_id = draft().id
            if state == "scheduled":
                campaigns.launch(campaign_id)
        return campaign_id
    campaign_id = started(org, 2)
    if state in ("completed", "archived"):
        settle(org, campaign_id, ["accepted", "rejected"])
        with tenancy.scope(org):
            dispatch.settle()
    with transaction(org):
        verbs = {"paused": campaigns.pause, "cancelled": campaigns.cancel, "archived": campaigns.archive}
        if state in verbs:
            verbs[state](campaign_id)
    return campaign_id


def send_of(send_id: int) -> Any:
    return one("SELECT * FROM sends WHERE id = :id", id=send_id)


def facts(lead_id: int) -> list[str]:
    """Returns the types of a lead's facts, oldest first."""
    return [row.type for row in rows("SELECT type FROM lead_events WHERE lead_id = :id ORDER BY id", id=lead_id)]


def counters(campaign_id: int) -> dict[str, int]:
    """Returns the counters of a campaign after checking that both tables of them say the same."""
    sums = ", ".join(f"COALESCE(sum({name}), 0)::int AS {name}" for name in MEASURES)
    daily = one(f"SELECT {sums} FROM campaign_daily WHERE campaign_id = :id", id=campaign_id)
    total = one("SELECT * FROM campaign_analytics WHERE campaign_id = :id", id=campaign_id)
    assert {name: getattr(total, column) for name, column in MEASURES.items()} == daily._asdict()
    return daily._asdict()


def recount(campaign_id: int) -> dict[str, int]:
    """Returns what the counters must be, counted over the sends and the frozen audience."""
    asked = ", ".join(f"COALESCE({sql}, 0)::int AS {name}" for name, sql in COUNTED.items())
    found = one(f"SELECT {asked} FROM sends WHERE campaign_id = :id", id=campaign_id)._asdict()
    planned = value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = :id", id=campaign_id)
    unplanned = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = :id AND state = 'skipped'"
    found["skipped"] += value(unplanned, id=campaign_id)
    return dict.fromkeys(MEASURES, 0) | found | {"planned": planned}
