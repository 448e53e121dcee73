"""People: the leads themselves, made up in memory with what will happen to them still to come."""

import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from webapp.demo import names, places

SPAN_DAYS = 730
SOURCES = {
    "website": 31, "referral": 18, "google ads": 13, "partner": 11, "facebook ads": 7, "broker": 7, "event": 6,
    "phone": 5, "import": 2,
}  # fmt: skip
KINDS = {"auto": 36, "home": 22, "life": 13, "health": 13, "business": 8, "travel": 4, "other": 4}
# insurance type -> what a lead of that kind is worth in the middle, in dollars.
WORTH = {"auto": 1500, "home": 1900, "life": 900, "health": 4200, "business": 6200, "travel": 180, "other": 600}
INTERESTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "auto": {
        "vehicle": ("Toyota RAV4", "Honda Civic", "Ford F-150", "Tesla Model 3", "Subaru Outback", "Chevrolet Equinox"),
        "vehicle_year": tuple(range(2009, 2026)),
    },
    "home": {"home_type": ("single family", "townhouse", "condo", "rented"), "home_built": tuple(range(1925, 2024, 7))},
    "life": {"dependants": (0, 1, 2, 2, 3, 4)},
    "health": {"household_size": (1, 1, 2, 3, 4, 5)},
    "business": {"industry": ("retail", "restaurant", "construction", "dental practice", "trucking", "consulting")},
    "travel": {"destination": ("Mexico", "Italy", "Japan", "Costa Rica", "Portugal")},
}  # fmt: skip
# (status -> weight) by how long somebody is known, without and with a policy.
JUST_IN = {"new": 76, "contacted": 19, "qualified": 5}
RECENT = {"new": 45, "contacted": 28, "qualified": 15, "proposal": 8, "lost": 4}
KNOWN = {"new": 27, "contacted": 22, "qualified": 14, "proposal": 7, "lost": 30}
HOLDING = {"converted": 93, "qualified": 4, "proposal": 3}
# hour of the day -> how much goes on in it
WAKING = dict(zip(range(7, 23), (3, 5, 8, 9, 9, 9, 7, 7, 7, 7, 7, 6, 7, 8, 6, 3), strict=True))


class Fact(NamedTuple):
    """Something that will stand on the timeline. at: UTC; actor: "user:ID", or None for the house itself."""

    at: datetime
    type: str
    payload: dict[str, Any]
    actor: str | None = None


@dataclass
class Change:
    """A lead's word about a channel. evidence: what it can be shown by."""

    at: datetime
    status: str
    source: str
    evidence: str | None = None


