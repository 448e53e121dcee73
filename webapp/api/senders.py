"""Senders. Credentials go in and never come out: an answer says only which are kept."""

from typing import Any

import marshmallow as ma
from flask import current_app
from flask.views import MethodView
from sqlalchemy import select

from webapp.api.face import PageArgs, answer, envelope, needs, paged, room
from webapp.api.reading import id_field
from webapp.messaging import connection_test, credentials, health, sender_figures, sender_reading, senders, warming
from webapp.messaging.sender_fields import FIELDS, PROVIDERS, Field
from webapp.messaging.sender_limits import STATUSES
from webapp.messaging.senders import CHANNELS, Sender
from webapp.platform import clock
from webapp.platform.organizations import current as current_organization

sender_api = room("senders", "/senders", "The identities messages go out under")


class WarmingSchema(ma.Schema):
    started_on = ma.fields.Date()
    first = ma.fields.Integer(strict=True)
    growth = ma.fields.Float()


def _field(field: Field) -> ma.fields.Field:
    options: dict[str, Any] = {"allow_none": not field.required, "metadata": {"description": field.hint or field.label}}
    if field.is_secret:
        return ma.fields.String(load_only=True, **options | {"allow_none": True})
    if field.kind == "port":
        return ma.fields.Integer(strict=True, **options)
    return id_field(**options) if field.kind == "id" else ma.fields.String(**options)


# One schema for all providers: what a provider does not ask for is not looked at.
ASKED = {field.name: field for fields in FIELDS.values() for field in fields if not field.generated}
_Provided = ma.Schema.from_dict({name: _field(field) for name, field in ASKED.items()}, name="ProvidedSchema")


class SenderInputSchema(_Provided):
    name = ma.fields.String()
    address = ma.fields.String(
        allow_none=True, metadata={"description": "From address, or number with its country code"}
    )
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))
    notes = ma.fields.String(allow_none=True)
    daily_limit = ma.fields.Integer(strict=True, allow_none=True)
    rate_per_second = ma.fields.Integer(strict=True, allow_none=True)
    warming = ma.fields.Nested(WarmingSchema, allow_none=True)
    is_default = ma.fields.Boolean()


class NewSenderSchema(SenderInputSchema):
    provider = ma.fields.String(validate=ma.validate.OneOf(PROVIDERS), load_default="smtp")
    channel = ma.fields.String(validate=ma.validate.OneOf(CHANNELS))


class SenderSchema(SenderInputSchema):
    id = ma.fields.Integer()
    provider = ma.fields.String()
    channel = ma.fields.String()
    credentials = ma.fields.List(ma.fields.String(), metadata={"description": "Names of the secrets that are kept"})
    health_score = ma.fields.Integer()
    health_reasons = ma.fields.List(ma.fields.String())
    used_last_24h = ma.fields.Integer()
    limit_today = ma.fields.Integer(allow_none=True)
    held_at = ma.fields.DateTime(allow_none=True)
    hold_reason = ma.fields.String(allow_none=True)
    last_connected_at = ma.fields.DateTime(allow_none=True)
    last_error = ma.fields.String(allow_none=True)
    webhook_address = ma.fields.String()
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class SenderQuery(PageArgs):
    channel = ma.fields.String(validate=ma.validate.OneOf(CHANNELS))


class HoldSchema(ma.Schema):
    reason = ma.fields.String(load_default="", validate=ma.validate.Length(0, 500))


KEPT = (
    "id", "provider", "channel", "held_at", "hold_reason", "last_connected_at", "last_error", "created_at", "updated_at",
    "is_default", "address",
)  # fmt: skip


