"""Recipients: the frozen audience of a campaign, and those named for it before it begins."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Index, func, literal, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import merges, segments, timeline
from webapp.audience.consents import EVIDENCE_LIMIT, verdict, verdict_joins
from webapp.audience.imports.phones import read_phone
from webapp.audience.leads import Lead, one_of
from webapp.audience.rules.tree import parse
from webapp.platform import audit, tenancy
from webapp.platform.db import Base, Tenant, child_of, db, rows, run, value
from webapp.platform.errors import Invalid, Refused
from webapp.platform.organizations import current as current_organization

LIMIT = 100_000  # numbers of one call


class CampaignRecipient(Tenant, Base):
    """The frozen audience: one row for each lead the campaign was meant for, reached or not."""

    __tablename__ = "campaign_recipients"
    campaign_id: Mapped[int]
    lead_id: Mapped[int]
    variant: Mapped[str] = mapped_column(server_default="")
    planned_on: Mapped[date | None]
    # added: named before the campaign began (by the API, by a file); planned or skipped once it has.
    state: Mapped[str]
    channel: Mapped[str | None]
    skip_reason: Mapped[str | None]
    __table_args__ = (
        child_of("campaigns", "campaign_id"),
        child_of("leads", "lead_id"),
        one_of("state", ("added", "planned", "skipped")),
        Index(None, "org_id", "campaign_id", "lead_id", unique=True),
        Index(None, "org_id", "lead_id"),
    )


merges.follows("campaign_recipients")


@dataclass(frozen=True)
class Added:
    """What came of naming people. duplicates: named twice, or there already; invalid: what is no phone number."""

    added: int
    duplicates: int
    invalid: list[str] = field(default_factory=list)


def count(campaign_id: int) -> int:
    """Returns how many people have been named for a campaign that has not begun."""
    return value(
        "SELECT count(*) FROM campaign_recipients WHERE org_id = :org AND campaign_id = :id AND state = 'added'",
        org=tenancy.current_org(), id=campaign_id,
    )  # fmt: skip


def add_numbers(campaign: Any, numbers: Iterable[str], consent_evidence: str = "") -> Added:
    """Names people for a campaign by their phone numbers, read as in the organisation's country. A number nobody has
    becomes a lead.

    consent_evidence: how one knows that those who become leads by this agreed to the campaign's channel; a consent that
    stands already never changes, and without one they are skipped. Raises Invalid, and Refused once it has begun.
    """
    channel = _open(campaign)
    if channel == "email":
        raise Invalid({"phone_numbers": "This campaign sends e-mail. Phone numbers are for SMS and WhatsApp."})
    evidence = consent_evidence.strip()
    if len(evidence) > EVIDENCE_LIMIT:
        raise Invalid({"consent_evidence": f"Use at most {EVIDENCE_LIMIT} characters."})
    country, given, invalid, phones = current_organization().country, 0, [], set()
    for given, number in enumerate(numbers, 1):  # noqa: B007 - how many there were
        phone = read_phone(number.strip(), country) if len(number) <= 60 else None
        if phone is None:
            invalid.append(number)
        else:
            phones.add(phone)
    if given > LIMIT:
        raise Invalid({"phone_numbers": f"Send at most {LIMIT:,} numbers in one call."})
    made = _make_leads(sorted(phones))
    if evidence and made:
        _subscribe(made, channel, evidence)
    added = run(
        "INSERT INTO campaign_recipients (campaign_id, lead_id, state) SELECT :campaign, l.id, 'added' FROM leads l"
        " WHERE l.org_id = :org AND l.phone = ANY(:phones) AND l.deleted_at IS NULL ORDER BY l.id"
        " ON CONFLICT (org_id, campaign_id, lead_id) DO NOTHING",
        campaign=campaign.id, org=tenancy.current_org(), phones=list(phones),
    )  # fmt: skip
    return _told(campaign, Added(added, given - len(invalid) - added, invalid), new_leads=len(made))


def add_audience(campaign: Any) -> Added:
    """Names everybody of a campaign's segment and audience rules who may be reached over its channel now. Raises
    Invalid where it has neither, and Refused once it has begun."""
    channel = _open(campaign)
    rules = (campaign.audience or {}).get("rules")
    if not rules and not campaign.segment_id:
        raise Invalid({"target_audience": "This campaign has no target audience."})
    added = found = 0
    for chosen in _chosen(campaign, rules):
        joined: Any = Lead.__table__
        for table, condition in verdict_joins(channel, "leads"):
            joined = joined.outerjoin(db.metadata.tables[table], text(condition))
        reachable = chosen.select_from(joined).where(literal_column(verdict(channel, "leads")).is_(None))
        people = reachable.add_columns(literal(campaign.id), literal("added")).order_by(Lead.id)
        named = insert(CampaignRecipient).from_select(["lead_id", "campaign_id", "state"], people)
        written = named.on_conflict_do_nothing().returning(CampaignRecipient.id).cte("written")
        added += db.session.scalar(select(func.count()).select_from(written))
        found += db.session.scalar(select(func.count()).select_from(reachable.subquery()))
    return _told(campaign, Added(added, found - added))


def _chosen(campaign: Any, rules: Any) -> list[Any]:
    chosen = [segments.people(parse(rules), Lead.id)] if rules else []
    return chosen + ([segments.audience(segments.get(campaign.segment_id), Lead.id)] if campaign.segment_id else [])


def _open(campaign: Any) -> str:
    """Returns the channel of a campaign that has not begun, and keeps it from beginning until the transaction ends."""
    status = value("SELECT status FROM campaigns WHERE org_id = :org AND id = :id FOR NO KEY UPDATE",
                   org=tenancy.current_org(), id=campaign.id)  # fmt: skip
    if status not in ("draft", "scheduled"):
        raise Refused(f"This campaign is {status}: people are named before it begins. Make a copy of it for them.")
    return campaign.channels[0]


def _make_leads(phones: list[str]) -> list[int]:
    """Makes leads of the numbers nobody has. Returns their ids."""
    if not phones:
        return []
    made = rows(
        "INSERT INTO leads (phone, source, last_activity_at) SELECT p, 'api', now() FROM unnest(CAST(:phones AS text[])) p"
        " WHERE NOT EXISTS (SELECT FROM leads l WHERE l.org_id = :org AND l.phone = p AND l.deleted_at IS NULL)"
        " ORDER BY p ON CONFLICT (org_id, phone) WHERE deleted_at IS NULL DO NOTHING RETURNING id",
        phones=phones, org=tenancy.current_org(),
    )  # fmt: skip
    ids = [row.id for row in made]
    if ids:
        told = "SELECT id, jsonb_build_object('source', 'api') FROM unnest(CAST(:ids AS bigint[])) id ORDER BY id"
        timeline.record_select("lead_created", told, ids=ids)
    return ids


def _subscribe(lead_ids: list[int], channel: str, evidence: str) -> None:
    """Keeps that new leads agreed. An address that is barred stays so: this is not its owner's own later word."""
    said = {"ids": lead_ids, "channel": channel, "evidence": evidence}
    run(
        "INSERT INTO consents (lead_id, channel, status, source, evidence) SELECT id, :channel, 'subscribed', 'api',"
        " :evidence FROM unnest(CAST(:ids AS bigint[])) id ORDER BY id ON CONFLICT (org_id, lead_id, channel) DO NOTHING",
        **said,
    )
    timeline.record_select(
        "consent_changed",
        "SELECT id, jsonb_build_object('channel', CAST(:channel AS text), 'to', 'subscribed', 'source', 'api', 'evidence',"
        " CAST(:evidence AS text)) FROM unnest(CAST(:ids AS bigint[])) id ORDER BY id",
        **said,
    )


def _told(campaign: Any, outcome: Added, **more: int) -> Added:
    if outcome.added:
        audit.record("campaign.recipients_added", "campaign", campaign.id, after={"added": outcome.added, **more})
    return outcome
