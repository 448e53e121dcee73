"""Intents: plain rules by which a reply is sorted, editable by an admin."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.leads import one_of
from webapp.messaging import intent_words
from webapp.messaging.intent_words import QUESTION, fits, own_words, plain
from webapp.platform import audit
from webapp.platform.db import Base, Changing, Tenant, db, of_organization
from webapp.platform.errors import Invalid, NotFound, Refused

INTENTS = ("stop", "start", "help", "interested", "question", "complaint", "callback", "other")
INTENT_WORDS = {
    "stop": "Stop", "start": "Start again", "help": "Help", "interested": "Interested", "question": "Question",
    "complaint": "Complaint", "callback": "Call me", "other": "Other",
}  # fmt: skip
MATCHES = ("is", "begins", "contains")
CHANNELS = ("any", "email", "sms", "whatsapp")
RULES = 200
WORDS = 200  # of a rule
WORD_LIMIT = 100  # characters
LANGUAGE = re.compile(r"[a-z]{2}|")
NO_STOP = "People must be able to stop: as the rules then were, the word STOP would not do that any more."


class IntentRule(Tenant, Changing, Base):
    """The first rule by position that fits decides. channel: one channel, or "any". language: a two-letter code, or "" for
    every language. words: what is looked for, compared without regard to case, accents and punctuation."""

    __tablename__ = "intent_rules"
    position: Mapped[int]
    channel: Mapped[str] = mapped_column(server_default="any")
    language: Mapped[str] = mapped_column(server_default="")
    intent: Mapped[str]
    match: Mapped[str] = mapped_column(server_default="contains")
    words: Mapped[list[str]]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    __table_args__ = (
        of_organization(),
        one_of("channel", CHANNELS),
        one_of("intent", INTENTS),
        one_of("match", MATCHES),
        Index(None, "org_id", "position", "id"),
    )


def every(*, active_only: bool = False) -> list[IntentRule]:
    """Returns the rules in their order."""
    wanted = select(IntentRule).order_by(IntentRule.position, IntentRule.id)
    return list(db.session.scalars(wanted.where(IntentRule.is_active) if active_only else wanted))


def get(rule_id: int) -> IntentRule:
    """Returns a rule of the organisation in scope. Raises NotFound."""
    rule = db.session.scalar(select(IntentRule).where(IntentRule.id == rule_id))
    if rule is None:
        raise NotFound("That rule does not exist any more.")
    return rule


def explain(channel: str, language: str | None, said: str) -> tuple[str, IntentRule | None]:
    """Returns the intent of a message and the rule that says so; "other" and None where none fits.

    language: two-letter code of whoever wrote, or "" where it is not known; then rules of every language count. A
    person stops in whatever language they like: rules for that count in all.
    """
    own = own_words(channel, said)
    words, asked = plain(own), bool(QUESTION.search(own))
    code = (language or "")[:2].lower()
    for rule in every(active_only=True):
        speaks = not rule.language or not code or rule.language == code or rule.intent == "stop"
        if rule.channel in ("any", channel) and speaks and fits(rule.match, rule.words, words, asked):
            return rule.intent, rule
    return "other", None


def classify(channel: str, language: str | None, said: str) -> str:
    """Returns the intent of a message, one of INTENTS (see `explain`)."""
    return explain(channel, language, said)[0]


def agrees(said: str) -> bool:
    """True if a message asks by itself to be written to; a bare yes answers whatever was asked."""
    return plain(said) in intent_words.AGREES


def ensure_defaults() -> None:
    """Gives the organisation in scope the rules most begin with, unless it has some of its own."""
    if _has_rules():
        return
    # Two messages that come first at once give them once.
    _one_at_a_time()
    if not _has_rules():
        db.session.add_all(IntentRule(position=n, **rule) for n, rule in enumerate(intent_words.DEFAULTS))
        db.session.flush()


def _one_at_a_time() -> None:
    """Holds off whoever changes the rules of this organisation, until the transaction ends."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('intent_rules', app.org))"
                            " FROM (SELECT CAST(current_setting('app.org_id') AS bigint) AS org) app"))  # fmt: skip


