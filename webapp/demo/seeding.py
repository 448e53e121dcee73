"""Seeding: everything of the demo in one transaction, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import select

from webapp.campaigns import campaigns
from webapp.demo import (
    audiences,
    histories,
    holdings,
    letters,
    materials,
    meetings,
    memberships,
    past,
    people,
    permissions,
    standings,
    texts,
    writing,
)
from webapp.demo.materials import Materials
from webapp.demo.people import Person
from webapp.platform import organizations, tenancy, users
from webapp.platform.clock import now as clock_now
from webapp.platform.db import db, run, take_time, transaction
from webapp.platform.logs import log
from webapp.platform.organizations import Organization
from webapp.platform.users import User

PASSWORD = "canvass-demo"
SEED = 7
LEADS, OTHER_LEADS = 5_000, 25
LOCK = 0x64656D6F  # two processes starting together must not seed together
STAFF = (
    ("admin@demo.example", "Alex Moreno", "admin"),
    ("marketer@demo.example", "Maya Brooks", "marketer"),
    ("agent@demo.example", "Sam Reed", "agent"),
    ("viewer@demo.example", "Vera Lind", "viewer"),
    ("priya@demo.example", "Priya Nair", "agent"),
    ("marcus@demo.example", "Marcus Hill", "agent"),
    ("elena@demo.example", "Elena Ortiz", "agent"),
)
logger = log(__name__)


def seed() -> bool:
    """Makes the demo organisations with all their data. Returns False, having changed nothing, where they are there.

    Call it in an app context. A second process that calls it at the same time waits for the first and does nothing.
    """
    with tenancy.scope(None), transaction():
        run("SELECT pg_advisory_xact_lock(:lock)", lock=LOCK)
        if _exists("demo-insurance"):
            return False
        take_time()
        now, rng = clock_now(), Random(SEED)
        demo = _organization("Demo Insurance", "America/Chicago", now)
        with _inside(demo):
            _demo(rng, now)
        # A house that has an organisation of the second name keeps its own.
        if not _exists("other-insurance"):
            with _inside(_organization("Other Insurance", "America/New_York", now)):
                _other(rng, now)
    logger.info("demo seeded", leads=LEADS)
    return True


def _exists(slug: str) -> bool:
    return db.session.scalar(select(Organization.id).filter_by(slug=slug)) is not None


@contextmanager
def _inside(organization: Organization) -> Iterator[None]:
    """Runs the block in the scope of an organisation made in this very transaction, so that all of it comes or none."""
    with tenancy.scope(organization.id):
        run("SELECT set_config('app.org_id', :org, true)", org=str(organization.id))
        yield
        db.session.flush()


def _organization(name: str, zone: str, now: datetime) -> Organization:
    organization = organizations.create(name, timezone=zone, currency="USD", country="US")
    organization.created_at = _long_ago(now)
    db.session.flush()
    return organization


def _long_ago(now: datetime) -> datetime:
    return now - timedelta(days=people.SPAN_DAYS + 20)


def _user(email: str, name: str, role: str, now: datetime) -> User:
    user = users.add(email, name, role, password=PASSWORD)
    user.created_at = _long_ago(now)
    return user


def _demo(rng: Random, now: datetime) -> None:
    staff = {email: _user(email, name, role, now) for email, name, role in STAFF}
    agents = [user.id for user in staff.values() if user.role == "agent"]
    marketer = staff["marketer@demo.example"].id
    registry = holdings.Registry()
    made_up = _lives(rng, LEADS, agents, registry, now)
    ran = past.simulate(rng, made_up, registry, now)
    histories.conclude(made_up)
    writing.leads(made_up)
    writing.policies(made_up)
    made = materials.make(marketer, now)
    for plan, dispatches in zip(past.PLANS, ran, strict=True):
        past.write(plan, dispatches, made, marketer, now)
    writing.permissions(made_up)
    writing.timeline(made_up)
    writing.settle()
    standings.give(made_up, now)
    memberships.give(now)
    meetings.give(made_up, made.segments, marketer, now)
    texts.make(marketer, now)
    _draft(made, marketer)


def _draft(made: Materials, author: int) -> None:
    campaigns.save(
        None,
        {
            "name": "Welcome to new leads",
            "description": "The first letter to everybody nobody has talked to yet.",
            "segment_id": made.segments[audiences.NEW["name"]].id,
            "template_id": made.templates[letters.WELCOME["name"]].id,
            "sender_id": made.sender.id,
            "category": "acquisition",
            "goal": "lead_generation",
        },
        author,
    )


def _lives(rng: Random, count: int, owners: list[int], registry: holdings.Registry, now: datetime) -> list[Person]:
    """Returns people with all that happened to them outside campaigns."""
    made_up = people.make(rng, count, owners, now)
    permissions.give(rng, made_up, now)
    holdings.give(rng, made_up, registry, now)
    histories.live(rng, made_up, now)
    return made_up


def _other(rng: Random, now: datetime) -> None:
    stranger = _user("stranger@other.example", "Robin Stranger", "admin", now)
    made_up = _lives(rng, OTHER_LEADS, [stranger.id], holdings.Registry(), now)
    histories.conclude(made_up)
    writing.leads(made_up)
    writing.policies(made_up)
    writing.permissions(made_up)
    writing.timeline(made_up)
    standings.give(made_up, now)
