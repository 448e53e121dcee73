"""What rules name by number: owners, segments, campaigns. Their names for people to read, and whether they are there."""

from typing import Any

from webapp.audience.rules.deeds import DeedField
from webapp.audience.rules.field import Names
from webapp.audience.rules.tree import Group, Rule
from webapp.audience.timeline import FACTS
from webapp.platform import tenancy
from webapp.platform.db import rows, run, value
from webapp.platform.errors import Invalid

# What ids refer to -> (table, column of its name, words for one). Campaigns stand on a floor above, asked by name.
TABLES = {
    "owners": ("users", "person"),
    "segments": ("segments", "segment"),
    "campaigns": ("campaigns", "campaign"),
}


def names(*groups: Group) -> Names:
    """Returns what the ids in some trees are called, by what they are ids of; what is gone is missing."""
    found: Names = {}
    for what, (table, _) in TABLES.items():
        ids = set().union(*(group.refers_to(what) for group in groups), set())
        if ids:
            named = rows(f"SELECT id, name FROM {table} WHERE id = ANY(:ids)", ids=list(ids))
            found[what] = {row.id: row.name for row in named}
    return found


def check(group: Group, segment_id: int | None = None) -> None:
    """Raises Invalid at each rule that names what is not there, or would make a segment depend on itself.

    segment_id: the segment the tree is for, if it exists already.
    """
    if group.refers_to("segments"):
        hold()
    known, errors = names(group), {}
    for place, rule in places(group):
        if words := _missing(rule, known) or _unheard(rule) or _circle(rule, segment_id):
            errors[place] = words
    if errors:
        raise Invalid(errors, "Some rules need another look.")


def hold() -> None:
    """Waits until nobody else changes which segment asks about which, for the rest of the transaction: two changes could
    each be right by itself, and a circle or a gap together."""
    run("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))", key=f"segment rules {tenancy.current_org()}")


def places(group: Group, at: str = "") -> list[tuple[str, Rule]]:
    """Returns (place, rule) for each rule of a tree: "rules.0", "rules.1.rules.2"."""
    found: list[tuple[str, Rule]] = []
    for n, item in enumerate(group.rules):
        place = f"{at}.rules.{n}".lstrip(".")
        found.extend(places(item, place) if isinstance(item, Group) else [(place, item)])
    return found


def _missing(rule: Rule, known: Names) -> str | None:
    alone = Group("all", (rule,))
    for what, (_, word) in TABLES.items():
        if gone := alone.refers_to(what) - set(known.get(what, ())):
            return f"The {word} it names is not there any more (number {min(gone)}). Choose another."
    return None


def _unheard(rule: Rule) -> str | None:
    if not isinstance(rule.field, DeedField) or rule.field.type in FACTS:
        return None
    heard = value("SELECT EXISTS (SELECT FROM lead_events WHERE type = :type)", type=rule.field.type)
    return None if heard else f"Nothing called {rule.field.type!r} has ever happened to a lead."


def _circle(rule: Rule, segment_id: int | None) -> str | None:
    asked = Group("all", (rule,)).refers_to("segments")
    if not segment_id or not asked:
        return None
    if path := _path(asked, segment_id, _dependencies()):
        named = {row.id: row.name for row in rows("SELECT id, name FROM segments WHERE id = ANY(:ids)", ids=path)}
        return f"This would go round in a circle: {' → '.join(named[one] for one in (segment_id, *path))}."
    return None


def _path(starts: set[int], goal: int, asks: dict[int, set[int]]) -> list[int] | None:
    """Returns the way from one of some segments to the goal over what each asks about, or None."""
    ways = [[start] for start in sorted(starts)]
    seen: set[int] = set()
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways.extend([*way, after] for after in sorted(asks.get(way[-1], ())))
    return None


def _dependencies() -> dict[int, set[int]]:
    """Returns which segments each dynamic segment's rules ask about."""
    stored = rows("SELECT id, criteria FROM segments WHERE is_dynamic AND criteria::text LIKE '%\"segment\"%'")
    return {row.id: asked_segments(row.criteria) for row in stored}


def asked_segments(criteria: Any) -> set[int]:
    """Returns the ids of the segments a stored tree asks about."""
    if "rules" in criteria:
        return set().union(*(asked_segments(rule) for rule in criteria["rules"]), set())
    return set(criteria["value"]) if criteria.get("field") == "segment" else set()