@dataclass
class Person:
    """One lead to be. lead: its columns; warmth: 0 to 1, how readily they react; holder: holds policies; consents and
    barred: by channel, the words they gave in order and (from when, why) their address must not be used; id: once
    they are in the database."""

    lead: dict[str, Any]
    warmth: float
    holder: bool
    policies: list[dict[str, Any]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    consents: dict[str, list[Change]] = field(default_factory=dict)
    barred: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    id: int = 0

    @property
    def created(self) -> datetime:
        return self.lead["created_at"]

    @property
    def agent(self) -> str | None:
        """Who acts for them on the timeline."""
        return f"user:{self.lead['owner_id']}" if self.lead["owner_id"] else None

    def happened(self, at: datetime, type: str, payload: dict[str, Any], actor: str | None = None) -> None:
        """Notes a fact about them."""
        self.facts.append(Fact(at, type, payload, actor))


def make(rng: Random, count: int, owners: list[int], now: datetime) -> list[Person]:
    """Returns people in the order they came. owners: ids of the agents who look after some of them."""
    phonebook, addresses = places.Phonebook(rng), names.AddressBook(rng)
    people = [_person(rng, phonebook, addresses, birthday, now) for birthday in _birthdays(rng, count, now)]
    people.sort(key=lambda person: person.created)
    for n, person in enumerate(people):
        person.lead["external_id"] = f"CRM-{104_000 + n}" if rng.random() < 0.7 else None
        person.lead["owner_id"] = rng.choice(owners) if rng.random() < 0.72 else None
    return people


def _person(
    rng: Random, phonebook: places.Phonebook, addresses: names.AddressBook, birthday: date, now: datetime
) -> Person:
    name, born = names.make(rng), birthday if rng.random() < 0.93 else None
    city = rng.choices(places.CITIES, places.WEIGHTS)[0]
    arrived = _arrival(rng, now)
    age = (now - arrived).days
    holder = rng.random() < (0.05 if age < 10 else 0.33 if age < 45 else 0.63)
    phone = phonebook.take(city) if rng.random() < 0.92 else None
    lead = {
        "first_name": name.first,
        "last_name": name.last,
        # Nobody without either: such a lead could not be reached at all.
        "email": addresses.take(name, born and born.year) if rng.random() < 0.96 or not phone else None,
        "phone": phone,
        "language": name.language,
        "date_of_birth": born,
        "source": _one(rng, SOURCES),
        "created_at": awake(rng, arrived - timedelta(hours=12), arrived, city.zone),
    }
    lead |= _place(city) | _interest(rng) | _standing(rng, holder, age)
    return Person(lead, rng.betavariate(1.5, 2.1), holder)


def _place(city: places.City) -> dict[str, Any]:
    return {
        "city": city.name,
        "state": city.state,
        "region": places.REGION_OF[city.state],
        "country": "US",
        "timezone": city.zone,
    }


def _interest(rng: Random) -> dict[str, Any]:
    kind = _one(rng, KINDS)
    worth = WORTH[kind] * math.exp(rng.gauss(0, 0.62))
    about = {what: rng.choice(answers) for what, answers in INTERESTS.get(kind, {}).items() if rng.random() < 0.7}
    tags = [
        tag
        for tag, share in (("newsletter", 0.42), ("quote-requested", 0.3), ("webinar", 0.06), ("vip", 0.03))
        if rng.random() < share
    ]
    return {
        "insurance_type": kind if rng.random() < 0.96 else None,
        "value_estimate": round(worth, 2) if rng.random() < 0.92 else None,
        "attributes": about,
        "tags": tags,
    }


def _standing(rng: Random, holder: bool, age: int) -> dict[str, Any]:
    """age: whole days since they came."""
    weights = HOLDING if holder else JUST_IN if age < 10 else RECENT if age < 45 else KNOWN
    status = _one(rng, weights)
    lively = status in ("qualified", "proposal")
    priorities = {"low": 18, "medium": 50, "high": 40 if lively else 24, "urgent": 14 if lively else 5}
    return {"status": status, "priority": _one(rng, priorities), "customer_tier": None}


def _one(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _arrival(rng: Random, now: datetime) -> datetime:
    # Some steadily and most in growing numbers: the business is doing well.
    share = rng.random() if rng.random() < 0.3 else math.sqrt(rng.random())
    return now - timedelta(days=(1 - share) * (SPAN_DAYS - 1), minutes=5)


def _birthdays(rng: Random, count: int, now: datetime) -> list[date]:
    """Returns dates of birth of grown-ups that use every day of the year before they use one again."""
    days = [date(2000, 1, 1) + timedelta(days=n) for n in range(366)]
    found: list[date] = []
    while len(found) < count:
        rng.shuffle(days)
        for day in days:
            year = now.year - 19 - int(66 * rng.betavariate(1.9, 2.6))
            leap = (day.month, day.day) == (2, 29)
            found.append(day.replace(year=year - year % 4 if leap else year))
    return found[:count]


def awake(rng: Random, start: datetime, end: datetime, zone: str) -> datetime:
    """Returns a moment between two (UTC) at which people of a time zone are up, if there is one about then."""
    moment = start + (end - start) * rng.random()
    local = moment.astimezone(ZoneInfo(zone))
    hour = rng.choices(list(WAKING), list(WAKING.values()))[0]
    shifted = moment + timedelta(hours=hour - local.hour)
    return shifted if start <= shifted <= end else moment
