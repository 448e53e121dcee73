"""Tokens: what a message may say about its lead, and the sandbox that fills them in.

minijinja renders with a fuel limit and sees plain values only, and a message may use but a part of its language (see
`grammar`), so that what a user writes can neither run away nor look behind the values it is given.
"""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

import minijinja
from markupsafe import Markup

from webapp.messaging import grammar
from webapp.platform.db import rows

FUEL = 50_000  # steps of one render: a long newsletter takes a few thousand
VALUE_LIMIT = 10_000  # characters that one token may print
FILLED_LIMIT = 2_000_000

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
# Only in the house's own messages (templates that are `is_system`).
SYSTEM_TOKENS: dict[str, tuple[str, str]] = {
    "confirm_url": ("Confirmation link", "https://…/confirm/…"),
}
# Until its page is built a message may not promise it.
UNBUILT = {"call_me_url"}


def _date(value: Any, pattern: str = "%-d %B %Y") -> str:
    if not value:
        return ""
    return (_read_date(value) if isinstance(value, str) else value).strftime(pattern)


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        pass
    try:
        return datetime.strptime(text, "%d %B %Y").date()  # as the house itself writes due_date and renewal_date
    except ValueError:
        raise ValueError(f"{text[:60]!r} is not a date") from None


def _money(value: Any, currency: str = "") -> str:
    if value in (None, ""):
        return ""
    try:
        return f"{currency}{Decimal(str(value).replace(',', '')):,.2f}"
    except (InvalidOperation, ValueError):
        raise ValueError(f"{str(value)[:60]!r} is not an amount") from None


def environment(*, in_address: bool = False) -> minijinja.Environment:
    """Returns a fresh sandbox. Templates whose name ends in .html escape what they fill in. in_address: what is filled
    in becomes part of a web address, so it is percent-encoded (unless the author says `safe`)."""
    encoding = {"urlencode": lambda value: Markup(quote(str(value), safe=""))} if in_address else {}
    return minijinja.Environment(
        fuel=FUEL,
        undefined_behavior="chainable",
        filters={"date": _date, "money": _money} | encoding,
        pycompat=False,
        auto_escape_callback=lambda name: "html" if name.endswith(".html") else False,
        finalizer=_addressed if in_address else _printed,
    )


def _addressed(value: Any) -> Any:
    shown = _printed(value)
    return shown if isinstance(shown, Markup) else quote(str(shown), safe="")


def _printed(value: Any) -> Any:
    if value is None:
        return ""
    if len(value if isinstance(value, str) else str(value)) > VALUE_LIMIT:
        raise ValueError(f"a value of more than {VALUE_LIMIT:,} characters cannot be put into a message")
    return value


_checker = environment()
_NOTHING: dict[str, Any] = {"attributes": {}}
_EMPTY: dict[str, Any] = _NOTHING | dict.fromkeys([*TOKENS, *SYSTEM_TOKENS], "")


def used(*bodies: str | None) -> set[str]:
    """Returns the names of the tokens that bodies use. Raises minijinja.TemplateError where one cannot be read."""
    return {name for body in bodies if body for name in _checker.undeclared_variables_in_str(body, nested=True)}


def problem(body: str, *, system: bool = False) -> str | None:
    """Returns what is wrong with a body in plain words, or None if it can be used. system: in one of the house's own
    messages."""
    try:
        names = used(body)
        if words := grammar.forbidden(body):
            return words
        pieces = grammar.in_pieces(body)
        # Once with nothing known of the lead, as will happen, and once with every value there but empty.
        filled = max((_checker.render_str(pieces, **given) for given in (_NOTHING, _EMPTY)), key=len)
    except minijinja.TemplateError as error:
        if "out of fuel" in str(error):
            return "This takes too many steps to be filled in for every recipient."
        return f"This cannot be read near line {error.line or 1}: {error.detail or error.message}."
    except Exception as error:  # noqa: BLE001 - a filter got a value it cannot take; the sandbox lets any type out
        return f"This cannot be filled in: {error}."
    if len(filled) > FILLED_LIMIT:
        return "This becomes too long when it is filled in."
    unknown = sorted(name for name in names if not (_known(name) or system and name in SYSTEM_TOKENS))
    if unknown:
        shown = ", ".join(f"{{{{ {name} }}}}" for name in unknown)
        return f"There is no token {shown}."
    later = sorted(names & UNBUILT)
    return f"{', '.join(later)} cannot be used yet." if later else None


def _known(name: str) -> bool:
    return name in TOKENS or name.startswith("attributes.") or name == "attributes"


def lookups(needs: set[str], lead_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Returns the token values that stand outside the lead, by lead id; nothing is asked that no token needs."""
    found: dict[int, dict[str, Any]] = {}
    if needs & POLICY_TOKENS:
        # The policy a message speaks of: the active one that renews next.
        for row in rows(
            "SELECT DISTINCT ON (lead_id) lead_id, number, type, premium, next_due_on, renews_on FROM policies"
            " WHERE lead_id = ANY(:ids) ORDER BY lead_id, (status = 'active') DESC, renews_on NULLS LAST, id",
            ids=lead_ids,
        ):
            found[row.lead_id] = {
                "policy_number": row.number,
                "policy_type": row.type,
                "premium_amount": f"{row.premium:,.2f}" if row.premium is not None else None,
                "due_date": f"{row.next_due_on:%-d %B %Y}" if row.next_due_on else None,
                "renewal_date": f"{row.renews_on:%-d %B %Y}" if row.renews_on else None,
            }
    if "agent_name" in needs:
        for row in rows(
            "SELECT l.id, u.name FROM leads l JOIN users u ON u.org_id = l.org_id AND u.id = l.owner_id"
            " WHERE l.id = ANY(:ids)",
            ids=lead_ids,
        ):
            found.setdefault(row.id, {})["agent_name"] = row.name
    return found
