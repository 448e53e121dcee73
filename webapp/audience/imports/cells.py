"""One cell of a file to the value of a field, or to words that say why it cannot be."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers

from webapp.audience import policy_values
from webapp.audience.imports import amounts, dates, words
from webapp.audience.imports.addresses import read_email
from webapp.audience.imports.names import split_name
from webapp.audience.imports.phones import read_phone
from webapp.audience.lead_values import CHOICES, clean_tags
from webapp.platform.clock import ZONES

TEXT_LIMIT = 200
ATTRIBUTE_LIMIT = 2000
PLACES = {zone.lower(): zone for zone in ZONES} | {
    "et": "America/New_York", "est": "America/New_York", "edt": "America/New_York", "ct": "America/Chicago",
    "cst": "America/Chicago", "cdt": "America/Chicago", "mt": "America/Denver", "mst": "America/Denver",
    "pt": "America/Los_Angeles", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles", "cet": "Europe/Berlin",
    "ist": "Asia/Kolkata",
}  # fmt: skip
# Spaces of no width, marks of direction and of byte order; and NUL, which PostgreSQL cannot hold. Not the joiners
# U+200C and U+200D: names in Indian scripts are spelt with them.
INVISIBLE = re.compile("[\0\u200b\u2060\ufeff\u200e\u200f]")
ORDER_WORDS = {"mdy": "month, day, year", "dmy": "day, month, year"}
SHOWN = CHOICES | {
    "policy_type": policy_values.CHOICES["type"], "policy_status": policy_values.STATUSES,
    "payment_status": policy_values.PAYMENT_STATUSES,
}  # fmt: skip
NAMES = {"first_name", "last_name", "name", "city", "country"}


class Cell(NamedTuple):
    """value: what is stored (None: nothing); problem: what is wrong with the cell, in words, or None."""

    value: Any
    problem: str | None = None


NOTHING = Cell(None)


@dataclass(frozen=True)
class Reading:
    """How the cells of a column are read. country: of phone numbers without one; zone: of times without one;
    owners: users' lower-case addresses to their ids; order, decimals: see `dates` and `amounts`."""

    country: str
    zone: ZoneInfo
    today: date
    owners: dict[str, int]
    order: str = "mdy"
    decimals: str = "point"


def reader_of(target: str, reading: Reading) -> Callable[[str], Cell]:
    """Returns the function that reads a cell for a target field. It takes any text and never raises."""
    read = _attribute if target.startswith("attributes.") else READERS[target]
    empty = words.EMPTY if target in NAMES else words.EMPTY | words.EMPTY_BUT_A_NAME

    def read_cell(raw: str) -> Cell:
        text = clean(raw)
        if len(text) < 12 and text.lower() in empty:
            return NOTHING
        return read(text, reading)

    return read_cell


def clean(raw: str) -> str:
    """Returns the text without invisible characters and the space round it."""
    return raw.strip() if raw.isascii() and "\0" not in raw else INVISIBLE.sub("", raw).strip()


def _line(text: str, reading: Reading) -> Cell:
    line = " ".join(text.split())
    return Cell(line) if len(line) <= TEXT_LIMIT else Cell(line[:TEXT_LIMIT], f"Cut to {TEXT_LIMIT} characters.")


def _attribute(text: str, reading: Reading) -> Cell:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) <= ATTRIBUTE_LIMIT:
        return Cell(text)
    return Cell(text[:ATTRIBUTE_LIMIT], f"Cut to {ATTRIBUTE_LIMIT} characters.")


def _external_id(text: str, reading: Reading) -> Cell:
    if text.lower().rstrip(":") in words.TOTALS:
        return Cell(None, "This is the label of a total and not the number of a lead.")
    return _line(text, reading)


def _name(text: str, reading: Reading) -> Cell:
    line, problem = _line(text, reading)
    return Cell(split_name(line), problem)


def _email(text: str, reading: Reading) -> Cell:
    address = read_email(text)
    return Cell(address) if address else Cell(None, "This does not look like an e-mail address.")


def _phone(text: str, reading: Reading) -> Cell:
    number = read_phone(text, reading.country)
    return Cell(number) if number else Cell(None, "This does not look like a phone number.")


def _choice(field: str) -> Callable[[str, Reading], Cell]:
    known, shown = words.CHOICES[field], ", ".join(SHOWN[field])

    def read(text: str, reading: Reading) -> Cell:
        key = " ".join(text.lower().split()).removesuffix(" insurance")
        found = known.get(key) or known.get(key.replace("_", " "))
        return Cell(found) if found else Cell(None, f"This is none of {shown}.")

    return read


