"""Leads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import marshmallow as ma
from flask import g
from flask.views import MethodView
from flask_smorest.fields import Upload
from sqlalchemy import select

from webapp.api.face import PAGE_LIMIT, PageArgs, answer, envelope, needs, paged, problems_by_row, room
from webapp.api.reading import Row
from webapp.audience import leads, timeline, upserting
from webapp.audience.imports import imports
from webapp.audience.lead_values import INSURANCE_TYPES, PRIORITIES, STATUSES, TIERS
from webapp.audience.leads import ALIVE, Lead
from webapp.audience.rules.fields import FACT_NAME
from webapp.audience.upserting import Result
from webapp.platform.errors import Invalid

lead_api = room("leads", "/leads", "People we may talk to")
TEXT = {"validate": ma.validate.Length(max=200), "allow_none": True}


def _amount(value: Decimal) -> None:
    # Not to be kept at any scale: 1e-999999999 is within every range one may ask for.
    if value and not -10 <= value.adjusted() <= 10:
        raise ma.ValidationError("Use an amount from 0 to 9,999,999,999.")


class LeadInputSchema(ma.Schema):
    external_id = ma.fields.String(**TEXT)
    first_name = ma.fields.String(**TEXT)
    last_name = ma.fields.String(**TEXT)
    email = ma.fields.String(**TEXT)
    phone = ma.fields.String(**TEXT, metadata={"description": "any usual form; kept as E.164"})
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))
    priority = ma.fields.String(validate=ma.validate.OneOf(PRIORITIES))
    source = ma.fields.String(**TEXT)
    insurance_type = ma.fields.String(validate=ma.validate.OneOf(INSURANCE_TYPES), allow_none=True)
    state = ma.fields.String(**TEXT)
    city = ma.fields.String(**TEXT)
    country = ma.fields.String(**TEXT)
    timezone = ma.fields.String(**TEXT)
    language = ma.fields.String(**TEXT)
    value_estimate = ma.fields.Decimal(allow_none=True, allow_nan=False, validate=_amount)
    customer_tier = ma.fields.String(validate=ma.validate.OneOf(TIERS), allow_none=True)
    date_of_birth = ma.fields.Date(allow_none=True)
    tags = ma.fields.List(ma.fields.String(validate=ma.validate.Length(max=60)), validate=ma.validate.Length(max=100))
    attributes = ma.fields.Dict(keys=ma.fields.String())


class LeadSchema(LeadInputSchema):
    id = ma.fields.Integer()
    owner_id = ma.fields.Integer(allow_none=True)
    value_estimate = ma.fields.Float(allow_none=True)
    score = ma.fields.Integer()
    engagement_score = ma.fields.Integer()
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class LeadQuery(PageArgs):
    q = ma.fields.String(metadata={"description": "the beginning of a name, an e-mail address or a phone number"})
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))


class FactSchema(ma.Schema):
    id = ma.fields.Integer()
    type = ma.fields.String()
    payload = ma.fields.Dict()
    actor = ma.fields.String(allow_none=True)
    occurred_at = ma.fields.DateTime()


class TimelineQuery(ma.Schema):
    types = ma.fields.String(metadata={"description": "kinds of facts, separated by commas; all if not given"})
    page_size = ma.fields.Integer(load_default=PAGE_LIMIT, validate=ma.validate.Range(1, PAGE_LIMIT))
    cursor = ma.fields.String(metadata={"description": "next_cursor of the answer before, for deep reading"})


class BulkInputSchema(ma.Schema):
    leads = ma.fields.List(
        Row(LeadInputSchema), required=True, validate=ma.validate.Length(1, upserting.LIMIT),
        metadata={"description": "what is not given of a known lead stays; null empties a field"},
    )  # fmt: skip
    match_on = ma.fields.List(
        ma.fields.String(validate=ma.validate.OneOf(upserting.KEYS)), load_default=list(upserting.KEYS),
        validate=ma.validate.Length(1, len(upserting.KEYS)),
        metadata={"description": "what a lead is found by; the first that finds one counts"},
    )  # fmt: skip


class BulkRowSchema(ma.Schema):
    index = ma.fields.Integer(metadata={"description": "place of the row in the call, from 0"})
    id = ma.fields.Integer(allow_none=True)
    result = ma.fields.String(validate=ma.validate.OneOf(("created", "updated", "unchanged", "refused")))
    errors = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.String())


class BulkSchema(ma.Schema):
    created = ma.fields.Integer()
    updated = ma.fields.Integer()
    unchanged = ma.fields.Integer()
    refused = ma.fields.Integer()
    results = ma.fields.List(ma.fields.Nested(BulkRowSchema))


class ImportFileSchema(ma.Schema):
    file = Upload(required=True)


class ImportSchema(ma.Schema):
    id = ma.fields.Integer()
    status = ma.fields.String()
    file_name = ma.fields.String()
    mapping = ma.fields.Dict()
    total = ma.fields.Integer()
    created = ma.fields.Integer()
    updated = ma.fields.Integer()
    skipped = ma.fields.Integer()
    failed = ma.fields.Integer()
    message = ma.fields.String(allow_none=True)


@lead_api.route("")
class Leads(MethodView):
    @needs("leads.view")
    @lead_api.arguments(LeadQuery, location="query")
    @lead_api.response(200, envelope(LeadSchema, many=True))
    def get(self, args: dict[str, Any]) -> Any:
        """Lists leads, newest first."""
        query = select(Lead).where(ALIVE)
        if args.get("q", "").strip():
            query = query.where(leads.search(args["q"][:200].replace("\0", "")))
        if "status" in args:
            query = query.where(Lead.status == args["status"])
        return paged(query, Lead.id, args, lambda lead: lead)

    @needs("leads.edit")
    @lead_api.arguments(LeadInputSchema)
    @lead_api.response(201, envelope(LeadSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Adds a lead."""
        return answer(leads.create(body, source="api"), "Lead created")


