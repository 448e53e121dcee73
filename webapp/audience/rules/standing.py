"""Rules over how a lead stands: their consent for a channel, and the segments they are in."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, bindparam, not_, or_, select

from webapp.audience.consents import STATUSES, Consent
from webapp.audience.leads import Lead
from webapp.audience.membership import SegmentMember
from webapp.audience.rules.asking import Asking, one_of_these
from webapp.audience.rules.field import Field
from webapp.audience.rules.operators import CHOICE, REF, Operator
from webapp.platform.db import db

NEVER = "never asked"
ASKED = ("equals", "not_equals", "in", "not_in")


@dataclass(frozen=True)
class ConsentField(Field):
    """A lead's consent for one channel; who was never asked has no consent row."""

    kind: str = CHOICE
    choices: tuple[str, ...] = (*STATUSES, NEVER)

    @property
    def channel(self) -> str:
        return self.name.partition(".")[2]

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return [o for o in super().operators(with_quiet) if o.name in ASKED]

    def compile(self, operator: Operator, value: Any, asking: Asking) -> ColumnElement[bool]:
        wanted = value if isinstance(value, list) else [value]
        here = Consent.channel == self.channel
        found = [one_of_these(asking.leads_with(Consent, here, Consent.status.in_(set(wanted) - {NEVER})))]
        if NEVER in wanted:
            found.append(not_(one_of_these(asking.leads_with(Consent, here))))
        return not_(or_(*found)) if operator.name.startswith("not_") else or_(*found)

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset({"consent"})

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        row = db.session.scalar(select(Consent).where(Consent.lead_id == lead.id, Consent.channel == self.channel))
        return f"{row.status} since {row.changed_at:%Y-%m-%d}" if row else NEVER


@dataclass(frozen=True)
class SegmentField(Field):
    """Membership of other segments, as stored: each is brought up to date before those that ask about it."""

    kind: str = REF
    refers: str = "segments"

    def operators(self, with_quiet: bool = True) -> list[Operator]:
        return [
            Operator(o.name, {"*": MEMBER[o.name]}, o.kinds, o.compile, o.shape)
            for o in super().operators()
            if o.name in MEMBER
        ]

    def compile(self, operator: Operator, value: Any, asking: Asking) -> ColumnElement[bool]:
        ids = bindparam(None, value, type_=ARRAY(BigInteger()), unique=True)
        inside = asking.leads_with(
            SegmentMember, SegmentMember.segment_id == any_(ids), SegmentMember.exited_at.is_(None)
        )
        return not_(one_of_these(inside)) if operator.name == "not_in" else one_of_these(inside)

    def reads(self, value: Any) -> frozenset[str]:
        return frozenset(f"segment:{segment_id}" for segment_id in value)

    def words(self, operator: Operator, value: Any, names: Any) -> str:
        return f"{'not ' if operator.name == 'not_in' else ''}in {self.shown(operator, value, names)}"

    def evidence(self, lead: Lead, value: Any, asking: Asking) -> str:
        since = db.session.scalar(
            select(SegmentMember.entered_at).where(
                SegmentMember.lead_id == lead.id, SegmentMember.segment_id.in_(value), SegmentMember.exited_at.is_(None)
            ).order_by(SegmentMember.entered_at).limit(1)
        )  # fmt: skip
        return f"a member since {since:%Y-%m-%d}" if since else ""


MEMBER = {"in": "is in any of", "not_in": "is in none of"}
