"""The bodies of a template: what each kind of message must have, and what of it is kept."""

from typing import Any

from minijinja import TemplateError

from webapp.messaging import tokens, whatsapp
from webapp.messaging.html_to_text import html_to_text

KINDS = ("email", "sms", "whatsapp", "multi_channel")
BODIES = ("subject_line", "preview_text", "html_content", "text_content")
SIZE_LIMIT = 500_000  # characters of HTML: mail programs cut messages off long before
SMS_LIMIT = 1_600  # characters: what carriers join into one message at most
LINE_LIMIT = 500
# What a WhatsApp message consists of, and the states its provider gives it. Only the approved ones may be sent.
WHATSAPP = ("name", "language", "category", "status", "header", "body", "footer", "parameters", "buttons")
WHATSAPP_STATUSES = (
    "PENDING", "APPROVED", "REINSTATED", "REJECTED", "PAUSED", "DISABLED", "FLAGGED", "PENDING_DELETION", "DELETED",
    "ARCHIVED", "LOCKED",
)  # fmt: skip
SENDABLE = ("APPROVED", "REINSTATED")
# kind -> the bodies it has. A drip's are an e-mail's.
OF_KIND: dict[str, tuple[str, ...]] = {
    "email": BODIES,
    "drip": BODIES,
    "sms": ("text_content",),
    "whatsapp": (),
    "multi_channel": BODIES,
}


def problems(kind: str, values: dict[str, Any], *, system: bool = False) -> dict[str, str]:
    """Returns what is wrong with the bodies of a template of a kind: field -> message, the parts of a WhatsApp message
    as whatsapp.<part>. system: they are one of the house's own messages, which must keep the link it is sent for."""
    errors = _missing(kind, values)
    for field in OF_KIND[kind]:
        body = values.get(field) or ""
        if len(body) > _limit(kind, field):
            errors[field] = (
                "This is too long." if kind == "email" else f"Use at most {_limit(kind, field):,} characters."
            )
        elif problem := tokens.problem(body, system=system):
            errors[field] = problem
        elif system and body.strip() and field in ("html_content", "text_content") and not _has_link(body):
            errors[field] = "This message needs the link {{ confirm_url }}."
    if kind == "whatsapp" or kind == "multi_channel" and is_written(values.get("whatsapp")):
        errors |= _of_whatsapp(values.get("whatsapp") or {})
    return errors


def _missing(kind: str, values: dict[str, Any]) -> dict[str, str]:
    has = {field: bool((values.get(field) or "").strip()) for field in BODIES}
    errors: dict[str, str] = {}
    if kind in ("email", "drip") or kind == "multi_channel" and has["html_content"]:
        if not has["subject_line"]:
            errors["subject_line"] = "Write a subject."
        if not has["html_content"]:
            errors["html_content"] = "Write the message."
    if kind == "sms" and not has["text_content"]:
        errors["text_content"] = "Write the message."
    if kind == "multi_channel" and not (
        has["html_content"] or has["text_content"] or is_written(values.get("whatsapp"))
    ):
        errors["html_content"] = "Write the message for at least one channel."
    return errors


def _limit(kind: str, field: str) -> int:
    if field not in ("html_content", "text_content"):
        return LINE_LIMIT
    return SMS_LIMIT if field == "text_content" and kind in ("sms", "multi_channel") else SIZE_LIMIT


def _has_link(body: str) -> bool:
    return bool(tokens.used(body) & tokens.SYSTEM_TOKENS.keys())


def is_written(given: dict[str, Any] | None) -> bool:
    """True if anything of a WhatsApp message's words is there."""
    return bool(given) and any(given.get(part) for part in ("name", "body"))


def _of_whatsapp(given: dict[str, Any]) -> dict[str, str]:
    errors = {f"whatsapp.{part}": said for part, said in whatsapp.problem(given).items()}
    if (given.get("status") or WHATSAPP_STATUSES[0]) not in WHATSAPP_STATUSES:
        errors["whatsapp.status"] = f"Choose one of {', '.join(WHATSAPP_STATUSES)}."
    return errors


def kept(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """Returns the columns of a template whose bodies have no problem: what its kind has no use for is left out, and
    plain text is made from the HTML where nobody wrote it. Raises TemplateError where none can be made."""
    bodies = {field: (values.get(field) or "").strip() if field in OF_KIND[kind] else "" for field in BODIES}
    is_derived = not bodies["text_content"] and bool(bodies["html_content"])
    if is_derived:
        bodies["text_content"] = html_to_text(bodies["html_content"])
    given = values.get("whatsapp") if kind in ("whatsapp", "multi_channel") else None
    message = _cleaned(given) if is_written(given) else None
    expressions = _expressions(message) if message else []
    return bodies | {
        "text_is_derived": is_derived,
        "whatsapp": message,
        "available_tokens": sorted(tokens.used(*bodies.values(), *expressions)),
        "suggested_channels": _channels(kind, bodies, is_derived, message),
    }


def _channels(kind: str, bodies: dict[str, str], is_derived: bool, message: dict[str, Any] | None) -> list[str]:
    if kind != "multi_channel":
        return ["email" if kind == "drip" else kind]
    written = {
        "email": bodies["html_content"], "sms": bodies["text_content"] and not is_derived, "whatsapp": message,
    }  # fmt: skip
    return [channel for channel, body in written.items() if body]


def _cleaned(given: dict[str, Any]) -> dict[str, Any]:
    plain = {part: (given.get(part) or "").strip() for part in WHATSAPP if part not in ("parameters", "buttons")}
    return plain | {
        "status": plain["status"] or WHATSAPP_STATUSES[0],
        "parameters": [(expression or "").strip() for expression in given.get("parameters") or []],
        "buttons": given.get("buttons") or [],
    }


def _expressions(message: dict[str, Any]) -> list[str]:
    return [*message["parameters"], *(button.get("parameter") or "" for button in message["buttons"])]


def derivable(html: str, *, system: bool = False) -> bool:
    """True if the plain text made from HTML can be sent."""
    try:
        return not tokens.problem(html_to_text(html.strip()), system=system)
    except TemplateError:
        return False
