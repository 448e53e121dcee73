"""Segments."""

from typing import Any

import marshmallow as ma
from flask import g
from flask.views import MethodView
from sqlalchemy import select

from webapp.api.face import PageArgs, answer, envelope, needs, paged, room
from webapp.api.leads import LeadSchema
from webapp.api.reading import id_field
from webapp.audience import leads, segments
from webapp.audience.leads import Lead
from webapp.audience.segments import Segment
from webapp.platform.errors import Invalid

segment_api = room("segments", "/segments", "Sets of leads found by rules")


class RuleSchema(ma.Schema):
    field = ma.fields.String(required=True)
    operator = ma.fields.String(required=True)
    value = ma.fields.Raw(required=True, metadata={"description": "one value, or a list for in and not_in"})


class SegmentInputSchema(ma.Schema):
    name = ma.fields.String(validate=ma.validate.Length(1, 120))
    description = ma.fields.String(allow_none=True, validate=ma.validate.Length(max=1000))
    slug = ma.fields.String(validate=ma.validate.Length(1, 80))
    is_active = ma.fields.Boolean()
    is_dynamic = ma.fields.Boolean(validate=ma.validate.Equal(True, error="Static segments cannot be made yet."))
    match_all_rules = ma.fields.Boolean()
    rules = ma.fields.List(ma.fields.Nested(RuleSchema))
    criteria = ma.fields.Dict(metadata={"description": "the rule tree, instead of rules and match_all_rules"})


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
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class EvaluationArgs(ma.Schema):
    lead_id = id_field()


def _values(body: dict[str, Any], segment: Segment | None = None) -> dict[str, Any]:
    values = {k: body[k] for k in ("name", "description", "slug", "is_active") if k in body}
    if "criteria" in body:
        if "rules" in body or "match_all_rules" in body:
            raise Invalid({"criteria": "Give either criteria or rules, not both."})
        values["criteria"] = body["criteria"]
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
        """Makes a dynamic segment."""
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
        return answer(segments.save(segment, _values(body, segment)), "Segment updated")

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
            return answer(
                {"segment_id": segment.id, "lead_id": lead.id, "matches": segments.holds(segment.tree, lead.id)}
            )
        return answer({"segment_id": segment.id, "matching_leads": segments.recount(segment)})


@segment_api.route("/<int:segment_id>/leads")
class SegmentLeads(MethodView):
    @needs("segments.view")
    @segment_api.arguments(PageArgs, location="query")
    @segment_api.response(200, envelope(LeadSchema, many=True))
    def get(self, args: dict[str, Any], segment_id: int) -> Any:
        """Lists the leads that match now."""
        return paged(segments.people(segments.get(segment_id).tree), Lead.id, args, lambda lead: lead)


@segment_api.route("/leads/<int:lead_id>")
class LeadSegments(MethodView):
    @needs("segments.view")
    @segment_api.response(200, envelope(SegmentSchema, many=True))
    def get(self, lead_id: int) -> Any:
        """Lists the active segments a lead is in now."""
        lead = leads.get(lead_id)
        found = [segment for segment in segments.every() if segments.holds(segment.tree, lead.id)]
        return answer(found, total=len(found), page=1, page_size=len(found))
