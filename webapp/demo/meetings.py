"""Meetings: the WhatsApp groups the demo's people are in, and the personas that can be read from them."""

from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from webapp.audience import groups, persona_scores, personas
from webapp.demo import writing
from webapp.demo.people import Person
from webapp.platform.db import rows, run

SEED = 11
AGE_DAYS = 150
APPROVED, REFUSED = 24, 5


class Meeting(NamedTuple):
    """A group. state, region: who lives there may be in it; tags: what it says about them; kinds: insurance types of
    most of its members; share: of those who fit, how many are in it."""

    name: str
    description: str
    state: str | None
    region: str | None
    tags: tuple[str, ...]
    kinds: tuple[str, ...]
    share: float


MEETINGS = (
    Meeting("Austin & Houston drivers", "Commuters, road works and car trouble", "TX", "South", ("drivers",), ("auto",), 0.34),
    Meeting("Texas young parents", "Schools, doctors and first homes", "TX", "South", ("family", "health"), ("health", "home"), 0.3),
    Meeting("Florida homeowners", "Hurricane season and roofs", "FL", "South", ("homeowner",), ("home",), 0.38),
    Meeting("Florida retirees", "Health, grandchildren and golf", "FL", "South", ("retiree", "health"), ("life", "health"), 0.26),
    Meeting("New York small business", "Shops, restaurants and payroll", "NY", "Northeast", ("business",), ("business",), 0.4),
    Meeting("Brooklyn parents", "Day care, schools and weekends", "NY", "Northeast", ("family",), ("health", "life"), 0.22),
    Meeting("Chicago drivers", "Winter tyres and parking", "IL", "Midwest", ("drivers",), ("auto",), 0.36),
    Meeting("Midwest makers", "Contractors and workshops", None, "Midwest", ("business",), ("business", "auto"), 0.16),
    Meeting("California homeowners", "Fire season, solar and insurance", "CA", "West", ("homeowner",), ("home",), 0.33),
    Meeting("Bay Area founders", "Hiring, leases and liability", "CA", "West", ("business",), ("business",), 0.42),
    Meeting("West coast travellers", "Trips, visas and lost luggage", None, "West", ("travel",), ("travel", "health"), 0.2),
    Meeting("New parents", "Everything in the first year", None, None, ("family", "health"), ("health", "life", "home"), 0.05),
)  # fmt: skip
PERSONAS: tuple[dict[str, Any], ...] = (
    {"name": "Growing family", "persona_type": "growing_family", "segment_tags": "family",
     "description": "Two working parents, children at home, health and life come before everything else."},
    {"name": "Everyday driver", "persona_type": "everyday_driver", "segment_tags": "drivers",
     "description": "Drives to work and back, compares prices every year."},
    {"name": "Southern homeowner", "persona_type": "southern_homeowner", "segment_tags": "homeowner", "region": "South",
     "description": "Owns a house where storms come through, and wants to know what is covered."},
    {"name": "Hands-on owner", "persona_type": "hands_on_owner", "segment_tags": "business",
     "description": "Runs a business of up to twenty people and signs every contract."},
)  # fmt: skip
SAID = (
    ("growing_family", "family", "Children", "one to three, mostly under ten", "0.9"),
    ("growing_family", "habits", "Reads mail", "in the evening", "0.7"),
    ("everyday_driver", "money", "Looks at first", "the monthly price", "0.85"),
    ("southern_homeowner", "worries", "Biggest worry", "wind and water damage", "0.9"),
    ("hands_on_owner", "habits", "Best reached", "before nine or after six, by phone", "0.8"),
)


def give(people: list[Person], segments: dict[str, Any], decider: int, now: datetime) -> None:
    """Adds the groups with their members and the personas, and decides about some. segments: by name; decider: the id
    of the user who does."""
    rng = Random(SEED)
    for meeting in MEETINGS:
        _meet(rng, meeting, people, now)
    run("UPDATE whatsapp_groups g SET member_count = (SELECT count(*) FROM whatsapp_group_members m"
        " WHERE m.group_id = g.id AND m.left_at IS NULL)")  # fmt: skip
    about = {"everyday_driver": "Auto policyholders", "hands_on_owner": "Hot prospects"}
    made = {}
    for values in PERSONAS:
        segment = segments.get(about.get(values["persona_type"], ""))
        made[values["persona_type"]] = personas.create(values | {"primary_segment_id": segment and segment.id})
    for kind, type_, name, value, confidence in SAID:
        said = {"type": type_, "name": name, "value": value, "confidence": confidence, "source": "interviews"}
        personas.add_attribute(made[kind], said)
    _decide(decider)


def _meet(rng: Random, meeting: Meeting, people: list[Person], now: datetime) -> None:
    group = groups.create({
        "name": meeting.name, "description": meeting.description, "state": meeting.state, "region": meeting.region,
        "segment_tags": list(meeting.tags), "external_group_id": f"1203630{rng.randint(10**9, 10**10 - 1)}@g.us",
    })  # fmt: skip
    group.created_at = group.updated_at = group.discovered_at = now - timedelta(days=AGE_DAYS + rng.randint(0, 300))
    members = [person for person in people if _belongs(rng, meeting, person)]
    belonging = []
    for n, person in enumerate(members):
        since = max(person.created, group.created_at)
        joined = since + (now - since) * rng.random() * 0.9
        left = joined + (now - joined) * rng.random() if rng.random() < 0.06 else None
        role = "admin" if n < 2 else "unknown" if rng.random() < 0.05 else "member"
        belonging.append({
            "group_id": group.id, "lead_id": person.id, "role": role, "contributes_to_persona": rng.random() < 0.94,
            "persona_weight": rng.choice((1, 1, 1, 0.75, 0.5, 0.25)), "joined_at": joined, "left_at": left,
            "created_at": joined, "updated_at": left or joined,
        })  # fmt: skip
    if belonging:
        writing.insert("whatsapp_group_members", belonging)


def _belongs(rng: Random, meeting: Meeting, person: Person) -> bool:
    lead = person.lead
    near = (meeting.state in (None, lead["state"])) and (meeting.region in (None, lead["region"]))
    if not near or not lead["phone"]:
        return False
    # Some come along who are interested in something else.
    return rng.random() < (meeting.share if lead["insurance_type"] in meeting.kinds else meeting.share / 6)


def _decide(decider: int) -> None:
    surest = rows(
        "SELECT id FROM persona_scores WHERE confidence_level = 'very_high' AND lead_id % 5 = 0"
        " ORDER BY total_groups_count DESC, confidence_score DESC, lead_id LIMIT :n",
        n=APPROVED,
    )
    least = rows(
        "SELECT id FROM persona_scores WHERE confidence_level = 'medium' ORDER BY confidence_score, lead_id LIMIT :n",
        n=REFUSED,
    )
    persona_scores.decide([row.id for row in surest], True, decider)
    persona_scores.decide([row.id for row in least], False, decider)
