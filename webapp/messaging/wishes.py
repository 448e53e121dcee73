"""Wishes: a person stops what we send over a channel, or lets it go on, by an answer or in their provider's settings.

What they said last counts, in whatever order and however often it is told: what was said before a later word to the
contrary changes nothing.
"""

import uuid
from collections import Counter
from datetime import datetime
from typing import Any

from webapp.audience import consents, timeline
from webapp.messaging import tallies
from webapp.platform.db import run, value


def stop(
    channel: str, address: str, lead_id: int | None, *, send: Any = None, source: str, evidence: str, at: datetime
) -> bool:
    """Bars an address and takes its lead off the channel before the next claim. send: the send whose message they
    answered, locked. at: when they said so (UTC). Returns False where the lead was off already, or there is none, and
    where they came back later."""
    if came_back_after(channel, lead_id, at):
        return False
    if address and not consents.suppress(channel, address, "stop", at):
        run(
            "UPDATE suppressions SET created_at = :at WHERE channel = :channel AND address = lower(:address)"
            " AND reason = 'stop' AND created_at < :at",
            channel=channel, address=address, at=at,
        )  # fmt: skip
    if lead_id is None or not consents.set_consent(
        lead_id, channel, "unsubscribed", source=source, evidence=evidence[: consents.EVIDENCE_LIMIT]
    ):
        return False
    told = {"campaign_id": send.campaign_id, "send_id": send.id} if send is not None else {}
    if send is not None:
        _note(send, "unsubscribed", at)
        first = run("UPDATE sends SET unsubscribed_at = :at, updated_at = now() WHERE id = :id AND unsubscribed_at IS NULL",
                    id=send.id, at=at)  # fmt: skip
        tallies.add(send.campaign_id, channel, Counter(unsubscribed=first), send.variant)
    timeline.record(lead_id, f"{channel}_unsubscribed", told, at=at)
    return True


def came_back_after(channel: str, lead_id: int | None, at: datetime) -> bool:
    """True if a lead said after a time (UTC) that they want to hear from us over a channel again."""
    return lead_id is not None and _said_since(lead_id, f"{channel}_resubscribed", at)


def start(
    channel: str, address: str, lead_id: int | None, *, agrees: bool, send: Any = None, source: str, evidence: str,
    at: datetime,
) -> bool:  # fmt: skip
    """Lifts the bar their own stop set. The lead is on the channel again if they were before, or if they say so.
    agrees: what they said is a consent by itself. at: when they said so (UTC). Returns True where the lead came back on."""
    if lead_id is not None and _said_since(lead_id, f"{channel}_unsubscribed", at):
        return False
    consents.release(channel, address, "stop", at)
    if consents.is_suppressed(channel, address, "stop"):
        return False  # they stopped later
    if lead_id is None or not (agrees or _was_on(lead_id, channel)):
        return False
    if not consents.set_consent(
        lead_id, channel, "subscribed", source=source, evidence=evidence[: consents.EVIDENCE_LIMIT]
    ):
        return False
    told = {"campaign_id": send.campaign_id, "send_id": send.id} if send is not None else {}
    if send is not None:
        _note(send, "resubscribed", at)
    timeline.record(lead_id, f"{channel}_resubscribed", told, at=at)
    return True


def _said_since(lead_id: int, fact: str, at: datetime) -> bool:
    return bool(value(
        "SELECT EXISTS (SELECT FROM lead_events WHERE lead_id = :lead AND type = :fact AND occurred_at > :at)",
        lead=lead_id, fact=fact, at=at,
    ))  # fmt: skip


def _was_on(lead_id: int, channel: str) -> bool:
    return bool(value(
        "SELECT EXISTS (SELECT FROM lead_events WHERE lead_id = :lead AND type = 'consent_changed'"
        " AND payload ->> 'channel' = :channel AND payload ->> 'to' = 'subscribed')",
        lead=lead_id, channel=channel,
    ))  # fmt: skip


def _note(send: Any, kind: str, at: datetime) -> None:
    run(
        "INSERT INTO engagement_events (send_id, kind, at, provider_event_id) VALUES (:send, :kind, :at, :key)",
        send=send.id, kind=kind, at=at, key=uuid.uuid4().hex,
    )  # fmt: skip
