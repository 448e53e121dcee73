"""Which column becomes which field of a lead: what there is to choose from, the guess, and the choice of last time."""

import hashlib
import re
from collections.abc import Callable, Collection
from typing import Any

import phonenumbers

from webapp.audience.imports import amounts, dates, headers, phones, words
from webapp.audience.imports.addresses import read_email
from webapp.audience.imports.cells import clean
from webapp.audience.imports.kinds import IDENTIFYING, LEADS, TARGETS, Kind
from webapp.platform.db import one
from webapp.platform.errors import Invalid

__all__ = ["IDENTIFYING", "TARGETS"]
SKIP = ""
ATTRIBUTE = re.compile(r"attributes\.[a-z0-9_]{1,60}$")
DATES = ("date_of_birth", "created_at", "started_on", "renews_on", "lapsed_on", "next_due_on")
PHONE = re.compile(r"\+?[\d ()./-]{6,24}(?:\s*(?:x|ext\.?)\s*\d+)?$", re.IGNORECASE)
OPENLY_PHONE = re.compile(r"\+[\d ()./-]{8,22}$|\(?\d{2,5}\)?[ /.-]+\d{3,}[\d ./-]*$")


def _choice(target: str) -> Callable[[str], bool]:
    return lambda text: text.lower() in words.CHOICES[target]


def _is_date(text: str) -> bool:
    return any(dates.read_date(text, order) for order in ("mdy", "dmy"))


def _is_amount(text: str) -> bool:
    return any(amounts.parse(text, decimals) is not None for decimals in ("point", "comma"))


# What the cells of a column have to look like, most of them, before its name is believed.
LOOKS: dict[str, Callable[[str], Any]] = {
    "email": read_email,
    "phone": PHONE.match,
    **dict.fromkeys(("value_estimate", "premium", "coverage"), _is_amount),
    **dict.fromkeys(DATES, _is_date),
    **{target: _choice(target) for target in words.CHOICES},
    **{f"consent_{name}": lambda text: text.lower() in words.YES | words.NO for name in ("email", "sms", "whatsapp")},
}


def header_key(header: list[str]) -> str:
    """Returns what is the same for two files with the same columns in the same order."""
    return hashlib.sha256("\x1f".join(headers.plain(name) for name in header).encode()).hexdigest()


def remembered(key: str, kind: Kind = LEADS) -> dict[str, str]:
    """Returns what this organisation last chose for the columns of a file with this header; {} if it never had one.

    A column that was empty then is left out: what nobody saw anything in was not decided.
    """
    last = one(
        "SELECT mapping, dialect -> 'columns' AS columns FROM imports WHERE header_key = :key AND kind = :kind"
        " AND status <> 'uploaded' AND mapping <> '{}'::jsonb ORDER BY id DESC LIMIT 1",
        key=key,
        kind=kind.name,
    )
    if last is None:
        return {}
    return {place: target for place, target in last.mapping.items() if target or last.columns[int(place)]["samples"]}


def settled(guessed: dict[str, str], chosen: dict[str, str]) -> dict[str, str]:
    """Returns the guess with what was chosen before in its place; no field is taken twice."""
    taken = {target for target in chosen.values() if target and target != "tags"}
    return {place: chosen.get(place, SKIP if target in taken else target) for place, target in guessed.items()}


def guess(
    header: list[str], sample: list[list[str]], owners: Collection[str] = (), kind: Kind = LEADS
) -> dict[str, str]:
    """Returns the likely mapping {column index as text: target}, from the names and what stands in the cells.

    sample: the first rows. owners: the users' lower-case addresses. A column nobody knows is kept as an attribute; an
    empty one is skipped.
    """
    cells = [[text for row in sample if (text := clean(row[place]))] for place in range(len(header))]
    chosen = _by_name(header, cells, owners, kind)
    _by_cells(chosen, cells)
    if {"first_name", "last_name"} & set(chosen.values()):
        chosen = {place: target for place, target in chosen.items() if target != "name"}
    mapping, taken = {}, set()
    for place, name in enumerate(header):
        kept = kind.keeps and cells[place]
        target = chosen.get(place, _attribute(name, place, taken) if kept else SKIP)
        taken.add(target)
        mapping[str(place)] = target
    return mapping