def _shown(sender: Sender, week: Any = None) -> dict[str, Any]:
    week = week or sender_figures.weeks().get(sender.id)
    condition = health.of(week) if week else health.Health(100, ())
    today = clock.local(clock.now(), current_organization().timezone).date()
    told = sender_reading.written(sender)
    if told["warming"]:
        told["warming"] = told["warming"] | {"started_on": warming.started_on(told["warming"])}
    return told | {name: getattr(sender, name) for name in KEPT} | {
        "credentials": sorted(credentials.still_good(sender.secrets)), "health_score": condition.score,
        "health_reasons": condition.reasons, "used_last_24h": week.used if week else 0,
        "limit_today": warming.daily_limit_on(sender, today),
        "webhook_address": senders.webhook_address(sender, current_app.config["BASE_URL"]),
    }  # fmt: skip


@sender_api.route("")
class Senders(MethodView):
    @needs("senders.view")
    @sender_api.arguments(SenderQuery, location="query")
    @sender_api.response(200, envelope(SenderSchema, many=True))
    def get(self, args: dict[str, Any]) -> Any:
        """Lists senders, newest first."""
        query = select(Sender)
        if "channel" in args:
            query = query.where(Sender.channel == args["channel"])
        weeks = sender_figures.weeks()
        return paged(query, Sender.id, args, lambda sender: _shown(sender, weeks.get(sender.id)))

    @needs("senders.edit")
    @sender_api.arguments(NewSenderSchema)
    @sender_api.response(201, envelope(SenderSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Makes a sender. Which fields a provider needs is said where one is missing."""
        return answer(_shown(senders.save(None, body)), "Sender created")


@sender_api.route("/<int:sender_id>")
class OneSender(MethodView):
    @needs("senders.view")
    @sender_api.response(200, envelope(SenderSchema))
    def get(self, sender_id: int) -> Any:
        """Returns a sender, how it is doing and its webhook address."""
        return answer(_shown(senders.get(sender_id)))

    @needs("senders.edit")
    @sender_api.arguments(SenderInputSchema)
    @sender_api.response(200, envelope(SenderSchema))
    def put(self, body: dict[str, Any], sender_id: int) -> Any:
        """Changes what is given. A secret that is not given, or given empty, stays as it is."""
        return answer(_shown(senders.save(senders.get(sender_id), body)), "Sender updated")

    @needs("senders.edit")
    @sender_api.response(200, envelope(None))
    def delete(self, sender_id: int) -> Any:
        """Deletes a sender no campaign is to send with. What was sent with it stays."""
        senders.remove(senders.get(sender_id))
        return answer(message="Sender deleted")


@sender_api.route("/<int:sender_id>/test")
class Test(MethodView):
    @needs("senders.edit")
    @sender_api.response(200, envelope(None))
    def post(self, sender_id: int) -> Any:
        """Connects to the provider. Returns whether it was reached and what it said, and the same of the mailbox, null
        where there is none."""
        told = connection_test.test(senders.get(sender_id))
        found = {"reachable": told.reached, "provider_said": told.said}
        return answer(found | {"mailbox_readable": told.readable, "mailbox_said": told.mailbox}, "Sender tested")


@sender_api.route("/<int:sender_id>/hold")
class Hold(MethodView):
    @needs("senders.edit")
    @sender_api.arguments(HoldSchema)
    @sender_api.response(200, envelope(SenderSchema))
    def post(self, body: dict[str, Any], sender_id: int) -> Any:
        """Lets a sender send nothing until it is released."""
        sender = senders.get(sender_id)
        senders.hold(sender.id, body["reason"].strip() or "Held by hand.")
        return answer(_shown(senders.get(sender_id)), "Sender held")


def _verb(path: str, verb: Any, summary: str, words: str) -> None:
    @sender_api.route(f"/<int:sender_id>/{path}")
    class Verb(MethodView):
        @needs("senders.edit")
        @sender_api.doc(summary=summary)
        @sender_api.response(200, envelope(SenderSchema))
        def post(self, sender_id: int) -> Any:
            verb(senders.get(sender_id))
            return answer(_shown(senders.get(sender_id)), words)


_verb("release", lambda sender: senders.let_go_on(sender.id), "Lets a held sender send again", "Sender released")
_verb("default", senders.make_default, "Makes it the one its channel uses unless another is chosen", "Default set")
