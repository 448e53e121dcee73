"""Holdings: the policies people hold, how they were renewed, lapsed and paid, and the tier that follows from them."""

import math
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from webapp.demo.people import Person, awake

# type -> a year's premium in the middle, in dollars, and what is covered.
TERMS: dict[str, tuple[int, tuple[int, ...]]] = {
    "auto": (1450, (50_000, 100_000, 250_000, 300_000)),
    "home": (1850, (220_000, 310_000, 425_000, 600_000, 850_000)),
    "life": (640, (100_000, 250_000, 500_000, 1_000_000)),
    "health": (5200, (500_000, 1_000_000, 2_000_000)),
    "business": (4700, (500_000, 1_000_000, 2_000_000)),
    "travel": (150, (25_000, 50_000, 100_000)),
}
COMPANIONS = {"auto": "home", "home": "auto", "life": "health", "health": "life", "business": "auto", "travel": "auto"}
TIERS = ((5600, "platinum"), (3000, "gold"), (1400, "silver"), (0, "bronze"))
DUE_SOON_DAYS = 60


class Registry:
    """Numbers the policies of an organisation: LIC-710001 and up."""

    def __init__(self) -> None:
        self._last = 710_000

    def next(self) -> str:
        self._last += 1
        return f"LIC-{self._last}"


def give(rng: Random, people: list[Person], registry: Registry, now: datetime) -> None:
    """Gives those who hold policies theirs, with the facts and tags that go with them."""
    for person in people:
        if not person.holder:
            continue
        kind = person.lead["insurance_type"] if person.lead["insurance_type"] in TERMS else "home"
        _policy(rng, person, registry.next(), kind, now)
        if rng.random() < 0.17:
            _policy(rng, person, registry.next(), COMPANIONS.get(kind, "home"), now)
        conclude(person, now.date())


def conclude(person: Person, today: date) -> None:
    """Draws from the policies what is said about their holder. May be done again after another policy."""
    active = [policy for policy in person.policies if policy["status"] == "active"]
    soon = today + timedelta(days=DUE_SOON_DAYS)
    renewing = any(policy["renews_on"] and policy["renews_on"] <= soon for policy in active)
    said = {"policyholder": bool(active), "multi-policy": len(active) > 1, "renewal-due": renewing}
    person.lead["tags"] = [tag for tag in person.lead["tags"] if tag not in said] + [tag for tag in said if said[tag]]
    total = sum(policy["premium"] for policy in active)
    person.lead["customer_tier"] = next(tier for least, tier in TIERS if total >= least)
    if person.lead["status"] == "converted" and all(p["status"] in ("lapsed", "cancelled") for p in person.policies):
        person.lead["status"] = "lost"


def policy(rng: Random, number: str, kind: str, started: date) -> dict[str, Any]:
    """Returns the columns of a policy that has just begun. kind: insurance type."""
    premium, coverage = TERMS[kind]
    return {
        "number": number,
        "type": kind,
        "status": "active",
        "premium": round(premium * math.exp(rng.gauss(0, 0.34)), 2),
        "coverage": rng.choice(coverage),
        "started_on": started,
        "renews_on": None if kind == "travel" else anniversary(started, 1),
        "lapsed_on": None,
        "next_due_on": None,
        "payment_status": "paid",
    }


def described(policy: dict[str, Any]) -> dict[str, Any]:
    """Returns what a fact says of a policy."""
    return {"number": policy["number"], "type": policy["type"], "premium": f"{policy['premium']:.2f}"}


def _policy(rng: Random, person: Person, number: str, kind: str, now: datetime) -> None:
    """Adds a policy as it stands today."""
    zone, known_days = person.lead["timezone"], (now - person.created).days
    if rng.random() < 0.4 or known_days < 3:
        # They had it before we knew them: it came over with them.
        started = person.created.date() - timedelta(days=rng.randint(20, 2900))
        added = person.created + min(timedelta(minutes=rng.randint(1, 40)), (now - person.created) / 2)
    else:
        latest = min(person.created + timedelta(days=rng.randint(4, 60)), now)
        added = awake(rng, person.created, latest, zone)
        started = added.date()
    held = policy(rng, number, kind, started)
    person.policies.append(held | {"created_at": added})
    held = person.policies[-1]
    person.happened(added, "policy_added", described(held), person.agent)
    if kind == "travel":
        _travel(rng, held, now.date())
        return
    _renewals(rng, person, held, added, now)
    if held["status"] == "active":
        pay(rng, person, held, now)


def _travel(rng: Random, held: dict[str, Any], today: date) -> None:
    if held["started_on"] + timedelta(days=rng.randint(7, 35)) < today:
        held["status"] = "expired"


def _renewals(rng: Random, person: Person, held: dict[str, Any], added: datetime, now: datetime) -> None:
    """Renews a policy every year until now, unless it lapsed at the last one or was cancelled."""
    zone, today, years = person.lead["timezone"], now.date(), 1
    while (due := anniversary(held["started_on"], years)) < today:
        years += 1
        at = _in_office(rng, due, zone, now)
        last = anniversary(held["started_on"], years) >= today
        if last and at > added and rng.random() < 0.16:
            _lapse(rng, person, held, due, now)
            return
        if at > added:
            person.happened(
                at, "policy_renewed", described(held) | {"renews_on": str(anniversary(due, 1))}, person.agent
            )
    held["renews_on"] = due
    since = max(added, datetime.combine(anniversary(due, -1), time(23), now.tzinfo))
    if rng.random() < 0.02 and (now - since).days > 30:
        at = awake(rng, since + timedelta(days=20), now, zone)
        held |= {"status": "cancelled", "renews_on": None, "next_due_on": None, "lapsed_on": at.date()}
        person.happened(at, "policy_lapsed", described(held) | {"reason": "cancelled"}, person.agent)


def _lapse(rng: Random, person: Person, held: dict[str, Any], due: date, now: datetime) -> None:
    lapsed = max(due, min(due + timedelta(days=rng.choice((0, 10, 15, 30))), now.date() - timedelta(days=1)))
    held |= {"status": "lapsed", "renews_on": due, "lapsed_on": lapsed, "next_due_on": None}
    at = max(_in_office(rng, lapsed, person.lead["timezone"], now), held["created_at"])
    person.happened(at, "policy_lapsed", described(held) | {"reason": "not renewed"})


def pay(rng: Random, person: Person, held: dict[str, Any], now: datetime) -> None:
    """Says when the next payment of an active policy is due; for a few it is late."""
    today, chance = now.date(), rng.random()
    held["next_due_on"] = today + timedelta(days=rng.randint(1, 30))
    if chance < 0.07:
        held |= {"payment_status": "due", "next_due_on": today + timedelta(days=rng.randint(0, 7))}
    elif chance < 0.13:
        missed = today - timedelta(days=rng.randint(3, 45))
        at = _in_office(rng, missed + timedelta(days=1), person.lead["timezone"], now)
        if at > held["created_at"]:
            held |= {"payment_status": "overdue", "next_due_on": missed}
            person.happened(at, "payment_overdue", described(held) | {"due_on": str(missed)})


def _in_office(rng: Random, day: date, zone: str, now: datetime) -> datetime:
    """Returns a moment of a day (UTC) in office hours, never one to come."""
    start = datetime.combine(day, time(15), now.tzinfo)
    return min(awake(rng, start, start + timedelta(hours=7), zone), now - timedelta(minutes=rng.randint(1, 30)))


def anniversary(day: date, years: int) -> date:
    """Returns the same day some years later; 28 February where there is no 29th."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
