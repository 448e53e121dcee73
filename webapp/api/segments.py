"""Segments."""

from typing import Any

import marshmallow as ma
from flask import g
from flask.views import MethodView
from sqlalchemy import select

from webapp.api.face import PageArgs, answer, envelope, needs, paged, room
from webapp.api.leads import LeadSchema
from webapp.api.reading import id_field
from webapp.audience import leads, membership, segments, syncing
from webapp.audience.leads import Lead
from webapp.audience.segments import Segment
from webapp.platform.errors import Invalid

segment_api = room("segments", "/segments", "Sets of leads, found by rules or picked by hand")


class RuleSchema(ma.Schema):
    field = ma.fields.String(required=True)
    operator = ma.fields.String(required=True)
    value = ma.fields.Raw(
        metadata={"description": "what the operator takes: one value, a list, a pair, a span, nothing"}
    )


class SegmentInputSchema(ma.Schema):
    name = ma.fields.String(validate=ma.validate.Length(1, 120))
    description = ma.fields.String(allow_none=True, validate=ma.validate.Length(max=1000))
    slug = ma.fields.String(validate=ma.validate.Length(1, 80))
    is_active = ma.fields.Boolean()
    is_dynamic = ma.fields.Boolean(metadata={"description": "false: members are given by hand; for good"})
    match_all_rules = ma.fields.Boolean()
    rules = ma.fields.List(ma.fields.Nested(RuleSchema))
    criteria = ma.fields.Dict(metadata={"description": "the rule tree, instead of rules and match_all_rules"})
    version = ma.fields.Integer(metadata={"description": "the one you read; refused if it was changed since"})
    segment_type = ma.fields.String(allow_none=True)
    pain_points = ma.fields.List(ma.fields.String(), allow_none=True)
    goals = ma.fields.List(ma.fields.String(), allow_none=True)
    preferred_channels = ma.fields.List(ma.fields.String(), allow_none=True)
    estimated_market_size = ma.fields.Decimal(allow_none=True)
    current_reach = ma.fields.Integer(allow_none=True)
    target_reach = ma.fields.Integer(allow_none=True)
    priority_score = ma.fields.Integer(allow_none=True)


class LeadIdsSchema(ma.Schema):
    lead_ids = ma.fields.List(id_field(), required=True, validate=ma.validate.Length(1, 10_000))


class SegmentSchema(ma.Schema):
    id = ma.fields.Integer()
    name = ma.fields.String()
    slug = ma.fields.String()
    description = ma.fields.String(allow_none=True)
    is_active = ma.fields.Boolean()
    is_dynamic = ma.fields.Boolean()
    match_all_rules = ma.fields.Boolean()
    operator = ma.fields.String()
    rules = ma.fields.Function(lambda s: s.criteria["rules"])
    criteria = ma.fields.Dict()
    estimated_size = ma.fields.Integer()
    last_calculated_at = ma.fields.DateTime(allow_none=True)
    version = ma.fields.Integer()
    segment_type = ma.fields.String(allow_none=True)
    pain_points = ma.fields.List(ma.fields.String(), allow_none=True)
    goals = ma.fields.List(ma.fields.String(), allow_none=True)
    preferred_channels = ma.fields.List(ma.fields.String(), allow_none=True)
    estimated_market_size = ma.fields.Float(allow_none=True)
    current_reach = ma.fields.Integer(allow_none=True)
    target_reach = ma.fields.Integer(allow_none=True)
    priority_score = ma.fields.Integer(allow_none=True)
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class EvaluationArgs(ma.Schema):
    lead_id = id_field()


def _values(body: dict[str, Any], segment: Segment | None = None) -> dict[str, Any]:
    values = {k: v for k, v in body.items() if k not in ("criteria", "rules", "match_all_rules", "version")}
    if "criteria" in body:
        if "rules" in body or "match_all_rules" in body:
            raise Invalid({"criteria": "Give either criteria or rules, not both."})
        values["criteria"] = body["criteria"]
    elif body.get("is_dynamic") is False and not body.get("rules"):
        pass  # picked by hand: no rules
    elif "rules" in body or "match_all_rules" in body or segment is None:
        match_all = body.get("match_all_rules", segment.match_all_rules if segment else True)
        rules = body.get("rules", segment.criteria["rules"] if segment else [])
        values["criteria"] = {"match": "all" if match_all else "any", "rules": rules}
    return values


