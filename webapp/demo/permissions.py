"""Permissions: what people said about being written to, and the addresses that must not be used."""

from datetime import datetime, timedelta
from random import Random

from webapp.demo.people import Change, Person, awake

# channel -> shares of those who have the address, in percent: asked and agreed, asked and not confirmed. The rest
# was never asked. Then, of those who agreed: how many took it back since.
ASKED = {"email": (88, 4, 0.085), "sms": (47, 4, 0.1), "whatsapp": (26, 3, 0.06)}
FORMS = {"website": "form", "google ads": "form", "facebook ads": "form", "phone": "call", "import": "import"}


def give(rng: Random, people: list[Person], now: datetime) -> None:
    """Lets everybody say yes or no to each channel, at once or later, and bars a few addresses."""
    for person in people:
        for channel, (agreed, waiting, lost) in ASKED.items():
            address = person.lead["email" if channel == "email" else "phone"]
            chance = rng.random() * 100
            if not address or chance >= agreed + waiting:
                continue
            _agree(rng, person, channel, chance < agreed, now)
            if chance < agreed and rng.random() < lost:
                _withdraw(rng, person, channel, now)
            elif rng.random() < 0.002:
                # Told us on the phone, or wrote to complain: barred by hand.
                reason = rng.choice(("manual", "manual", "complaint", "invalid"))
                bar(person, channel, awake(rng, person.created, now, person.lead["timezone"]), reason)


def _agree(rng: Random, person: Person, channel: str, confirmed: bool, now: datetime) -> None:
    source = FORMS.get(person.lead["source"], "agent")
    asked = person.created + timedelta(seconds=rng.randint(1, 240))
    if source == "form" and channel == "email":
        # Forms ask for a confirming click in an e-mail.
        say(person, channel, Change(min(asked, now), "pending", "form", "sign-up form"))
        if confirmed:
            minutes = rng.randint(1, 90) if rng.random() < 0.85 else rng.randint(90, 2800)
            say(
                person,
                channel,
                Change(min(asked + timedelta(minutes=minutes), now), "subscribed", "form", "confirmed by e-mail"),
            )
        return
    evidence = {"form": "sign-up form", "call": "agreed on the phone", "import": "list of the previous system"}
    status = "subscribed" if confirmed else "pending"
    say(person, channel, Change(min(asked, now), status, source, evidence.get(source, "agreed to the agent")))


def _withdraw(rng: Random, person: Person, channel: str, now: datetime) -> None:
    since = person.consents[channel][-1].at
    at = since + (awake(rng, since, now, person.lead["timezone"]) - since) * 0.999
    if channel != "email":
        say(person, channel, Change(at, "unsubscribed", "stop", "replied STOP"))
        person.barred[channel] = (at, "stop")
    elif rng.random() < 0.6:
        say(person, channel, Change(at, "unsubscribed", "page", "preferences"))
        person.barred[channel] = (at, "unsubscribe")
    else:
        say(person, channel, Change(at, "unsubscribed", "agent", "asked on the phone"))


def say(person: Person, channel: str, change: Change) -> None:
    """Notes a person's word about a channel, with its fact."""
    person.consents.setdefault(channel, []).append(change)
    fact = {"channel": channel, "to": change.status, "source": change.source}
    person.happened(change.at, "consent_changed", fact, person.agent if change.source == "agent" else None)


def bar(person: Person, channel: str, at: datetime, reason: str) -> None:
    """Bars a person's address from a moment on, with its fact. reason: one of consents.REASONS."""
    person.barred[channel] = (at, reason)
    person.happened(at, "suppressed", {"channel": channel, "reason": reason})


def verdict(person: Person, channel: str, at: datetime) -> str | None:
    """Returns why a person might not be written to at a moment, in the words of consents.SKIP_REASONS, or None."""
    if not person.lead["email" if channel == "email" else "phone"]:
        return "no_email" if channel == "email" else "no_phone"
    if channel in person.barred and person.barred[channel][0] <= at:
        return "suppressed"
    said = [change.status for change in person.consents.get(channel, []) if change.at <= at]
    if not said:
        return "no_consent"
    return {"unsubscribed": "unsubscribed", "pending": "consent_pending"}.get(said[-1])
