"""Materials: what campaigns are made of: segments, templates and a sender."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webapp.audience import segments
from webapp.audience.segments import Segment
from webapp.demo import audiences, letters
from webapp.messaging import senders, templates
from webapp.messaging.senders import Sender
from webapp.messaging.templates import Template
from webapp.platform.db import db

AGE_DAYS = 240  # older than the first campaign that uses them


@dataclass(frozen=True)
class Materials:
    """Segments and templates by name, and the sender."""

    segments: dict[str, Segment]
    templates: dict[str, Template]
    sender: Sender


def make(author: int, now: datetime) -> Materials:
    """Adds the demo's materials, as if they had been made some time ago. author: a user's id."""
    made = Materials(
        {values["name"]: segments.save(None, values, author) for values in audiences.SEGMENTS},
        {values["name"]: templates.save(None, values, author) for values in letters.LETTERS},
        senders.ensure_local("Demo Insurance", "hello@demo.example"),
    )
    versions = [templates.latest_version(template) for template in made.templates.values()]
    changing = [*made.segments.values(), *made.templates.values(), made.sender]
    for n, thing in enumerate([*changing, *versions]):
        thing.created_at = now - timedelta(days=AGE_DAYS - 3 * (n % 20), minutes=37 * n)
    for thing in changing:
        thing.updated_at = thing.created_at
    db.session.flush()
    return made
