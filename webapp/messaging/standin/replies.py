"""What the stand-ins answer, and keeping what they took."""

import json
from dataclasses import dataclass
from typing import Any

from webapp.messaging import phones
from webapp.messaging.phones import PhoneMessage
from webapp.messaging.standin.accounts import Account
from webapp.messaging.standin.faults import CATALOGUE, NONE, Fault
from webapp.platform.db import db


@dataclass(frozen=True)
class Reply:
    """An answer of HTTP. manner: how it is given, as in a Fault."""

    status: int
    body: bytes
    manner: str = ""


def in_json(status: int, data: Any, manner: str = "") -> Reply:
    return Reply(status, json.dumps(data).encode(), manner)


def take_fault(channel: str, phone: str) -> Fault:
    """Returns what is to go wrong with the next message to a phone, one time fewer from now on."""
    name = phones.take_fault(channel, phone)
    return CATALOGUE.get((channel, name), NONE) if name else NONE


def standing(fault: Fault) -> str:
    """Returns where a message ends that this goes wrong with."""
    for state in ("failed", "undelivered", "delivered"):
        if state in fault.tells:
            return state
    # Never told is delivered all the same.
    return "sent" if "sent" in fault.tells else "delivered"


def keep(
    account: Account, channel: str, phone: str, body: str, provider_id: str, fault: Fault, payload: dict[str, Any]
) -> PhoneMessage:
    """Keeps a message that was accepted."""
    kept = PhoneMessage(
        channel=channel, direction="to_phone", sender_id=account.sender.id, phone=phone, number=account.sender.address,
        body=body, provider_message_id=provider_id, status=standing(fault),
        payload=payload | ({"error": fault.code} if fault.code else {}),
    )  # fmt: skip
    db.session.add(kept)
    db.session.flush()
    return kept
