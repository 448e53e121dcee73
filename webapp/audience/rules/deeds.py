"""Rules over the timeline: whether a lead did something, how often, when, and in which campaign."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, not_, select

from webapp.audience import timeline
from webapp.audience.leads import Lead
from webapp.audience.rules import values
from webapp.audience.rules.asking import Asking, one_of_these
from webapp.audience.rules.field import Field, Names
from webapp.audience.rules.operators import Operator
from webapp.audience.rules.values import BadValue
from webapp.audience.timeline import LeadEvent
from webapp.platform.db import db

DID = Operator("did", {"*": "at least"}, ("deed",), lambda field, value, asking: field.found(value, asking), "deed")
DID_NOT = Operator(
    "did_not", {"*": "not"}, ("deed",), lambda field, value, asking: not_(field.found(value, asking)), "deed"
)
PARTS = {"times", "within", "before", "campaign_id"}


@dataclass(frozen=True)
class DeedField(Field):
    """A kind of fact. Its value: {"times": 2, "within": "30 days", "before": "7 days", "campaign_id": 5}, all optional:
    at least so many times (once), not longer ago than `within`, longer ago than `before`, about one campaign."""

    kind: str = "deed"

    @property
    def type(self) -> str:
        return self.name.partition(".")[2]

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return [DID, DID_NOT]

    def parse(self, operator: Operator, value: Any) -> dict[str, Any]:
        if not isinstance(value := value or {}, dict) or set(value) - PARTS:
            raise BadValue("Say how often (times), when (within, before) and about which campaign (campaign_id).")
        given = {name: part for name, part in value.items() if part not in (None, "")}
        parsed: dict[str, Any] = {"times": values.whole(given.get("times", 1), 1, 10_000)}
        for name in ("within", "before"):
            if name in given:
                parsed[name] = values.span(given[name])
        if "campaign_id" in given:
            parsed["campaign_id"] = values.row_id(given["campaign_id"])
        if {"within", "before"} <= set(parsed) and parsed["before"].delta >= parsed["within"].delta:
            raise BadValue(f"Nothing is both in the last {parsed['within']} and more than {parsed['before']} ago.")
        return parsed

    def found(self, value: dict[str, Any], asking: Asking) -> ColumnElement[bool]:
        """Returns the condition that a lead did it."""
        did = asking.leads_with(LeadEvent, *self._which(value, asking))
        if value["times"] > 1:
            did = did.group_by(LeadEvent.lead_id).having(func.count() >= value["times"])
        return one_of_these(did)

    def _which(self, value: dict[str, Any], asking: Asking) -> list[ColumnElement[bool]]:
        conditions = [LeadEvent.type == self.type]
        if "within" in value:
            conditions.append(LeadEvent.occurred_at >= asking.now - value["within"].delta)
        if "before" in value:
            conditions.append(LeadEvent.occurred_at < asking.now - value["before"].delta)
        if "campaign_id" in value:
            conditions.append(LeadEvent.campaign_id == value["campaign_id"])
        return conditions

    def is_clocked(self, operator: Operator, value: dict[str, Any]) -> bool:
        return "within" in value or "before" in value

    def widget(self, operator: Operator) -> str:
        return "deed"

    def words(self, operator: Operator, value: dict[str, Any], names: Names) -> str:
        said = f"{self.label[:1].lower()}{self.label[1:]} {self.circumstances(value, names)}".strip()
        return f"did not: {said}" if operator is DID_NOT else said

    def circumstances(self, value: dict[str, Any], names: Names) -> str:
        """Returns how often, when and in which campaign, in words."""
        said = [f"at least {value['times']} times"] if value["times"] > 1 else []
        if "within" in value:
            said.append(f"in the last {value['within']}")
        if "before" in value:
            said.append(f"more than {value['before']} ago")
        if "campaign_id" in value:
            campaign = value["campaign_id"]
            said.append(f"in the campaign {names.get('campaigns', {}).get(campaign, f'number {campaign} (gone)')}")
        return " ".join(said)

    def evidence(self, lead: Lead, value: dict[str, Any], asking: Asking) -> str:
        found: tuple[int, datetime | None] = db.session.execute(
            select(func.count(), func.max(LeadEvent.occurred_at)).where(
                LeadEvent.org_id == asking.org_id, LeadEvent.lead_id == lead.id, *self._which(value, asking)
            )
        ).one()
        times, last = found
        if last is None:
            return "not in that time" if {"within", "before"} & set(value) else "never"
        return f"{times} times, last on {last:%Y-%m-%d}" if times > 1 else f"on {last:%Y-%m-%d}"


# What a rule over the timeline is mostly asked about; any other kind of fact can be named too.
USUAL = tuple(name for name in timeline.FACTS if name not in (*timeline.HOUSEKEEPING, "custom"))


def deed(name: str) -> DeedField:
    """Returns the field of a kind of fact."""
    label = timeline.FACTS.get(name, (name.replace("_", " ").capitalize(), ""))[0]
    return DeedField(f"event.{name}", label, "What they did")
