"""Events: what other systems saw leads do."""

from datetime import UTC
from typing import Any

import marshmallow as ma
from flask.views import MethodView

from webapp.api.face import answer, envelope, needs, problems_by_row, room
from webapp.api.leads import FactSchema
from webapp.api.reading import Row, id_field
from webapp.audience import happenings
from webapp.audience.happenings import Told
from webapp.platform.errors import Invalid, NotFound

event_api = room("events", "/events", "What other systems saw leads do")
NAMED = "one of lead_id, external_id and email"


class EventInputSchema(ma.Schema):
    lead_id = id_field(metadata={"description": f"{NAMED} names the lead"})
    external_id = ma.fields.String(validate=ma.validate.Length(1, 200))
    email = ma.fields.String(validate=ma.validate.Length(1, 254))
    type = ma.fields.String(
        validate=ma.validate.Length(max=60),
        metadata={"description": "a name of your own, like quote_requested: small letters, digits and underscores"},
    )
    payload = ma.fields.Dict(keys=ma.fields.String(), metadata={"description": "at most 10,000 bytes of JSON"})
    occurred_at = ma.fields.AwareDateTime(
        default_timezone=UTC, metadata={"description": "not in the future; now if not given, UTC if it names no zone"}
    )


class EventsInputSchema(EventInputSchema):
    events = ma.fields.List(
        Row(EventInputSchema), validate=ma.validate.Length(1, happenings.LIMIT),
        metadata={"description": "many at once, instead of the fields of one"},
    )  # fmt: skip


class EventResultSchema(ma.Schema):
    index = ma.fields.Integer(metadata={"description": "place of the event in the call, from 0"})
    result = ma.fields.String(validate=ma.validate.OneOf(("recorded", "refused")))
    lead_id = ma.fields.Integer(allow_none=True)
    event = ma.fields.Nested(FactSchema, allow_none=True)
    errors = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())


class EventsSchema(ma.Schema):
    recorded = ma.fields.Integer()
    refused = ma.fields.Integer()
    results = ma.fields.List(ma.fields.Nested(EventResultSchema))


@event_api.route("")
class Events(MethodView):
    @needs("leads.edit")
    @event_api.arguments(EventsInputSchema)
    @event_api.response(201, envelope(EventsSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Writes an event to a lead's timeline, or up to 1,000 of them as `events`.

        Of many, each is taken or refused by itself; one alone that cannot be taken is a problem.
        """
        if "events" not in body:
            return _answer({0: _one(body)})
        if len(body) > 1:
            raise Invalid({"events": "Send either one event or a list of events."})
        good, errors = problems_by_row(EventInputSchema(), body["events"])
        return _answer({place: Told(errors=said) for place, said in errors.items()} | happenings.record(good))


def _one(body: dict[str, Any]) -> Told:
    told = happenings.record({0: body})[0]
    if told.errors == {"lead_id": happenings.NOBODY}:
        raise NotFound(happenings.NOBODY)
    if told.errors:
        raise Invalid(told.errors)
    return told


def _answer(told: dict[int, Told]) -> dict[str, Any]:
    results = [
        {"index": place, "result": "recorded" if one.fact else "refused", "event": one.fact, "errors": one.errors,
         "lead_id": one.fact.lead_id if one.fact else None}
        for place, one in sorted(told.items())
    ]  # fmt: skip
    recorded = sum(1 for row in results if row["event"])
    data = {"recorded": recorded, "refused": len(results) - recorded, "results": results}
    return answer(data, f"{recorded:,} of {len(results):,} recorded")
