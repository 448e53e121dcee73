"""The stand-in as Twilio: the same addresses, forms, answers and callbacks."""

import re
import secrets
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from xml.etree import ElementTree

from flask import current_app

from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin import accounts, telling
from webapp.messaging.standin.accounts import Account
from webapp.messaging.standin.faults import TITLES, Fault
from webapp.messaging.standin.replies import Reply, in_json, keep, take_fault
from webapp.messaging.standin.telling import Telling
from webapp.messaging.texting import LIMIT, NUMBER, segments
from webapp.platform.db import db, transaction

PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{1,200})(/Messages)?\.json")
VERSION = "2010-04-01"


def answer(method: str, path: str, user: str, password: str, form: dict[str, str]) -> Reply:
    """Answers a request. user and password: of basic authentication."""
    asked = PATH.fullmatch(path)
    if not asked or (method, asked[2]) not in (("GET", None), ("POST", "/Messages")):
        return refusal(404, 20404, f"The requested resource {path} was not found")
    account = accounts.find(asked[1], "sms", "auth_token", password) if user == asked[1] else None
    if account is None:
        return refusal(401, 20003, "Authenticate")
    if method == "GET":
        return in_json(200, _account(account))
    with transaction(account.org_id):
        return _send(account, form)


def refusal(status: int, code: int, message: str, manner: str = "") -> Reply:
    """Returns a refusal as Twilio words it."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return in_json(status, {"code": code, "message": message, "more_info": more, "status": status}, manner)


def _account(account: Account) -> dict[str, Any]:
    sid = account.sender.config["account_sid"]
    return {
        "sid": sid, "friendly_name": f"{account.sender.name} (built-in)", "status": "active", "type": "Full",
        "owner_account_sid": sid, "uri": f"/{VERSION}/Accounts/{sid}.json",
    }  # fmt: skip


def _send(account: Account, form: dict[str, str]) -> Reply:
    if wrong := _wrong(account, form):
        return refusal(400, *wrong)
    fault = take_fault("sms", form["To"])
    if fault.manner in ("hang", "drop", "redirect") and not fault.keeps:
        return Reply(fault.status, b"", fault.manner)
    if not fault.keeps:
        if not fault.code:
            return Reply(fault.status, b"")
        return refusal(fault.status, fault.code, TITLES[fault.code])
    sid = f"SM{secrets.token_hex(16)}"
    callback = form.get("StatusCallback", "")
    kept = keep(account, "sms", form["To"], form["Body"], sid, fault, {"callback": callback})
    if callback:
        telling.tell([_state(account, kept, state, fault) for state in fault.tells])
    return in_json(fault.status or 201, _message(account, kept), fault.manner)


def _wrong(account: Account, form: dict[str, str]) -> tuple[int, str] | None:
    if not form.get("To"):
        return 21604, "A 'To' phone number is required."
    if not NUMBER.fullmatch(form["To"]):
        return 21211, f"Invalid 'To' Phone Number: {form['To'][:20]}"
    if not form.get("Body"):
        return 21602, "Message body is required."
    if len(form["Body"]) > LIMIT:
        return 21617, f"The concatenated message body exceeds the {LIMIT} character limit"
    if form.get("MessagingServiceSid"):
        return None if form["MessagingServiceSid"].startswith("MG") else (21705, "The Messaging Service Sid is invalid")
    if not form.get("From"):
        return 21603, "A 'From' phone number is required."
    if form["From"] != account.sender.address:
        return 21606, f"The 'From' phone number {form['From'][:20]} is not a valid number of this account"
    return None


def _message(account: Account, kept: PhoneMessage) -> dict[str, Any]:
    sid, now = account.sender.config["account_sid"], formatdate(usegmt=True)
    return {
        "sid": kept.provider_message_id, "account_sid": sid, "api_version": VERSION, "messaging_service_sid": None,
        "to": kept.phone, "from": kept.number, "body": kept.body, "status": "queued", "direction": "outbound-api",
        "num_segments": str(segments(kept.body).segments), "num_media": "0", "price": None, "price_unit": "USD",
        "error_code": None, "error_message": None, "date_created": now, "date_updated": now, "date_sent": None,
        "uri": f"/{VERSION}/Accounts/{sid}/Messages/{kept.provider_message_id}.json",
    }  # fmt: skip


def _state(account: Account, kept: PhoneMessage, state: str, fault: Fault) -> Telling:
    form = telling.plain({
        "MessageSid": kept.provider_message_id, "SmsSid": kept.provider_message_id, "MessageStatus": state,
        "SmsStatus": state, "To": kept.phone, "From": kept.number, "AccountSid": account.sender.config["account_sid"],
        "ApiVersion": VERSION,
        "ErrorCode": fault.code if state in ("undelivered", "failed") else None,
    })  # fmt: skip
    return telling.of_twilio(kept.payload["callback"], form, account.secrets["auth_token"])


def inbound(account: Account, written: PhoneMessage, address: str) -> Telling:
    """Returns what Twilio posts where somebody wrote. address: of the sender's webhook."""
    form = telling.plain({
        "MessageSid": written.provider_message_id, "SmsMessageSid": written.provider_message_id,
        "SmsSid": written.provider_message_id, "SmsStatus": "received", "From": written.phone, "To": written.number,
        "Body": written.body, "NumMedia": 0, "NumSegments": segments(written.body).segments,
        "AccountSid": account.sender.config["account_sid"], "ApiVersion": VERSION,
    })  # fmt: skip
    return telling.of_twilio(address, form, account.secrets["auth_token"], _answering(account, written))


def _answering(account: Account, written: PhoneMessage) -> Callable[[bytes], None]:
    """Returns what brings the TwiML that answers a message to the phone that wrote it, as Twilio does."""
    app, org_id, sender_id = current_app._get_current_object(), account.org_id, account.sender.id
    there = {"channel": "sms", "phone": written.phone, "number": written.number, "sender_id": sender_id}

    def heard(twiml: bytes) -> None:
        said = [message.text or "" for message in ElementTree.fromstring(twiml).findall("Message")] if twiml else []
        with app.app_context(), transaction(org_id):
            for text in said:
                sid = f"SM{secrets.token_hex(16)}"
                db.session.add(PhoneMessage(
                    direction="to_phone", body=text, provider_message_id=sid, status="delivered", payload={}, **there
                ))  # fmt: skip

    return heard
