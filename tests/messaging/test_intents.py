"""Intents: people stop in whatever way they write it, and nobody is stopped by a bus."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.messaging import intents
from webapp.messaging.intent_words import DEFAULTS, plain
from webapp.messaging.intents import INTENTS, NO_STOP
from webapp.platform.db import value
from webapp.platform.errors import Invalid, NotFound, Refused

STOPS = (
    "STOP", "stop", "Stop.", "  STOP!!! ", "STOP 🛑", "🛑🛑 Stop", "“Stop”", "S.T.O.P", "S T O P", "ＳＴＯＰ", "St\u200bop", "stop\n",
    "STOPALL", "Stop all", "stop-all", "UNSUBSCRIBE", "Unsubscribe me", "END", "Quit", "revoke", "OPTOUT", "opt-out",
    "Cancel", "please stop", "Please stop sending me messages", "please, stop texting!", "Stop texting me",
    "stop sending me these", "Don't text me", "Don’t contact me again", "DO NOT CONTACT ME", "remove me from your list",
    "take me off this list please", "STOP messages", "STOP please",
    "ALTO", "Parar", "¡Basta!", "baja", "No más mensajes", "no mas mensajes", "ARRÊT", "arret", "Désabonner", "STOPP", "Abmelden",
    "aufhören", "AUFHOEREN", "Sair", "descadastrar", "não quero mais", "Annulla", "disiscrivimi", "Afmelden", "uitschrijven",
    "Rezygnuję", "rezygnuje", "zakończ", "zakoncz", "توقف", "إيقاف", "ايقاف", "إلغاء الاشتراك", "रोकें", "बंद करो",
)  # fmt: skip
GO_ON = (
    "don't stop", "Don’t stop!", "dont stop sending me these", "The bus stop is near", "bus stop", "I can't stop laughing",
    "stop by our house", "Will it end soon?", "I want to cancel my policy", "cancel my appointment on Friday", "the end",
    "When does it stop?", "stopwatch", "nonstop", "I stopped smoking", "weekend", "quit my job last week", "",
    "🛑", "...", "in the end I paid", "unstoppable",
)  # fmt: skip


@pytest.fixture
def rules(cast, tx):
    with tx():
        intents.ensure_defaults()
        yield


@pytest.mark.parametrize("language", ["", "en", "de"])
def test_people_stop_however_they_write_it(rules, language):
    assert {
        said: intents.classify("sms", language, said)
        for said in STOPS
        if intents.classify("sms", language, said) != "stop"
    } == {}
    assert [said for said in GO_ON if intents.classify("sms", language, said) == "stop"] == []


def test_some_words_stop_an_sms_and_nothing_else(rules):
    for said in ("end", "Quit", "CANCEL", "revoke"):
        assert (intents.classify("sms", "", said), intents.classify("whatsapp", "", said)) == ("stop", "other")
    for channel in ("whatsapp", "email"):
        assert {intents.classify(channel, "", said) for said in ("STOP", "unsubscribe", "Please stop")} == {"stop"}


@pytest.mark.parametrize(
    ("said", "intent"),
    [("START", "start"), ("unstop", "start"), ("Yes!", "start"), ("Alta", "start"), ("HELP", "help"), ("info?", "help"),
     ("Ayuda", "help"), ("I'm interested", "interested"), ("Not interested, thanks", "other"), ("No thanks", "other"),
     ("Tell me more please", "interested"), ("Me interesa", "interested"), ("How much is it", "question"),
     ("Is it for cars too?", "question"), ("كم السعر؟", "question"), ("This is spam", "complaint"), ("Queja", "complaint"),
     ("I will call my lawyer", "complaint"), ("Please call me tomorrow", "callback"), ("Llámame", "callback"),
     ("llamame", "callback"), ("Rufen Sie mich an!", "callback"), ("Can you call me?", "callback"), ("Thanks", "other"),
     ("disinterested", "other"), ("Nice weather", "other")],
)  # fmt: skip
def test_what_people_mean(rules, said, intent):
    assert intents.classify("sms", "", said) == intent


def test_a_yes_is_no_start_over_whatsapp(rules):
    assert intents.classify("whatsapp", "", "Yes") == "other" and intents.agrees("Start!") and not intents.agrees("yes")


MAIL = "Please tell me more.\n\nOn Mon, 9 Nov 2026 at 10:00, Lone Star <hello@lone.example> wrote:\n> Unsubscribe\n> call me?"


def test_of_an_email_only_what_they_wrote_themselves_counts(rules):
    assert intents.classify("email", "", MAIL) == "interested"
    assert intents.classify("email", "", "Unsubscribe\n\n-----Original Message-----\nFrom: x\nHello?") == "stop"
    assert intents.classify("email", "", "> all of it is quoted?") == "other"


def test_rules_of_a_language_count_for_those_who_speak_it(cast, tx):
    with tx():
        intents.ensure_defaults()
        rule = intents.save(
            None, {"intent": "complaint", "match": "is", "channel": "sms", "language": "FR", "words": ["Nul"]}
        )
        assert rule.language == "fr" and intents.explain("sms", "fr-CA", "NUL!") == ("complaint", rule)
        assert [intents.classify(c, lang, "nul") for c, lang in (("sms", ""), ("sms", "en"), ("whatsapp", "fr"))] == [
            "complaint", "other", "other"]  # fmt: skip


def test_the_first_rule_that_fits_decides(cast, tx):
    with tx():
        intents.ensure_defaults()
        intents.ensure_defaults()
        assert value("SELECT count(*) FROM intent_rules") == len(DEFAULTS)
        rule = intents.save(
            None, {"intent": "callback", "match": "is", "channel": "any", "words": ["Start", "start", " "]}
        )
        assert rule.words == ["Start", "start"] and intents.every()[-1] is rule
        assert intents.classify("sms", "", "start") == "start"
        for _ in range(len(DEFAULTS) + 3):
            intents.move(rule, -1)
        assert intents.every()[0] is rule and intents.explain("sms", "", "start") == ("callback", rule)
        intents.switch(rule, False)
        assert intents.classify("sms", "", "start") == "start"
        intents.switch(rule, True)
        intents.move(rule, 1)
        assert intents.every()[1] is rule
        intents.remove(rule)
        assert value("SELECT count(*) FROM audit_log WHERE action LIKE 'intent_rule.%'") > 3


GOOD = {"intent": "question", "match": "contains", "channel": "any", "language": "", "words": ["what"]}


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"intent": "love"}, "intent"), ({"intent": None}, "intent"), ({"match": "like"}, "match"), ({"channel": "fax"}, "channel"),
     ({"language": "english"}, "language"), ({"language": "e1"}, "language"), ({"words": []}, "words"),
     ({"words": ["", " "]}, "words"), ({"words": ["ok", "!!!"]}, "words"), ({"words": ["x" * 101]}, "words"),
     ({"words": [f"w{n}" for n in range(201)]}, "words"), ({"words": None}, "words"), ({"words": ["\0"]}, "words")],
)  # fmt: skip
def test_what_is_no_rule_is_refused_at_its_field(cast, tx, changed, field):
    with tx():
        with pytest.raises(Invalid) as refused:
            intents.save(None, GOOD | changed)
        assert set(refused.value.errors) == {field} and value("SELECT count(*) FROM intent_rules") == 0


def test_people_can_always_stop(cast, tx):
    with tx():
        intents.ensure_defaults()
        for rule in intents.every():
            try:
                intents.remove(rule)
            except Refused as problem:
                assert problem.message == NO_STOP
        (left,) = intents.every()
        assert left.intent == "stop"
        for act in (lambda: intents.switch(left, False), lambda: intents.save(left, GOOD), lambda: intents.remove(left),
                    lambda: intents.save(left, GOOD | {"intent": "stop", "words": ["enough"]})):  # fmt: skip
            with pytest.raises(Refused):
                act()
            assert [left] == intents.every() and left.is_active and intents.classify("sms", "", "stop") == "stop"
        swallows = GOOD | {"intent": "other", "words": ["stop"]}
        rule = intents.save(None, swallows)
        with pytest.raises(Refused):
            intents.move(rule, -1)
        assert intents.every() == [left, rule]
        assert intents.save(left, swallows | {"intent": "stop", "words": ["stop", "enough"]}).words == [
            "stop",
            "enough",
        ]


def test_rules_of_another_organisation_are_not_there(cast, tx):
    with tx(cast.other_org):
        theirs = intents.save(None, GOOD).id
    with tx(), pytest.raises(NotFound):
        intents.get(theirs)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(max_size=60))
def test_plain_words_are_plain_already(said):
    once = plain(said)
    assert plain(once) == once and once == once.strip() and "  " not in once
    assert plain(f"…{said} 🛑!") == once or len(once.split()) != len(said.split())


@pytest.mark.parametrize(
    "said", ["\0", "\ud800", "a" * 100_000, "?" * 50_000, "\u0300" * 9_000, "(" * 5_000, "ﷺ" * 3_000]
)
def test_no_message_breaks_the_rules(cast, tx, said):
    with tx():
        intents.ensure_defaults()
        for channel in ("sms", "email"):
            assert intents.classify(channel, "xx", said) in INTENTS
