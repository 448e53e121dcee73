"""Why one lead got a campaign's message, did not, or when they will: each thing that decides it, in the order it decides."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webapp.audience import consents, explaining, segments
from webapp.audience.consents import CHANNEL_WORDS, reason_words
from webapp.audience.explaining import Explanation
from webapp.audience.leads import Lead
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.words import wait_words
from webapp.messaging import windows
from webapp.messaging.judging import HEARD, HEARD_AT
from webapp.platform import organizations, tenancy
from webapp.platform.clock import local, now
from webapp.platform.db import one, rows

ENDED = ("completed", "cancelled", "archived")
TOLD = {
    "delivered": "delivered", "opened": "opened", "machine_opened": "fetched by a machine", "clicked": "clicked",
    "bounced": "came back", "complaint": "complained", "unsubscribed": "unsubscribed", "replied": "replied", "read": "read",
    "failed": "failed",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing that decides. sign: yes (nothing in the way), no (this is why not), waits (not yet), told (a fact, for
    good or ill). at: when, UTC. more: what else is known, each (words, when)."""

    name: str
    sign: str
    words: str
    at: datetime | None = None
    more: tuple[tuple[str, datetime | None], ...] = ()


@dataclass
class Why:
    """steps in order; rules: the segment's rules for the lead, None where it has no segment any more."""

    steps: list[Step] = field(default_factory=list)
    rules: Explanation | None = None

    @property
    def outcome(self) -> str:
        """What it comes to: the last word on this lead and this campaign."""
        against = [step for step in self.steps if step.sign in ("no", "waits")]
        return (against[0] if against and self.steps[-1].sign != "told" else self.steps[-1]).words


def why(campaign: Campaign, lead: Lead) -> Why:
    """Returns why a lead gets a campaign's message or not."""
    made, moment = Why(), now()
    recipient = one(
        "SELECT created_at, state, skip_reason, channel, planned_on, variant FROM campaign_recipients"
        " WHERE org_id = :org AND campaign_id = :campaign AND lead_id = :lead",
        org=tenancy.current_org(), campaign=campaign.id, lead=lead.id,
    )  # fmt: skip
    sent = _sends(campaign, lead)
    if campaign.segment_id:
        made.rules = explaining.explain(segments.get(campaign.segment_id), lead)
    made.steps += [_audience(campaign, recipient, made.rules), *_permission(campaign, lead), _frequency(lead, moment)]
    if campaign.status not in ENDED and not any(send.sent_at for send in sent):
        made.steps += [_hours(campaign, lead, sent, moment), _cap(campaign, moment)]
    if variant := (sent[-1].variant if sent else recipient.variant if recipient else ""):
        made.steps.append(Step("Variant", "yes", f"Gets variant {variant}"))
    made.steps += _plan(campaign, recipient, sent)
    made.steps += [_attempt(send) for send in sent if send.status != "pending" or send.attempts]
    return made


def _sends(campaign: Campaign, lead: Lead) -> list[Any]:
    found = rows(
        "SELECT s.id, s.channel, s.status, s.attempts, s.variant, s.planned_on, s.not_before, s.expires_at, s.wait_reason,"
        " s.skip_reason, s.sent_at, s.error_code, s.error_message, s.updated_at, (SELECT jsonb_agg(jsonb_build_array("
        "  e.kind, e.at) ORDER BY e.at, e.id) FROM engagement_events e WHERE e.org_id = s.org_id AND e.send_id = s.id"
        ") AS receipts FROM sends s WHERE s.org_id = :org AND s.lead_id = :lead AND s.campaign_id = :campaign ORDER BY s.id",
        org=tenancy.current_org(), lead=lead.id, campaign=campaign.id,
    )  # fmt: skip
    return list(found)


def _audience(campaign: Campaign, recipient: Any, rules: Explanation | None) -> Step:
    if recipient is not None and recipient.state == "added":
        return Step("Audience", "yes", "Added to the audience by name", recipient.created_at)
    if recipient is not None:
        now_out = " The rules are not true for them any more." if rules is not None and not rules.holds else ""
        return Step("Audience", "yes", f"In the audience when it was settled.{now_out}", recipient.created_at)
    if rules is None:
        return Step(
            "Audience", "no", "Not in the audience" if campaign.started_at else "The campaign has no segment yet"
        )
    if campaign.started_at:
        later = " They would be now: the audience is settled when a campaign starts." if rules.holds else ""
        return Step("Audience", "no", f"Not in the audience when it was settled.{later}", campaign.started_at)
    if rules.holds:
        return Step("Audience", "yes", "In the segment now; the audience is settled when the campaign starts")
    return Step("Audience", "no", "Not in the segment: see the rules below")


def _permission(campaign: Campaign, lead: Lead) -> list[Step]:
    given, barred = consents.of_lead(lead.id), consents.suppressed_of(lead)
    steps = []
    for channel in campaign.channels:
        name, consent = CHANNEL_WORDS.get(channel, channel), given.get(channel)
        if not consents.address_of(lead, channel):
            steps.append(Step(f"{name} consent", "no", reason_words("no_email" if channel == "email" else "no_phone")))
            continue
        source = f" ({consent.source})" if consent and consent.source else ""
        if consent is None:
            steps.append(Step(f"{name} consent", "no", f"Never agreed to {name}"))
        elif consent.status == "subscribed":
            steps.append(Step(f"{name} consent", "yes", f"Agreed to {name}{source}", consent.changed_at))
        else:
            said = "Not confirmed yet" if consent.status == "pending" else "Unsubscribed"
            steps.append(Step(f"{name} consent", "no", f"{said}{source}", consent.changed_at))
        bar = "The address is suppressed" if barred[channel] else "The address is not suppressed"
        steps.append(Step(f"{name} address", "no" if barred[channel] else "yes", bar))
    return steps


