"""Receipts that SMS and WhatsApp tell by webhook: each once, however often and in whatever order it comes, a whole body in
a handful of statements."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from webapp.audience import timeline
from webapp.messaging import batches, meters, senders, standing, tallies, template_states, wishes
from webapp.messaging.bouncing import NotYet
from webapp.messaging.meters import MEASURES
from webapp.messaging.notices import Status
from webapp.messaging.providers.twilio import errors as of_sms
from webapp.messaging.providers.whatsapp_cloud import errors as of_whatsapp
from webapp.messaging.senders import Sender
from webapp.messaging.standing import Moved, Standing
from webapp.platform import tenancy
from webapp.platform.clock import now
from webapp.platform.db import rows, run, value
from webapp.platform.errors import NotFound
from webapp.platform.signing import signer

CLASSIFY: dict[str, Callable[[str], tuple[str, str | None, str]]] = {
    "sms": of_sms.classify,
    "whatsapp": of_whatsapp.classify,
}
REST = timedelta(seconds=20)  # of a sender that its provider tells to slow down
COLUMNS = {
    "status": "text", "provider_message_id": "text", "sent_at": "timestamptz", "delivered_at": "timestamptz",
    "opened_at": "timestamptz", "read_at": "timestamptz", "bounced_at": "timestamptz", "open_count": "bigint",
    "error_code": "text", "error_message": "text", "bounce_type": "text", "skip_reason": "text",
}  # fmt: skip
READ = ", ".join(f"s.{name}" for name in (
    *COLUMNS, "id", "lead_id", "campaign_id", "channel", "variant", "sender_id", "template_version_id", "recipient_address",
    "claimed_at", "attempts",
))  # fmt: skip


@dataclass
class _Told:
    """A send and what was told of it, the new things only."""

    send: Any
    statuses: list[Status]
    effect: str | None = None
    advice: str = ""

    @property
    def failure(self) -> Status | None:
        return next((status for status in self.statuses if status.status == "failed"), None)


def record(sender: Sender, statuses: Iterable[Status]) -> int:
    """Records what a provider told of messages of the organisation in scope. Returns how many sends it changed.

    sender: whose webhook told it; a number of the same channel may be told of at another's. What is about none of our
    sends, or was told before, changes nothing.
    """
    once = list({status.key: status for status in statuses}.values())
    told = _new(sender.channel, _found(sender.channel, once))
    moved: dict[int, Moved] = {}
    changed = []
    for t in told:
        before = standing.of(t.send)
        after = moved[t.send.id] = _moved(t, before)
        if after.standing != before:
            changed.append(t)
    _write(changed, moved)
    _count(told, moved)
    _tell(sender.channel, told, moved)
    for t in told:
        if t.failure is not None and t.effect:
            _act(sender, t)
    return len(changed)


def send_of(opaque: str) -> int | None:
    """Returns the id of the send that one of our own tokens names, or None for what is none of this organisation's."""
    try:
        org_id, send_id = signer().unpack("message", opaque)
    except (NotFound, ValueError, IndexError):
        return None
    return send_id if org_id == tenancy.current_org() and 0 < send_id < 2**63 else None


def _found(channel: str, statuses: list[Status]) -> list[_Told]:
    """Returns the sends that are told of, locked in the order of their ids."""
    named = {status.key: send_of(status.opaque) for status in statuses if status.opaque}
    held = rows(
        f"SELECT {READ}, s.status = 'failed' AND EXISTS (SELECT FROM engagement_events e WHERE e.org_id = s.org_id"
        " AND e.send_id = s.id AND e.kind = 'failed') AS failed_before FROM sends s"
        " WHERE s.org_id = :org AND s.channel = :channel AND s.id IN ("
        "SELECT id FROM sends WHERE org_id = :org AND id = ANY(CAST(:ids AS bigint[])) UNION SELECT id FROM sends"
        " WHERE org_id = :org AND channel <> 'email' AND provider_message_id = ANY(CAST(:messages AS text[])))"
        " ORDER BY s.id FOR UPDATE OF s",
        org=tenancy.current_org(), channel=channel, ids=[id for id in set(named.values()) if id],
        messages=sorted({status.message_id for status in statuses}),
    )  # fmt: skip
    sends = {send.id: send for send in held}
    by_message = {send.provider_message_id: send.id for send in held if send.provider_message_id}
    told: dict[int, _Told] = {}
    for status in statuses:
        send_id = named.get(status.key)
        send_id = send_id if send_id in sends else by_message.get(status.message_id)
        if send_id is not None and not _of_another_attempt(sends[send_id], status):
            told.setdefault(send_id, _Told(sends[send_id], [])).statuses.append(status)
    return [told[send_id] for send_id in sorted(told)]


def _of_another_attempt(send: Any, status: Status) -> bool:
    """True where a failure tells of an attempt before the one that counts. Raises NotYet while nobody can say which it is."""
    if status.status != "failed" or send.provider_message_id == status.message_id:
        return False
    if send.status == "sending" and send.attempts > 1 and send.provider_message_id is None:
        raise NotYet
    return send.provider_message_id is not None


