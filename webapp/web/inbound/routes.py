"""Replies: what people wrote back, what it means, and whether somebody has seen to it."""

from typing import Any

from flask import Blueprint, request, url_for
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy import func, or_, select

from webapp.audience import leads
from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.leads import Lead
from webapp.campaigns.campaigns import Campaign
from webapp.messaging import inbound, threads
from webapp.messaging.inbound import InboundMessage
from webapp.messaging.intents import INTENT_WORDS
from webapp.messaging.sends import Send
from webapp.platform.db import db
from webapp.platform.errors import Invalid, NotFound
from webapp.platform.roles import can
from webapp.web import filters
from webapp.web.shell import go, needs, render, row_id, say
from webapp.web.table import Column, Filter, Table

inbound_pages = Blueprint("inbound", __name__, url_prefix="/replies")
SHOWN = 120  # characters of a reply in the list


def _table() -> Table:
    query = (
        select(InboundMessage, Lead, Campaign.name.label("campaign"))
        .outerjoin(Lead, (Lead.org_id == InboundMessage.org_id) & (Lead.id == InboundMessage.lead_id))
        .outerjoin(Send, (Send.org_id == InboundMessage.org_id) & (Send.id == InboundMessage.send_id))
        .outerjoin(Campaign, (Campaign.org_id == Send.org_id) & (Campaign.id == Send.campaign_id))
    )
    handles = can(current_user, "inbound.handle")
    return Table(
        name="replies",
        noun=("reply", "replies"),
        query=query,
        key=InboundMessage.id,
        columns=(
            Column("from", "From", _from, export=lambda r: _name(r) or "Somebody"),
            Column("text", "Message", lambda r: _short(r.InboundMessage.body), wraps=True,
                   export=lambda r: r.InboundMessage.body),
            Column("intent", "Meaning", lambda r: INTENT_WORDS[r.InboundMessage.intent], wide=True,
                   export=lambda r: r.InboundMessage.intent),
            Column("channel", "Channel", lambda r: CHANNEL_WORDS[r.InboundMessage.channel], wide=True,
                   export=lambda r: r.InboundMessage.channel),
            Column("campaign", "Answers", lambda r: r.campaign or "–", wide=True, wraps=True,
                   export=lambda r: r.campaign),
            Column("state", "State", lambda r: filters.status(_state(r.InboundMessage)), wide=True,
                   export=lambda r: _state(r.InboundMessage)),
            Column("received", "Received", lambda r: filters.ago(r.InboundMessage.received_at),
                   InboundMessage.received_at, lambda r: r.InboundMessage.received_at.isoformat(), wide=True),
        ),
        default_sort="-received",
        empty="Nobody has written back yet. What people answer to an e-mail, an SMS or on WhatsApp comes here by itself.",
        url_of=lambda r: url_for("inbound.detail", reply_id=r.InboundMessage.id),
        search=_search,
        search_label="Name, address or words",
        filters=(
            Filter("state", "State", (("open", "Open"), ("handled", "Handled")), _in_state),
            Filter("intent", "Meaning", tuple(INTENT_WORDS.items()), lambda i: InboundMessage.intent == i),
            Filter("channel", "Channel", tuple(CHANNEL_WORDS.items()), lambda c: InboundMessage.channel == c),
        ),
        bulk=(("Mark handled", url_for("inbound.handle_some"), "circle-check", ""),) if handles else (),
        id_of=lambda r: r.InboundMessage.id,
        can_export=can(current_user, "leads.export"),
    )  # fmt: skip


def _from(row: Any) -> Any:
    """Who wrote; on a phone, where these have no columns, also what it means and whether it waits."""
    meaning = INTENT_WORDS[row.InboundMessage.intent]
    state = filters.words(_state(row.InboundMessage)).lower()
    return Markup('{}<span class="phone-only text-secondary">{} · {}</span>').format(
        _name(row) or "Somebody", meaning, state
    )


def _name(row: Any) -> str:
    return row.Lead.name if row.Lead is not None else row.InboundMessage.from_address


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else text[:SHOWN].rstrip() + "…"


def _state(message: InboundMessage) -> str:
    return "handled" if message.handled_at else "open"


def _in_state(state: str) -> Any:
    return InboundMessage.handled_at.is_(None) if state == "open" else InboundMessage.handled_at.is_not(None)


def _search(term: str) -> Any:
    needle = term.replace("\0", "").lower()
    return or_(
        func.strpos(InboundMessage.from_address, needle) > 0,
        func.strpos(func.lower(InboundMessage.body), needle) > 0,
        InboundMessage.lead_id.in_(select(Lead.id).where(leads.search(term))),
    )


@inbound_pages.get("")
@needs("inbound.view")
def page() -> Any:
    return _table().respond("inbound/page.html", waiting=inbound.waiting())


@inbound_pages.get("/<int:reply_id>")
@needs("inbound.view")
def detail(reply_id: int) -> Any:
    message = inbound.get(reply_id)
    lead = None
    if message.lead_id:
        try:
            lead = leads.get(message.lead_id)
        except NotFound:
            lead = None
    return render(
        "inbound/detail.html", message=message, lead=lead, thread=threads.around(message), intents=INTENT_WORDS,
        channels=CHANNEL_WORDS, state=_state(message),
        window=inbound.window_open_until(message.channel, message.from_address),
    )  # fmt: skip


@inbound_pages.post("/<int:reply_id>/handled")
@needs("inbound.handle")
def handle(reply_id: int) -> Any:
    # What the button said, and not the opposite of what is now: somebody else may have pressed it too.
    is_handled = request.form.get("on") != "0"
    inbound.handle(inbound.get(reply_id, lock=True), is_handled)
    say("Marked as handled." if is_handled else "Open again.")
    return go("inbound.detail", reply_id=reply_id)


@inbound_pages.post("/handled")
@needs("inbound.handle")
def handle_some() -> Any:
    ids = set(request.form.getlist("ids", type=row_id))
    found = list(db.session.scalars(select(InboundMessage).where(InboundMessage.id.in_(ids))))
    if not found:
        raise NotFound("These replies are not there any more.")
    for message in found:
        inbound.handle(message, True)
    say(f"{len(found):,} {'reply is' if len(found) == 1 else 'replies are'} marked as handled.")
    return go("inbound.page")


@inbound_pages.post("/<int:reply_id>/intent")
@needs("inbound.handle")
def change_intent(reply_id: int) -> Any:
    message = inbound.get(reply_id, lock=True)
    try:
        inbound.change_intent(message, request.form.get("intent", ""))
        say(f"It means: {INTENT_WORDS[message.intent]}.")
    except Invalid as problem:
        say(problem.errors["intent"], "danger")
    return go("inbound.detail", reply_id=reply_id)
