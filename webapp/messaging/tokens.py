"""Tokens: what a message may say about its lead, and the sandbox that fills them in.

minijinja renders with a fuel limit and sees plain values only, so that what a user writes can neither run away nor
look behind the values it is given.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import minijinja

FUEL = 200_000  # steps of one render: a long newsletter takes a few thousand

# name -> (words on screen, example): every token the house knows.
TOKENS: dict[str, tuple[str, str]] = {
    "first_name": ("First name", "Ada"),
    "last_name": ("Last name", "Lopez"),
    "customer_name": ("Full name", "Ada Lopez"),
    "email": ("E-mail address", "ada@example.com"),
    "phone": ("Phone", "+1 415 200 0000"),
    "city": ("City", "Austin"),
    "state": ("State", "TX"),
    "policy_number": ("Policy number", "LIC-700012"),
    "policy_type": ("Policy type", "auto"),
    "premium_amount": ("Premium", "1,200.00"),
    "due_date": ("Payment due", "1 December 2026"),
    "renewal_date": ("Renewal date", "1 December 2026"),
    "agent_name": ("Agent", "Sam Reed"),
    "company_name": ("Company", "Demo Insurance"),
    "unsubscribe_url": ("Unsubscribe link", "https://…/u/…"),
    "preferences_url": ("Preferences link", "https://…/p/…"),
    "view_url": ("View in browser", "https://…/v/…"),
    "call_me_url": ("Call-me link", "https://…/call/…"),
}
POLICY_TOKENS = {"policy_number", "policy_type", "premium_amount", "due_date", "renewal_date"}
URL_TOKENS = {"unsubscribe_url", "preferences_url", "view_url", "call_me_url"}
# Their pages come with the issues that build them; until then a message may not promise them.
UNBUILT = {"preferences_url", "call_me_url"}


def _date(value: Any, pattern: str = "%-d %B %Y") -> str:
    if not value:
        return ""
    return (_read_date(value) if isinstance(value, str) else value).strftime(pattern)


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return datetime.strptime(text, "%d %B %Y").date()  # as the house itself writes due_date and renewal_date


def _money(value: Any, currency: str = "") -> str:
    if value in (None, ""):
        return ""
    return f"{currency}{Decimal(str(value).replace(',', '')):,.2f}"


def environment() -> minijinja.Environment:
    """Returns a fresh sandbox. Templates whose name ends in .html escape what they fill in."""
    return minijinja.Environment(
        fuel=FUEL,
        undefined_behavior="chainable",
        filters={"date": _date, "money": _money},
        auto_escape_callback=lambda name: "html" if name.endswith(".html") else False,
        finalizer=lambda value: "" if value is None else value,
    )


_checker = environment()


def used(*bodies: str | None) -> set[str]:
    """Returns the names of the tokens that bodies use. Raises minijinja.TemplateError where one cannot be read."""
    return {name for body in bodies if body for name in _checker.undeclared_variables_in_str(body, nested=True)}


def problem(body: str) -> str | None:
    """Returns what is wrong with a body in plain words, or None if it can be used."""
    try:
        names = used(body)
        filled = _checker.render_str(body, **dict.fromkeys(TOKENS, ""), attributes={})
    except minijinja.TemplateError as error:
        return f"This cannot be read near line {error.line or 1}: {error.detail or error.message}."
    except Exception as error:  # noqa: BLE001 - a filter got a value it cannot take; the sandbox lets any type out
        return f"This cannot be filled in: {error}."
    if len(filled) > 2_000_000:
        return "This becomes too long when it is filled in."
    unknown = sorted(name for name in names if not _known(name))
    if unknown:
        shown = ", ".join(f"{{{{ {name} }}}}" for name in unknown)
        return f"There is no token {shown}."
    later = sorted(names & UNBUILT)
    return f"{', '.join(later)} cannot be used yet." if later else None


def _known(name: str) -> bool:
    return name in TOKENS or name.startswith("attributes.") or name == "attributes"
