"""The WhatsApp Cloud API's error codes, and what each means for the message, its sender or template, and people."""

from typing import Any

from webapp.messaging.providers.verdicts import Verdict, number

ERRORS: dict[int, Verdict] = {
    # The provider wants us to slow down.
    4: Verdict("retry", "back_off", "The app made too many calls. Canvass waits a while and goes on."),
    80007: Verdict("retry", "back_off", "The business account made too many calls. Canvass waits a while and goes on."),
    130429: Verdict("retry", "back_off", "Too many messages a second. Canvass waits; lower the sender's rate."),
    131016: Verdict("retry", "back_off", "WhatsApp is out of service for a moment. Canvass waits a while and goes on."),
    131056: Verdict("retry", "back_off", "Too many messages to the same person in a short time. Canvass waits and goes on."),
    131057: Verdict("retry", "back_off", "The account is in maintenance. Canvass waits a while and goes on."),
    # Nobody can say.
    1: Verdict("unknown", None, "WhatsApp did not say what went wrong. A status may still come; look before sending again."),
    2: Verdict("unknown", None, "WhatsApp had a trouble of its own. A status may still come; look before sending again."),
    131000: Verdict("unknown", None, "Something went wrong at WhatsApp. A status may still come; look before sending again."),
    # Nothing more will go out with this sender until somebody has looked.
    0: Verdict("retry", "hold_sender", "WhatsApp does not take the access token. Enter a new one."),
    3: Verdict("retry", "hold_sender", "The access token lacks a permission. Make one with whatsapp_business_messaging."),
    10: Verdict("retry", "hold_sender", "The access token lacks a permission. Make one with whatsapp_business_messaging."),
    33: Verdict("retry", "hold_sender", "The business number was deleted at WhatsApp. Check the phone number ID."),
    190: Verdict("retry", "hold_sender", "The access token has run out or was withdrawn. Enter a new one."),
    368: Verdict("retry", "hold_sender", "The account is blocked for breaking a policy. See the WhatsApp Manager."),
    131005: Verdict("retry", "hold_sender", "The access token may not send from this number. Check its permissions."),
    131031: Verdict("retry", "hold_sender", "The account is locked. See the WhatsApp Manager for why."),
    131037: Verdict("retry", "hold_sender", "The number's display name is not approved yet. See the WhatsApp Manager."),
    131042: Verdict("retry", "hold_sender", "There is a problem with the payment method. Settle it in the WhatsApp Manager."),
    131045: Verdict("retry", "hold_sender", "The number is not registered. Register it in the WhatsApp Manager."),
    131048: Verdict("retry", "hold_sender", "Too many people blocked or reported this number. Rest it and look at the audience."),
    133010: Verdict("retry", "hold_sender", "The number is not registered. Register it in the WhatsApp Manager."),
    # Nothing more will go out with this template until somebody has looked.
    132000: Verdict("retry", "hold_template", "WhatsApp has this template with another number of parameters."),
    132001: Verdict("retry", "hold_template", "WhatsApp has no approved template of this name and language."),
    132007: Verdict("retry", "hold_template", "The template breaks a policy of WhatsApp. Reword it and have it approved again."),
    132012: Verdict("retry", "hold_template", "WhatsApp has this template with parameters of another kind."),
    132015: Verdict("retry", "hold_template", "WhatsApp paused the template for its quality. Reword it, or wait."),
    132016: Verdict("retry", "hold_template", "WhatsApp disabled the template for good. Write a new one."),
    # It will not reach this person.
    130472: Verdict("rejected", None, "The person is in an experiment of WhatsApp and gets no marketing. Use another channel."),
    130497: Verdict("rejected", None, "The account may not write to people in this country."),
    131021: Verdict("rejected", None, "The message was to the sender's own number."),
    131026: Verdict("rejected", None, "The number has no WhatsApp, or an old one. Use another channel."),
    131047: Verdict("rejected", None, "More than 24 hours since the person wrote: only an approved template may go now."),
    131049: Verdict("rejected", None, "WhatsApp held it back because the person gets much marketing. Wait before the next one."),
    132005: Verdict("rejected", None, "The text became too long for this person. Shorten the template."),
    100: Verdict("rejected", None, "WhatsApp did not take a value of the message. Look at the template's parameters."),
    131008: Verdict("rejected", None, "A value of the message was missing. Look at the template's parameters."),
    131009: Verdict("rejected", None, "WhatsApp did not take a value of the message. Look at the template's parameters."),
    # The person does not want it.
    131050: Verdict("rejected", "suppress", "The person stopped marketing from this business. They get no more of it."),
}  # fmt: skip
OTHER = Verdict(
    "rejected", None, "WhatsApp refused it for a reason Canvass has no advice on. Look the code up at Meta."
)


def classify(code: Any) -> Verdict:
    """Returns what a code of WhatsApp means, OTHER for one that is not in the list. code: a number or its digits."""
    found = number(code)
    return OTHER if found is None else ERRORS.get(found, OTHER)