def _state(text: str, reading: Reading) -> Cell:
    key = " ".join(text.lower().replace(".", " ").replace(",", " ").split())
    code = key.replace(" ", "").upper()
    if code in words.USPS:
        return Cell(code)
    return Cell(words.STATES[key]) if key in words.STATES else _line(text, reading)


def _country(text: str, reading: Reading) -> Cell:
    if text.upper() in phonenumbers.SUPPORTED_REGIONS:
        return Cell(text.upper())
    known = words.COUNTRIES.get(text.lower())
    return Cell(known) if known else _line(text, reading)


def _timezone(text: str, reading: Reading) -> Cell:
    zone = PLACES.get(text.lower().replace(" ", "_"))
    return Cell(zone) if zone else Cell(None, "This is no time zone we know. Use a name like America/Chicago.")


def _language(text: str, reading: Reading) -> Cell:
    known = words.LANGUAGES.get(text.lower())
    return Cell(known) if known else _line(text, reading)


def _money(text: str, reading: Reading) -> Cell:
    amount = amounts.parse(text, reading.decimals)
    if amount is None:
        return Cell(None, "This is no amount.")
    if not Decimal(0) <= amount < amounts.LIMIT:
        return Cell(None, "Use an amount from 0 to 9,999,999,999.")
    return Cell(amount)


def _date_of_birth(text: str, reading: Reading) -> Cell:
    day = dates.read_date(text, reading.order)
    if day is None:
        return Cell(None, f"This is no date (read as {ORDER_WORDS[reading.order]}).")
    if not date(1900, 1, 1) <= day <= reading.today:
        return Cell(None, "Use a date from 1900 until today.")
    return Cell(day)


def _policy_number(text: str, reading: Reading) -> Cell:
    line = " ".join(text.split())
    if line.lower().rstrip(":") in words.TOTALS:
        return Cell(None, "This is the label of a total and not the number of a policy.")
    if len(line) > policy_values.NUMBER_LIMIT:
        return Cell(None, f"A policy number has at most {policy_values.NUMBER_LIMIT} characters.")
    return Cell(line)


def _policy_date(text: str, reading: Reading) -> Cell:
    day = dates.read_date(text, reading.order)
    if day is None:
        return Cell(None, f"This is no date (read as {ORDER_WORDS[reading.order]}).")
    if not policy_values.FIRST <= day <= policy_values.LAST:
        return Cell(None, "Use a date from 1900 to 2199.")
    return Cell(day)


def _created_at(text: str, reading: Reading) -> Cell:
    moment = dates.read_moment(text, reading.order, reading.zone)
    if moment is None:
        return Cell(None, f"This is no date (read as {ORDER_WORDS[reading.order]}).")
    # The years first: close to the ends of the calendar a moment cannot be put into another zone.
    if not 1970 <= moment.year <= reading.today.year + 1:
        return Cell(None, "Use a date from 1970 until today.")
    moment = moment.astimezone(UTC)
    if moment > datetime.combine(reading.today, datetime.max.time(), UTC) + timedelta(days=1):
        return Cell(None, "This date is in the future.")
    return Cell(moment)


def _tags(text: str, reading: Reading) -> Cell:
    return Cell(clean_tags(" ".join(text.split())) or None)


def _yes_or_no(text: str, reading: Reading) -> Cell:
    word = text.lower()
    if word in words.YES or word in words.NO:
        return Cell(word in words.YES)
    return Cell(None, "This is neither yes nor no.")


def _owner(text: str, reading: Reading) -> Cell:
    owner = reading.owners.get(text.lower())
    return Cell(owner) if owner else Cell(None, "No user of this organisation has this address.")


READERS: dict[str, Callable[[str, Reading], Cell]] = {
    "external_id": _external_id, "name": _name, "first_name": _line, "last_name": _line, "email": _email,
    "phone": _phone, "status": _choice("status"), "priority": _choice("priority"), "source": _line,
    "insurance_type": _choice("insurance_type"), "state": _state, "city": _line, "country": _country,
    "timezone": _timezone, "language": _language, "value_estimate": _money,
    "customer_tier": _choice("customer_tier"), "date_of_birth": _date_of_birth, "tags": _tags, "owner": _owner,
    "created_at": _created_at, "consent_email": _yes_or_no, "consent_sms": _yes_or_no,
    "consent_whatsapp": _yes_or_no, "policy_number": _policy_number, "policy_type": _choice("policy_type"),
    "policy_status": _choice("policy_status"), "premium": _money, "coverage": _money, "started_on": _policy_date,
    "renews_on": _policy_date, "lapsed_on": _policy_date, "next_due_on": _policy_date,
    "payment_status": _choice("payment_status"),
}  # fmt: skip
