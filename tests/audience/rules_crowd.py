"""The crowd that rules are asked about: awkward leads with policies, consents, facts and memberships, the same ones every
time, with everything that matters standing exactly on, just before and just after the edges of time."""

import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert

from webapp.audience.consents import CHANNELS, Consent
from webapp.audience.consents import STATUSES as CONSENTS
from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS
from webapp.audience.leads import Lead
from webapp.audience.membership import SegmentMember
from webapp.audience.policies import PAYMENT_STATUSES, Policy
from webapp.audience.policies import STATUSES as HOLDINGS
from webapp.audience.segments import EVERYONE, Segment
from webapp.audience.timeline import LeadEvent
from webapp.platform.db import db
from webapp.platform.users import User

ZONE = "America/Chicago"
# UTC. The first is still 28 February in Chicago, of a year without a 29th; the second is the year's last evening there;
# the third the evening before a 29 February.
NOWS = (
    datetime(2026, 3, 1, 3, 30, tzinfo=UTC),
    datetime(2026, 1, 1, 2, 0, 0, 7, tzinfo=UTC),
    datetime(2024, 2, 28, 18, 0, tzinfo=UTC),
    datetime(2026, 7, 15, 12, 0, tzinfo=UTC),
)
TEXTS = (
    "TX", "tx", "Texas", "New York", "NEW YORK CITY", "new", "São Paulo", "SÃO PAULO", "ZÜRICH", "Zürich", "Москва",
    "МОСКВА", "東京", "😀 City", "100%", "100", "50_50", "5050", "a\\b", "\\", "O'Brien", 'say "hi"', "x%y_z", "%", "_",
    "'; DROP TABLE leads; --", ".*", "^a$", "[a-z]+", "(paren", "a,b", "NULL", "e\u0301", "é", "ß", "{a,b}", "tab\tin",
    "line\nbreak", "", ":name", "%(name)s", "$1",
)  # fmt: skip
TAGS = ("vip", "vi", "ip", "a b", "100%", "x_y", "café", "東", 'q"uote', "back\\slash", "{curly}", "null", "sub-tag")
NUMBERS = tuple(
    map(Decimal, ("0", "0.01", "0.99", "1", "99.5", "999.99", "1000", "1000.01", "9999999999.99", "250000"))
)
MOMENTS = tuple(
    datetime(*day, tzinfo=UTC) + timedelta(microseconds=shift)
    for day in ((2026, 2, 1), (2024, 2, 29), (2025, 12, 31), (2000, 1, 1))
    for shift in (-1, 0, 1, 43_200_000_000, 86_399_999_999)
)
SPANS = (
    "1 hour",
    "24 hours",
    "30 hours",
    "1 day",
    7,
    "30 days",
    "2 weeks",
    "90 days",
    "1 week",
    "365 days",
    "36500 days",
)
EDGES = tuple(timedelta(hours=hours) for hours in (0, 1, 24, 30, 7 * 24, 14 * 24, 30 * 24, 90 * 24, 365 * 24))
# What an organisation may keep about a lead: texts, numbers, yes and no, lists, nothing; numbers that are none.
ATTRIBUTES: dict[str, tuple[Any, ...]] = {
    "plan": TEXTS,
    "a.b": ("yes", "No", True, False, None, 1),
    'qu"ote': ("5", 5, 5.0, "5.00", " 5 ", "-5", "+5"),
    "Ünïcode key": ("x", ["x", "y"], {"x": 1}, [], {}, "[]"),
    "amount": (
        0, 1, -1, 7, 7.5, "7.5", "7.50", " 8", "8\t", "9\n", "1e3", "1,000", "١٢", "\u20039", "\u00a09", "９", "NaN",
        "Infinity", "--1", ".5", "5.", "", " ", "0x10", "1" * 15, "1" * 16, 10**15, 99.999, None, True, [3], {"n": 3},
        "2026-01-01", "-0", "0.0000000001", "0.00000000001",
    ),
}  # fmt: skip
BIRTHS = (
    date(1980, 2, 29), date(2000, 2, 29), date(1990, 2, 28), date(1990, 3, 1), date(1970, 12, 31), date(1971, 1, 1),
    date(1999, 12, 30), date(1985, 7, 15), date(1985, 7, 16), date(1985, 8, 14), date(1985, 7, 1), date(1901, 1, 7),
    date(2026, 2, 28), date(2024, 2, 28), date(2025, 12, 2), date(1960, 3, 2),
)  # fmt: skip
DEEDS = ("email_opened", "page_visited", "custom", "lead_updated", "house_viewed")
CAMPAIGNS = (1, 2, 999_999_999_999_999)
PAYLOADS: tuple[dict[str, Any], ...] = (
    {}, {"campaign_id": 1}, {"campaign_id": 1}, {"campaign_id": 2}, {"campaign_id": "2"}, {"campaign_id": None},
    {"campaign_id": 999_999_999_999_999}, {"campaign_id": 10**30}, {"campaign_id": 0}, {"campaign_id": [1]},
)  # fmt: skip
OWNERS, SEGMENTS = (1, 2, 3), (1, 2, 3, 4)  # ids are an organisation's own, so these may be the same every time
WORDY = ("source", "state", "city", "country", "region", "district", "timezone", "language", "persona_type")


@dataclass(frozen=True)
class Crowd:
    """The organisation the crowd is in, and the leads by their ids."""

    org: int
    leads: dict[int, dict[str, Any]] = field(repr=False)


