"""Campaigns: what is said to whom, under which sender and when; and the states they go through."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Index, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience.lead_values import storable
from webapp.audience.leads import one_of
from webapp.campaigns import checking, limits
from webapp.campaigns.words import CATEGORIES, DEADLINES, GOALS, LATE_ACTIONS, MOVES, SCHEDULES, STATUSES, TYPES
from webapp.messaging import outbox, senders, templates
from webapp.platform import audit, work
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, add_unique, child_of, db, of_organization, value
from webapp.platform.errors import Invalid, NotFound, Refused
from webapp.platform.organizations import slugify

WORK = "campaigns"


class Campaign(Tenant, Changing, Base):
    __tablename__ = "campaigns"
    name: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str | None]
    campaign_type: Mapped[str] = mapped_column(server_default="email")
    category: Mapped[str | None]
    goal: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="draft")
    priority: Mapped[int] = mapped_column(server_default="5")
    audience: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    segment_id: Mapped[int | None]
    target_count: Mapped[int] = mapped_column(server_default="0")
    template_id: Mapped[int | None]
    template_version_id: Mapped[int | None]
    subject_line: Mapped[str | None]
    preview_text: Mapped[str | None]
    channels: Mapped[list[str]] = mapped_column(server_default="{email}")
    sender_id: Mapped[int | None]
    schedule_type: Mapped[str] = mapped_column(server_default="immediate")
    scheduled_at: Mapped[datetime | None]
    end_at: Mapped[datetime | None]
    send_window: Mapped[dict[str, Any] | None]
    daily_send_limit: Mapped[int | None]
    # What happens to a message that would come after end_at, or after the lead's own date (deadline_field).
    late_action: Mapped[str] = mapped_column(server_default="skip")
    deadline_field: Mapped[str | None]
    # No more a day than the calls the agents on duty can take (see pacing).
    paced_by_callbacks: Mapped[bool] = mapped_column(server_default="false")
    is_ab_test: Mapped[bool] = mapped_column(server_default="false")
    ab_test_config: Mapped[dict[str, Any] | None]
    is_automated: Mapped[bool] = mapped_column(server_default="false")
    budget: Mapped[Decimal | None]
    cost_per_recipient: Mapped[Decimal | None]
    estimated_cost: Mapped[Decimal | None]
    target_metrics: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    resumed_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    hold_reason: Mapped[str | None]
    created_by: Mapped[int | None]
    __table_args__ = (
        of_organization(),
        child_of("segments", "segment_id", "SET NULL"),
        child_of("templates", "template_id", "SET NULL"),
        child_of("template_versions", "template_version_id", "NO ACTION"),
        child_of("senders", "sender_id", "SET NULL"),
        child_of("users", "created_by", "SET NULL"),
        one_of("campaign_type", TYPES),
        one_of("category", CATEGORIES),
        one_of("goal", GOALS),
        one_of("status", STATUSES),
        one_of("schedule_type", SCHEDULES),
        one_of("late_action", LATE_ACTIONS),
        one_of("deadline_field", DEADLINES),
        CheckConstraint("daily_send_limit > 0", name="daily_send_limit"),
        CheckConstraint("priority BETWEEN 1 AND 10", name="priority"),
        Index(None, "org_id", "slug", unique=True),
        Index(None, "org_id", "status"),
        Index(None, "org_id", "created_at", "id"),
    )


def get(campaign_id: int, *, lock: bool = False) -> Campaign:
    """Returns a campaign of the organisation in scope. lock: until the transaction ends. Raises NotFound."""
    wanted = select(Campaign).where(Campaign.id == campaign_id).execution_options(populate_existing=lock)
    # Not against who merely refers to it: whoever writes a counter or a batch of it would be waited for, and wait for us.
    campaign = db.session.scalar(wanted.with_for_update(key_share=True) if lock else wanted)
    if campaign is None:
        raise NotFound("That campaign does not exist any more.")
    return campaign


def save(campaign: Campaign | None, values: dict[str, Any], created_by: int | None = None) -> Campaign:
    """Adds or changes a draft. values: any of name and SETTABLE; a scheduled_at alone means: at that time. Raises
    Invalid or Refused."""
    if campaign is not None and campaign.status != "draft":
        raise Refused("Only a draft can be changed. Move the campaign back to draft, or make a copy of it.")
    values = {field: storable(value) for field, value in values.items()}
    errors = checking.problems(values, campaign.channels if campaign else None)
    name = (values["name"] or "").strip() if "name" in values else (campaign.name if campaign else "")
    if not name or len(name) > 120:
        errors["name"] = "Give the campaign a name of at most 120 characters."
    if errors:
        raise Invalid(errors)
    wanted = {"name": name} | _as_stored(campaign, {field: values[field] for field in SETTABLE if field in values})
    if campaign is None:
        campaign = Campaign(name=name, created_by=created_by, slug=_free_slug(name))
    at_its_time = "scheduled" if wanted.get("scheduled_at") else campaign.schedule_type or "immediate"
    wanted["schedule_type"] = wanted.get("schedule_type") or at_its_time
    if wanted["schedule_type"] == "immediate":
        wanted["scheduled_at"] = None
    clash = Invalid({"name": "A campaign of that name was saved at this very moment. Look for it first."})
    add_unique(campaign, clash, wanted)
    audit.record("campaign.saved", "campaign", campaign.id, after={"name": name})
    return campaign


SETTABLE = (
    "description", "channels", "segment_id", "template_id", "sender_id", "subject_line", "preview_text",
    "schedule_type", "scheduled_at", "end_at", "send_window", "daily_send_limit", "late_action", "deadline_field",
    "paced_by_callbacks", "priority", "category", "goal",
)  # fmt: skip


def _as_stored(campaign: Campaign | None, values: dict[str, Any]) -> dict[str, Any]:
    """Returns the columns of checked values, with what follows from the channels."""
    standing = list(campaign.channels) if campaign else []
    values = values | ({"deadline_field": values["deadline_field"] or None} if "deadline_field" in values else {})
    channels = values.get("channels") or standing or ["email"]
    stored = values | {"channels": channels, "campaign_type": channels[0] if len(channels) == 1 else "multi_channel"}
    if "send_window" in values:
        stored["send_window"] = limits.cleaned(values["send_window"])
    if channels[0] != (standing or [None])[0]:
        # A sender is for one channel: another first channel begins with its own default.
        stored.setdefault("sender_id", next((s.id for s in senders.usable(channels[0])), None))
        if channels[0] == "whatsapp":
            stored.setdefault("daily_send_limit", limits.WHATSAPP_DAILY)
    return stored


def _free_slug(name: str) -> str:
    base = slugify(name)
    taken = set(db.session.scalars(select(Campaign.slug).where(Campaign.slug.startswith(base))))
    return base if base not in taken else next(s for n in range(2, 10**6) if (s := f"{base}-{n}") not in taken)


def move(campaign: Campaign, status: str) -> None:
    """Moves a campaign from state to state. Raises Refused for a move that does not exist."""
    if status not in MOVES[campaign.status]:
        if status == campaign.status:
            raise Refused(f"This campaign is {status} already.")
        raise Refused(f"A campaign that is {campaign.status} cannot become {status}.")
    audit.record(f"campaign.{status}", "campaign", campaign.id, before={"status": campaign.status})
    campaign.status = status
    db.session.flush()


def launch(campaign_id: int) -> Campaign:
    """Freezes the message of a draft and hands it to the scheduler, for now or for its time. Raises Invalid, Refused."""
    campaign = get(campaign_id, lock=True)
    if campaign.status != "draft":
        raise Refused(f"This campaign is {campaign.status} already.")
    if errors := checking.missing(campaign):
        raise Invalid(errors, "The campaign is not complete yet.")
    campaign.template_version_id = templates.latest_version(templates.get(campaign.template_id)).id
    campaign.scheduled_at = campaign.scheduled_at or now()
    move(campaign, "scheduled")
    work.announce(WORK, campaign.scheduled_at)
    return campaign


def unschedule(campaign_id: int) -> Campaign:
    """Takes a scheduled campaign back to draft. Raises Refused once it has started."""
    campaign = get(campaign_id, lock=True)
    move(campaign, "draft")
    if campaign.schedule_type == "immediate":
        campaign.scheduled_at = None
    return campaign


def pause(campaign_id: int) -> Campaign:
    """Stops sending within the batches in flight. Raises Refused unless it is active."""
    campaign = get(campaign_id, lock=True)
    move(campaign, "paused")
    campaign.paused_at = now()
    return campaign


def resume(campaign_id: int) -> Campaign:
    """Goes on where a pause stopped. Raises Refused unless it is paused, and where what it needs was deleted."""
    campaign = get(campaign_id, lock=True)
    if campaign.status != "paused":
        raise Refused(f"A campaign that is {campaign.status} cannot be resumed.")
    # Once it is planned its recipients are named, and the segment may go; a sender it needs to the end.
    named = "SELECT EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = :id)"
    for_nobody = campaign.segment_id is None and not campaign.audience and not value(named, id=campaign.id)
    if for_nobody and campaign.started_at is None:
        raise Refused("Its segment was deleted before it started, so it would reach nobody. Make a copy with another.")
    if campaign.sender_id is None:
        raise Refused("Its sender was deleted. Make a copy with another.")
    move(campaign, "active")
    campaign.paused_at = campaign.hold_reason = None
    campaign.resumed_at = now()
    work.announce(WORK)
    work.announce("plans")
    return campaign


def cancel(campaign_id: int) -> Campaign:
    """Ends a campaign for good; what has not gone out is skipped and says so. Raises Refused where it has ended."""
    campaign = get(campaign_id, lock=True)
    move(campaign, "cancelled")
    campaign.completed_at = now()
    outbox.cancel(campaign_id)
    return campaign


def archive(campaign_id: int) -> Campaign:
    """Puts an ended campaign away. Raises Refused while it has not ended."""
    campaign = get(campaign_id, lock=True)
    move(campaign, "archived")
    return campaign


def clone(campaign: Campaign, created_by: int | None) -> Campaign:
    """Returns a new draft like an existing campaign."""
    copied = {field: getattr(campaign, field) for field in SETTABLE} | {
        "schedule_type": "immediate",
        "scheduled_at": None,
        "end_at": campaign.end_at if campaign.end_at and campaign.end_at > now() else None,
    }
    return save(None, {"name": f"{campaign.name[:110]} (copy)", **copied}, created_by)


def remove(campaign_id: int) -> None:
    """Deletes a campaign with its sends and figures. Raises Refused while it may still send."""
    campaign = get(campaign_id, lock=True)
    if campaign.status in ("scheduled", "active", "paused"):
        raise Refused("Cancel the campaign before deleting it.")
    audit.record("campaign.deleted", "campaign", campaign.id, before={"name": campaign.name, "status": campaign.status})
    db.session.delete(campaign)
    db.session.flush()


def to_segment(segment_id: int) -> list[Campaign]:
    """Returns the campaigns sent, or to be sent, to a segment, the newest first."""
    wanted = select(Campaign).where(Campaign.segment_id == segment_id).order_by(Campaign.created_at.desc())
    return list(db.session.scalars(wanted.limit(50)))
