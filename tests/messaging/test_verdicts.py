"""What the providers' codes mean: exactly as documented, by code alone."""

import pytest

from webapp.messaging.providers.twilio import errors as twilio
from webapp.messaging.providers.verdicts import number, refused
from webapp.messaging.providers.whatsapp_cloud import errors as whatsapp
from webapp.messaging.standin import faults

WHATSAPP = {
    ("retry", "back_off"): {4, 80007, 130429, 131016, 131056, 131057},
    ("unknown", None): {131000, 1, 2},
    ("retry", "hold_sender"): {131048, 368, 131031, 131042, 190, 0, 3, 10, 33, 131005, 131037, 131045, 133010},
    ("retry", "hold_template"): {132001, 132015, 132016, 132000, 132007, 132012},
    ("rejected", None): {131026, 131047, 131049, 130472, 130497, 131021, 132005, 100, 131008, 131009},
    ("rejected", "suppress"): {131050},
}


def test_every_whatsapp_code_is_in_its_class():
    for (kind, effect), codes in WHATSAPP.items():
        for code in codes:
            assert whatsapp.classify(code)[:2] == (kind, effect) == whatsapp.classify(str(code))[:2], code
    assert set(whatsapp.ERRORS) == set().union(*WHATSAPP.values())


def test_twilio_codes_are_in_their_classes():
    assert twilio.classify(21610)[:2] == ("rejected", "suppress")
    assert [code for code, verdict in twilio.ERRORS.items() if verdict.effect == "suppress"] == [21610]
    assert twilio.classify("20003").effect == "hold_sender" and twilio.classify(20429).effect == "back_off"
    assert {verdict.kind for verdict in twilio.ERRORS.values()} == {"retry", "rejected"}


@pytest.mark.parametrize("table", [twilio, whatsapp])
def test_advice_is_given_for_all_and_codes_that_are_none_are_taken(table):
    for verdict in table.ERRORS.values():
        assert verdict.advice.endswith(".") and 20 < len(verdict.advice) < 110
        assert verdict.effect in (None, "back_off", "hold_sender", "hold_template", "suppress")
    for code in (None, "", "x", 999999, -1, True, 1e400, [], {}):
        assert table.classify(code) == table.OTHER
    assert number("21610") == 21610 == number(21610)


def test_the_provider_tells_more_than_the_status_does():
    assert refused(1, 503, 131016, "", whatsapp.ERRORS).kind == "retry"
    assert refused(1, 500, 131000, "", whatsapp.ERRORS).kind == "unknown"
    assert refused(1, 403, 130497, "", whatsapp.ERRORS).effect is None
    assert refused(1, 429, 21610, "", twilio.ERRORS).effect == "suppress"
    # A refusal in a good answer is none: nobody knows what became of it.
    assert refused(1, 200, 21610, "", twilio.ERRORS).kind == "unknown"
    outcome = refused(1, 418, None, "", twilio.ERRORS)
    assert (outcome.code, outcome.message) == ("http_418", "The provider answered HTTP 418.")
    assert len(refused(1, 400, 1, "x" * 9999, twilio.ERRORS).message) == 500


def test_the_stand_in_can_make_every_documented_refusal():
    made = {(channel, fault.code) for (channel, _), fault in faults.CATALOGUE.items()}
    wanted = set().union(*WHATSAPP.values()) - {0, 1, 2, 3, 10, 33, 100, 131005, 131008, 131009, 131021, 131037, 131045,
                                                 130497, 132000, 132005, 132007, 132012, 133010}  # fmt: skip
    assert {code for channel, code in made if channel == "whatsapp"} - {0} == wanted
    assert {20003, 20429, 21211, 21610, 21614, 30003, 30005, 30007} <= {
        code for channel, code in made if channel == "sms"
    }
    for (channel, name), fault in faults.CATALOGUE.items():
        assert fault.words and name == fault.name and channel in fault.channels
    for channel in ("sms", "whatsapp"):
        listed = [name for group in faults.choices(channel).values() for name, _ in group]
        assert len(listed) == len(set(listed)) > 25