def _by_name(header: list[str], cells: list[list[str]], owners: Collection[str], kind: Kind) -> dict[int, str]:
    offers = [
        (fit, -place, target)
        for place, name in enumerate(header)
        for target, fit in headers.rank(name, kind.synonyms).items()
        if _believable(target, cells[place], owners)
    ]
    chosen: dict[int, str] = {}
    for _, place, target in sorted(offers, reverse=True):
        if -place not in chosen and (target not in chosen.values() or target == "tags"):
            chosen[-place] = target
    return chosen


def _believable(target: str, cells: list[str], owners: Collection[str]) -> bool:
    if not cells:
        # An empty column is worth no field, but its name may be right: the next file fills it.
        return False
    if target == "owner":
        return any(text.lower() in owners for text in cells)
    looks = LOOKS.get(target)
    said = [text for text in cells if text.lower() not in words.EMPTY]
    # Not more than that: exports are full of broken cells, and the name has a say as well.
    return looks is None or sum(1 for text in said if looks(text)) > len(said) * 0.3


def _by_cells(chosen: dict[int, str], cells: list[list[str]]) -> None:
    """Finds the address and the number where no name told."""
    for target, looks in (("email", read_email), ("phone", OPENLY_PHONE.match)):
        if target not in chosen.values():
            for place, column in enumerate(cells):
                if place not in chosen and sum(1 for text in column if looks(text)) > len(column) * 0.6:
                    chosen[place] = target
                    break


def _attribute(name: str, place: int, taken: set[str]) -> str:
    key = headers.attribute_key(name, place)
    target = f"attributes.{key}"
    return target if target not in taken else f"attributes.{key[:50]}_{place + 1}"


def likely_country(header: list[str], sample: list[list[str]], mapping: dict[str, str], home: str) -> str:
    """Returns the country whose phone numbers these are: home, unless another fits clearly better."""
    place = next((int(place) for place, target in mapping.items() if target == "phone"), None)
    if place is None:
        return home
    numbers = [text for row in sample if (text := clean(row[place]))]
    everything = "".join("".join(row) for row in sample[:50])
    others = {country for sign, country in (("₹", "IN"), ("£", "GB")) if sign in everything}
    if {headers.plain(name) for name in header} & headers.GERMAN:
        others |= {"DE", "AT", "CH"}
    for code in {number[1:4] for number in numbers if number.startswith("+")}:
        for length in (3, 2, 1):
            if code[:length].isdecimal() and int(code[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
                others.add(phonenumbers.region_code_for_country_code(int(code[:length])))
                break
    return phones.likely_country(numbers, home, sorted(others & set(phonenumbers.SUPPORTED_REGIONS)))


def check(mapping: dict[str, Any], header: list[str], kind: Kind = LEADS) -> dict[str, str]:
    """Returns the mapping in its usual form, skipped columns included. Raises Invalid at the column's index, or at
    `mapping`."""
    errors: dict[str, str] = {}
    checked = {str(place): SKIP for place in range(len(header))}
    for place, target in mapping.items():
        if place not in checked:
            errors["mapping"] = "There is no such column in this file."
        elif target and target not in kind.targets and not (kind.keeps and ATTRIBUTE.match(str(target))):
            errors[place] = "There is no such field."
        else:
            checked[place] = target or SKIP
    used = list(checked.values())
    for place, target in checked.items():
        if target not in (SKIP, "tags") and used.count(target) > 1:
            errors[place] = "Another column goes into this field too. Choose one of them."
        if target == "name" and {"first_name", "last_name"} & set(used):
            errors[place] = "The first or last name comes from another column already."
    if not errors and not set(kind.needs) & set(used):
        errors["mapping"] = kind.choose
    if errors:
        raise Invalid(errors)
    return checked
