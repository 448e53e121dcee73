"""Upserting: many leads in one call, each found by what they are known by and changed, or made where nobody is found.

Everybody the rows name is read once, the rows are judged one after the other in memory, and what came of them is
written in a handful of statements.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.errors import DeadlockDetected, UniqueViolation
from sqlalchemy.exc import DBAPIError

from webapp.audience import timeline
from webapp.audience.lead_values import EDITABLE, clean
from webapp.audience.leads import plain
from webapp.platform import audit
from webapp.platform.clock import now
from webapp.platform.db import db, rows, run
from webapp.platform.errors import Invalid, Refused
from webapp.platform.organizations import current as current_organization

KEYS = ("external_id", "email", "phone")
LIMIT = 10_000  # rows of one call
TRIES = 3  # where somebody else makes the same leads at this very moment
NEW: dict[str, Any] = {"status": "new", "priority": "medium", "tags": [], "attributes": {}}
TAKEN = "Another lead has this already."
BUSY = "Somebody else is making or changing the same leads right now. Try it again in a moment."


@dataclass
class Result:
    """What came of one row. result: created, updated, unchanged or refused; id: the lead's, None of a refused row."""

    result: str
    id: int | None = None
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Person:
    """A lead as the rows have left them so far. id: None until they are made; before: what the database has of them."""

    id: int | None
    values: dict[str, Any]
    before: dict[str, Any]

    @property
    def is_changed(self) -> bool:
        return self.values != self.before


def upsert(
    given: Mapping[int, dict[str, Any]], match_on: Sequence[str] = KEYS, *, source: str = "api"
) -> dict[int, Result]:
    """Makes or changes leads, in the order of the rows. Returns what came of each. Raises Refused where others keep
    making the same leads.

    given: place of the row -> fields as `leads.create` and `leads.update` take them; what is not given stays, None
    empties a field. match_on: the fields a row finds its lead by, the first that finds one counts; a row whose other
    ones belong to somebody else is refused. Consents are not touched.
    """
    cleaned, results = _cleaned(given, match_on)
    # One call at a time in an organisation, so that two with the same people do not make them twice.
    run("SELECT pg_advisory_xact_lock(hashtextextended('leads.upsert', current_setting('app.org_id')::bigint))")
    for left in reversed(range(TRIES)):
        try:
            with db.session.begin_nested():
                desk = _Desk(cleaned, match_on, source)
                results |= desk.work()
            break
        except DBAPIError as problem:
            if not isinstance(problem.orig, (UniqueViolation, DeadlockDetected)):
                raise
            if not left:
                raise Refused(BUSY) from None
    audit.record("leads.upserted", "lead", after=dict(Counter(result.result for result in results.values())))
    return dict(sorted(results.items()))


def _cleaned(
    given: Mapping[int, dict[str, Any]], match_on: Sequence[str]
) -> tuple[dict[int, dict[str, Any]], dict[int, Result]]:
    # Kept at hand: the session forgets what nobody holds, and every phone number asks for its country.
    organization = current_organization()
    assert organization.country
    cleaned, refused = {}, {}
    for place, values in given.items():
        try:
            cleaned[place] = clean(values)
            if not any(cleaned[place].get(key) for key in match_on):
                raise Invalid({match_on[0]: f"Give {' or '.join(match_on)} to know this person by."})
        except Invalid as problem:
            cleaned.pop(place, None)
            refused[place] = Result("refused", errors=problem.errors)
    return cleaned, refused


