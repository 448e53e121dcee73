"""What a bounce or a complaint does: to the send, to the address, to the counters. Each is written once however often it
is told, and nothing goes backwards: what a person has opened or clicked stays opened and clicked."""

from collections import Counter
from datetime import datetime
from typing import Any

from webapp.audience import consents, timeline
from webapp.messaging import batches, meters, policy, receipts, tallies
from webapp.platform import organizations
from webapp.platform.clock import now
from webapp.platform.db import one, run, value
from webapp.platform.errors import NotFound, Refused

OUT = ("sent", "delivered", "unknown")  # a bounce of one of these ends it; further on somebody had it in hands
MESSAGE_LIMIT = 1000  # characters


class NotYet(Refused):
    """The message is still being sent: what became of it is not written down yet. Tell it again in a minute."""

    status = 503

    def __init__(self) -> None:
        super().__init__("This message is still being sent. Tell this again in a minute.")


def bounced(send_id: int, kind: str, code: str, message: str, event_id: str, at: datetime | None = None) -> bool:
    """Records that a message came back. kind: hard or soft. code: 5.1.1 and the like, or "". message: the words of the
    server. event_id: the same whenever this bounce is told. at: UTC, now if not given.

    A hard one bars the address; soft ones do when there are as many of them among the latest as the organisation's
    policy says. Returns False where it was told before. Raises NotFound, and NotYet while the message is being sent.
    """
    at = at or now()
    send = _locked(send_id)
    if not _event(send_id, "bounced", event_id, at):
        return False
    message = message.replace("\0", "").strip()[:MESSAGE_LIMIT]
    ends = send.status in OUT
    # A later hard one says more than the soft one before it; a complaint says most.
    stronger = send.bounce_type is None or (send.bounce_type, kind) == ("soft", "hard")
    run(
        "UPDATE sends SET status = CASE WHEN :ends THEN 'bounced' ELSE status END,"
        " bounced_at = COALESCE(bounced_at, :at), bounce_type = CASE WHEN :stronger THEN :kind ELSE bounce_type END,"
        " error_code = CASE WHEN :stronger THEN NULLIF(:code, '') ELSE error_code END,"
        " error_message = CASE WHEN :stronger THEN NULLIF(:message, '') ELSE error_message END,"
        " sent_at = CASE WHEN :ends THEN COALESCE(sent_at, updated_at) ELSE sent_at END,"
        " delivered_at = CASE WHEN :ends THEN NULL ELSE delivered_at END, updated_at = now()"
        # One that waits again (somebody said it had not gone out) stays as it is, but for its address.
        " WHERE id = :id AND status NOT IN ('pending', 'skipped')",
        id=send_id, ends=ends, stronger=stronger, kind=kind, code=code[:100], message=message, at=at,
    )  # fmt: skip
    why = _why_barred(send.channel, send.recipient_address, send.lead_id, kind)
    barred = bool(why) and _bar(send.channel, send.recipient_address, send.lead_id, "hard_bounce", why)
    said = f"{message or code} ({why})" if barred and kind == "soft" else message or code
    _tell(send, "email_bounced", {"bounce": kind, "code": code or None, "error": said or "It came back."}, at)
    if ends:
        unknown = int(send.status == "unknown")
        moved = Counter(bounced=1, sent=unknown)
        moved["unknown"], moved["delivered"] = -unknown, -int(send.delivered_at is not None)
        if unknown:
            batches.came_out([send])
        meters.count(send.sender_id, Counter(bounced=1, sent=unknown))
        tallies.add(send.campaign_id, send.channel, moved, send.variant)
    return True