@segment_api.route("")
class Segments(MethodView):
    @needs("segments.view")
    @segment_api.arguments(PageArgs, location="query")
    @segment_api.response(200, envelope(SegmentSchema, many=True))
    def get(self, args: dict[str, Any]) -> Any:
        """Lists segments, newest first."""
        return paged(select(Segment), Segment.id, args, lambda segment: segment)

    @needs("segments.edit")
    @segment_api.arguments(SegmentInputSchema)
    @segment_api.response(201, envelope(SegmentSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Makes a segment: dynamic by rules, or static with members given by hand."""
        return answer(segments.save(None, _values(body), g.user.id), "Segment created")


@segment_api.route("/<int:segment_id>")
class OneSegment(MethodView):
    @needs("segments.view")
    @segment_api.response(200, envelope(SegmentSchema))
    def get(self, segment_id: int) -> Any:
        """Returns a segment."""
        return answer(segments.get(segment_id))

    @needs("segments.edit")
    @segment_api.arguments(SegmentInputSchema)
    @segment_api.response(200, envelope(SegmentSchema))
    def put(self, body: dict[str, Any], segment_id: int) -> Any:
        """Changes what is given, and nothing else."""
        segment = segments.get(segment_id)
        saved = segments.save(segment, _values(body, segment), g.user.id, body.get("version"))
        return answer(saved, "Segment updated")

    @needs("segments.edit")
    @segment_api.response(200, envelope(None))
    def delete(self, segment_id: int) -> Any:
        """Deletes a segment. Campaigns that used it stay."""
        segments.remove(segments.get(segment_id))
        return answer(message="Segment deleted")


@segment_api.route("/<int:segment_id>/evaluate")
class Evaluation(MethodView):
    @needs("segments.view")
    @segment_api.arguments(EvaluationArgs, location="query")
    @segment_api.response(200, envelope(None))
    def post(self, args: dict[str, Any], segment_id: int) -> Any:
        """Counts who matches now; with lead_id says whether that one does."""
        segment = segments.get(segment_id)
        if "lead_id" in args:
            lead = leads.get(args["lead_id"])
            return answer({"segment_id": segment.id, "lead_id": lead.id, "matches": segments.holds(segment, lead.id)})
        return answer({"segment_id": segment.id, "matching_leads": segments.size_now(segment)})


@segment_api.route("/<int:segment_id>/leads")
class SegmentLeads(MethodView):
    @needs("segments.view")
    @segment_api.arguments(PageArgs, location="query")
    @segment_api.response(200, envelope(LeadSchema, many=True))
    def get(self, args: dict[str, Any], segment_id: int) -> Any:
        """Lists the leads in a segment now."""
        return paged(segments.audience(segments.get(segment_id)), Lead.id, args, lambda lead: lead)

    @needs("segments.edit")
    @segment_api.arguments(LeadIdsSchema)
    @segment_api.response(200, envelope(None))
    def post(self, body: dict[str, Any], segment_id: int) -> Any:
        """Puts leads into a static segment; those in it already stay."""
        segment = segments.picked_by_hand(segment_id)
        added = membership.add(segment, body["lead_ids"])
        return answer({"segment_id": segment.id, "added": added, "size": segment.estimated_size}, "Leads added")

    @needs("segments.edit")
    @segment_api.arguments(LeadIdsSchema)
    @segment_api.response(200, envelope(None))
    def delete(self, body: dict[str, Any], segment_id: int) -> Any:
        """Takes leads out of a static segment."""
        segment = segments.picked_by_hand(segment_id)
        removed = membership.remove(segment, body["lead_ids"])
        return answer({"segment_id": segment.id, "removed": removed, "size": segment.estimated_size}, "Leads removed")


@segment_api.route("/<int:segment_id>/update-memberships")
class Memberships(MethodView):
    @needs("segments.edit")
    @segment_api.response(200, envelope(None))
    def post(self, segment_id: int) -> Any:
        """Brings the stored members of a dynamic segment up to date now. Returns how many came and went."""
        segment = segments.get(segment_id)
        moved = syncing.sync(segment)
        data = {"segment_id": segment.id, "added": moved["segment_entered"], "removed": moved["segment_exited"]}
        return answer(data | {"size": segment.estimated_size}, "Memberships updated")


@segment_api.route("/leads/<int:lead_id>")
class LeadSegments(MethodView):
    @needs("segments.view")
    @segment_api.response(200, envelope(SegmentSchema, many=True))
    def get(self, lead_id: int) -> Any:
        """Lists the active segments a lead is in now."""
        lead = leads.get(lead_id)
        found = [segment for segment in segments.every() if segments.holds(segment, lead.id)]
        return answer(found, total=len(found), page=1, page_size=len(found))
