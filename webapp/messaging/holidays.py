"""Holidays: days on which nobody of a country is written to, kept by hand or taken from the calendar of the country."""

from datetime import date

import holidays as calendars
from phonenumbers import SUPPORTED_REGIONS
from sqlalchemy import func, select

from webapp.messaging.hours import Holiday
from webapp.platform import audit, clock, organizations
from webapp.platform.db import add_unique, db, rows
from webapp.platform.errors import Invalid, NotFound

YEARS = (2000, 2199)
# The countries a lead may live in, and those of the calendars.
COUNTRIES: tuple[str, ...] = tuple(sorted(code for code in calendars.list_supported_countries() if len(code) == 2))
KNOWN = {*COUNTRIES, *SUPPORTED_REGIONS}


def every(country: str | None = None, year: int | None = None) -> list[Holiday]:
    """Returns the kept holidays, of a country or a year if asked, by date."""
    wanted = select(Holiday).order_by(Holiday.on_date, Holiday.country)
    if country:
        wanted = wanted.where(Holiday.country == country)
    if year:
        wanted = wanted.where(func.extract("year", Holiday.on_date) == year)
    return list(db.session.scalars(wanted))


def upcoming() -> list[Holiday]:
    """Returns the holidays from a month ago on, by date; what is long past is of no use on a page."""
    since = clock.now().date().replace(day=1)
    return list(
        db.session.scalars(select(Holiday).where(Holiday.on_date >= since).order_by(Holiday.on_date, Holiday.country))
    )


def add(country: str, on: date | None, name: str) -> Holiday:
    """Keeps a holiday. Raises Invalid."""
    country, name = (country or "").strip().upper(), " ".join((name or "").split())
    errors = _country_problem(country)
    if on is None or not YEARS[0] <= on.year <= YEARS[1]:
        errors["on_date"] = f"Give a day from {YEARS[0]} to {YEARS[1]}."
    if not name or len(name) > 120:
        errors["name"] = "Give a name of at most 120 characters."
    if errors:
        raise Invalid(errors)
    made = Holiday(country=country, on_date=on, name=name)
    add_unique(made, Invalid({"on_date": "This day is a holiday there already."}))
    audit.record("holiday.added", "holiday", made.id, after={"country": country, "on": on.isoformat(), "name": name})
    organizations.changed()
    return made


def _country_problem(country: str) -> dict[str, str]:
    return {} if country in KNOWN else {"country": "Give a country as its two letters, such as US."}


def add_public(country: str, year: int | None) -> int:
    """Keeps the public holidays of a country in a year that are not kept yet. Returns how many came. Raises Invalid."""
    country = (country or "").strip().upper()
    errors = _country_problem(country)
    if not errors and country not in COUNTRIES:
        errors["country"] = "We have no calendar of this country. Add its holidays by hand."
    if year is None or not YEARS[0] <= year <= YEARS[1]:
        errors["year"] = f"Give a year from {YEARS[0]} to {YEARS[1]}."
    if errors:
        raise Invalid(errors)
    found = sorted(calendars.country_holidays(country, years=year).items())
    came = rows(
        "INSERT INTO holidays (country, on_date, name) SELECT :country, f.on_date, f.name"
        " FROM unnest(CAST(:days AS date[]), CAST(:names AS text[])) AS f (on_date, name)"
        " ON CONFLICT (org_id, country, on_date) DO NOTHING RETURNING id",
        country=country, days=[day for day, _ in found], names=[name[:120] for _, name in found],
    )  # fmt: skip
    if came:
        audit.record("holidays.taken", "holiday", after={"country": country, "year": year, "days": len(came)})
        organizations.changed()
    return len(came)


def remove(holiday_id: int) -> Holiday:
    """Forgets a holiday. Returns what it was. Raises NotFound."""
    found = db.session.scalar(select(Holiday).where(Holiday.id == holiday_id))
    if found is None:
        raise NotFound("That holiday is not kept any more.")
    audit.record("holiday.removed", "holiday", found.id, before={"country": found.country, "on": str(found.on_date)})
    db.session.delete(found)
    db.session.flush()
    organizations.changed()
    return found
