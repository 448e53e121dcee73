"""Phone numbers as people write them, to E.164. The rule is that of lead_values.clean_phone; this is its fast lane."""

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

AMERICAN = re.compile(r"\+?1?[ .-]?\(?([2-9][0-9]{2})\)?[ .-]?([0-9]{3})[ .-]?([0-9]{4})$")
PLAIN = re.compile(r"\+?[0-9][0-9 ().-]*$")
PUNCTUATION = str.maketrans("", "", " ().-")


class Plan(NamedTuple):
    """How the numbers of a country are built. trunk: what is dialled before a national number at home, or ""."""

    code: str
    trunk: str
    lengths: frozenset[int]


@cache
def plan_of(country: str) -> Plan | None:
    """Returns a country's plan, or None where it is unknown or too special for the fast lane."""
    metadata = PhoneMetadata.metadata_for_region(country)
    if metadata is None or metadata.national_prefix_for_parsing not in ("0", "1"):
        return None
    lengths = frozenset(metadata.general_desc.possible_length)
    return Plan(str(metadata.country_code), metadata.national_prefix_for_parsing, lengths)


@cache
def is_american(country: str) -> bool:
    """True where the calling code is 1."""
    return phonenumbers.country_code_for_region(country) == 1


def read_phone(text: str, country: str) -> str | None:
    """Returns the number in E.164, or None if it cannot be one. country: ISO code assumed where it names none."""
    found = AMERICAN.match(text)
    if found and (text.startswith("+1") or (text[0] != "+" and is_american(country))):
        return "+1" + found[1] + found[2] + found[3]
    if PLAIN.match(text):
        number = _by_plan(text.translate(PUNCTUATION), plan_of(country))
        if number:
            return number
    return _by_library(text, country)


def _by_plan(digits: str, plan: Plan | None) -> str | None:
    if plan is None:
        return None
    if digits.startswith("+" + plan.code):
        national = digits[len(plan.code) + 1 :]
    elif digits.startswith(("+", plan.code)):
        # Another country, or perhaps the calling code without its plus.
        return None
    else:
        national = digits.removeprefix(plan.trunk)
    if not national or national[0] in ("0", plan.trunk) or len(national) not in plan.lengths:
        return None
    return f"+{plan.code}{national}"


def _by_library(text: str, country: str) -> str | None:
    number = _parsed(text, country)
    if number is None and text.startswith("00"):
        # Dialled as from Europe, wherever it is read.
        number = _parsed("+" + text[2:], country)
    return number


def _parsed(text: str, country: str) -> str | None:
    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def likely_country(numbers: Iterable[str], home: str, others: Iterable[str]) -> str:
    """Returns the country whose plan fits most of the numbers: home, unless another fits clearly more of them."""
    sample = list(numbers)[:200]
    fits = {country: sum(_is_valid(number, country) for number in sample) for country in (home, *others)}
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] > fits[home] + len(sample) / 4 else home


def _is_valid(text: str, country: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, country))
    except phonenumbers.NumberParseException:
        return False