def _new(channel: str, told: list[_Told]) -> list[_Told]:
    """Writes the events that were not told before. Returns what is left then. That a message went out is kept by the send
    itself."""
    events = [
        {"send": t.send.id, "kind": status.status, "at": status.at.isoformat(), "key": status.key}
        for t in told for status in t.statuses if status.status != "sent"
    ]  # fmt: skip
    fresh = {
        row.provider_event_id
        for row in rows(
            "INSERT INTO engagement_events (send_id, kind, at, provider_event_id) SELECT * FROM"
            " jsonb_to_recordset(CAST(:events AS jsonb)) AS n (send bigint, kind text, at timestamptz, key text)"
            " ON CONFLICT (org_id, provider_event_id) DO NOTHING RETURNING provider_event_id",
            events=json.dumps(events),
        )
    } if events else set()  # fmt: skip
    for t in told:
        t.statuses = [status for status in t.statuses if status.status == "sent" or status.key in fresh]
        if t.failure is not None:
            _, t.effect, t.advice = CLASSIFY[channel](t.failure.code)
    return [t for t in told if t.statuses]


def _moved(told: _Told, before: Standing) -> Moved:
    hard = "hard" if told.effect == "suppress" else "soft"
    return standing.after(
        before, told.statuses, failed_before=told.send.failed_before, advice=told.advice,
        bounce_type=hard,
    )  # fmt: skip


def _write(changed: list[_Told], moved: dict[int, Moved]) -> None:
    if not changed:
        return
    then = [{"id": t.send.id} | {name: getattr(moved[t.send.id].standing, name) for name in COLUMNS} for t in changed]
    run(
        f"UPDATE sends s SET {', '.join(f'{name} = n.{name}' for name in COLUMNS)}, updated_at = now()"
        " FROM jsonb_to_recordset(CAST(:then AS jsonb)) AS n"
        f" (id bigint, {', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
        " WHERE s.org_id = :org AND s.id = n.id",
        org=tenancy.current_org(), then=json.dumps(then, default=datetime.isoformat),
    )  # fmt: skip


def _count(told: list[_Told], moved: dict[int, Moved]) -> None:
    """The meters of senders first, then the counters of campaigns, each in an order that is the same for everybody."""
    of_senders: dict[int, Counter[str]] = defaultdict(Counter)
    of_campaigns: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for t in told:
        counted = moved[t.send.id].counted
        if t.send.sender_id:
            of_senders[t.send.sender_id].update({name: counted[name] for name in MEASURES})
        if t.send.campaign_id:
            of_campaigns[t.send.campaign_id, t.send.variant].update(counted)
    batches.came_out(t.send for t in told if moved[t.send.id].counted["sent"])
    for sender_id in sorted(of_senders):
        meters.count(sender_id, of_senders[sender_id])
    for campaign_id, variant in sorted(of_campaigns):
        tallies.add(campaign_id, told[0].send.channel, of_campaigns[campaign_id, variant], variant)


def _tell(channel: str, told: list[_Told], moved: dict[int, Moved]) -> None:
    """Writes the facts, each at its own time, and when leads last did something themselves."""
    facts: list[tuple[int, str, dict[str, Any], datetime]] = []
    acted: dict[int, datetime] = {}
    for t in told:
        lead_id, then = t.send.lead_id, moved[t.send.id].standing
        for kind in moved[t.send.id].facts if lead_id else ():
            at = {"sent": then.sent_at, "opened": then.opened_at, "bounced": then.bounced_at}.get(kind) or now()
            payload = {"campaign_id": t.send.campaign_id, "send_id": t.send.id}
            if kind in ("failed", "bounced"):
                payload |= {"error": then.error_message, "code": then.error_code}
            facts.append((lead_id, f"{channel}_{kind}", payload, at))
            if kind == "opened":
                acted[lead_id] = max(at, acted.get(lead_id, at))
    # An SMS that says it was read (as RCS does) is no kind of fact that anybody waits for.
    timeline.record_dated(fact for fact in facts if fact[1] in timeline.FACTS)
    if acted:
        run(
            "UPDATE leads l SET last_activity_at = n.at FROM (SELECT o.id, n.at FROM unnest(CAST(:ids AS bigint[]),"
            " CAST(:times AS timestamptz[])) n (id, at) JOIN leads o ON o.org_id = :org AND o.id = n.id"
            " ORDER BY o.id FOR NO KEY UPDATE OF o) n WHERE l.org_id = :org AND l.id = n.id"
            " AND (l.last_activity_at IS NULL OR l.last_activity_at < n.at)",
            org=tenancy.current_org(), ids=list(acted), times=list(acted.values()),
        )  # fmt: skip


def _act(sender: Sender, told: _Told) -> None:
    """Does what a failure means beyond its own message."""
    send, failure = told.send, told.failure
    assert failure is not None
    reason = f"{told.advice} (code {failure.code})"
    if told.effect == "suppress":
        wishes.stop(send.channel, send.recipient_address, send.lead_id, send=send, source="provider",
                    evidence=f"code {failure.code} for send {send.id}", at=failure.at)  # fmt: skip
    elif told.effect == "hold_sender":
        senders.hold(send.sender_id or sender.id, reason)
    elif told.effect == "hold_template" and send.template_version_id:
        asked = "SELECT template_id FROM template_versions WHERE id = :id"
        if template_id := value(asked, id=send.template_version_id):
            template_states.hold(template_id, reason)
    elif told.effect == "back_off":
        run(
            "UPDATE senders SET rate_limited_until = GREATEST(rate_limited_until, :until), last_error = :reason"
            " WHERE id = :id",
            id=send.sender_id or sender.id, until=now() + REST, reason=reason,
        )  # fmt: skip
