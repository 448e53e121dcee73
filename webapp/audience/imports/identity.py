"""Who a row of the file is: a lead we have, the person of an earlier row, or somebody new.

A row is told by its external id, else its e-mail address, else its phone number. What it says beyond that and what
belongs to somebody else already is left out of it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

KEYS = ("external_id", "email", "phone")


class Entry(NamedTuple):
    """A row's identifying values, the address in lower case; hits: the ids of the living leads that have each now."""

    row: int
    external_id: str | None
    email: str | None
    phone: str | None
    hits: tuple[int | None, int | None, int | None] = (None, None, None)


class Verdict(NamedTuple):
    """leader: the first row of the same person. lost: the fields whose values belong to somebody else."""

    row: int
    leader: int
    lead_id: int | None
    lost: list[str]


@dataclass
class Person:
    """lead_id: None for a new one. leader: their first row. The identifying values are those they have so far."""

    lead_id: int | None = None
    leader: int = 0
    external_id: str | None = None
    email: str | None = None


class Register:
    """Everybody met so far. leads: id -> (external id, lower-case address) of the leads the rows hit; merge: True if
    one phone number means one person."""

    def __init__(self, leads: dict[int, tuple[str | None, str | None]], merge: bool):
        self.merge = merge
        self.leads = {lead: Person(lead, 0, *keys) for lead, keys in leads.items()}
        self.holders: dict[str, dict[str, Person]] = {key: {} for key in KEYS}

    def judge(self, entry: Entry) -> Verdict:
        """Returns who the row is and enters what it adds."""
        holders = {key: self._holder(key, getattr(entry, key), hit) for key, hit in zip(KEYS, entry.hits, strict=True)}
        person = holders["external_id"] or holders["email"]
        if person is None and holders["phone"] and (self.merge or not _differ(holders["phone"], entry)):
            person = holders["phone"]
        person = person or Person()
        person.leader = person.leader or entry.row
        lost = [key for key in KEYS if holders[key] not in (None, person)]
        for key in KEYS:
            if getattr(entry, key) and key not in lost:
                self.holders[key][getattr(entry, key)] = person
                if key != "phone":
                    setattr(person, key, getattr(entry, key))
        return Verdict(entry.row, person.leader, person.lead_id, lost)

    def _holder(self, key: str, value: str | None, hit: int | None) -> Person | None:
        if value is None:
            return None
        return self.holders[key].get(value) or (self.leads[hit] if hit else None)


def _differ(person: Person, entry: Entry) -> bool:
    """True where a shared phone number is all they have in common: a couple, an office, a landline."""
    return any(
        getattr(entry, key) and getattr(person, key) and getattr(entry, key) != getattr(person, key)
        for key in ("external_id", "email")
    )


def judge(
    entries: Iterable[Entry], leads: dict[int, tuple[str | None, str | None]], *, merge: bool = False
) -> Iterator[Verdict]:
    """Yields the verdict on each row, taken in the order of the file."""
    register = Register(leads, merge)
    return map(register.judge, entries)
