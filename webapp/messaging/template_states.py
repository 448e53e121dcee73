"""What providers think of templates: which are approved, and which are held until a person has looked."""

from datetime import datetime

from webapp.messaging.notices import TemplateState
from webapp.platform import audit
from webapp.platform.db import rows, run

MAY_BE_SENT = ("APPROVED", "REINSTATED")
WORDS = {
    "PENDING": "WhatsApp is looking at this template again.",
    "PAUSED": "WhatsApp has paused this template because of its quality.",
    "DISABLED": "WhatsApp has disabled this template.",
    "REJECTED": "WhatsApp has not approved this template.",
    "FLAGGED": "WhatsApp may soon disable this template.",
    "PENDING_DELETION": "This template is being deleted at WhatsApp.",
    "DELETED": "This template was deleted at WhatsApp.",
    "ARCHIVED": "This template was put away at WhatsApp.",
    "LOCKED": "WhatsApp has locked this template.",
}
STOPPED = tuple(WORDS)


def hold(template_id: int, reason: str, at: datetime | None = None) -> bool:
    """Lets nothing more be sent with a template until a person, or its provider, lets it go on. reason: shown to them.
    at: when the provider said so (UTC), now if not given. Returns False where it is held already."""
    held = bool(run(
        "UPDATE templates SET hold_reason = :reason, updated_at = now(),"
        " told_at = GREATEST(told_at, COALESCE(CAST(:at AS timestamptz), date_trunc('second', now())))"
        " WHERE id = :id AND hold_reason IS NULL",
        id=template_id, reason=reason[:1000], at=at,
    ))  # fmt: skip
    if held:
        audit.record("template.held", "template", template_id, after={"reason": reason[:1000]})
    return held


def let_go_on(template_id: int) -> bool:
    """Lets a held template be sent again. Returns False where it was not held."""
    freed = bool(run(
        "UPDATE templates SET hold_reason = NULL, updated_at = now() WHERE id = :id AND hold_reason IS NOT NULL",
        id=template_id,
    ))  # fmt: skip
    if freed:
        audit.record("template.released", "template", template_id)
    return freed


def told(state: TemplateState) -> int:
    """Notes what WhatsApp says of the template of a name and language, and holds it or lets it go on by that. Returns
    how many of our templates it is about; told again, or after something later, it changes nothing."""
    if state.event not in (*MAY_BE_SENT, *STOPPED):
        return 0  # an appeal, a limit reached: it says nothing of whether the template may be sent
    changed = rows(
        "UPDATE templates SET whatsapp = whatsapp || jsonb_build_object('status', CAST(:event AS text)),"
        " told_at = :at, updated_at = now() WHERE COALESCE(told_at, '-infinity') <= :at AND whatsapp ->> 'name' = :name"
        " AND (whatsapp ->> 'language' = :language OR :language = '')"
        " AND (whatsapp ->> 'status' IS DISTINCT FROM :event OR :free AND hold_reason IS NOT NULL) RETURNING id",
        name=state.name, language=state.language, event=state.event, free=state.event in MAY_BE_SENT, at=state.at,
    )  # fmt: skip
    for row in changed:
        audit.record("template.status", "template", row.id, after={"status": state.event, "reason": state.reason})
        if state.event in MAY_BE_SENT:
            let_go_on(row.id)
        elif state.event in STOPPED:
            hold(row.id, " ".join(part for part in (WORDS[state.event], state.reason) if part), state.at)
    return len(changed)