def _frequency(lead: Lead, moment: datetime) -> Step:
    cap = organizations.current().frequency_cap
    if not cap:
        return Step("Frequency", "yes", "No limit on how many messages one lead may get")
    # As a claim counts them (see judging): on their way or gone.
    n = one(
        f"SELECT count(*)::int AS n FROM sends WHERE org_id = :org AND lead_id = :lead AND {HEARD}"
        f" AND {HEARD_AT} > :moment - CAST(:days AS int) * interval '1 day'",
        org=tenancy.current_org(), lead=lead.id, moment=moment, days=cap["days"],
    ).n  # fmt: skip
    words = f"{n} of {cap['sends']} messages in the last {cap['days']} {'day' if cap['days'] == 1 else 'days'}"
    return Step("Frequency", "yes" if n < cap["sends"] else "waits", words)


def _hours(campaign: Campaign, lead: Lead, sent: list[Any], moment: datetime) -> Step:
    channel = sent[-1].channel if sent else campaign.channels[0]
    opening = windows.state(channel, lead.timezone, lead.country, organizations.current(), campaign.send_window, moment)
    there = f"It is {opening.local:%H:%M} where they are ({opening.zone})"
    if opening.open:
        return Step("Hours", "yes", f"{there}: they may be written to now")
    why_not = ": a holiday there" if opening.reason == "holiday" else ": outside the hours for it"
    then = local(opening.opens_at, opening.zone) if opening.opens_at else None
    opens = f". From {then.day} {then:%b, %H:%M} their time" if then else ""
    return Step("Hours", "waits", f"{there}{why_not}{opens}")


def _cap(campaign: Campaign, moment: datetime) -> Step:
    if not campaign.daily_send_limit:
        return Step("Daily limit", "yes", "The campaign has no daily limit")
    today = local(moment, organizations.current().timezone).date()
    batch = one(
        "SELECT claimed FROM campaign_batches WHERE org_id = :org AND campaign_id = :campaign AND send_date = :today",
        org=tenancy.current_org(), campaign=campaign.id, today=today,
    )  # fmt: skip
    used = batch.claimed if batch else 0
    words = f"{used:,} of {campaign.daily_send_limit:,} used today"
    return Step("Daily limit", "yes" if used < campaign.daily_send_limit else "waits", words)


def _plan(campaign: Campaign, recipient: Any, sent: list[Any]) -> list[Step]:
    if recipient is not None and recipient.state == "skipped":
        return [
            Step("Left out", "no", f"Left out at planning: {reason_words(recipient.skip_reason)}", recipient.created_at)
        ]
    waiting = [send for send in sent if send.status == "pending"]
    if not waiting:
        if sent or recipient is None or campaign.status in ENDED:
            return []
        return [Step("Plan", "waits", "Not planned yet")]
    send = waiting[-1]
    on = f"Planned for {send.planned_on.day} {send.planned_on:%b %Y}" if send.planned_on else "Planned"
    held = {"paused": "; the campaign is paused", "scheduled": "; the campaign has not started"}.get(
        campaign.status, ""
    )
    waits = f"; waits: {_lower(wait_words(send.wait_reason))}" if send.wait_reason else ""
    more = [("Not before", send.not_before)]
    if send.expires_at:
        late = {"skip": "dropped", "switch": "sent over the next channel", "send": "sent all the same"}
        more.append((f"Later than this it is {late[campaign.late_action]}", send.expires_at))
    name = CHANNEL_WORDS.get(send.channel, send.channel)
    return [Step("Plan", "waits", f"{on} by {name}{waits}{held}", None, tuple(more))]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _attempt(send: Any) -> Step:
    name, n = CHANNEL_WORDS.get(send.channel, send.channel), send.attempts
    tries = f" at attempt {n}" if n > 1 else ""
    more = tuple(
        (TOLD.get(kind, kind.replace("_", " ")), datetime.fromisoformat(at)) for kind, at in send.receipts or ()
    )
    error = ": ".join(part for part in (send.error_code, send.error_message) if part)
    said = f" ({error})" if error else ""
    match send.status:
        case "skipped":
            return Step(name, "no", f"Not sent by {name}: {reason_words(send.skip_reason)}", send.updated_at, more)
        case "pending":
            return Step(
                name, "waits", f"Tried {n} {'time' if n == 1 else 'times'}; it will be tried again{said}", None, more
            )
        case "sending":
            return Step(name, "waits", f"Being sent by {name} at this moment", None, more)
        case "failed":
            return Step(name, "no", f"Not accepted{tries}{said}", send.updated_at, more)
        case "unknown":
            words = f"Nobody knows whether it went out{tries}{said}. It is not sent again by itself"
            return Step(name, "waits", words, send.updated_at, more)
        case "bounced":
            return Step(name, "no", f"Sent by {name}{tries}, and it came back{said}", send.sent_at, more)
    reached = "" if send.status == "sent" else f"; {TOLD.get(send.status, send.status)}"
    return Step(name, "told", f"Sent by {name}{tries}{reached}", send.sent_at, more)
