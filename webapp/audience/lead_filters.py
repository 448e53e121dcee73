"""The filters of the list of leads as data: a page asks with them, and a bulk action works them off later."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, false, func, select

from webapp.audience import leads
from webapp.audience.lead_values import CHOICES, clean_tags
from webapp.audience.leads import ALIVE, Lead
from webapp.platform import tenancy

NOBODY = "none"  # chosen for leads without an owner


def _equals(column: Any) -> Callable[[str], Any]:
    return lambda chosen: column == chosen


def _begins(column: Any) -> Callable[[str], Any]:
    return lambda typed: func.starts_with(func.lower(column), func.lower(typed))


def _owner(chosen: str) -> Any:
    if chosen == NOBODY:
        return Lead.owner_id.is_(None)
    return Lead.owner_id == int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 19 else false()


def _tag(typed: str) -> Any:
    return Lead.tags.contains(clean_tags([typed]))


FILTERS: dict[str, Callable[[str], Any]] = {
    **{field: _equals(getattr(Lead, field)) for field in CHOICES},
    "owner": _owner,
    "source": _begins(Lead.source),
    "state": _begins(Lead.state),
    "tag": _tag,
}


def conditions(narrowed: dict[str, str]) -> list[Any]:
    """Returns the conditions of a filtered list. narrowed: filter -> what was chosen, and `q` for what was searched.
    A filter that does not exist (any more) matches nobody, so that nothing is done to more leads than were meant."""
    wanted = [FILTERS[name](chosen) if name in FILTERS else false() for name, chosen in narrowed.items() if name != "q"]
    return wanted + ([leads.search(narrowed["q"])] if narrowed.get("q") else [])


def matching(narrowed: dict[str, str], *columns: Any) -> Select:
    """Returns the SELECT of some columns of the leads that a filtered list holds."""
    return select(*columns).where(Lead.org_id == tenancy.current_org(), ALIVE, *conditions(narrowed))
