"""How values are written on screen."""

from datetime import date, datetime
from typing import Any

from flask import Flask, g
from flask_login import current_user
from markupsafe import Markup, escape

from webapp.audience.consents import CHANNEL_WORDS, reason_words
from webapp.audience.timeline import FACTS
from webapp.messaging.intents import INTENT_WORDS
from webapp.platform import clock, organizations
from webapp.platform.roles import can

DOTS = {
    "active": "green", "sent": "green", "delivered": "green", "completed": "azure", "done": "green", "opened": "teal",
    "clicked": "teal", "converted": "teal", "subscribed": "green", "scheduled": "blue", "queued": "blue", "running": "blue",
    "pending": "yellow", "sending": "blue", "paused": "yellow", "draft": "secondary", "failed": "red", "bounced": "red",
    "unknown": "orange", "skipped": "secondary", "cancelled": "secondary", "archived": "secondary", "new": "blue",
    "contacted": "azure", "qualified": "teal", "proposal": "purple", "lost": "secondary", "unsubscribed": "red",
    "overdue": "red", "due": "yellow", "paid": "green", "lapsed": "red", "expired": "secondary", "high": "orange",
    "urgent": "red", "medium": "yellow", "low": "secondary", "inactive": "secondary",
    "approved": "green", "refused": "secondary", "open": "yellow", "locked": "red", "undone": "secondary",
    "held": "red", "resting": "yellow", "standby": "secondary", "warming": "azure", "banned": "red", "good": "green",
    "warning": "yellow", "bad": "red",
    "rejected": "red", "disabled": "red", "processing": "blue",
    "handled": "green", "replied": "teal",
}  # fmt: skip


def organization() -> organizations.Organization:
    """Returns the organisation in scope, asked once a request."""
    if "organization" not in g:
        g.organization = organizations.current()
    return g.organization


def zone() -> str:
    """Returns the reader's time zone: their organisation's."""
    return organization().timezone if current_user.is_authenticated else "UTC"


def words(value: Any) -> str:
    """policy_sales -> Policy sales"""
    text = str(value or "").replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """auto leads in Texas -> Auto leads in Texas"""
    return text[:1].upper() + text[1:]


def status(value: str | None) -> Markup:
    """A small dot and a word."""
    if not value:
        return Markup('<span class="text-secondary">–</span>')
    return Markup('<span class="status-word"><span class="dot dot-{}"></span>{}</span>').format(
        DOTS.get(value, "secondary"), words(value)
    )


def number(value: Any) -> str:
    """12345 -> 12,345; nothing -> –"""
    return "–" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A fraction as a percentage; no value where there is no rate."""
    return "–" if value is None else f"{value * 100:.1f} %"


def money(value: Any) -> str:
    """An amount in the organisation's currency."""
    if value is None:
        return "–"
    currency = organization().currency
    return f"{ {'USD': '$', 'EUR': '€', 'GBP': '£', 'INR': '₹'}.get(currency, currency + ' ') }{value:,.0f}"


def day(value: date | datetime | None) -> str:
    """9 Nov 2026"""
    if value is None:
        return "–"
    local = clock.local(value, zone()) if isinstance(value, datetime) else value
    return f"{local.day} {local:%b %Y}"


def moment(value: datetime | None) -> Markup:
    """9 Nov 2026, 14:20 in the reader's zone, with the exact time behind it."""
    if value is None:
        return Markup("–")
    local = clock.local(value, zone())
    text = f"{local.day} {local:%b %Y, %H:%M}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        value.isoformat(), f"{local:%A, %H:%M:%S %Z}", text
    )


def intent_words(intent: str) -> str:
    """What a reply means, as said on screen."""
    return INTENT_WORDS.get(intent, intent)


def clock_time(value: datetime) -> Markup:
    """14:20 in the reader's zone, with the exact time behind it."""
    text = f"{clock.local(value, zone()):%H:%M}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), day_time(value), text)


def ago(value: datetime | None) -> Markup:
    """3 min ago, with the exact time behind it."""
    if value is None:
        return Markup("–")
    seconds = (clock.now() - value).total_seconds()
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (86400 * 30, 86400, "d")):
        if abs(seconds) < limit:
            n = int(abs(seconds) // size)
            text = f"in {n} {unit}" if seconds < 0 else "just now" if unit == "s" else f"{n} {unit} ago"
            return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), day_time(value), text)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), day_time(value), day(value))


def day_time(value: datetime) -> str:
    """The plain text of `moment`."""
    local = clock.local(value, zone())
    return f"{local.day} {local:%b %Y, %H:%M}"


def fact(kind: str) -> tuple[str, str]:
    """Returns (words, icon) of a timeline fact."""
    return FACTS.get(kind, (words(kind), "point"))


def is_ours(kind: str) -> bool:
    """True for a kind of fact that only the house writes."""
    return kind in FACTS and kind != "custom"


def channel(value: str | None) -> str:
    """whatsapp -> WhatsApp"""
    return CHANNEL_WORDS.get(value or "", words(value))


def short_day(value: date | None) -> str:
    """13 Feb, with the year where it is not this one."""
    if value is None:
        return "–"
    this_year = clock.local(clock.now(), zone()).year
    return f"{value.day} {value:%b}" if value.year == this_year else f"{value.day} {value:%b %Y}"


DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def window_words(window: dict[str, Any] | None) -> str:
    """09:00 to 18:00, Mon-Fri, their time"""
    if not window:
        return "Any time outside quiet hours"
    days = window.get("days") or list(range(1, 8))
    in_a_row = days == list(range(days[0], days[-1] + 1)) and len(days) > 2
    names = (
        f"{DAY_NAMES[days[0] - 1]}-{DAY_NAMES[days[-1] - 1]}" if in_a_row else ", ".join(DAY_NAMES[d - 1] for d in days)
    )
    return f"{window['from']} to {window['to']}, {'every day' if len(days) == 7 else names}, their time"


def month(value: date) -> str:
    """January 2027"""
    return f"{value:%B %Y}"


def icon(name: str) -> Markup:
    """A decorative icon: the word beside it says the same."""
    return Markup('<i class="ti ti-{}" aria-hidden="true"></i>').format(escape(name))


def init_app(app: Flask) -> None:
    """Adds the filters and the functions pages call."""
    for filter_ in (
        words,
        sentence,
        status,
        number,
        percent,
        money,
        day,
        moment,
        clock_time,
        ago,
        fact,
        is_ours,
        reason_words,
        intent_words,
        channel,
        short_day,
        month,
        window_words,
    ):
        app.jinja_env.filters[filter_.__name__] = filter_
    app.jinja_env.filters["plain_moment"] = day_time
    app.jinja_env.filters["clock"] = clock_time
    app.jinja_env.globals.update(
        icon=icon,
        organization=organization,
        channel_words=CHANNEL_WORDS,
        can=lambda permission: can(current_user, permission),
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
