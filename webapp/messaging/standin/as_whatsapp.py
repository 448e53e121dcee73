"""The stand-in as the WhatsApp Cloud API: the same addresses, JSON, answers and webhooks."""

import json
import re
import secrets
from datetime import timedelta
from typing import Any

from flask import current_app

from webapp.messaging import senders, whatsapp
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin import accounts, telling
from webapp.messaging.standin.accounts import Account
from webapp.messaging.standin.faults import TITLES
from webapp.messaging.standin.replies import Reply, in_json, keep, take_fault
from webapp.messaging.standin.telling import Telling
from webapp.messaging.texting import NUMBER
from webapp.platform.clock import now
from webapp.platform.db import one, transaction, value

PATH = re.compile(r"(?:/v[0-9]+\.[0-9]+)?/([0-9]{1,200})(/messages)?")
WINDOW = timedelta(hours=24)  # in which whoever wrote may be answered in free words
TEXT_LIMIT = 4096
Wrong = tuple[int, int, str, str]  # HTTP status, code, title, details


def answer(method: str, path: str, token: str, body: bytes) -> Reply:
    """Answers a request. token: of the bearer."""
    asked = PATH.fullmatch(path)
    if not asked or (method, asked[2]) not in (("GET", None), ("POST", "/messages")):
        return refusal(404, 100, "Unsupported request", f"Object with path {path} does not exist")
    account = accounts.find(asked[1], "whatsapp", "access_token", token)
    if account is None:
        return refusal(401, 190, "Invalid OAuth access token", "Cannot parse access token")
    if method == "GET":
        return in_json(200, _number(account))
    try:
        asked_for = json.loads(body)
    except (ValueError, RecursionError):
        asked_for = None
    if not isinstance(asked_for, dict):
        return refusal(400, 100, "Invalid parameter", "The body is no JSON object")
    with transaction(account.org_id):
        return _send(account, asked_for)


def refusal(status: int, code: int, title: str, details: str = "", manner: str = "") -> Reply:
    """Returns a refusal as Meta words it."""
    error: dict[str, Any] = {
        "message": f"(#{code}) {title}", "type": "OAuthException", "code": code, "fbtrace_id": secrets.token_hex(6),
        "error_data": {"messaging_product": "whatsapp", "details": details or title},
    }  # fmt: skip
    return in_json(status, {"error": error}, manner)


def _number(account: Account) -> dict[str, Any]:
    return {
        "verified_name": account.sender.name, "display_phone_number": account.sender.address, "quality_rating": "GREEN",
        "id": account.sender.config["phone_number_id"],
    }  # fmt: skip


def _send(account: Account, asked: dict[str, Any]) -> Reply:
    phone = "+" + str(asked.get("to") or "").removeprefix("+")
    if asked.get("messaging_product") != "whatsapp" or not NUMBER.fullmatch(phone):
        return refusal(400, 100, "Invalid parameter", "messaging_product or to")
    body, shown, wrong = _shown(asked, phone)
    if wrong:
        return refusal(*wrong)
    fault = take_fault("whatsapp", phone)
    if fault.manner in ("hang", "drop", "redirect") and not fault.keeps:
        return Reply(fault.status, b"", fault.manner)
    if not fault.keeps:
        return refusal(fault.status, fault.code, TITLES[fault.code]) if fault.code else Reply(fault.status, b"")
    wamid = f"wamid.{secrets.token_urlsafe(30)}"
    payload = shown | {"opaque": str(asked.get("biz_opaque_callback_data") or "")}
    kept = keep(account, "whatsapp", phone, body, wamid, fault, payload)
    telling.tell([state(account, kept, told) for told in fault.tells])
    return in_json(fault.status or 200, {
        "messaging_product": "whatsapp",
        "contacts": [{"input": str(asked["to"]), "wa_id": phone[1:]}],
        "messages": [{"id": wamid, "message_status": "accepted"}],
    }, fault.manner)  # fmt: skip


