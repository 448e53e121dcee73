"""Twilio's error codes, and what each means for the message, its sender and the people who look at it."""

from typing import Any

from webapp.messaging.providers.verdicts import Verdict, number

_GONE = "The number is no mobile phone that can get texts. Ask the person for another one."

ERRORS: dict[int, Verdict] = {
    # The provider wants us to slow down.
    14107: Verdict("retry", "back_off", "Too many messages in a short time. Canvass waits a while and goes on."),
    20429: Verdict("retry", "back_off", "Too many requests at once. Canvass waits a while and goes on."),
    21611: Verdict("retry", "back_off", "The number's queue at Twilio is full. Canvass waits; a slower rate would help."),
    30001: Verdict("retry", "back_off", "The number's queue overflowed. Lower the sender's rate per second."),
    30022: Verdict("retry", "back_off", "The carrier's limit for this campaign registration is reached. It goes on later."),
    # Nothing more will go out with this sender until somebody has looked.
    20003: Verdict("retry", "hold_sender", "Twilio does not take the account SID or auth token. Enter them again."),
    20005: Verdict("retry", "hold_sender", "The Twilio account is not active. Look at its console."),
    21212: Verdict("retry", "hold_sender", "The sender's number is not valid at Twilio. Check it on the sender's page."),
    21603: Verdict("retry", "hold_sender", "No number to send from is set. Give the sender a number or a messaging service."),
    21606: Verdict("retry", "hold_sender", "The sender's number cannot send texts from this account. Check it at Twilio."),
    21703: Verdict("retry", "hold_sender", "The messaging service has no number in it. Add one at Twilio."),
    21705: Verdict("retry", "hold_sender", "There is no such messaging service. Check its SID on the sender's page."),
    30002: Verdict("retry", "hold_sender", "The Twilio account is suspended. Look at its console."),
    30032: Verdict("retry", "hold_sender", "The toll-free number is not verified yet. Finish that at Twilio."),
    30034: Verdict("retry", "hold_sender", "The number is not registered for business texts in the US (A2P 10DLC)."),
    # The person does not want it.
    21610: Verdict("rejected", "suppress", "The person answered STOP. They get no more texts until they answer START."),
    # It will not reach this person.
    21211: Verdict("rejected", None, "This is not a valid phone number. Correct it on the lead."),
    21214: Verdict("rejected", None, "The number cannot be reached. Correct it on the lead."),
    21217: Verdict("rejected", None, "This does not look like a phone number. Correct it on the lead."),
    21408: Verdict("rejected", None, "Texts to this country are not enabled in the Twilio account."),
    21602: Verdict("rejected", None, "The text was empty for this person. Look at the template."),
    21612: Verdict("rejected", None, "There is no way from the sender's number to this one."),
    21614: Verdict("rejected", None, _GONE),
    21617: Verdict("rejected", None, "The text has more than 1,600 characters for this person. Shorten the template."),
    30003: Verdict("rejected", None, "The phone was off or out of reach too long."),
    30004: Verdict("rejected", None, "The carrier or the person blocks such messages."),
    30005: Verdict("rejected", None, "The number is unknown or no longer in use. Ask the person for another one."),
    30006: Verdict("rejected", None, _GONE),
    30007: Verdict("rejected", None, "The carrier took it for spam. Reword it; say who you are; avoid shortened links."),
    30008: Verdict("rejected", None, "The carrier gave no reason. If it happens often, ask Twilio."),
}  # fmt: skip
OTHER = Verdict(
    "rejected", None, "Twilio refused it for a reason Canvass has no advice on. Look the code up at Twilio."
)


def classify(code: Any) -> Verdict:
    """Returns what a code of Twilio means, OTHER for one that is not in the list. code: a number or its digits."""
    found = number(code)
    return OTHER if found is None else ERRORS.get(found, OTHER)
