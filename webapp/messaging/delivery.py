"""Delivery: one batch from claim to record, by the promise of the outbox."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import current_app

from webapp.audience import consents
from webapp.messaging import (
    bouncing,
    dkim_signing,
    health,
    links,
    outbox,
    outcomes,
    providers,
    resting,
    senders,
    template_states,
    templates,
    tokens,
)
from webapp.messaging.caps import Limits
from webapp.messaging.compose import Bodies, Composer, Letterhead, trackable
from webapp.messaging.moments import Moments
from webapp.messaging.outbox import Claim, Outcome
from webapp.messaging.providers.smtp import Unreachable
from webapp.messaging.senders import Sender
from webapp.messaging.templates import TemplateVersion
from webapp.messaging.texting import TextComposer, trackable_text
from webapp.messaging.whatsapp import TemplateComposer
from webapp.platform import courtesy
from webapp.platform.db import AWAY, db, transaction
from webapp.platform.errors import Refused
from webapp.platform.logs import log
from webapp.platform.organizations import Organization
from webapp.platform.organizations import current as current_organization
from webapp.platform.signing import signer

RECORD_SECONDS = 45  # within the lease, after the talk has ended
logger = log(__name__)


@dataclass(frozen=True)
class Order:
    """What to send for a campaign, or without one: the requests to confirm a consent that one template version writes.
    subject and preview stand in for the version's where they are not empty.

    stamp: when the sender and the organisation last changed. Equal orders are prepared once in a process. limits: what a
    claim has to keep to.
    """

    org_id: int
    campaign_id: int | None
    version_id: int
    sender_id: int
    channel: str
    subject: str
    preview: str
    stamp: tuple[Any, ...]
    limits: Limits | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Prepared:
    """An order ready to be sent: its sender and what builds its messages."""

    sender: Sender
    composer: Any


class NothingToDo(Exception):
    """Raised by an order's gate where the campaign may not send now."""


_prepared: dict[Order, Prepared] = {}
PREPARED_LIMIT = 200


def letterhead(organization: Organization, sender: Sender, base_url: str) -> Letterhead:
    """Returns who a message comes from."""
    return Letterhead(
        org_id=organization.id,
        company=organization.name,
        currency=organization.currency,
        base_url=base_url,
        from_name=sender.name,
        from_address=sender.address,
        reply_to=sender.reply_to,
        bounce_domain=sender.config.get("bounce_domain") or sender.domain,
        list_id=f"<{organization.slug}.{sender.domain}>",
    )


def _prepare(order: Order) -> Prepared:
    version, sender = templates.version(order.version_id), senders.get(order.sender_id)
    head = letterhead(current_organization(), sender, current_app.config["BASE_URL"])
    db.session.expunge(sender)
    try:
        return Prepared(sender, COMPOSERS[order.channel](order, version, head, sender))
    except Refused as problem:
        # Its key was sealed under another SECRET_KEY: a person has to enter it again.
        senders.hold(sender.id, problem.message)
        raise NothingToDo from problem


def _letters(order: Order, version: TemplateVersion, head: Letterhead, sender: Sender) -> Composer:
    bodies = Bodies(
        subject=order.subject or version.subject_line,
        preview=order.preview or version.preview_text or "",
        html=version.html_content,
        text=version.text_content,
    )
    # Whoever has not agreed yet is not followed either: no counted links, no pixel.
    counted = order.campaign_id is not None
    ids = {url: links.store(order.campaign_id, url) for url in trackable(bodies.html)} if counted else {}
    return Composer(bodies, head, signer(), ids, pixel=counted, dkim=dkim_signing.of(sender))


def _texts(order: Order, version: TemplateVersion, head: Letterhead, _sender: Sender) -> TextComposer:
    bodies = Bodies(subject="", preview="", html="", text=version.text_content or "")
    counted = order.campaign_id is not None
    ids = {url: links.store(order.campaign_id, url) for url in trackable_text(bodies.text)} if counted else {}
    return TextComposer(bodies, head, signer(), ids)


def _whatsapps(_order: Order, version: TemplateVersion, head: Letterhead, _sender: Sender) -> TemplateComposer:
    return TemplateComposer(version.whatsapp or {}, head, signer())


COMPOSERS: dict[str, Callable[..., Any]] = {"email": _letters, "sms": _texts, "whatsapp": _whatsapps}


