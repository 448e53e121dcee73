"""The built-in phones: what the stand-ins for Twilio and WhatsApp delivered, as people's phones show it."""

from typing import Any

from flask import Blueprint, request, url_for
from sqlalchemy import func, select

from webapp.audience.consents import CHANNEL_WORDS
from webapp.audience.leads import Lead
from webapp.messaging import phones
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin import hands
from webapp.messaging.standin.faults import CATALOGUE
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.web import filters
from webapp.web.phones.forms import FaultForm, ReplyForm, fault_form
from webapp.web.shell import go, needs, render, say, show_errors, wants_fragment
from webapp.web.table import Column, Filter, Table

phone_pages = Blueprint("phones", __name__, url_prefix="/phones")

QUICK = ("STOP", "START", "HELP", "Yes, call me", "How much is it?")
# The last message of each phone stands for the phone.
LAST = select(func.max(PhoneMessage.id)).group_by(PhoneMessage.channel, PhoneMessage.phone)
PERSON = (
    select(func.concat_ws(" ", Lead.first_name, Lead.last_name))
    .where(Lead.phone == PhoneMessage.phone, Lead.deleted_at.is_(None))
    .order_by(Lead.id)
    .limit(1)
    .correlate(PhoneMessage)
    .scalar_subquery()
)


def _table() -> Table:
    return Table(
        name="phones",
        noun=("phone", "phones"),
        query=select(PhoneMessage, PERSON.label("person")).where(PhoneMessage.id.in_(LAST)),
        key=PhoneMessage.id,
        columns=(
            Column("phone", "Phone", lambda r: r.PhoneMessage.phone, PhoneMessage.phone),
            Column("person", "Person", lambda r: r.person or "–", wide=True),
            Column("channel", "Channel", lambda r: CHANNEL_WORDS[r.PhoneMessage.channel]),
            Column("last", "Last message", lambda r: _last(r.PhoneMessage), wide=True),
            Column("when", "When", lambda r: filters.ago(r.PhoneMessage.created_at), PhoneMessage.created_at),
        ),
        default_sort="-when",
        empty="No phone has got anything. Texts and WhatsApp messages of built-in senders arrive here instead of on people's phones.",
        url_of=lambda r: url_for("phones.thread", phone_id=r.PhoneMessage.id),
        search=lambda term: func.strpos(PhoneMessage.phone, term) > 0,
        search_label="Number",
        filters=(
            Filter("channel", "Channel", tuple((c, CHANNEL_WORDS[c]) for c in phones.CHANNELS),
                   lambda c: PhoneMessage.channel == c),
        ),
    )  # fmt: skip


def _last(message: PhoneMessage) -> str:
    who = "" if message.direction == "to_phone" else "They: "
    return who + " ".join(message.body.split())[:120]


@phone_pages.get("")
@needs("mailbox.view")
def page() -> Any:
    return _table().respond("phones/page.html")


@phone_pages.get("/faults/<any(sms, whatsapp):kind>")
@needs("mailbox.view")
def all_faults(kind: str) -> Any:
    """What goes wrong with the next messages to any phone."""
    return _all_faults(kind, _fault_form(kind, ""))


@phone_pages.post("/faults/<any(sms, whatsapp):kind>")
@needs("phones.use")
def set_all_faults(kind: str) -> Any:
    form = fault_form(kind)
    if _set_fault(form, kind, ""):
        return go("phones.page")
    return _all_faults(kind, form, 422)


def _all_faults(kind: str, form: FaultForm, status: int = 200) -> Any:
    return render(
        "phones/faults.html", status=status, form=form, kind=kind, channel=CHANNEL_WORDS[kind], set=_told(kind, "")
    )


@phone_pages.get("/<int:phone_id>")
@needs("mailbox.view")
def thread(phone_id: int) -> Any:
    """The phone that has a message. To htmx the messages alone: the page follows by itself."""
    message = phones.get(phone_id)
    if wants_fragment():
        return render("phones/_messages.html", **_messages(message))
    return _thread(message)