def complained(send_id: int, event_id: str, at: datetime | None = None) -> bool:
    """Records that the recipient called a message spam: bars the address and takes the lead off the channel. Arguments
    and errors as for `bounced`. Returns False where it was told before."""
    at = at or now()
    _locked(send_id)
    if not _event(send_id, "complaint", event_id, at):
        return False
    # Whoever complains has the message: an unknown one did go out.
    send = receipts.went_out(send_id)
    first = send.bounce_type != "complaint"
    run("UPDATE sends SET bounce_type = 'complaint', updated_at = now() WHERE id = :id", id=send_id)
    _bar(send.channel, send.recipient_address, send.lead_id, "complaint")
    if send.lead_id:
        consents.set_consent(send.lead_id, send.channel, "unsubscribed", source="complaint", evidence=f"send {send.id}")
    _tell(send, "email_complained", {}, at)
    if first:
        meters.count(send.sender_id, Counter(complaints=1))
        tallies.add(send.campaign_id, send.channel, Counter(complaints=1), send.variant)
    return True


def _locked(send_id: int) -> Any:
    send = one("SELECT * FROM sends WHERE id = :id FOR UPDATE", id=send_id)
    if send is None:
        raise NotFound("This message is not known any more.")
    if send.status == "sending":
        raise NotYet
    return send


def _event(send_id: int, kind: str, event_id: str, at: datetime) -> bool:
    return bool(run(
        "INSERT INTO engagement_events (send_id, kind, at, provider_event_id) VALUES (:send, :kind, :at, :event)"
        " ON CONFLICT (org_id, provider_event_id) DO NOTHING",
        send=send_id, kind=kind, at=at, event=event_id,
    ))  # fmt: skip


def refused(address: str, lead_id: int | None, kind: str) -> bool:
    """Bars the address of an e-mail that a server refused at the door, by the rules for one that came back. kind: hard or
    soft. The send itself is written down. Returns False where it stays reachable, or was barred before."""
    why = _why_barred("email", address, lead_id, kind)
    return bool(why) and _bar("email", address, lead_id, "hard_bounce", why)


def _why_barred(channel: str, address: str, lead_id: int | None, kind: str) -> str:
    """Returns why an address is not to be written to any more, "" where it may be. The send itself is written down."""
    if kind == "hard":
        return "the address does not take mail"
    limits = policy.of(organizations.current())
    soft = value(
        # What came back before somebody made the address reachable again is forgiven.
        "SELECT count(*) FILTER (WHERE bounce_type = 'soft' AND COALESCE(bounced_at, updated_at) > COALESCE(("
        "   SELECT max(occurred_at) FROM lead_events WHERE lead_id = :lead AND type = 'suppression_lifted'"
        "   AND payload ->> 'channel' = :channel), '-infinity'))"
        " FROM (SELECT bounce_type, bounced_at, updated_at FROM sends WHERE lead_id = :lead AND channel = :channel"
        "   AND recipient_address = :address AND (sent_at IS NOT NULL OR bounce_type IS NOT NULL)"
        "   ORDER BY id DESC LIMIT :window) latest",
        lead=lead_id, channel=channel, address=address, window=limits.soft_window,
    )  # fmt: skip
    return f"{soft} of its last {limits.soft_window} messages came back" if soft >= limits.soft_bounces else ""


def _bar(channel: str, address: str | None, lead_id: int | None, reason: str, why: str = "") -> bool:
    """Bars an address. Returns False where it was barred already for as strong a reason."""
    if not address:
        return False  # anonymised since
    # The lead's own word would be lifted by a later word of theirs; that their server or they refuse us must stay.
    barred = consents.suppress(channel, address, reason) or bool(run(
        "UPDATE suppressions SET reason = :reason WHERE channel = :channel AND address = lower(:address)"
        " AND reason IN ('unsubscribe', 'stop')",
        reason=reason, channel=channel, address=address,
    ))  # fmt: skip
    if barred and lead_id:
        told = {"channel": channel, "reason": reason} | ({"evidence": why} if why else {})
        timeline.record(lead_id, "suppressed", told)
    return barred


def _tell(send: Any, fact: str, payload: dict[str, Any], at: datetime) -> None:
    if send.lead_id:
        told = {"campaign_id": send.campaign_id, "send_id": send.id} | payload
        timeline.record(send.lead_id, fact, {name: said for name, said in told.items() if said is not None}, at=at)