def _has_rules() -> bool:
    return db.session.scalar(select(IntentRule.id).limit(1)) is not None


def save(rule: IntentRule | None, values: dict[str, Any]) -> IntentRule:
    """Adds or changes a rule; a new one stands last. values: intent, match, channel, language, words, is_active.
    Raises Invalid with a message for each field, Refused where nobody could stop any more."""
    clean = _clean(values)
    ensure_defaults()
    with _people_can_stop():
        if rule is None:
            others = every()
            if len(others) >= RULES:
                raise Invalid({"words": f"Use at most {RULES} rules."})
            rule = IntentRule(position=max((other.position for other in others), default=-1) + 1)
        for name, value in clean.items():
            setattr(rule, name, value)
        db.session.add(rule)
        db.session.flush()
        _changed("intent_rule.saved", rule)
    return rule


@contextmanager
def _people_can_stop() -> Iterator[None]:
    """Runs the block and takes it back, raising Refused, where the word STOP does not stop any more after it."""
    # Two who each leave the other's rule standing would together leave none.
    _one_at_a_time()
    with db.session.begin_nested():
        yield
        db.session.flush()
        if any(classify(channel, "", "STOP") != "stop" for channel in CHANNELS if channel != "any"):
            raise Refused(NO_STOP)


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    errors: dict[str, str] = {}
    for name, choices in (("intent", INTENTS), ("match", MATCHES), ("channel", CHANNELS)):
        if values.get(name) not in choices:
            errors[name] = "Choose one of the list."
    language = str(values.get("language") or "").strip().lower()
    if not LANGUAGE.fullmatch(language):
        errors["language"] = "Give the language's two letters, such as en, or leave it empty."
    given = [word.replace("\0", "").strip() for word in values.get("words") or ()]
    words = list(dict.fromkeys(word for word in given if word))
    if not words:
        errors["words"] = "Write what to look for, one a line."
    elif len(words) > WORDS:
        errors["words"] = f"Use at most {WORDS} lines."
    elif long := [word for word in words if len(word) > WORD_LIMIT]:
        errors["words"] = f"Use at most {WORD_LIMIT} characters in a line: {long[0][:40]}…"
    elif empty := [word for word in words if word != "?" and not plain(word)]:
        errors["words"] = f"Nothing is left of this without punctuation: {empty[0]}"
    if errors:
        raise Invalid(errors)
    kept = {name: values[name] for name in ("intent", "match", "channel")}
    return kept | {"language": language, "words": words, "is_active": bool(values.get("is_active", True))}


def switch(rule: IntentRule, is_active: bool) -> None:
    """Lets a rule count, or not. Raises Refused where nobody could stop any more."""
    with _people_can_stop():
        rule.is_active = is_active
        db.session.flush()
        _changed("intent_rule.saved", rule)


def move(rule: IntentRule, steps: int) -> None:
    """Moves a rule up (-1) or down (1). Raises Refused where nobody could stop any more."""
    with _people_can_stop():
        ordered = every()
        place = ordered.index(rule)
        ordered.insert(max(place + steps, 0), ordered.pop(place))
        for position, other in enumerate(ordered):
            other.position = position
        db.session.flush()
        _changed("intent_rule.moved", rule)


def remove(rule: IntentRule) -> None:
    """Deletes a rule. Raises Refused where nobody could stop any more."""
    with _people_can_stop():
        _changed("intent_rule.deleted", rule)
        db.session.delete(rule)
        db.session.flush()


def _changed(did: str, rule: IntentRule) -> None:
    audit.record(did, "intent_rule", rule.id, after={
        "intent": rule.intent, "match": rule.match, "channel": rule.channel, "language": rule.language,
        "words": rule.words[:20], "is_active": rule.is_active, "position": rule.position,
    })  # fmt: skip