def make(n: int) -> list[dict[str, Any]]:
    """Returns n leads: each the values of its columns, and policies, consents, facts and memberships beside them."""
    dice = random.Random(5)
    return [_lead(dice, number) for number in range(1, n + 1)]


def _moment(dice: random.Random) -> datetime:
    if dice.random() < 0.4:
        return dice.choice(MOMENTS)
    return dice.choice(NOWS) - dice.choice(EDGES) + timedelta(microseconds=dice.choice((-1, 0, 0, 1, 1_000_000)))


def _day(dice: random.Random) -> date:
    return (
        dice.choice(NOWS) + timedelta(days=dice.choice((-91, -90, -31, -30, -8, -7, -2, -1, 0, 1, 2, 7, 8, 30)))
    ).date()


def _lead(dice: random.Random, number: int) -> dict[str, Any]:
    values = {name: dice.choice([None, *TEXTS]) for name in WORDY}
    return values | {
        "id": number,
        "first_name": dice.choice([None, "Ada", "ada", "Bo", f"Lead {number}"]),
        "last_name": dice.choice([None, "O'Brien", "von Ünder", "Li"]),
        "email": dice.choice([None, f"Ada{number}@Example.com", f"bo{number}@other.example"]),
        "phone": dice.choice([None, f"+1415200{number:04}", f"+4179{number:07}"]),
        "external_id": dice.choice([None, f"K-{number}", f"k%{number}"]),
        "status": dice.choice(STATUSES),
        "priority": dice.choice(PRIORITIES),
        "insurance_type": dice.choice([None, *INSURANCE_TYPES]),
        "customer_tier": dice.choice([None, *TIERS]),
        "value_estimate": dice.choice([None, *NUMBERS]),
        "score": dice.choice((0, 1, 49, 50, 51, 99, 100)),
        "engagement_score": dice.choice((0, 50, 100)),
        "owner_id": dice.choice([None, *OWNERS]),
        "created_at": _moment(dice),
        "updated_at": _moment(dice),
        "last_activity_at": dice.choice([None, _moment(dice), _moment(dice)]),
        "date_of_birth": dice.choice([None, *BIRTHS, _day(dice)]),
        "tags": dice.sample(TAGS, dice.choice((0, 0, 1, 1, 2, 3))),
        "attributes": {key: dice.choice(pool) for key, pool in ATTRIBUTES.items() if dice.random() < 0.7},
        "consents": {channel: dice.choice(CONSENTS) for channel in CHANNELS if dice.random() < 0.6},
        "policies": [_policy(dice) for _ in range(dice.choice((0, 0, 1, 1, 2, 3)))],
        "facts": [_fact(dice) for _ in range(dice.choice((0, 1, 2, 5, 9)))],
        "member_of": {segment for segment in SEGMENTS[:3] if dice.random() < 0.4},
        "was_in": {segment for segment in SEGMENTS if dice.random() < 0.3},
    }


def _policy(dice: random.Random) -> dict[str, Any]:
    return {
        "type": dice.choice([None, *INSURANCE_TYPES[:3]]),
        "status": dice.choice(HOLDINGS),
        "premium": dice.choice([None, *NUMBERS]),
        "payment_status": dice.choice(PAYMENT_STATUSES),
        "renews_on": dice.choice([None, _day(dice), _day(dice)]),
        "lapsed_on": dice.choice([None, _day(dice)]),
    }


def _fact(dice: random.Random) -> dict[str, Any]:
    return {"type": dice.choice(DEEDS), "payload": dice.choice(PAYLOADS), "occurred_at": _moment(dice)}


BESIDE = ("consents", "policies", "facts", "member_of", "was_in")


def settle(crowd: list[dict[str, Any]]) -> None:
    """Writes a crowd into the organisation in scope, with the owners and segments it names, and a deleted lead more."""
    write = db.session.execute
    write(
        insert(User), [{"id": n, "email": f"owner{n}@crowd.example", "name": f"O {n}", "role": "agent"} for n in OWNERS]
    )
    write(insert(Segment), [{"id": n, "name": f"S {n}", "slug": f"s-{n}", "criteria": EVERYONE} for n in SEGMENTS])
    columns = [{name: value for name, value in lead.items() if name not in BESIDE} for lead in crowd]
    write(insert(Lead), columns)
    gone = {"id": 10**6, "first_name": "Gone", "deleted_at": NOWS[0]}
    write(insert(Lead), [gone])
    write(insert(Consent), [
        {"lead_id": lead["id"], "channel": channel, "status": status}
        for lead in crowd for channel, status in lead["consents"].items()
    ])  # fmt: skip
    held = [{"lead_id": lead["id"]} | policy for lead in crowd for policy in lead["policies"]]
    write(insert(Policy), [policy | {"number": f"P{n}"} for n, policy in enumerate(held)])
    write(insert(LeadEvent), [{"lead_id": lead["id"]} | fact for lead in crowd for fact in lead["facts"]])
    write(
        insert(SegmentMember), [{"lead_id": lead["id"], "segment_id": n} for lead in crowd for n in lead["member_of"]]
    )
    write(insert(SegmentMember), [
        {"lead_id": lead["id"], "segment_id": n, "exited_at": NOWS[0]} for lead in crowd for n in lead["was_in"]
    ])  # fmt: skip
