"""Double opt-in: asking somebody by e-mail whether we may write to them, and what they answer.

A request is a send like any other, of the kind "confirmation" and without a campaign. It is the one message that goes
to a consent that is pending, and it goes to no other (see consents.verdict).
"""

from datetime import timedelta
from itertools import count
from threading import Event
from typing import Any

from sqlalchemy import select

from webapp.audience import consents, timeline
from webapp.audience.leads import Lead
from webapp.messaging import delivery, outcomes, senders, templates
from webapp.messaging.caps import Limits
from webapp.messaging.delivery import NothingToDo, Order
from webapp.messaging.templates import Template
from webapp.messaging.warming import daily_limit_on
from webapp.platform import audit, tenancy, work
from webapp.platform.clock import now
from webapp.platform.db import db, one, run, transaction, value
from webapp.platform.errors import Refused
from webapp.platform.organizations import current as current_organization

WORK = "confirmations"
VALID_DAYS = 14
AGAIN_SECONDS = 3600  # asking the same person again within this sends nothing
SLUG = "confirm-subscription"
LETTER = {
    "name": "Confirm subscription",
    "description": "Asks somebody to confirm that we may write to them. Sent from a lead's page.",
    "subject_line": "May {{ company_name }} write to you?",
    "preview_text": "One click and you are subscribed. Without it we do not write again.",
    "html_content": """<div style="max-width:32rem;margin:0 auto;padding:24px 16px;font:16px/1.5 sans-serif;color:#1c2333">
<h1 style="font-size:22px;margin:0 0 16px">Hello {{ first_name|default("there", true) }},</h1>
<p>you, or somebody with your address, asked to hear from {{ company_name }} by e-mail.</p>
<p style="margin:24px 0"><a href="{{ confirm_url }}" style="background:#2f5bd3;color:#fff;padding:12px 22px;\
border-radius:7px;text-decoration:none;font-weight:bold;display:inline-block">Yes, write to me</a></p>
<p>If you did not ask for this, you need do nothing: without your answer we do not write to you again.</p>
</div>
""",
}  # fmt: skip


def template() -> Template:
    """Returns the organisation's confirmation message, made if it has none."""
    own = select(Template).where(Template.is_system, Template.available_tokens.contains(["confirm_url"]))
    if found := db.session.scalar(own.order_by(Template.id).limit(1)):
        return found
    # One after the other: two who make it at once would make two, or stumble over each other's name.
    run("SELECT FROM organizations WHERE id = :org FOR NO KEY UPDATE", org=tenancy.current_org())
    if found := db.session.scalar(own.order_by(Template.id).limit(1)):
        return found
    taken = set(db.session.scalars(select(Template.slug).where(Template.slug.startswith(SLUG))))
    slug = next(slug for n in count(1) if (slug := f"{SLUG}-{n}" if n > 1 else SLUG) not in taken)
    return templates.save(None, LETTER | {"slug": slug}, system=True)


def ask(lead: Lead, *, by: str) -> bool:
    """Sets a lead's e-mail consent to pending and has them asked. by: the name of who asks for it.

    Returns False where they were asked within the last hour already; nothing is sent then. Raises Refused where they
    cannot be asked: no address, a barred one, an answer given before, no sender.
    """
    standing = consents.of_lead(lead.id).get("email")
    if not lead.email:
        raise Refused("This lead has no e-mail address.")
    if consents.is_suppressed("email", lead.email):
        raise Refused("This address is suppressed, so nothing can be sent to it.")
    if standing and standing.status == "subscribed":
        raise Refused("They have agreed to e-mails already.")
    if standing and standing.status == "unsubscribed":
        raise Refused("They have unsubscribed. If they tell you otherwise, note their consent and how you know.")
    sender = next(iter(senders.usable("email")), None)
    if sender is None:
        raise Refused("There is no sender for e-mail that could ask them.")
    consents.set_consent(lead.id, "email", "pending", source=f"asked by {by}")
    send_id = _lay(lead.id, sender.id, templates.latest_version(template()).id)
    if send_id is None:
        return False
    timeline.record(lead.id, "consent_asked", {"channel": "email", "send_id": send_id, "source": f"asked by {by}"})
    audit.record("consent.asked", "lead", lead.id)
    work.announce(WORK)
    return True


def _lay(lead_id: int, sender_id: int, version_id: int) -> int | None:
    # Two at once count the same number of earlier ones, and so want the same key.
    return value(
        "INSERT INTO sends (kind, lead_id, channel, sender_id, recipient_address, recipient_name, template_version_id,"
        " dedup_key) SELECT 'confirmation', l.id, 'email', :sender, l.email_key,"
        " NULLIF(concat_ws(' ', l.first_name, l.last_name), ''), :version, 'confirmation:' || l.id || ':' ||"
        " (SELECT count(*) FROM sends e WHERE e.lead_id = l.id AND e.kind = 'confirmation')"
        " FROM leads l WHERE l.id = :lead AND NOT EXISTS (SELECT FROM sends r WHERE r.lead_id = l.id"
        " AND r.kind = 'confirmation' AND r.recipient_address = l.email_key AND r.status NOT IN ('failed', 'skipped')"
        " AND r.created_at > now() - :again * interval '1 second')"
        " ON CONFLICT (org_id, dedup_key) DO NOTHING RETURNING id",
        lead=lead_id, sender=sender_id, version=version_id, again=AGAIN_SECONDS,
    )  # fmt: skip


