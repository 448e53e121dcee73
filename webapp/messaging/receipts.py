"""Receipts: what comes back from a message. Each is written once however often it is told, in one transaction with
the send, the timeline and the counters."""

import uuid
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped

from webapp.audience import consents, timeline
from webapp.audience.leads import one_of
from webapp.messaging import batches, meters, tallies
from webapp.messaging.sends import reached
from webapp.messaging.standing import NOT_OUT
from webapp.platform.clock import now
from webapp.platform.db import Base, Tenant, child_of, one, run
from webapp.platform.errors import NotFound

KINDS = (
    "delivered", "opened", "machine_open", "clicked", "machine_click", "bounced", "complaint", "unsubscribed",
    "resubscribed", "replied", "read", "failed",
)  # fmt: skip
REPEAT_SECONDS = 20  # the same person fetching the same thing again within this is one receipt, not two
MACHINE_SECONDS = 2  # nobody opens a message this soon after it was handed over; scanners and privacy proxies do
# Apple's Mail Privacy Protection announces itself by "Mozilla/5.0" and nothing more; the others name themselves.
MACHINES = (
    "bot", "crawler", "spider", "preview", "scanner", "barracuda", "proofpoint", "mimecast", "curl/", "python",
    "imageproxy", "mailproxy",
)  # fmt: skip


class EngagementEvent(Tenant, Base):
    __tablename__ = "engagement_events"
    send_id: Mapped[int]
    kind: Mapped[str]
    at: Mapped[datetime]
    url: Mapped[str | None]
    link_id: Mapped[int | None]
    user_agent: Mapped[str | None]
    ip: Mapped[str | None]
    provider_event_id: Mapped[str]
    __table_args__ = (
        child_of("sends", "send_id"),
        one_of("kind", KINDS),
        Index(None, "org_id", "provider_event_id", unique=True),
        Index(None, "org_id", "send_id"),
        Index("ix_engagement_events_link", "org_id", "link_id", postgresql_where=text("link_id IS NOT NULL")),
    )


def is_machine(user_agent: str | None, seconds_since_sent: float | None) -> bool:
    """True if a fetch looks like a machine's and not a person's."""
    agent = (user_agent or "").strip().lower()
    if agent in ("", "mozilla/5.0"):
        return True
    if seconds_since_sent is not None and seconds_since_sent < MACHINE_SECONDS:
        return True
    return any(word in agent for word in MACHINES)


def _send(send_id: int) -> Any:
    """Returns the send a receipt is about, locked. One of which it was unknown, or which was to be tried again or given up,
    is known from here on: it did go out, and goes out no more."""
    # FOR UPDATE: two receipts of one send must see each other's firsts, or both would count as unique.
    found = one("SELECT * FROM sends WHERE id = :id FOR UPDATE", id=send_id)
    if found is None:
        raise NotFound("This message is not known any more.")
    if found.status not in NOT_OUT or not found.attempts:
        return found
    run(
        "UPDATE sends SET status = 'sent', sent_at = updated_at, error_code = NULL, error_message = NULL, bounce_type = NULL,"
        " skip_reason = NULL, wait_reason = NULL,"
        " delivered_at = CASE WHEN channel = 'email' THEN updated_at END, updated_at = now() WHERE id = :id",
        id=send_id,
    )
    moved = Counter(sent=1, delivered=int(found.channel == "email"))
    if found.status != "pending":
        moved[found.status] = -1
    batches.came_out([found])
    meters.count(found.sender_id, Counter(sent=1))
    tallies.add(found.campaign_id, found.channel, moved, found.variant)
    return one("SELECT * FROM sends WHERE id = :id", id=send_id)


def went_out(send_id: int) -> Any:
    """Notes that a send did go out, whatever was known of it before. Returns it, locked. Raises NotFound."""
    return _send(send_id)


def _event(send: Any, kind: str, seen: dict[str, Any], repeat_seconds: int = REPEAT_SECONDS) -> bool:
    """Writes a receipt. Returns False where the same was told within the last seconds; nothing is written then."""
    # Looking before writing is exact: the send is locked, so no other receipt of it is being written.
    return bool(run(
        "INSERT INTO engagement_events (send_id, kind, at, url, link_id, user_agent, ip, provider_event_id)"
        " SELECT :send_id, :kind, :at, :url, CAST(:link_id AS bigint), CAST(:user_agent AS text), CAST(:ip AS text), :key"
        " WHERE NOT EXISTS (SELECT FROM engagement_events WHERE send_id = :send_id AND kind = :kind AND at > :since"
        " AND link_id IS NOT DISTINCT FROM CAST(:link_id AS bigint) AND ip IS NOT DISTINCT FROM CAST(:ip AS text)"
        " AND user_agent IS NOT DISTINCT FROM CAST(:user_agent AS text))",
        send_id=send.id, kind=kind, at=now(), since=now() - timedelta(seconds=repeat_seconds), url=seen.get("url"),
        link_id=seen.get("link_id"), ip=seen.get("ip"), user_agent=(seen.get("user_agent") or "")[:400] or None,
        key=uuid.uuid4().hex,
    ))  # fmt: skip


