"""Every way in which the stand-ins can be told to fail: one table, in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass

BOTH = ("sms", "whatsapp")
DELIVERED = ("sent", "delivered")


@dataclass(frozen=True)
class Fault:
    """words: as a person chooses it. keeps: whether the message is accepted. status and code: of an answer that refuses,
    and of a state told later. manner: what becomes of the answer: given (""), or hang, drop, garbage, truncated, redirect.
    tells: the states told afterwards, in this order.
    """

    name: str
    channels: tuple[str, ...]
    group: str
    words: str
    keeps: bool = True
    status: int = 0
    code: int = 0
    manner: str = ""
    tells: tuple[str, ...] = DELIVERED


# (code, HTTP status, the provider's own words)
TWILIO_REFUSALS = (
    (20003, 401, "Authenticate"), (20429, 429, "Too Many Requests"), (21211, 400, "Invalid 'To' Phone Number"),
    (21408, 400, "Permission to send an SMS has not been enabled for the region"),
    (21606, 400, "The 'From' phone number is not a valid, SMS-capable number of this account"),
    (21610, 400, "Attempt to send to unsubscribed recipient"),
    (21611, 429, "This 'From' number has exceeded the maximum number of queued messages"),
    (21614, 400, "'To' number is not a valid mobile number"),
)  # fmt: skip
TWILIO_LATER = (
    (30003, "undelivered", "Unreachable destination handset"), (30004, "undelivered", "Message blocked"),
    (30005, "undelivered", "Unknown destination handset"), (30006, "undelivered", "Landline or unreachable carrier"),
    (30007, "undelivered", "Message filtered"), (30008, "undelivered", "Unknown error"),
    (30001, "failed", "Queue overflow"), (30034, "failed", "Message from an unregistered number"),
    (21610, "failed", "Attempt to send to unsubscribed recipient"),
)  # fmt: skip
WHATSAPP_REFUSALS = (
    (4, 429, "Application request limit reached"), (80007, 429, "Rate limit issues"), (130429, 429, "Rate limit hit"),
    (131016, 503, "Service unavailable"), (131056, 400, "(Business Account, Consumer Account) pair rate limit hit"),
    (131057, 503, "Business Account is in maintenance mode"), (131000, 500, "Something went wrong"),
    (131048, 400, "Spam rate limit hit"), (368, 403, "Temporarily blocked for policies violations"),
    (131031, 403, "Account has been locked"), (131042, 400, "Business eligibility payment issue"),
    (190, 401, "Access token has expired"), (132001, 404, "Template name does not exist in the translation"),
    (132015, 400, "Template is paused"), (132016, 400, "Template is disabled"), (131026, 400, "Message undeliverable"),
    (131047, 400, "Re-engagement message"), (131049, 400, "Not delivered to maintain healthy ecosystem engagement"),
    (130472, 400, "User's number is part of an experiment"),
    (131050, 400, "User has stopped receiving marketing messages from this business"),
)  # fmt: skip
WHATSAPP_LATER = tuple(
    (code, "failed", words) for code, _status, words in WHATSAPP_REFUSALS
    if code in (131026, 131047, 131049, 130472, 131050, 131048, 131042, 131031, 131000, 132015)
)  # fmt: skip
TITLES = {code: title for code, _status, title in (*TWILIO_REFUSALS, *TWILIO_LATER, *WHATSAPP_REFUSALS)}
ROAD = (
    Fault("http_429", BOTH, "On the road", "Too many requests: 429 without a code", False, 429),
    Fault("http_500", BOTH, "On the road", "500, and nothing was accepted", False, 500),
    Fault("http_500_accepted", BOTH, "On the road", "500, although it was accepted", True, 500),
    Fault("http_503", BOTH, "On the road", "503, and nothing was accepted", False, 503),
    Fault("timeout_before", BOTH, "On the road", "No answer, and nothing was accepted", False, manner="hang"),
    Fault("timeout_after", BOTH, "On the road", "No answer, although it was accepted", manner="hang"),
    Fault("drop_before", BOTH, "On the road", "Hangs up, and nothing was accepted", False, manner="drop"),
    Fault("drop_after", BOTH, "On the road", "Hangs up, although it was accepted", manner="drop"),
    Fault("truncated", BOTH, "On the road", "Accepted, but half of the answer is missing", manner="truncated"),
    Fault("garbage", BOTH, "On the road", "Accepted, but the answer is no JSON", manner="garbage"),
    Fault("redirect", BOTH, "On the road", "Sends us to another address", False, 302, manner="redirect"),
)
TOLD = (
    Fault("told_twice", BOTH, "Odd tidings", "Delivered, and told twice", tells=("sent", "sent", "delivered", "delivered")),
    Fault("told_out_of_order", BOTH, "Odd tidings", "Delivered, told before sent", tells=("delivered", "sent")),
    Fault("told_late_sent", BOTH, "Odd tidings", "Delivered, and only that is told", tells=("delivered",)),
    Fault("never_told", BOTH, "Odd tidings", "Delivered, and never told", tells=()),
    Fault("stays_sent", BOTH, "Odd tidings", "Sent, and nothing more comes", tells=("sent",)),
)  # fmt: skip


def _refusals(channel: str, table: tuple[tuple[int, int, str], ...]) -> Iterator[Fault]:
    for code, status, title in table:
        words = f"{code} {title}"
        yield Fault(f"refused_{code}", (channel,), "Refused at once", words, False, status, code)


def _later(channel: str, table: tuple[tuple[int, str, str], ...]) -> Iterator[Fault]:
    for code, state, title in table:
        words = f"{state.capitalize()}: {code} {title}"
        yield Fault(f"later_{code}", (channel,), "Accepted, then fails", words, code=code, tells=("sent", state))


CATALOGUE: dict[tuple[str, str], Fault] = {
    (channel, fault.name): fault
    for fault in (
        *_refusals("sms", TWILIO_REFUSALS), *_refusals("whatsapp", WHATSAPP_REFUSALS),
        *_later("sms", TWILIO_LATER), *_later("whatsapp", WHATSAPP_LATER), *ROAD, *TOLD,
    )
    for channel in fault.channels
}  # fmt: skip
NONE = Fault("", BOTH, "", "Nothing goes wrong")


def choices(channel: str) -> dict[str, list[tuple[str, str]]]:
    """Returns the faults of a channel by group: (name, words) each."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for (of, name), fault in CATALOGUE.items():
        if of == channel:
            groups.setdefault(fault.group, []).append((name, fault.words))
    return groups