class _Desk:
    """The rows of one call and everybody they name."""

    def __init__(self, cleaned: dict[int, dict[str, Any]], match_on: Sequence[str], source: str):
        self.rows, self.match_on, self.source = cleaned, match_on, source
        self.facts: dict[str, list[tuple[Person, dict[str, Any]]]] = defaultdict(list)
        self.known: list[Person] = []
        self.made: list[Person] = []
        self.holders: dict[str, dict[str, Person]] = {key: {} for key in KEYS}
        self.lowered = _lowered([values["email"] for values in cleaned.values() if values.get("email")])

    def work(self) -> dict[int, Result]:
        """Judges every row and writes what came of it."""
        self._look_up()
        judged = {place: self._judge(values) for place, values in self.rows.items()}
        changed = [person for person in self.known if person.is_changed]
        _change(changed)
        _make(self.made)
        self._tell()
        for result, person in judged.values():
            result.id = person.id if person else None
        return {place: result for place, (result, _) in judged.items()}

    def _look_up(self) -> None:
        wanted = {
            key: list({self._key(key, values.get(key)) for values in self.rows.values()} - {None}) for key in KEYS
        }
        column = {"external_id": "external_id", "email": "email_key", "phone": "phone"}
        hits = " UNION ".join(
            f"SELECT h.id FROM unnest(CAST(:{key} AS text[])) v JOIN leads h ON h.{column[key]} = v"
            " AND h.deleted_at IS NULL"
            for key in KEYS
        )
        # Held until the end and in the order of ids, so that what is compared is what is changed.
        found = rows(
            f"SELECT id, email_key, {', '.join(EDITABLE)} FROM leads WHERE id IN ({hits}) AND deleted_at IS NULL"
            " ORDER BY id FOR NO KEY UPDATE",
            **wanted,
        )
        for row in found:
            values = {name: getattr(row, name) for name in EDITABLE}
            person = Person(row.id, values, dict(values))
            self.lowered[row.email] = row.email_key
            self.known.append(person)
            self._enter(person)

    def _key(self, key: str, value: str | None) -> str | None:
        return self.lowered.get(value) if key == "email" else value

    def _enter(self, person: Person) -> None:
        for key in KEYS:
            if held := self._key(key, person.values.get(key)):
                self.holders[key][held] = person

    def _judge(self, values: dict[str, Any]) -> tuple[Result, Person | None]:
        held = {key: self.holders[key].get(self._key(key, values.get(key)) or "") for key in KEYS}
        person = next((held[key] for key in self.match_on if held[key]), None)
        if lost := [key for key in KEYS if held[key] not in (None, person)]:
            return Result("refused", errors=dict.fromkeys(lost, TAKEN)), None
        if person is None:
            return Result("created"), self._create(values)
        changes = {name: [person.values.get(name), value] for name, value in values.items()
                   if person.values.get(name) != value}  # fmt: skip
        if not changes:
            return Result("unchanged"), person
        self._apply(person, changes)
        return Result("updated"), person

    def _create(self, values: dict[str, Any]) -> Person:
        person = Person(None, dict.fromkeys(EDITABLE) | NEW | {"source": self.source} | values, {})
        self.made.append(person)
        self._enter(person)
        self.facts["lead_created"].append((person, {"source": person.values["source"]}))
        return person

    def _apply(self, person: Person, changes: dict[str, list[Any]]) -> None:
        for key in KEYS:
            if key in changes and (left := self._key(key, changes[key][0])):
                self.holders[key].pop(left, None)
        person.values |= {name: after for name, (_, after) in changes.items()}
        self._enter(person)
        shown = {name: [plain(before), plain(after)] for name, (before, after) in changes.items()}
        if moved := shown.pop("status", None):
            self.facts["status_changed"].append((person, {"from": moved[0], "to": moved[1]}))
        if shown:
            self.facts["lead_updated"].append((person, {"changes": shown}))

    def _tell(self) -> None:
        for type in ("lead_created", "lead_updated", "status_changed"):
            told = [{"lead_id": person.id, "payload": payload} for person, payload in self.facts[type]]
            if told:
                timeline.record_select(
                    type,
                    "SELECT lead_id, payload FROM json_to_recordset(CAST(:told AS json)) t (lead_id bigint, payload jsonb)",
                    told=json.dumps(told, default=str),
                )


def _lowered(addresses: list[str]) -> dict[str | None, str]:
    """Returns address -> as it is compared: in lower case as the database has it, which is not quite Python's."""
    found = rows("SELECT given, lower(given) AS key FROM unnest(CAST(:all AS text[])) given", all=list(set(addresses)))
    return {row.given: row.key for row in found}


def _change(people: list[Person]) -> None:
    if not people:
        return
    # What goes from one to another is let go first: uniqueness is looked at row by row.
    letting_go = [p.id for p in people if any(p.before[key] and p.values[key] != p.before[key] for key in KEYS)]
    if letting_go:
        run("UPDATE leads SET external_id = NULL, email = NULL, phone = NULL WHERE id = ANY(:ids)", ids=letting_go)
    touched = {name for person in people for name in EDITABLE if person.values[name] != person.before[name]}
    setting = ", ".join(f"{name} = s.{name}" for name in EDITABLE if name in touched | set(KEYS))
    made = [{"id": person.id} | person.values for person in people]
    run(
        f"UPDATE leads l SET {setting}, updated_at = now() FROM json_populate_recordset(CAST(NULL AS leads),"
        " CAST(:made AS json)) s WHERE l.id = s.id",
        made=json.dumps(made, default=str),
    )


def _make(people: list[Person]) -> None:
    if not people:
        return
    columns = ", ".join(EDITABLE)
    made = rows(
        f"INSERT INTO leads ({columns}, last_activity_at) SELECT {columns}, :now FROM json_populate_recordset("
        "CAST(NULL AS leads), CAST(:made AS json)) WITH ORDINALITY s ORDER BY s.ordinality RETURNING id",
        made=json.dumps([person.values for person in people], default=str),
        now=now(),
    )
    # Identities are handed out in the order of the rows and only ever grow.
    for person, lead_id in zip(people, sorted(row.id for row in made), strict=True):
        person.id = lead_id
