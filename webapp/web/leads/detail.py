"""One lead, with everything known about them."""

from datetime import datetime
from typing import Any

from flask import redirect, request, url_for
from sqlalchemy import select

from webapp.audience import consents, duplicates, leads, membership, merges, persona_scores, policies, scores, timeline
from webapp.campaigns import campaigns, received
from webapp.platform.clock import local, now
from webapp.platform.db import db
from webapp.platform.errors import NotFound
from webapp.web.leads.fields import LABELS, facts_of, users_named
from webapp.web.leads.room import lead_pages
from webapp.web.shell import needs, render

TIMELINE_PAGE = 15
# kind -> (words, beginnings of the types of its facts)
KINDS = {
    "all": ("All", ()),
    "messages": ("Messages", ("email_", "sms_", "whatsapp_", "message_")),
    "changes": ("Changes", ("lead_", "status_", "consent_", "suppress", "score_", "persona_")),
    "segments": ("Segments", ("segment_",)),
    "policies": ("Policies", ("policy_", "payment_")),
    "calls": ("Calls", ("call_", "callback_")),
}


@lead_pages.get("/<int:lead_id>")
@needs("leads.view")
def detail(lead_id: int) -> Any:
    try:
        lead = leads.get(lead_id)
    except NotFound:
        # An old link to one who was merged shows the lead they are now.
        kept = merges.kept_for(lead_id)
        if kept is None:
            raise
        return redirect(url_for("leads.detail", lead_id=kept))
    return render(
        "leads/detail.html",
        lead=lead,
        shown=facts_of(lead),
        there=local(now(), lead.timezone) if lead.timezone else None,
        policies=policies.of_lead(lead_id),
        consents=consents.of_lead(lead_id),
        channels=consents.CHANNELS,
        suppressed=consents.suppressed_of(lead),
        consent_history=consents.history(lead_id),
        memberships=membership.of_lead(lead_id),
        scores=scores.of_lead(lead_id),
        personas=persona_scores.of_lead(lead_id),
        merged=merges.of_lead(lead_id),
        likely=duplicates.likely(lead),
        **(_timeline(lead_id) | _received(lead_id)),
    )


def _timeline(lead_id: int, before: tuple[datetime, int] | None = None) -> dict[str, Any]:
    kind = request.args.get("kind", "all")
    kind = kind if kind in KINDS else "all"
    beginnings = KINDS[kind][1]
    types = [name for name in timeline.FACTS if name.startswith(beginnings)] if beginnings else None
    found = timeline.of_lead(lead_id, before=before, types=types, limit=TIMELINE_PAGE + 1)
    shown = found[:TIMELINE_PAGE]
    more = f"{shown[-1].occurred_at.isoformat()}~{shown[-1].id}" if len(found) > TIMELINE_PAGE else None
    return {
        "lead_id": lead_id, "facts": shown, "following": more, "kind": kind, "kinds": KINDS,
        "labels": LABELS, "names": _campaign_names(shown), "people": users_named(_people(shown)),
    }  # fmt: skip


def _campaign_names(facts: list[Any]) -> dict[int, str]:
    ids = {fact.campaign_id for fact in facts} - {None}
    wanted = select(campaigns.Campaign.id, campaigns.Campaign.name).where(campaigns.Campaign.id.in_(ids))
    return dict(db.session.execute(wanted).all()) if ids else {}


def _people(facts: list[Any]) -> set[int]:
    """Returns the ids of the users who caused facts, or whom they speak of as owners."""
    actors = (fact.actor.partition(":")[2] for fact in facts if fact.actor)
    changes = (fact.payload.get("changes") or {} for fact in facts if fact.type == "lead_updated")
    owners = (id for pairs in changes for id in pairs.get("owner_id") or ())
    return {int(id) for id in (*actors, *owners) if str(id).isdecimal() and len(str(id)) < 19}


@lead_pages.get("/<int:lead_id>/timeline")
@needs("leads.view")
def timeline_rest(lead_id: int) -> Any:
    """The timeline of one kind; with `before`, what comes behind that."""
    leads.get(lead_id)
    asked = request.args.get("before")
    if asked is None:
        return render("leads/_timeline.html", **_timeline(lead_id))
    try:
        at, _, fact_id = asked.partition("~")
        before = (datetime.fromisoformat(at), int(fact_id))
        if before[0].tzinfo is None or abs(before[1]) >= 2**63:
            raise ValueError(asked)
    except ValueError:
        return redirect(url_for("leads.detail", lead_id=lead_id))
    return render("leads/_facts.html", **_timeline(lead_id, before))


def _received(lead_id: int, before: int | None = None) -> dict[str, Any]:
    found = received.of_lead(lead_id, before=before, limit=received.PAGE + 1)
    shown = found[: received.PAGE]
    return {"lead_id": lead_id, "sends": shown, "sent_before": shown[-1].id if len(found) > received.PAGE else None}


@lead_pages.get("/<int:lead_id>/received")
@needs("leads.view")
def received_rest(lead_id: int) -> Any:
    """The messages before one, as rows."""
    leads.get(lead_id)
    before = request.args.get("before", type=int) or 0
    return render("leads/_received.html", **_received(lead_id, before if 0 < before < 2**63 else None))