def _since_sent(send: Any) -> float | None:
    return (now() - send.sent_at).total_seconds() if send.sent_at else None


def opened(send_id: int, seen: dict[str, Any]) -> None:
    """Records that the pixel of a send was fetched. seen: user_agent, ip. Raises NotFound."""
    send = _send(send_id)
    machine = is_machine(seen.get("user_agent"), _since_sent(send))
    if not _event(send, "machine_open" if machine else "opened", seen):
        return
    if machine:
        run(
            "UPDATE sends SET machine_open_count = machine_open_count + 1, updated_at = now() WHERE id = :id",
            id=send_id,
        )
        if not send.machine_open_count:
            _moved(send, Counter(machine_opened=1), "machine_opened", by_a_person=False)
        return
    run(
        "UPDATE sends SET open_count = open_count + 1, opened_at = COALESCE(opened_at, now()),"
        f" status = CASE WHEN {reached('opened')} THEN 'opened' ELSE status END, updated_at = now() WHERE id = :id",
        id=send_id,
    )
    first = not send.opened_at
    _moved(send, Counter(opens=1, opened=int(first)), "opened" if first else None)


def clicked(send_id: int, link_id: int, url: str, seen: dict[str, Any]) -> None:
    """Records that a link of a send was followed. url: where it leads. Raises NotFound.

    A person who clicks has read the message, so a first click without an open counts as the open too.
    """
    send = _send(send_id)
    seen = seen | {"url": url, "link_id": link_id}
    machine = is_machine(seen.get("user_agent"), _since_sent(send))
    if not _event(send, "machine_click" if machine else "clicked", seen) or machine:
        return
    run(
        "UPDATE sends SET click_count = click_count + 1, clicked_at = COALESCE(clicked_at, now()),"
        " opened_at = COALESCE(opened_at, now()), open_count = GREATEST(open_count, 1),"
        " links_clicked = links_clicked || jsonb_build_array(jsonb_build_object('url', CAST(:url AS text), 'clicked_at', now())),"
        f" status = CASE WHEN {reached('clicked')} THEN 'clicked' ELSE status END, updated_at = now() WHERE id = :id",
        id=send_id, url=url,
    )  # fmt: skip
    first_open = int(not send.opened_at)
    moved = Counter(clicks=1, clicked=int(not send.clicked_at), opens=first_open, opened=first_open)
    _moved(send, moved, "clicked", {"url": url})


def unsubscribed(send_id: int, seen: dict[str, Any], *, source: str) -> bool:
    """Takes the lead off e-mail before the next claim. source: "one-click" or "page". Returns False if they were off.

    Raises NotFound.
    """
    send = _send(send_id)
    consents.suppress(send.channel, send.recipient_address, "unsubscribe")
    changed = bool(send.lead_id) and consents.set_consent(
        send.lead_id, send.channel, "unsubscribed", source=source, evidence=f"send {send.id}"
    )
    if not changed:
        return False
    _event(send, "unsubscribed", seen, 0)
    first = not send.unsubscribed_at
    run(
        "UPDATE sends SET unsubscribed_at = COALESCE(unsubscribed_at, now()), updated_at = now() WHERE id = :id",
        id=send_id,
    )
    _moved(send, Counter(unsubscribed=int(first)), "unsubscribed")
    return True


def resubscribed(send_id: int, seen: dict[str, Any]) -> bool:
    """Puts the lead back on e-mail at their own wish. Returns False if they were on. Raises NotFound."""
    send = _send(send_id)
    if not send.lead_id:
        raise NotFound("This message is not known any more.")
    consents.release(send.channel, send.recipient_address, "unsubscribe")
    if not consents.set_consent(send.lead_id, send.channel, "subscribed", source="page", evidence=f"send {send.id}"):
        return False
    _event(send, "resubscribed", seen, 0)
    _moved(send, Counter(), "resubscribed")
    return True


def _moved(
    send: Any, moved: Counter[str], fact: str | None, payload: dict[str, Any] | None = None, *, by_a_person: bool = True
) -> None:
    tallies.add(send.campaign_id, send.channel, moved, send.variant)
    if fact and send.lead_id:
        timeline.record(
            send.lead_id,
            f"{send.channel}_{fact}",
            {"campaign_id": send.campaign_id, "send_id": send.id} | (payload or {}),
        )
        if by_a_person:
            run("UPDATE leads SET last_activity_at = now() WHERE id = :id", id=send.lead_id)