def _shown(asked: dict[str, Any], phone: str) -> tuple[str, dict[str, Any], Wrong | None]:
    """Returns what the phone shows, what else is kept of it, and what is wrong with the request."""
    if asked.get("type", "text") == "text":
        text = asked.get("text")
        body = text.get("body") if isinstance(text, dict) else None
        if not isinstance(body, str) or not 0 < len(body) <= TEXT_LIMIT:
            return "", {}, (400, 131009, "Parameter value is not valid", "text.body")
        return body, {}, None if _is_open(phone) else (400, 131047, TITLES[131047], "More than 24 hours have passed")
    template = asked.get("template")
    if asked.get("type") != "template" or not isinstance(template, dict):
        return "", {}, (400, 131051, "Unsupported message type", str(asked.get("type"))[:40])
    language = template.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    approved = _approved(str(template.get("name")), str(code))
    if approved is None:
        return "", {}, (404, 132001, TITLES[132001], f"template name ({template.get('name')}) does not exist in {code}")
    given = _given(template.get("components"))
    if len(given) != whatsapp.places(approved):
        wanted = whatsapp.places(approved)
        return "", {}, (400, 132000, "Number of parameters does not match", f"{len(given)} given, {wanted} expected")
    if any(re.search(r"[\n\t]| {4}", value) or not value for value in given):
        return "", {}, (400, 132012, "Parameter format does not match", "no line breaks, tabs or empty values")
    buttons = [{"type": button.get("type"), "text": button.get("text")} for button in approved.get("buttons") or []]
    return whatsapp.shown(approved, given), {"template": template.get("name"), "buttons": buttons}, None


def _given(components: Any) -> list[str]:
    """Returns the values for the body."""
    for component in components if isinstance(components, list) else []:
        if isinstance(component, dict) and component.get("type") == "body":
            return [str(part.get("text") or "") for part in component.get("parameters") or [] if isinstance(part, dict)]
    return []


def _approved(name: str, language: str) -> dict[str, Any] | None:
    """Returns the template as Meta would have it: the latest of that name and language, if it was approved."""
    found = one(
        "SELECT v.whatsapp, t.whatsapp ->> 'status' AS status FROM template_versions v"
        " JOIN templates t ON t.org_id = v.org_id AND t.id = v.template_id"
        " WHERE v.whatsapp ->> 'name' = :name AND v.whatsapp ->> 'language' = :language ORDER BY v.id DESC LIMIT 1",
        name=name, language=language,
    )  # fmt: skip
    if found is None:
        return None
    return found.whatsapp if (found.status or found.whatsapp.get("status")) in whatsapp.SENDABLE else None


def _is_open(phone: str) -> bool:
    return bool(value(
        "SELECT EXISTS (SELECT FROM phone_messages WHERE channel = 'whatsapp' AND phone = :phone"
        " AND direction = 'from_phone' AND created_at > :since)", phone=phone, since=now() - WINDOW,
    ))  # fmt: skip


def state(account: Account, kept: PhoneMessage, told: str) -> Telling:
    """Returns the webhook that tells one state of a message."""
    status: dict[str, Any] = {
        "id": kept.provider_message_id, "status": told, "timestamp": telling.moment(), "recipient_id": kept.phone[1:],
        "biz_opaque_callback_data": kept.payload.get("opaque", ""),
    }  # fmt: skip
    if told == "failed":
        code = kept.payload.get("error", 131000)
        title = TITLES.get(code, "Something went wrong")
        status["errors"] = [{"code": code, "title": title, "message": title, "error_data": {"details": title}}]
    else:
        status["pricing"] = {"billable": True, "pricing_model": "PMP", "category": "marketing"}
    return _webhook(account, {"statuses": [status]})


def inbound(account: Account, written: PhoneMessage) -> Telling:
    """Returns the webhook of somebody who wrote."""
    message: dict[str, Any] = {
        "from": written.phone[1:], "id": written.provider_message_id, "timestamp": telling.moment(), "type": "text",
        "text": {"body": written.body},
    }  # fmt: skip
    if answered := written.payload.get("answers"):
        message["context"] = {"from": written.number.removeprefix("+"), "id": answered}
    contact = {"profile": {"name": written.phone}, "wa_id": written.phone[1:]}
    return _webhook(account, {"contacts": [contact], "messages": [message]})


def _webhook(account: Account, more: dict[str, Any]) -> Telling:
    sender = account.sender
    metadata = {
        "display_phone_number": sender.address.removeprefix("+"), "phone_number_id": sender.config["phone_number_id"],
    }  # fmt: skip
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata} | more}
    entry = {"id": sender.config["business_account_id"], "changes": [change]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    address = senders.webhook_address(sender, current_app.config["BASE_URL"])
    return telling.of_whatsapp(address, body, account.secrets["app_secret"])