def send_batch(gate: Callable[[], Order], node: str, limit: int = outbox.BATCH) -> Counter[str] | None:
    """Claims one batch, delivers and records it. Returns how many ended in which status (waiting: due, but not yet at
    their hour); None if there was nothing.

    gate: called inside the claiming transaction; it locks what decides whether the campaign may send and returns its
    order, or raises NothingToDo. Commits twice: before and after talking to the provider.
    """
    started = time.monotonic()
    with transaction():
        try:
            order = gate()
            prepared = _prepared.get(order) or _prepare(order)
        except NothingToDo:
            return None
        claimed = outbox.claim(
            order.campaign_id, order.channel, node, resting.batch_of(order.sender_id, limit),
            version_id=order.version_id, sender_id=order.sender_id, limits=order.limits,
        )  # fmt: skip
        if not claimed.rows:
            idle = Counter(skipped=claimed.skipped, waiting=claimed.waiting)
            return idle if idle.total() else None
        extra = tokens.lookups(prepared.composer.needs, [row.lead_id for row in claimed.rows])
    # Kept only once its links are committed: a prepared message must not point at links that were rolled back.
    if len(_prepared) > PREPARED_LIMIT:
        _prepared.clear()
    _prepared[order] = prepared
    told = list(_attempt(prepared.sender, claimed, prepared.composer, extra, started + outbox.TALK_SECONDS))
    resting.note(order.sender_id, sum(o.kind != "released" for o in told), time.monotonic() - started)
    return _record(claimed, told, prepared.sender, order)


def _record(claimed: Claim, told: list[Outcome], sender: Sender, order: Order) -> Counter[str]:
    """Writes the outcomes down, waiting for a database that is away: what is known must not become unknown."""
    deadline = time.monotonic() + RECORD_SECONDS
    while True:
        try:
            with transaction():
                ended = outcomes.finalise(claimed, told)
                _heed(claimed, told, sender, order)
            return ended
        except AWAY:
            # The token makes a repetition safe: what was committed before the connection broke is not found again.
            if time.monotonic() > deadline:
                raise
            db.session.remove()
            time.sleep(0.5)


def _heed(claimed: Claim, told: list[Outcome], sender: Sender, order: Order) -> None:
    """Does what a provider's words mean beyond the one message they were said of."""
    whose = {row.id: row for row in claimed.rows}
    for outcome in told:
        words, code = outcome.message or "", outcome.code or ""
        words = words if not code or code in words else f"{code}: {words}"
        if outcome.effect == "back_off":
            resting.rest(sender.id, words)
        elif outcome.effect == "hold_sender":
            senders.hold(sender.id, words)
        elif outcome.effect == "hold_template":
            template_states.hold(templates.version(order.version_id).template_id or 0, words)
        elif outcome.effect == "suppress":
            consents.suppress(claimed.channel, whose[outcome.send_id].recipient_address, "stop")
        if outcome.bounce and outcome.kind == "rejected":
            bouncing.refused(whose[outcome.send_id].recipient_address, whose[outcome.send_id].lead_id, outcome.bounce)
    if any(outcome.kind == "accepted" for outcome in told):
        resting.up_again(sender.id)
    if any(outcome.kind in ("rejected", "unknown") for outcome in told):
        health.auto_hold(sender)


def _attempt(
    sender: Sender, claimed: Claim, composer: Any, extra: dict[int, dict[str, Any]], deadline: float
) -> Iterator[Outcome]:
    """Yields exactly one outcome for each claimed row, whatever the provider does."""
    unbuilt: list[Outcome] = []
    waiting = {row.id for row in claimed.rows}
    handed: set[int] = set()  # to the provider, which has not said yet how it went
    why: str | None = None
    moments = Moments(claimed)

    def messages() -> Iterator[Any]:
        for place, row in enumerate(claimed.rows):
            courtesy.give_way()
            try:
                built = composer.build(row, extra.get(row.lead_id))
            except Exception as problem:  # noqa: BLE001 - one lead's odd data must not stop the others
                unbuilt.append(Outcome(row.id, "rejected", "template", f"The message could not be built: {problem}"))
                continue
            if not moments.wait(place):
                return
            handed.add(row.id)
            yield built

    try:
        for outcome in providers.of(sender.provider).deliver(sender, messages(), deadline):
            waiting.discard(outcome.send_id)
            yield outcome
    except Unreachable as problem:
        logger.warning("sender unreachable", sender=sender.id, reason=str(problem))
        handed.clear()
        why = str(problem)
    except Exception:
        logger.exception("a provider failed", sender=sender.id)
    for outcome in unbuilt:
        waiting.discard(outcome.send_id)
        yield outcome
    for send_id in waiting:
        if send_id in handed:
            yield Outcome(send_id, "unknown", None, "Sending it broke off before it was said how it went.")
        else:
            yield Outcome(send_id, "released", None, why, effect="back_off" if why else None)
            why = None  # it rests once
