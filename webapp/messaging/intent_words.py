"""What people write who want something: text made comparable, and the rules most begin with."""

import re
import unicodedata
from typing import Any

APOSTROPHES = "'\u2018\u2019\u02bc\u00b4`"
# Letters that decompose into nothing simpler, as people without their keyboard write them.
PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"})
ACCENTS = re.compile("[\u0300-\u036f\u0640\u064b-\u065f\u0670]")
QUESTION = re.compile("[?\u061f\uff1f\u037e]")
# Where the message that somebody answers by e-mail begins.
QUOTED = re.compile(r"^\s*(>|-{2,}\s*original message|_{8,}|on .{4,200} wrote:|am .{4,200} schrieb |le .{4,200} a écrit ?:|"
                    r"el .{4,200} escribió:|il .{4,200} ha scritto:|from:\s)", re.IGNORECASE | re.MULTILINE)  # fmt: skip
LOOKED_AT = 2_000  # characters


def plain(text: str) -> str:
    """Returns text without case, accents, punctuation and emoji, its words one space apart."""
    # Taken apart before and after: a letter in fancy dress is a capital underneath.
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text[:LOOKED_AT]).casefold())
    text = ACCENTS.sub("", text).translate(PLAIN)
    # Marks belong to the letters of other scripts; what is invisible parts nothing.
    kept = "".join(_kept(c) for c in text if c not in APOSTROPHES and unicodedata.category(c) != "Cf")
    words = kept.split()
    # S.T.O.P
    return "".join(words) if len(words) > 2 and all(len(word) == 1 for word in words) else " ".join(words)


def _kept(c: str) -> str:
    return c if c.isalnum() or unicodedata.category(c) in ("Mn", "Mc") else " "


def own_words(channel: str, text: str) -> str:
    """Returns what somebody wrote themselves: of an e-mail, nothing of the message it answers."""
    found = QUOTED.search(text) if channel == "email" else None
    return text[: found.start()] if found else text


def fits(match: str, words: list[str], said: str, asked: bool) -> bool:
    """True if one of a rule's words is found. said: in plain form. asked: there is a question mark, which is the word "?"."""
    for given in words:
        if given.strip() == "?":
            if asked:
                return True
            continue
        word = plain(given)
        if word and _is_found(match, word, said):
            return True
    return False


def _is_found(match: str, word: str, said: str) -> bool:
    if match == "is":
        return said == word
    if match == "begins":
        return f"{said} ".startswith(f"{word} ")
    return f" {word} " in f" {said} "


def _rule(intent: str, match: str, words: str, channel: str = "any", language: str = "") -> dict[str, Any]:
    listed = [word.strip() for word in words.split(",")]
    return {"intent": intent, "match": match, "words": listed, "channel": channel, "language": language}


DEFAULTS = (
    _rule("stop", "is", "stop, stop all, stopall, unsubscribe, opt out, optout, please stop, stop please, stop it, stop now,"
          " stop messages, stop messaging, stop texting, stop sending, unsubscribe me, please unsubscribe, remove me,"
          " please remove me, no more messages, stop promotions, stop marketing"),
    _rule("stop", "begins", "please stop sending, please stop texting, please stop messaging, please stop contacting,"
          " stop sending me, stop sending these, stop texting me, stop messaging me, stop contacting me, stop writing to me,"
          " do not contact me, dont contact me, do not text me, dont text me, unsubscribe me from, please unsubscribe me,"
          " remove me from, please remove me from, take me off"),
    _rule("stop", "is", "end, quit, revoke, cancel", "sms"),
    _rule("stop", "is", "alto, parar, para, basta, baja, detener, cancelar, no más mensajes, no me escriba más", "any", "es"),
    _rule("stop", "is", "arrêt, arrêter, arrêtez, arretez, désabonner, désinscription, désabonnement, fin, plus de messages",
          "any", "fr"),
    _rule("stop", "is", "stopp, abmelden, abbestellen, aufhören, aufhoeren, austragen, ende, abmeldung,"
          " keine nachrichten mehr", "any", "de"),
    _rule("stop", "is", "parar, pare, sair, cancelar, remover, descadastrar, não quero mais", "any", "pt"),
    _rule("stop", "is", "ferma, fermare, basta, annulla, cancellami, disiscrivi, disiscrivimi", "any", "it"),
    _rule("stop", "is", "stoppen, afmelden, uitschrijven, einde, geen berichten meer", "any", "nl"),
    _rule("stop", "is", "koniec, rezygnuję, wypisz, wypisz mnie, zakończ, nie wysyłaj", "any", "pl"),
    _rule("stop", "is", "توقف, إيقاف, ايقاف, قف, الغاء, إلغاء الاشتراك, الغاء الاشتراك", "any", "ar"),
    _rule("stop", "is", "रोकें, रोको, रुको, बंद, बंद करो, बंद करें, स्टॉप", "any", "hi"),
    _rule("start", "is", "start, unstop, subscribe, resubscribe, opt in, optin"),
    _rule("start", "is", "yes", "sms"),
    _rule("start", "is", "empezar, iniciar, alta, suscribir, comenzar, commencer, abonner, starten, anmelden, começar,"
          " inscrever, inizia, iscrivi, aanmelden, zacznij, ابدأ, اشترك, शुरू, शुरू करें"),
    _rule("help", "is", "help, info, ayuda, aide, hilfe, ajuda, aiuto, hulp, pomoc, مساعدة, मदद, सहायता"),
    _rule("other", "contains", "not interested, no interest, no thanks, no thank you, no me interesa, kein interesse,"
          " pas intéressé, wrong number"),
    _rule("complaint", "contains", "complaint, complain, scam, spam, fraud, unacceptable, harassment, harassing, report you,"
          " lawyer, disgusting, queja, estafa, plainte, arnaque, beschwerde, betrug, reclamação, reclamo, klacht, skarga,"
          " شكوى, शिकायत"),
    _rule("callback", "contains", "call me, call back, callback, give me a call, phone me, ring me, can you call,"
          " please call, llámame, llámeme, appelez moi, rappelez moi, rufen sie mich an, ruf mich an, rückruf, me ligue,"
          " chiamami, mi chiami, bel mij, bel me, zadzwoń, اتصل بي, मुझे कॉल करें, कॉल करें"),
    _rule("interested", "contains", "interested, sign me up, tell me more, more information, more info, send me details,"
          " i want this, i would like, id like, yes please, sounds good, get a quote, me interesa, intéressé, interessiert,"
          " tenho interesse, mi interessa, geïnteresseerd, zainteresowany, مهتم, रुचि"),
    _rule("question", "contains", "?"),
    _rule("question", "begins", "how, what, when, where, who, why, which, can i, can you, could you, do you, does, is it,"
          " is there, qué, cómo, cuándo, comment, quand, wie, wann, warum"),
)  # fmt: skip
# A bare yes answers whatever was asked; these ask to be written to.
AGREES = {plain(word) for word in (
    "start", "unstop", "subscribe", "resubscribe", "opt in", "optin", "suscribir", "alta", "abonner", "anmelden",
    "inscrever", "iscrivi", "aanmelden", "اشترك",
)}  # fmt: skip
