"""Dates as people write them. Whether 03/04 is in March or in April is decided for a column as a whole."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from webapp.audience.imports.words import MONTHS

ISO = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
NUMERIC = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
DAY_FIRST = re.compile(
    r"(?:[^\W\d]{2,10}\.?,?\s+)?(\d{1,2})(?:st|nd|rd|th|\.)?[\s-]*([^\W\d]{3,9})\.?,?[\s-]*(\d{4}|\d{2})\b"
)
MONTH_FIRST = re.compile(
    r"(?:[^\W\d]{2,10}\.?,?\s+)??([^\W\d]{3,9})\.?[\s-]*(\d{1,2})(?:st|nd|rd|th)?,?[\s-]+(\d{4}|\d{2})\b"
)
CLOCK = re.compile(
    r"[\sT,]*(?:um |at )?(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*([ap]\.?m\.?)?\s*(?:uhr)?\s*"
    r"(z|utc|gmt|[+-]\d{2}:?\d{2})?$",
    re.IGNORECASE,
)
SERIAL = re.compile(r"\d{5}(?:\.\d+)?$")
EXCEL_EPOCH = datetime(1899, 12, 30)  # Excel believes in a 29 February 1900


def order_of(values: Iterable[str]) -> str | None:
    """Returns "mdy" or "dmy" as the numeric dates of a column need it, or None where every one could be either."""
    votes = {"mdy": 0, "dmy": 0}
    for value in values:
        found = NUMERIC.match(value.strip())
        if found:
            first, second, year = int(found[1]), int(found[3]), _year(found[4])
            if first > 12 and _date(year, second, first):
                votes["dmy"] += 1
            elif second > 12 and _date(year, first, second):
                votes["mdy"] += 1
    if votes["mdy"] == votes["dmy"]:
        return None
    return max(votes, key=votes.__getitem__)


def parse(text: str, order: str) -> date | datetime | None:
    """Returns what a text says, or None if it is no date. order: "mdy" or "dmy".

    A datetime where the text has a time of day; it knows its zone only where the text names one.
    """
    day, rest = _day(text, order)
    if day is None or not rest:
        return day
    clock = CLOCK.match(rest)
    if clock is None:
        return None
    at = _clock(clock)
    return at and datetime.combine(day, at)


def read_date(text: str, order: str) -> date | None:
    """Returns the day a text names, or None."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        found = parse(text, order)
    return found.date() if isinstance(found, datetime) else found


def read_moment(text: str, order: str, zone: ZoneInfo) -> datetime | None:
    """Returns the moment a text names, or None. zone: whose clocks are meant where the text does not say."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = parse(text, order)
    if found is None:
        return None
    if not isinstance(found, datetime):
        found = datetime.combine(found, time.min)
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _day(text: str, order: str) -> tuple[date | None, str]:
    """The day a text begins with and what stands behind it."""
    if found := ISO.match(text):
        return _date(int(found[1]), int(found[3]), int(found[4])), text[found.end() :]
    if found := NUMERIC.match(text):
        first, second = int(found[1]), int(found[3])
        # Points are written where the day comes first.
        month, day = (second, first) if order == "dmy" or found[2] == "." else (first, second)
        return _date(_year(found[4]), month, day), text[found.end() :]
    for pattern, month_at, day_at in ((DAY_FIRST, 2, 1), (MONTH_FIRST, 1, 2)):
        if found := pattern.match(text):
            month = MONTHS.get(found[month_at][:3].lower(), 0)
            return _date(_year(found[3]), month, int(found[day_at])), text[found.end() :]
    if SERIAL.match(text) and 10_000 <= float(text) < 80_000:
        return (EXCEL_EPOCH + timedelta(days=int(float(text)))).date(), ""
    return None, ""


def _year(digits: str) -> int:
    if len(digits) == 4:
        return int(digits)
    # A birthday in '68 and a sale in '25: no year of two digits lies ahead of us by more than a year.
    year = 2000 + int(digits)
    return year if year <= date.today().year + 1 else year - 100


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _clock(found: re.Match) -> time | None:
    hour, half = int(found[1]), (found[4] or "")[:1].lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, int(found[2]), int(found[3] or 0), tzinfo=_zone(found[5]))
    except ValueError:
        return None


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    if text[0] not in "+-":
        return UTC
    ahead = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(ahead if text[0] == "+" else -ahead)
