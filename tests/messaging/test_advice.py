"""What a code of a failure means, in plain words, whatever a provider may have answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.messaging import advice
from webapp.messaging.advice import Advice

CHANNELS = ("email", "sms", "whatsapp")


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("5.1.1", advice.ADDRESS_GONE), ("4.2.2", advice.FULL), ("5.2.2", advice.FULL), ("5.7.26", advice.BLOCKED),
        ("5.1.10", advice.ROUTE), ("5.7.999", advice.BLOCKED), ("5.9.9", advice.NOTHING_KNOWN), ("421", advice.AWAY),
        ("535", advice.SIGN_IN), ("554", advice.BLOCKED), ("599", advice.NOTHING_KNOWN), (None, advice.NO_CODE),
        (" ", advice.NO_CODE), ("template", advice.GENERIC["template"]),
    ],
)  # fmt: skip
def test_codes_of_e_mail(code, known):
    assert advice.of("email", code) == known


def test_a_code_of_e_mail_says_nothing_on_another_channel(monkeypatch):
    monkeypatch.setattr(advice, "_classifiers", {})
    assert advice.of("sms", "550") == advice.NOTHING_KNOWN
    assert advice.of("sms", "template") == advice.GENERIC["template"]


def test_a_provider_brings_its_own_words(monkeypatch):
    monkeypatch.setattr(advice, "_classifiers", {})

    def classify(code: str) -> tuple[str, str | None, str]:
        return {"21610": ("rejected", "suppress", "They have stopped your messages. Nothing to do."),
                "30003": ("rejected", None, "Their phone is off")}[code]  # fmt: skip

    advice.register("sms", classify)
    assert advice.of("sms", "21610") == Advice("They have stopped your messages", "Nothing to do.")
    assert advice.of("sms", "30003") == Advice("Their phone is off")
    assert advice.of("sms", "99999") == advice.NOTHING_KNOWN


@given(
    channel=st.sampled_from(CHANNELS), code=st.none() | st.text(max_size=12) | st.from_regex(r"[2-5]\.\d{1,4}\.\d{1,4}")
)
def test_every_code_has_words(channel, code):
    assert advice.of(channel, code).words
