"""The one place that asks what time it is, so that tests may move it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

ZONES = sorted(available_timezones())


def now() -> datetime:
    """Returns the current time in UTC."""
    return datetime.now(UTC)


def local(moment: datetime, zone: str) -> datetime:
    """Returns `moment` in the named IANA zone (UTC where the name is unknown)."""
    return moment.astimezone(ZoneInfo(zone if zone in ZONES else "UTC"))


def from_local(naive: datetime, zone: str) -> datetime:
    """Returns the UTC instant of a wall-clock time in the named IANA zone."""
    return naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
