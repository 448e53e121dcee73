"""Who asks, and when: what a rule needs beside its own value to become SQL."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, bindparam, select, text

from webapp.audience.leads import Lead
from webapp.platform import clock, tenancy
from webapp.platform.organizations import current as current_organization


@dataclass(frozen=True)
class Asking:
    """One question to the database. now: UTC, the same for every rule of it. ids: the only leads in question, or None
    for all; it is passed on into what rules look up elsewhere, so that asking about one lead reads one lead's rows."""

    org_id: int = field(default_factory=lambda: tenancy.current_org() or 0)
    now: datetime = field(default_factory=clock.now)
    ids: tuple[int, ...] | None = None

    @property
    def today(self) -> date:
        """The day it is where the organisation is."""
        return clock.local(self.now, current_organization().timezone).date()

    def leads_with(self, table: Any, *conditions: Any) -> Select:
        """Returns the SELECT of the lead ids of a table's rows that meet the conditions."""
        # The organisation is named although row-level security would do: with the constant the planner knows how many
        # rows to expect, and a cluster spread by organisation knows where to ask.
        query = select(table.lead_id).where(table.org_id == self.org_id, *conditions)
        return query if self.ids is None else query.where(self.only(table.lead_id))

    def only(self, column: Any) -> ColumnElement[bool]:
        """Returns the condition that a column is one of the leads in question."""
        return column == text("ANY(:asked_ids)").bindparams(
            bindparam("asked_ids", list(self.ids or ()), type_=ARRAY(BigInteger()), unique=True)
        )


def one_of_these(query: Select) -> ColumnElement[bool]:
    """Returns the condition that a lead is among the ids of a SELECT: read once, never lead by lead."""
    return Lead.id.in_(query)