def order() -> Order:
    """Returns what is to be sent next. Raises NothingToDo. A sender that is gone since is stood in for by the default.

    They count against its caps as everything does; whoever asked for it may have it at any hour."""
    found = one(
        "SELECT s.template_version_id, x.id AS sender_id, x.updated_at AS sender_at, o.updated_at AS organization_at,"
        " x.daily_limit, x.warming, x.rate_per_second, (now() AT TIME ZONE o.timezone)::date AS day"
        " FROM sends s JOIN organizations o ON o.id = s.org_id CROSS JOIN LATERAL (SELECT * FROM senders c"
        " WHERE c.org_id = s.org_id AND c.channel = 'email' AND c.status IN ('active', 'warming') AND c.held_at IS NULL"
        " ORDER BY c.id = s.sender_id DESC, c.is_default DESC, c.id LIMIT 1) x"
        " WHERE s.org_id = :org AND s.campaign_id IS NULL AND s.kind = 'confirmation' AND s.status = 'pending'"
        " AND s.not_before <= now() AND (x.rate_limited_until IS NULL OR x.rate_limited_until <= now())"
        " ORDER BY s.not_before, s.id LIMIT 1",
        org=tenancy.current_org(),
    )
    if found is None:
        raise NothingToDo
    return Order(
        org_id=tenancy.current_org() or 0, campaign_id=None, version_id=found.template_version_id,
        sender_id=found.sender_id, channel="email", subject="", preview="",
        stamp=(found.sender_at, found.organization_at),
        limits=Limits(found.day, sender_daily=daily_limit_on(found, found.day), rate=found.rate_per_second),
    )  # fmt: skip


def send_due(node: str, stopping: Event) -> int:
    """Sends the requests that are due in the organisation in scope. Returns the number of batches."""
    batches = 0
    while not stopping.is_set() and delivery.send_batch(order, node) is not None:
        batches += 1
    with transaction():
        outcomes.expire(current_organization().timezone)
    with transaction():
        work.settle(WORK, _next_due)
    return batches


def _next_due() -> Any:
    # What is due but held back (a cap, a sender at rest) is looked at again in a moment, not at once.
    return value(
        "SELECT GREATEST(min(CASE status WHEN 'pending' THEN not_before ELSE lease_until END), now() + interval '1 second')"
        " FROM sends WHERE org_id = :org AND campaign_id IS NULL AND kind = 'confirmation'"
        " AND status IN ('pending', 'sending') HAVING count(*) > 0",
        org=tenancy.current_org(),
    )


def standing(send_id: int, *, lock: bool = False) -> str:
    """Returns how the request stands that a link came with: asking, done (confirmed), left (unsubscribed since), late
    (older than VALID_DAYS), or gone (the lead, or its address, is not there any more)."""
    found = one(
        "SELECT s.created_at, c.status FROM sends s JOIN leads l ON l.org_id = s.org_id AND l.id = s.lead_id"
        " JOIN consents c ON c.org_id = l.org_id AND c.lead_id = l.id AND c.channel = s.channel"
        " WHERE s.id = :id AND s.kind = 'confirmation' AND l.deleted_at IS NULL AND l.anonymized_at IS NULL"
        f" AND l.email_key = s.recipient_address{' FOR UPDATE OF c' if lock else ''}",
        id=send_id,
    )
    if found is None:
        return "gone"
    if found.status == "subscribed":
        return "done"
    if found.status == "unsubscribed":
        return "left"
    return "late" if found.created_at < now() - timedelta(days=VALID_DAYS) else "asking"


def confirm(send_id: int, seen: dict[str, Any]) -> str:
    """Takes the yes of whoever got a request. Returns how it stands then (see `standing`); a second yes is none more,
    and one that comes after they unsubscribed does not count. seen: ip."""
    stands = standing(send_id, lock=True)
    if stands != "asking":
        return stands
    lead_id = value("SELECT lead_id FROM sends WHERE id = :id", id=send_id)
    evidence = (
        f"confirmed on {now():%Y-%m-%d at %H:%M} UTC from {seen.get('ip') or 'an unknown address'}, send {send_id}"
    )
    consents.set_consent(lead_id, "email", "subscribed", source="double opt-in", evidence=evidence)
    run("UPDATE leads SET last_activity_at = now() WHERE id = :id", id=lead_id)
    return "done"
