"""Why a lead is in a segment, and why it gets a campaign's message or not."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webapp.api.face import answer, envelope, needs, room
from webapp.api.reading import id_field
from webapp.audience import explaining, leads, segments
from webapp.campaigns import campaigns, why

why_api = room("why", "/leads", "Why a lead is in a segment, or gets a campaign's message")


class WhyArgs(ma.Schema):
    segment_id = id_field()
    campaign_id = id_field()

    @ma.validates_schema
    def _one_of_them(self, data: dict[str, Any], **_: Any) -> None:
        if len(data) != 1:
            raise ma.ValidationError("Name a segment or a campaign.", "segment_id")


@why_api.route("/<int:lead_id>/why")
class Why(MethodView):
    @needs("segments.view")
    @why_api.arguments(WhyArgs, location="query")
    @why_api.response(200, envelope(None))
    def get(self, args: dict[str, Any], lead_id: int) -> Any:
        """Says why a lead is in a segment or not (?segment_id=): each rule true or false, with the value that decided it;
        or why it gets a campaign's message or not (?campaign_id=): each thing that decides, in order."""
        return answer(
            _of_segment(lead_id, args["segment_id"]) if "segment_id" in args else _of_campaign(lead_id, **args)
        )


def _of_segment(lead_id: int, segment_id: int) -> dict[str, Any]:
    lead, segment = leads.get(lead_id), segments.get(segment_id)
    found = explaining.explain(segment, lead)
    return {
        "lead_id": lead.id, "segment_id": segment.id, "matches": found.holds,
        "member_since": found.since.isoformat() if found.since else None, "rules": asdict(found.tree),
    }  # fmt: skip


def _of_campaign(lead_id: int, campaign_id: int) -> dict[str, Any]:
    lead, campaign = leads.get(lead_id), campaigns.get(campaign_id)
    found = why.why(campaign, lead)
    return {
        "lead_id": lead.id, "campaign_id": campaign.id, "outcome": found.outcome,
        "steps": [
            {"name": step.name, "sign": step.sign, "words": step.words, "at": _iso(step.at),
             "more": [{"words": words, "at": _iso(at)} for words, at in step.more]}
            for step in found.steps
        ],
        "rules": asdict(found.rules.tree) if found.rules else None,
    }  # fmt: skip


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
