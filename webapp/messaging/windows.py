"""Windows: when somebody may be written to, by the clock on their own wall.

Quiet hours of the organisation, the window of a campaign and holidays are all statements about local time: a minute of
the day, a weekday, a date. A lead whose zone is not known may be written to only when it is allowed in every zone of
their country (the organisation's, where that is not known either).
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from webapp.messaging.hours import Holiday
from webapp.platform.clock import ZONES, now
from webapp.platform.db import db
from webapp.platform.organizations import Organization

DAY = 24 * 60
LOOK_DAYS = 15  # a window that does not open within these is none
KNOWN = frozenset(ZONES)


@dataclass(frozen=True)
class Hours:
    """spans: (from, to) in minutes of the local day, all of which must hold; from > to goes over midnight. days: ISO
    weekdays (1 is Monday), None for all. holidays: (country, date) pairs. country: where nothing is known of a lead."""

    spans: tuple[tuple[int, int], ...] = ()
    days: frozenset[int] | None = None
    holidays: frozenset[tuple[str, date]] = frozenset()
    country: str = "US"

    @property
    def always(self) -> bool:
        """True if nothing is ever closed."""
        return not self.spans and self.days is None and not self.holidays

    @property
    def opens(self) -> int:
        """The minute of the local day at which a day begins."""
        return max((first for first, last in self.spans if first < last), default=0)

    @property
    def closes(self) -> int:
        """The minute of the local day at which a day ends."""
        return min((last for first, last in self.spans if first < last), default=DAY)

    def holds(self, local: datetime) -> bool:
        """True at a local moment inside the spans and on a day of the week that counts."""
        minute = local.hour * 60 + local.minute
        if self.days is not None and local.isoweekday() not in self.days:
            return False
        return all(
            first <= minute < last if first < last else minute >= first or minute < last for first, last in self.spans
        )


@dataclass(frozen=True)
class Opening:
    """How it stands for one person at one moment. zone: whose clock counted; opens_at: UTC, None while it is open and
    where it never opens. reason: "", "quiet_hours" or "holiday"."""

    open: bool
    zone: str
    local: datetime
    opens_at: datetime | None
    reason: str = ""


def minutes(text: Any) -> int | None:
    """Reads "09:30" as a minute of the day ("24:00" is its end); None where it is no time."""
    parts = str(text or "").split(":")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) == 2 for part in parts):
        return None
    hour, minute = int(parts[0]), int(parts[1])
    return hour * 60 + minute if minute < 60 and (hour < 24 or (hour, minute) == (24, 0)) else None


def hours_of(organization: Organization, channel: str, window: dict[str, Any] | None = None) -> Hours:
    """Returns when a channel may be used, a campaign's window ({"from", "to", "days"}) taken into account."""
    spans = []
    for given in ((organization.quiet_hours or {}).get(channel), window):
        first, last = minutes((given or {}).get("from")), minutes((given or {}).get("to"))
        if first is not None and last is not None and first != last and (first, last) != (0, DAY):
            spans.append((first, last))
    days = frozenset((window or {}).get("days") or ()) or None
    return Hours(
        tuple(spans),
        days if days and len(days) < 7 else None,
        frozenset((h.country, h.on_date) for h in _holidays_around()),
        organization.country,
    )


def _holidays_around() -> list[Any]:
    today = now().date()
    near = Holiday.on_date.between(today - timedelta(days=2), today + timedelta(days=LOOK_DAYS + 2))
    return list(db.session.execute(db.select(Holiday.country, Holiday.on_date).where(near)))


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    listed = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    for line in listed.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found.setdefault(country, []).append(zone)
    return {country: tuple(zones) for country, zones in found.items()}


def zones_of(country: str) -> tuple[str, ...]:
    """Returns the zones of a country (two capital letters); UTC where it is not known."""
    return _zones_by_country().get(country, ("UTC",))


@lru_cache(maxsize=1)
def countries() -> tuple[str, ...]:
    """Returns the countries that have zones, as two capital letters each."""
    return tuple(sorted(_zones_by_country()))


def is_open(hours: Hours, zone: str, country: str, moment: datetime) -> bool:
    """True if a person in a zone and a country may be written to at a moment."""
    local = moment.astimezone(ZoneInfo(zone))
    return hours.holds(local) and (country, local.date()) not in hours.holidays


