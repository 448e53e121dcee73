"""The audit log."""

from typing import Any

from flask import Blueprint
from sqlalchemy import and_, func, select

from webapp.platform.audit import AuditEntry
from webapp.platform.users import User
from webapp.web import filters
from webapp.web.shell import needs
from webapp.web.table import Column, Table

audit_pages = Blueprint("audit", __name__, url_prefix="/audit")


@audit_pages.get("")
@needs("audit.view")
def page() -> Any:
    by = and_(User.org_id == AuditEntry.org_id, User.id == AuditEntry.actor_id)
    table = Table(
        name="audit",
        noun=("entry", "entries"),
        query=select(AuditEntry, User).outerjoin(User, by),
        key=AuditEntry.id,
        columns=(
            Column("action", "What", lambda r: filters.words(r.AuditEntry.action.replace(".", " "))),
            Column("entity", "Which", _entity),
            Column("actor", "Who", lambda r: r.User.name if r.User else ("a superuser" if r.AuditEntry.actor_id else "–")),
            Column("ip", "From", lambda r: r.AuditEntry.ip or "–", wide=True),
            Column("when", "When", lambda r: filters.moment(r.AuditEntry.created_at), AuditEntry.created_at,
                   lambda r: r.AuditEntry.created_at.isoformat()),
        ),
        default_sort="-when",
        empty="Nothing has been done yet.",
        search=lambda term: func.strpos(AuditEntry.action, term.lower()) > 0,
        search_label="Act, like campaign or user",
        can_export=True,
    )  # fmt: skip
    return table.respond(
        "list.html", title="Audit log", summary="Who did what. It can be added to and read, never changed."
    )


def _entity(row: Any) -> str:
    entry = row.AuditEntry
    named = (entry.after or {}).get("name") or (entry.before or {}).get("name") or (entry.after or {}).get("email")
    return f"{entry.entity or ''} {entry.entity_id or ''}" + (f" · {named}" if named else "")
