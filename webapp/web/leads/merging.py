"""Two leads that are one person: found, compared, merged, and taken apart again."""

from typing import Any

from flask import request, url_for
from flask_login import current_user
from sqlalchemy import select

from webapp.audience import consents, duplicates, leads, merges
from webapp.audience.leads import ALIVE, Lead
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.web.leads.fields import LABELS, written
from webapp.web.leads.room import lead_pages
from webapp.web.shell import go, needs, render, say

FOUND = 10


@lead_pages.get("/<int:lead_id>/merge")
@needs("leads.edit")
def merge_search(lead_id: int) -> Any:
    """Search for the other one; before anything is typed, those who are probably it."""
    lead, term = leads.get(lead_id), request.args.get("q", "").strip()[:200]
    wanted = select(Lead).where(ALIVE, Lead.id != lead_id, leads.search(term)).order_by(Lead.name_key, Lead.id)
    found = db.session.scalars(wanted.limit(FOUND)).all() if term else duplicates.likely(lead, FOUND)
    return render("leads/merge_search.html", "leads/_merge_found.html", lead=lead, term=term, found=found)


@lead_pages.get("/<int:lead_id>/merge/<int:other_id>")
@needs("leads.edit")
def merge_page(lead_id: int, other_id: int) -> Any:
    """Both side by side, with the value to keep of each field in which they differ."""
    kept, merged = leads.get(lead_id), leads.get(other_id)
    if kept.id == merged.id:
        raise Invalid(
            {"other": "Choose another lead: this is the same one."}, "Choose another lead: this is the same one."
        )
    return render("leads/merge.html", kept=kept, merged=merged, rows=_compared(kept, merged), **_united(kept, merged))


def _compared(kept: Lead, merged: Lead) -> list[dict[str, Any]]:
    """Returns the fields that either of them has: name, label, what each shows, whether they differ, which to keep."""
    filled, compared = merges.filled(kept, merged), []
    for name in (name for name in LABELS if name in merges.CHOSEN):
        ours, theirs = getattr(kept, name), getattr(merged, name)
        if ours is not None or theirs is not None:
            sides = {"ours": written(kept, name), "theirs": written(merged, name)}
            taken = "merged" if name in filled else "kept"
            compared.append({"name": name, "label": LABELS[name], "differ": ours != theirs, "taken": taken} | sides)
    return compared


def _united(kept: Lead, merged: Lead) -> dict[str, Any]:
    stands = [consents.of_lead(lead.id) for lead in (kept, merged)]
    by_channel = {
        channel: [consents_of.get(channel) and consents_of[channel].status for consents_of in stands]
        for channel in consents.CHANNELS
    }
    return {
        "tags": list(dict.fromkeys([*kept.tags, *merged.tags])),
        "attributes": {**merged.attributes, **kept.attributes},
        "consents": {channel: pair for channel, pair in by_channel.items() if any(pair)},
        "stricter": merges.stricter,
    }


@lead_pages.post("/<int:lead_id>/merge/<int:other_id>")
@needs("leads.edit")
def merge(lead_id: int, other_id: int) -> Any:
    kept, merged = leads.get(lead_id), leads.get(other_id)
    taken = [name for name in merges.CHOSEN if request.form.get(name) == "merged"]
    # Without a choice (a script that posts nothing) the empty ones are filled.
    chosen = any(name in request.form for name in merges.CHOSEN)
    name = merged.name
    done = merges.merge(kept.id, merged.id, taken if chosen else None, current_user.local_id)
    say(f"{name} merged into {kept.name}.", undo=url_for("leads.unmerge", merge_id=done.id))
    return go("leads.detail", lead_id=kept.id)


@lead_pages.post("/merges/<int:merge_id>/undo")
@needs("leads.edit")
def unmerge(merge_id: int) -> Any:
    found = merges.get(merge_id)
    merges.undo(found)
    say("The merge is taken back: they are two leads again.")
    return go("leads.detail", lead_id=found.kept_id)
