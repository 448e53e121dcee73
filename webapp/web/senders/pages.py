"""What the pages of senders show."""

from typing import Any

from webapp.messaging import (
    alignment,
    credentials,
    health,
    portfolios,
    sender_fields,
    sender_figures,
    sender_reading,
    senders,
    warming,
)
from webapp.messaging.senders import Sender
from webapp.platform import clock
from webapp.platform.errors import Refused
from webapp.web import filters

CHANNEL_ICONS = {"email": "mail", "sms": "message-2", "whatsapp": "brand-whatsapp"}
CHANNEL_WORDS = {"email": "E-mail", "sms": "SMS", "whatsapp": "WhatsApp"}
KINDS = {
    "smtp-email": ("E-mail over SMTP", "mail"), "twilio-sms": ("SMS over Twilio", "message-2"),
    "whatsapp_cloud-whatsapp": ("WhatsApp Cloud API", "brand-whatsapp"), "local-email": ("Built-in e-mail", "inbox"),
    "local-sms": ("Built-in SMS", "device-mobile-message"), "local-whatsapp": ("Built-in WhatsApp", "device-mobile-message"),
}  # fmt: skip
WORDS = {"icons": CHANNEL_ICONS, "channels": CHANNEL_WORDS, "providers": sender_fields.PROVIDER_WORDS}


def state(sender: Sender) -> str:
    """Returns the word for how a sender stands: held and resting come before its own status."""
    if sender.held_at:
        return "held"
    resting = sender.rate_limited_until and sender.rate_limited_until > clock.now()
    return "resting" if resting and sender.status in ("active", "warming") else sender.status


def listed() -> list[dict[str, Any]]:
    """Returns the organisation's senders as the list shows them."""
    weeks, today = sender_figures.weeks(), clock.local(clock.now(), filters.zone()).date()
    found = []
    for sender in senders.every():
        week = weeks.get(sender.id)
        found.append({
            "sender": sender, "state": state(sender), "health": health.of(week) if week else health.Health(100, ()),
            "used": week.used if week else 0, "limit": warming.daily_limit_on(sender, today), "through": through(sender),
        })  # fmt: skip
    return found


def through(sender: Sender) -> str:
    """Returns where a sender's messages go in."""
    words = sender_fields.PROVIDER_WORDS[sender.provider]
    if sender.provider == "smtp":
        return f"{sender.config['host']}:{sender.config['port']}"
    if sender.provider == "local":
        return "Built-in mailbox" if sender.channel == "email" else "Built-in phones"
    return words


def detail(sender: Sender) -> dict[str, Any]:
    """Returns what the page of a sender shows."""
    day, week = sender_figures.over(sender.id, 24), sender_figures.over(sender.id, 7 * 24)
    today = clock.local(clock.now(), filters.zone()).date()
    hours = [(clock.local(hour, filters.zone()), sums) for hour, sums in sender_figures.by_hour(sender.id)]
    return {
        "reached": max(filter(None, (sender.last_connected_at, sender_figures.last_sent_at(sender.id))), default=None),
        "sender": sender, "state": state(sender), "day": day, "week": week, "health": health.of(week),
        "limit": warming.daily_limit_on(sender, today), "hours": hours, "today": today, "chart": _chart(hours),
        "course": warming.course(sender, today), "problems": sender_figures.problems(sender.id),
        "portfolio": portfolios.get(sender.portfolio_id) if sender.portfolio_id else None,
        "people": portfolios.used().get(sender.portfolio_id, 0) if sender.portfolio_id else 0,
        "campaigns": senders.campaigns_of(sender.id), "through": through(sender), "facts": facts(sender),
        "verdicts": alignment.of(sender) if sender.channel == "email" else [], "secrets": made_by_us(sender),
    }  # fmt: skip


def _chart(hours: list[tuple[Any, Any]]) -> dict[str, Any]:
    names = (
        ("Sent", ("sent",), "1"), ("Failed or bounced", ("failed", "bounced"), "bad"), ("Unknown", ("unknown",), "3"),
    )  # fmt: skip
    return {
        "labels": [f"{hour:%H:%M}" for hour, _ in hours],
        "series": [
            {
                "name": label,
                "type": "bar",
                "stack": "all",
                "tone": tone,
                "data": [sum(getattr(s, m) for m in measures) if s else 0 for _, s in hours],
            }
            for label, measures, tone in names
        ],
    }


def facts(sender: Sender) -> list[tuple[str, Any]]:
    """Returns (label, value) of what a sender was told; of its secrets only whether they are kept."""
    told = sender_reading.written(sender)
    kept = set(credentials.still_good(sender.secrets))
    found = []
    for field in sender_fields.of(sender.provider, sender.channel):
        if field.is_secret:
            found.append((field.label, "kept" if field.name in kept else "–"))
        elif field.name not in ("address", "portfolio_id") and told.get(field.name):
            found.append((field.label, dict(field.choices).get(told[field.name], told[field.name])))
    return found


def made_by_us(sender: Sender) -> list[tuple[Any, bool]]:
    """Returns (field, whether there is one) of the secrets that we make ourselves."""
    try:
        kept = set(credentials.opened(sender.secrets))
    except Refused:
        kept = set()
    fields = sender_fields.of(sender.provider, sender.channel)
    return [(field, field.name in kept) for field in fields if field.generated]
