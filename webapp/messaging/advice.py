"""Advice: what the code of a failure means in plain words, and what one can do about it.

Codes of e-mail stand here: replies of SMTP (550) and enhanced statuses (5.1.1). A provider with codes of its own brings
what it knows of them (`register`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

# code -> (kind of outcome, effect beyond the one message, words); raises KeyError for one it does not know.
Classify = Callable[[str], tuple[str, str | None, str]]
_classifiers: dict[str, Classify] = {}


@dataclass(frozen=True)
class Advice:
    """words: what happened. todo: what to do about it; "" where there is nothing to do."""

    words: str
    todo: str = ""


NOTHING_KNOWN = Advice("Not accepted", "Open the list: the answer each one got stands beside it.")
NO_CODE = Advice("Not accepted, without a reason", "Send a test to yourself. If it arrives, ask the provider.")
ADDRESS_GONE = Advice("The address does not exist", "Correct the address, or reach them another way.")
FULL = Advice("Their mailbox is full", "Nothing to do now. Addresses that stay full are barred by themselves.")
BLOCKED = Advice(
    "Their server does not trust this sender",
    "Check SPF, DKIM and DMARC of the sender, and send less for some days. Look the sender up on blocklists.",
)
AWAY = Advice("Their server was away or busy, four times in a row", "Send to these people again in a new campaign.")
SIGN_IN = Advice("The mail server does not know this sender", "Check its user name and password, then test it.")
TOO_BIG = Advice("The message is too large for them", "Make the message smaller: fewer or lighter pictures.")
REFUSED_SENDER = Advice("The sender's address is refused", "Check that the sender may write from this address.")
CONTENT = Advice("Taken for spam", "Send a test, and look at the words, the links and the sender's alignment.")
ROUTE = Advice("Their domain takes no e-mail", "Correct the address: the part after the @ is not right.")
TALK = Advice("The two servers did not understand each other", "Test the sender. If it fails, ask its provider.")

GENERIC: dict[str, Advice] = {
    "template": Advice(
        "The message could not be written for these people",
        "A value it needs is missing or odd. Give its token a default, or complete the leads.",
    ),
    "unreachable": Advice("The provider could not be reached", "Test the sender. What waits goes on by itself."),
    "timeout": Advice("The provider did not answer in time", "Nothing if it passes; else ask the provider."),
}
SMTP: dict[str, Advice] = {
    "421": AWAY, "450": AWAY, "451": AWAY, "452": FULL, "454": SIGN_IN, "455": TALK,
    "500": TALK, "501": TALK, "502": TALK, "503": TALK, "504": TALK, "521": ROUTE, "523": TOO_BIG, "530": SIGN_IN,
    "534": SIGN_IN, "535": SIGN_IN, "538": SIGN_IN, "541": CONTENT,
    "550": Advice("The address does not exist, or its server refuses us",
                  "The answer beside each says which. Correct what is misspelt; where it speaks of policy, check the sender."),
    "551": ADDRESS_GONE, "552": FULL, "553": REFUSED_SENDER, "554": BLOCKED, "555": TALK, "556": ROUTE,
}  # fmt: skip
# The subject and detail of an enhanced status: what it says whether for now (4) or for good (5).
ENHANCED: dict[str, Advice] = {
    "1.0": ADDRESS_GONE, "1.1": ADDRESS_GONE, "1.2": ROUTE, "1.3": ADDRESS_GONE, "1.6": ADDRESS_GONE, "1.7": REFUSED_SENDER,
    "1.8": REFUSED_SENDER, "1.10": ROUTE, "2.0": ADDRESS_GONE,
    "2.1": Advice("Their mailbox is switched off", "Reach them another way."),
    "2.2": FULL, "2.3": TOO_BIG, "3.1": FULL, "3.2": AWAY, "3.4": TOO_BIG, "4.1": AWAY, "4.2": AWAY, "4.4": ROUTE,
    "4.5": AWAY, "4.7": AWAY, "7.0": BLOCKED, "7.1": BLOCKED, "7.7": CONTENT, "7.8": SIGN_IN, "7.9": SIGN_IN,
    "7.20": BLOCKED, "7.21": BLOCKED, "7.22": BLOCKED, "7.23": BLOCKED, "7.24": BLOCKED, "7.25": BLOCKED, "7.26": BLOCKED,
    "7.27": REFUSED_SENDER, "7.28": BLOCKED, "7.29": BLOCKED,
}  # fmt: skip
SUBJECTS: dict[str, Advice] = {
    "1": ADDRESS_GONE, "2": FULL, "3": AWAY, "4": AWAY, "5": TALK, "6": CONTENT, "7": BLOCKED,
}  # fmt: skip
STATUS = re.compile(r"[245]\.(\d{1,3})\.(\d{1,3})")


def register(channel: str, classify: Classify) -> None:
    """Lets a provider's own table say what the codes of a channel mean."""
    _classifiers[channel] = classify


def of(channel: str, code: str | None) -> Advice:
    """Returns what a failure's code on a channel means; never raises, whatever a provider may have answered."""
    code = (code or "").strip()
    if not code:
        return NO_CODE
    if code in GENERIC:
        return GENERIC[code]
    return _of_email(code) if channel == "email" else _of_provider(channel, code)


def _of_email(code: str) -> Advice:
    if found := STATUS.fullmatch(code):
        subject, detail = (str(int(part)) for part in found.groups())
        return ENHANCED.get(f"{subject}.{detail}") or SUBJECTS.get(subject, NOTHING_KNOWN)
    return SMTP.get(code, NOTHING_KNOWN)


def _of_provider(channel: str, code: str) -> Advice:
    try:
        *_, words = _classifiers[channel](code)
    except (KeyError, ValueError):
        return NOTHING_KNOWN
    what, _, todo = words.partition(". ")
    return Advice(what.rstrip("."), todo) if words else NOTHING_KNOWN
