"""Amounts of money as people write them. Whether 1.234 is a thousand or one and a bit is decided for a column."""

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

PLAIN = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,2})?$")
AMERICAN = re.compile(r"\$?[0-9]{1,3}(?:,[0-9]{3})*\.[0-9]{1,2}$")
MONEY_WORDS = re.compile(r"usd|eur|inr|gbp|chf|rs\.?|[$€£₹¥]|\bfr\.", re.IGNORECASE)
SPACES = re.compile(r"[\s'’_]")
NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*$|[+-]?[.,][0-9]+$")
# Groups of three, or the Indian ones: 12,34,567.
GROUPS = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{3})+$|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3}$")
CENT = Decimal("0.01")
LIMIT = Decimal("1e10")


def decimals_of(values: Iterable[str]) -> str | None:
    """Returns "point" or "comma": which one the amounts of a column put before their cents; None if none tells."""
    votes = {".": 0, ",": 0}
    for value in values:
        digits = _digits(value)
        mark = _decimal_mark(digits) if NUMBER.match(digits) else None
        if mark:
            votes[mark] += 1
    if votes["."] == votes[","]:
        return None
    return "point" if votes["."] > votes[","] else "comma"


def parse(text: str, decimals: str) -> Decimal | None:
    """Returns the amount to the cent, or None if the text is none. decimals: "point" or "comma"."""
    if PLAIN.match(text) and (decimals == "point" or "." not in text):
        return Decimal(text)
    if AMERICAN.match(text):
        return Decimal(text.replace("$", "").replace(",", ""))
    digits = _digits(text)
    if not NUMBER.match(digits):
        return None
    mark = _decimal_mark(digits) or ("." if decimals == "point" else ",")
    whole, _, cents = digits.partition(mark) if digits.count(mark) == 1 else (digits, "", "")
    other = "," if mark == "." else "."
    if mark in whole or other in cents or not _well_grouped(whole.lstrip("+-")):
        return None
    sign = "-" if digits.startswith("-") else ""
    amount = Decimal(f"{sign}{re.sub('[^0-9]', '', whole) or '0'}.{cents or '0'}")
    return amount.quantize(CENT, ROUND_HALF_UP) if abs(amount) < LIMIT else amount


def _digits(text: str) -> str:
    """The number without currency and spaces; a minus behind it or brackets round it become one in front."""
    bare = SPACES.sub("", MONEY_WORDS.sub("", text)).replace("−", "-")
    if bare.startswith("(") and bare.endswith(")"):
        return "-" + bare[1:-1]
    return "-" + bare[:-1] if bare.endswith("-") else bare


def _decimal_mark(digits: str) -> str | None:
    """Which mark stands before the cents, where the number itself leaves no doubt."""
    marks = [character for character in digits if character in ".,"]
    if not marks:
        return None
    last = marks[-1]
    if len(set(marks)) == 2:
        return last if marks.count(last) == 1 else None
    if len(marks) > 1:
        # Two of one kind part the thousands, so the cents would stand behind the other.
        return "," if last == "." else "."
    before, _, behind = digits.lstrip("+-").partition(last)
    grouped = len(behind) == 3 and 1 <= len(before) <= 3 and before[0] != "0"
    return None if grouped else last


def _well_grouped(whole: str) -> bool:
    return whole == "" or whole.isdigit() or bool(GROUPS.match(whole))