@lead_api.route("/bulk")
class BulkLeads(MethodView):
    @needs("leads.edit")
    @lead_api.arguments(BulkInputSchema)
    @lead_api.response(200, envelope(BulkSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Adds or changes up to 10,000 leads, each row by itself: one that is refused keeps no other from being taken.

        Two rows of one person are taken in their order. A row whose e-mail address, phone number or external id belongs
        to another lead than the one it was found by is refused. Consents are not changed.
        """
        good, errors = problems_by_row(LeadInputSchema(), body["leads"])
        results = {place: Result("refused", errors=said) for place, said in errors.items()}
        results |= upserting.upsert(good, tuple(dict.fromkeys(body["match_on"])))
        told = [{"index": place, **vars(results[place])} for place in sorted(results)]
        kinds = [row["result"] for row in told]
        counts = {kind: kinds.count(kind) for kind in ("created", "updated", "unchanged", "refused")}
        return answer(counts | {"results": told}, f"{len(told) - counts['refused']:,} of {len(told):,} rows taken")


@lead_api.route("/<int:lead_id>")
class OneLead(MethodView):
    @needs("leads.view")
    @lead_api.response(200, envelope(LeadSchema))
    def get(self, lead_id: int) -> Any:
        """Returns a lead."""
        return answer(leads.get(lead_id))

    @needs("leads.edit")
    @lead_api.arguments(LeadInputSchema)
    @lead_api.response(200, envelope(LeadSchema))
    def put(self, body: dict[str, Any], lead_id: int) -> Any:
        """Changes the fields given, and no others."""
        lead = leads.get(lead_id, lock=True)
        leads.update(lead, body)
        return answer(lead, "Lead updated")

    @needs("leads.edit")
    @lead_api.response(200, envelope(None))
    def delete(self, lead_id: int) -> Any:
        """Deletes a lead; for 30 days it can be restored on the lead page."""
        leads.remove([leads.get(lead_id).id])
        return answer(message="Lead deleted")


@lead_api.route("/<int:lead_id>/timeline")
class LeadTimeline(MethodView):
    @needs("leads.view")
    @lead_api.arguments(TimelineQuery, location="query")
    @lead_api.response(200, envelope(FactSchema, many=True))
    def get(self, args: dict[str, Any], lead_id: int) -> Any:
        """Lists the facts about a lead, newest first; page on with `cursor`."""
        leads.get(lead_id)
        types, size = _types(args.get("types")), args["page_size"]
        before = _place(args["cursor"]) if "cursor" in args else None
        facts = timeline.of_lead(lead_id, before=before, types=types, limit=size + 1)
        more = _cursor(facts[size - 1]) if len(facts) > size else None
        total = timeline.count_of_lead(lead_id, types)
        return answer(facts[:size], total=total, page=1, page_size=size, next_cursor=more)


def _types(said: str | None) -> list[str] | None:
    if said is None:
        return None
    types = [name.strip() for name in said.split(",")]
    if len(types) > 50 or not all(FACT_NAME.fullmatch(name) for name in types):
        raise Invalid({"types": "Give kinds of facts, separated by commas: email_opened,email_clicked."})
    return types


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def _cursor(fact: Any) -> str:
    return f"{(fact.occurred_at - EPOCH) // MICROSECOND}.{fact.id}"


def _place(cursor: str) -> tuple[datetime, int]:
    """Returns (occurred_at, id) of the last fact that was read. Raises Invalid."""
    try:
        at, _, fact_id = cursor.partition(".")
        if not cursor.isascii() or len(cursor) > 40 or not fact_id.isdecimal() or int(fact_id) >= 2**63:
            raise ValueError(cursor)
        return EPOCH + int(at) * MICROSECOND, int(fact_id)
    except (ValueError, OverflowError):
        raise Invalid({"cursor": "This is not a cursor of ours."}) from None


@lead_api.route("/import")
class LeadImport(MethodView):
    @needs("imports.run")
    @lead_api.arguments(ImportFileSchema, location="files")
    @lead_api.response(202, envelope(ImportSchema))
    def post(self, files: dict[str, Any]) -> Any:
        """Imports a CSV or XLSX file with the columns as they are guessed. Read its progress from /leads/import/{id}."""
        upload = files["file"]
        started = imports.start(upload.filename or "import.csv", upload.read(), g.user.id)
        imports.queue(started)
        return answer(started, "Import queued")


@lead_api.route("/import/<int:import_id>")
class LeadImportProgress(MethodView):
    @needs("imports.view")
    @lead_api.response(200, envelope(ImportSchema))
    def get(self, import_id: int) -> Any:
        """Returns how an import stands."""
        return answer(imports.get(import_id))