def next_open(hours: Hours, zone: str, country: str, moment: datetime) -> datetime | None:
    """Returns the first moment from `moment` on at which it is open (UTC), to the minute; None within LOOK_DAYS."""
    if is_open(hours, zone, country, moment):
        return moment.astimezone(UTC)
    place = ZoneInfo(zone)
    today = moment.astimezone(place).date()
    starts = sorted({0, *(first for first, _ in hours.spans)})
    for ahead in range(LOOK_DAYS + 1):
        on = today + timedelta(days=ahead)
        for start in starts:
            # An hour that a change of clocks leaves out is taken as the one after it; one it repeats, as its first.
            at = datetime.combine(on, time(start // 60, start % 60), place).astimezone(UTC)
            if at > moment and is_open(hours, zone, country, at):
                return at
    return None


def _next_in_all(hours: Hours, zones: tuple[str, ...], country: str, moment: datetime) -> datetime | None:
    at: datetime | None = moment
    for _ in range(4 * LOOK_DAYS):
        later = [next_open(hours, zone, country, at) for zone in zones]
        if None in later:
            return None
        if max(later) == at.astimezone(UTC):
            return at.astimezone(UTC)
        at = max(later)
        if at - moment > timedelta(days=LOOK_DAYS):
            return None
    return None


def state(
    channel: str,
    lead_timezone: str | None,
    lead_country: str | None,
    organization: Organization,
    send_window: dict[str, Any] | None,
    moment: datetime,
) -> Opening:
    """Returns how it stands for one lead at a moment (UTC)."""
    hours = hours_of(organization, channel, send_window)
    country = lead_country if lead_country in _zones_by_country() else organization.country
    zones = (lead_timezone,) if lead_timezone in KNOWN else zones_of(country)
    shut = [zone for zone in zones if not is_open(hours, zone, country, moment)]
    zone = (shut or zones)[0]
    local = moment.astimezone(ZoneInfo(zone))
    if not shut:
        return Opening(True, zone, local, None)
    reason = "holiday" if (country, local.date()) in hours.holidays and hours.holds(local) else "quiet_hours"
    return Opening(False, zone, local, _next_in_all(hours, zones, country, moment), reason)


@dataclass(frozen=True)
class Clocks:
    """Every zone and country at one moment, as arrays for a statement: key (a zone, or "country:XX"), when it opens
    (where it never does, when to look again), whether it is open, whether it never is, and when the day after opens (for
    who has a holiday)."""

    keys: list[str]
    is_open: list[bool]
    never: list[bool]
    opens_at: list[datetime]
    first_day: list[date]
    last_day: list[date]
    tomorrow: list[datetime]


_clocks: dict[Hours, tuple[datetime, Clocks]] = {}
# Of what was closed: (when it was looked at, when it opens, None for never). It stays so until then.
_openings: dict[tuple[Hours, str], tuple[datetime, datetime | None]] = {}
KEPT = 20_000
AGAIN = timedelta(hours=1)  # what never opens is looked at again: the clocks may change, or a person their mind


def clocks(hours: Hours) -> Clocks:
    """Returns every zone and country as they stand in this minute."""
    moment = now().replace(second=0, microsecond=0)
    kept = _clocks.get(hours)
    if kept is None or kept[0] != moment:
        if len(_clocks) > 200 or len(_openings) > KEPT:
            _clocks.clear()
            _openings.clear()
        kept = _clocks[hours] = (moment, _read_clocks(hours, moment))
    return kept[1]


def _read_clocks(hours: Hours, moment: datetime) -> Clocks:
    plain = replace(hours, holidays=frozenset())  # the statement looks holidays up by itself
    made = Clocks([], [], [], [], [], [], [])
    # What is claimed in this minute may leave in the next one.
    soon = moment + timedelta(minutes=1)
    walls = {zone: moment.astimezone(ZoneInfo(zone)) for zone in ZONES}
    for key, zones in _places():
        local = [walls[zone] for zone in zones]
        is_open_now = all(plain.holds(at) and plain.holds(soon.astimezone(at.tzinfo)) for at in local)
        made.keys.append(key)
        made.is_open.append(is_open_now)
        opens_at = moment if is_open_now else _opening(plain, key, zones, soon)
        made.opens_at.append(opens_at or soon + AGAIN)
        made.never.append(opens_at is None)
        made.first_day.append(min(at.date() for at in local))
        made.last_day.append(max(at.date() for at in local))
        midnight = max(at.replace(hour=0, minute=0) + timedelta(days=1) for at in local).astimezone(UTC)
        after = _opening(plain, f"{key}+", zones, midnight) if hours.holidays else midnight
        made.tomorrow.append(after or midnight)
    return made


@lru_cache(maxsize=1)
def _places() -> list[tuple[str, tuple[str, ...]]]:
    by_country = [(f"country:{country}", zones_of(country)) for country in countries()]
    return [*((zone, (zone,)) for zone in ZONES), *by_country]


def _opening(hours: Hours, key: str, zones: tuple[str, ...], moment: datetime) -> datetime | None:
    looked_at, opens_at = _openings.get((hours, key), (moment, moment))
    stands = opens_at > moment if opens_at is not None else moment - looked_at < AGAIN
    if not stands or moment < looked_at:
        opens_at = _next_in_all(hours, zones, "", moment)
        _openings[hours, key] = moment, opens_at
    return opens_at
