"""Bulk actions: one change for many leads, done in the background, seen and left at will."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, select
from sqlalchemy.orm import Mapped, mapped_column

from webapp.audience import bulk_deeds, lead_filters, leads
from webapp.audience.leads import Lead, one_of
from webapp.platform import audit, work
from webapp.platform.clock import now
from webapp.platform.db import Base, Changing, Tenant, child_of, db, of_organization, run
from webapp.platform.errors import Invalid, NotFound, Refused

ACTIONS = ("add_tag", "remove_tag", "assign", "status", "priority", "add_to_segment", "remove_from_segment", "delete")
STATUSES = ("queued", "running", "done", "failed", "cancelled")
WORK = "bulk"
AT_ONCE = 200  # so many are changed while one waits, and can be changed back
NOBODY = "No lead is selected."


class BulkAction(Tenant, Changing, Base):
    __tablename__ = "bulk_actions"
    action: Mapped[str]
    argument: Mapped[dict[str, Any]]  # {"tag": ...} | {"owner_id": ...} | {"status": ...} | {"segment_id": ...}, named
    # Whom: {"ids": [...]} or {"filter": {...}} as the list page has it, up to the id of the newest lead at its start.
    # Done at once, also what stood there before: {"before": {lead id: value}}, and "undone" when it was taken back.
    selection: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default="queued")
    total: Mapped[int | None]
    done: Mapped[int] = mapped_column(server_default="0")
    changed: Mapped[int] = mapped_column(server_default="0")
    last_lead_id: Mapped[int | None]  # leads are worked off by id; a restart goes on behind this one
    node: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[str | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_by: Mapped[int | None]
    __table_args__ = (
        of_organization(),
        child_of("users", "created_by", "SET NULL"),
        one_of("action", ACTIONS),
        one_of("status", STATUSES),
        Index(None, "org_id", "created_at", "id"),
    )

    @property
    def can_be_undone(self) -> bool:
        """True for one that was done at once and stands."""
        return self.status == "done" and bool(self.selection.get("before")) and not self.selection.get("undone")


def chosen(selection: dict[str, Any], *columns: Any) -> Any:
    """Returns the SELECT of some columns of the leads a selection names."""
    wanted = lead_filters.matching(selection.get("filter", {}), *columns)
    if "ids" in selection:
        wanted = wanted.where(Lead.id.in_(selection["ids"]))
    return wanted.where(Lead.id <= selection["upto"]) if "upto" in selection else wanted


def start(
    action: str, argument: dict[str, Any], selection: dict[str, Any], created_by: int | None = None
) -> BulkAction:
    """Changes the selected leads: up to AT_ONCE right now, more of them in the background. selection: {"ids": [...]} or
    {"filter": {filter: chosen, "q": term}}. Returns the action. Raises Invalid at the field that does not do."""
    argument = bulk_deeds.check(action, argument)
    few = list(db.session.scalars(chosen(selection, Lead.id).order_by(Lead.id).limit(AT_ONCE + 1)))
    if not few:
        raise Invalid({"ids": NOBODY}, NOBODY)
    selection = selection | {"upto": db.session.scalar(select(func.max(Lead.id)))}
    made = BulkAction(action=action, argument=argument, selection=selection, created_by=created_by)
    db.session.add(made)
    db.session.flush()
    # Not whom by: what was searched for may be somebody's address, and the log is kept for ever.
    audit.record("leads.bulk", "bulk_action", made.id, after={"action": action, **argument})
    if len(few) <= AT_ONCE:
        _at_once(made, few)
    else:
        work.announce(WORK)
    db.session.flush()
    return made


def _at_once(made: BulkAction, lead_ids: list[int]) -> None:
    before = bulk_deeds.do(made.action, made.argument, lead_ids)
    made.selection = {"ids": lead_ids, "before": before}
    made.status, made.total, made.done, made.changed = "done", len(lead_ids), len(lead_ids), len(before)
    made.started_at = made.finished_at = now()


def get(action_id: int) -> BulkAction:
    """Returns a bulk action of the organisation in scope. Raises NotFound."""
    found = db.session.scalar(select(BulkAction).where(BulkAction.id == action_id))
    if found is None:
        raise NotFound("That action does not exist.")
    return found


def cancel(action: BulkAction) -> None:
    """Stops an action that is not over; the leads it has changed stay changed. Raises Refused where it is over."""
    stopped = run(
        "UPDATE bulk_actions SET status = 'cancelled', node = NULL, lease_until = NULL, finished_at = now(),"
        " updated_at = now() WHERE id = :id AND status IN ('queued', 'running')",
        id=action.id,
    )
    db.session.refresh(action)
    if not stopped:
        raise Refused("This is over already.")


def undo(action: BulkAction) -> int:
    """Takes back what was done at once, where nothing has changed it since. Returns of how many leads. Raises Refused
    where there is nothing to take back, a second time included."""
    db.session.refresh(action, with_for_update=True)
    if not action.can_be_undone:
        raise Refused("This has been taken back already, or cannot be.")
    before = {int(lead_id): was for lead_id, was in action.selection["before"].items()}
    if action.action == "delete":
        undone = leads.restore(list(before))
    else:
        undone = bulk_deeds.undo(action.action, action.argument, before)
    action.selection = action.selection | {"undone": True}
    db.session.flush()
    return undone


def in_words(action: BulkAction) -> str:
    """Returns what an action is, as said on screen."""
    named = action.argument.get("named", "")
    return {
        "add_tag": f"Add the tag “{named}”",
        "remove_tag": f"Remove the tag “{named}”",
        "assign": f"Assign to {named}",
        "status": f"Set the status to {named}",
        "priority": f"Set the priority to {named}",
        "add_to_segment": f"Add to the segment “{named}”",
        "remove_from_segment": f"Remove from the segment “{named}”",
        "delete": "Delete",
    }[action.action]
