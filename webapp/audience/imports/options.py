"""What a person decides about an import besides the columns, and how that makes the cells readable."""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from sqlalchemy import select

from webapp.audience.consents import CHANNELS
from webapp.audience.imports import joining
from webapp.audience.imports.cells import Cell, Reading, reader_of
from webapp.audience.imports.tables import Import
from webapp.platform.clock import ZONES, local, now
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.organizations import Organization
from webapp.platform.users import User

DUPLICATES = {
    "update": "Take over what the file says",
    "fill": "Only fill what is empty",
    "skip": "Leave known leads as they are",
}
SHARED_PHONES = {
    "apart": "They are two people; the second goes without the number",
    "merge": "They are one person",
}
DEFAULTS = {
    "duplicates": "update",
    "shared_phone": "apart",
    "consent": [],
    "consent_source": "",
    "new_leads": True,
    "segment_id": None,
}
# Of policies: a file about what people hold is no better word on who they are.
OF_KIND: dict[str, dict[str, Any]] = {"leads": {}, "policies": {"duplicates": "fill"}}
MONTH_FIRST = {"US", "PH"}
DECIMAL_POINT = {"US", "GB", "IE", "IN", "CA", "AU", "NZ", "MX", "CN", "JP", "KR", "SG", "HK", "PH", "TH", "CH", "IL"}


def check(options: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Returns the options in full. before: what stands where an option is not given. Raises Invalid at the option."""
    checked = DEFAULTS | before | options
    errors = {}
    if checked.keys() - DEFAULTS.keys() - {"country"}:
        errors["options"] = "There is no such option."
    if checked["duplicates"] not in DUPLICATES:
        errors["duplicates"] = "Choose what happens to leads you have already."
    if checked["shared_phone"] not in SHARED_PHONES:
        errors["shared_phone"] = "Choose what happens where two people share a phone number."
    try:
        checked["segment_id"] = joining.chosen(checked["segment_id"])
    except Invalid as problem:
        errors |= problem.errors
    checked["new_leads"] = bool(checked["new_leads"])
    checked["country"] = str(checked.get("country") or "").upper()
    if checked["country"] not in phonenumbers.SUPPORTED_REGIONS:
        errors["country"] = "Choose the country of the phone numbers."
    checked["consent_source"] = str(checked["consent_source"] or "").replace("\0", "").strip()[:500]
    if not isinstance(checked["consent"], list) or not set(checked["consent"]) <= set(CHANNELS):
        errors["consent"] = f"Choose from {', '.join(CHANNELS)}."
    elif checked["consent"] and not checked["consent_source"]:
        errors["consent_source"] = "Say when and how these people agreed, so that it can be shown later."
    if errors:
        raise Invalid(errors)
    return checked


def owners() -> dict[str, int]:
    """Returns the active users of the organisation in scope: lower-case address -> id."""
    found = db.session.execute(select(User.email_key, User.id).where(User.is_active))
    return {row.email_key: row.id for row in found}


def readers(import_: Import, organization: Organization) -> dict[int, Callable[[str], Cell]]:
    """Returns for each mapped column (by its index) the function that reads its cells."""
    zone = organization.timezone if organization.timezone in ZONES else "UTC"
    country = import_.options["country"]
    shared = {
        "country": country,
        "zone": ZoneInfo(zone),
        "today": local(now(), zone).date(),
        "owners": owners(),
    }
    made = {}
    for place, target in import_.mapping.items():
        if target:
            column = import_.dialect["columns"][int(place)]
            order = column["order"] or ("mdy" if country in MONTH_FIRST else "dmy")
            decimals = column["decimals"] or ("point" if country in DECIMAL_POINT else "comma")
            made[int(place)] = reader_of(target, Reading(**shared, order=order, decimals=decimals))
    return made
