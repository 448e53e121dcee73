"""How an organisation sends: the limits a person may set, with what holds until they do."""

from dataclasses import dataclass, fields
from typing import Any

from webapp.platform import audit, work
from webapp.platform.errors import Invalid
from webapp.platform.organizations import PLANS, Organization


@dataclass(frozen=True)
class Policy:
    """overdue_hours: what has waited longer than this through a silence of ours goes out only when a person says so.
    error_rate: the fraction of failed (failed, bounced) among at least error_sample of a campaign's or sender's latest
    that pauses it. complaint_rate: the same for complaints. soft_bounces of an address's last soft_window messages
    make it a hard one. calls_per_agent: calls one agent on duty can take in a day.
    """

    overdue_hours: float = 4
    error_rate: float = 0.2
    error_sample: int = 50
    complaint_rate: float = 0.003
    soft_bounces: int = 3
    soft_window: int = 5
    calls_per_agent: int = 40


BOUNDS: dict[str, tuple[float, float]] = {
    "overdue_hours": (0.5, 168),
    "error_rate": (0.01, 1),
    "error_sample": (10, 100_000),
    "complaint_rate": (0.0005, 1),
    "soft_bounces": (1, 20),
    "soft_window": (1, 50),
    "calls_per_agent": (1, 1_000),
}


def of(organization: Organization) -> Policy:
    """Returns an organisation's policy."""
    known = {field.name for field in fields(Policy)}
    return Policy(**{name: value for name, value in (organization.sending_policy or {}).items() if name in known})


def save(organization: Organization, values: dict[str, Any]) -> Policy:
    """Changes some of an organisation's policy. Raises Invalid."""
    errors: dict[str, str] = {}
    clean: dict[str, float] = {}
    for name, given in values.items():
        low, high = BOUNDS[name]
        if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
            errors[name] = f"Give a number from {low:g} to {high:g}."
        else:
            clean[name] = given
    wanted = (organization.sending_policy or {}) | clean
    if not errors and wanted.get("soft_bounces", 3) > wanted.get("soft_window", 5):
        errors["soft_bounces"] = "This cannot be more than the messages looked at."
    if errors:
        raise Invalid(errors)
    before, organization.sending_policy = organization.sending_policy, wanted
    audit.record("organization.sending_policy", "organization", organization.id, before=before, after=wanted)
    work.announce(PLANS)
    return of(organization)
