"""Wishes: a person stops what we send over a channel, or lets it go on, by an answer or in their provider's settings."""

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
    answered, locked. Returns False where the lead was off already, or there is none."""
    if address:
        consents.suppress(channel, address, "stop")
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


def start(
    channel: str, address: str, lead_id: int | None, *, agrees: bool, send: Any = None, source: str, evidence: str,
    at: datetime,
) -> bool:  # fmt: skip
    """Lifts the bar their own stop set. The lead is on the channel again if they were before, or if they say so.
    agrees: what they said is a consent by itself. Returns True where the lead came back on."""
    consents.release(channel, address, "stop")
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