def _messages(message: PhoneMessage) -> dict[str, Any]:
    found = phones.thread(message.channel, message.phone)
    unread = any(map(phones.is_unread, found))
    return {"phone": message, "messages": found, "has_unread": unread, "astray": phones.ASTRAY}


def _thread(
    message: PhoneMessage, status: int = 200, reply: ReplyForm | None = None, fault: FaultForm | None = None
) -> Any:
    last = phones.last_to(message.channel, message.phone) or message
    return render(
        "phones/thread.html",
        status=status,
        last=last,
        channel=CHANNEL_WORDS[message.channel],
        person=_person(message.phone),
        reply=reply or ReplyForm(formdata=None),
        fault=fault or _fault_form(message.channel, message.phone),
        set=_told(message.channel, message.phone),
        quick=QUICK,
        **_messages(message),
    )


def _person(phone: str) -> Lead | None:
    return db.session.scalar(select(Lead).where(Lead.phone == phone, Lead.deleted_at.is_(None)))


def _told(channel: str, phone: str) -> dict[str, Any] | None:
    """Returns what goes wrong with the next messages, in words."""
    found = phones.fault(channel, phone)
    known = CATALOGUE.get((channel, found.fault)) if found else None
    return {"words": known.words, "remaining": found.remaining} if found and known else None


@phone_pages.post("/<int:phone_id>/look")
@needs("phones.use")
def look(phone_id: int) -> Any:
    """Somebody has the phone in their hand: what is new on it is read."""
    message = phones.get(phone_id)
    hands.look(message)
    if wants_fragment():
        return render("phones/_messages.html", **_messages(message))
    return go("phones.thread", phone_id=phone_id)


@phone_pages.post("/<int:phone_id>/reply")
@needs("phones.use")
def reply(phone_id: int) -> Any:
    message, form = phones.get(phone_id), ReplyForm()
    try:
        # A quick answer is a button of its own; it goes before what is typed.
        hands.reply(message, request.form.get("quick") or form.text.data or "")
    except Invalid as problem:
        show_errors(form, problem)
        if wants_fragment():
            return render("phones/_phone.html", status=422, **_phone(message, form))
        return _thread(message, 422, reply=form)
    if wants_fragment():
        return render("phones/_phone.html", **_phone(message, ReplyForm(formdata=None), focus=True))
    return go("phones.thread", phone_id=phone_id)


def _phone(message: PhoneMessage, form: ReplyForm, focus: bool = False) -> dict[str, Any]:
    last = phones.last_to(message.channel, message.phone) or message
    return {"reply": form, "quick": QUICK, "last": last, "focus": focus, "channel": CHANNEL_WORDS[message.channel],
            **_messages(message)}  # fmt: skip


@phone_pages.post("/<int:phone_id>/fault")
@needs("phones.use")
def fault(phone_id: int) -> Any:
    message = phones.get(phone_id)
    form = fault_form(message.channel)
    if _set_fault(form, message.channel, message.phone):
        return go("phones.thread", phone_id=phone_id)
    return _thread(message, 422, fault=form)


def _fault_form(channel: str, phone: str) -> FaultForm:
    """Returns the form as it stands: with what is to go wrong."""
    found = phones.fault(channel, phone)
    standing = {"fault": found.fault, "remaining": found.remaining} if found else {}
    return fault_form(channel, formdata=None, **standing)


def _set_fault(form: FaultForm, channel: str, phone: str) -> bool:
    if not form.validate():
        return False
    phones.set_fault(channel, phone, form.fault.data, form.remaining.data)
    n = form.remaining.data
    which = "The next message" if n == 1 else f"The next {n:,} messages"
    say(f"{which} will end so." if form.fault.data else "Messages arrive again.")
    return True
