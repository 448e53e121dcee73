"""Campaigns."""

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import g
from flask.views import MethodView
from sqlalchemy import select

from webapp.analytics import campaign_report
from webapp.api.face import PageArgs, answer, envelope, needs, paged, room
from webapp.api.reading import id_field
from webapp.campaigns import adjusting, campaigns, forecast, plan
from webapp.campaigns.campaigns import Campaign
from webapp.campaigns.words import CATEGORIES, DEADLINES, GOALS, LATE_ACTIONS, STATUSES
from webapp.messaging.senders import CHANNELS
from webapp.messaging.sends import STATUSES as SEND_STATUSES
from webapp.messaging.sends import Send
from webapp.platform import tenancy

SENDS_COUNTED = 10_000
campaign_api = room(
    "campaigns", "/campaigns", "One template to one segment over one channel or several, now or at a time"
)


def _in_our_time(moment: datetime) -> None:
    # Near the ends of the calendar a time falls off it in another zone, and could not be read back.
    if not 2000 <= moment.year < 2200:
        raise ma.ValidationError("Use a time from 2000 to 2199.")


class WindowSchema(ma.Schema):
    """From when to when ("09:00", "18:00") and on which days (Monday is 1) of the lead's own time."""

    class Meta:
        include = {"from": ma.fields.String(required=True)}

    to = ma.fields.String(required=True)
    days = ma.fields.List(ma.fields.Integer(validate=ma.validate.Range(1, 7)), validate=ma.validate.Length(1, 7))


class LimitsSchema(ma.Schema):
    priority = ma.fields.Integer(validate=ma.validate.Range(1, 10))
    daily_send_limit = ma.fields.Integer(
        allow_none=True,
        validate=ma.validate.Range(1),
        metadata={"description": "in a local day; null: none of its own"},
    )
    send_window = ma.fields.Nested(WindowSchema, allow_none=True)
    end_at = ma.fields.AwareDateTime(default_timezone=UTC, allow_none=True, validate=_in_our_time)
    late_action = ma.fields.String(validate=ma.validate.OneOf(LATE_ACTIONS))


class CampaignInputSchema(LimitsSchema):
    name = ma.fields.String(validate=ma.validate.Length(1, 120))
    description = ma.fields.String(allow_none=True)
    segment_id = id_field(allow_none=True)
    template_id = id_field(allow_none=True)
    sender_id = id_field(allow_none=True)
    subject_line = ma.fields.String(allow_none=True)
    preview_text = ma.fields.String(allow_none=True)
    channels = ma.fields.List(
        ma.fields.String(validate=ma.validate.OneOf(CHANNELS)), validate=ma.validate.Length(1, len(CHANNELS)),
        metadata={"description": "in failover order: the next is used where the one before cannot be"},
    )  # fmt: skip
    category = ma.fields.String(validate=ma.validate.OneOf(CATEGORIES), allow_none=True)
    goal = ma.fields.String(validate=ma.validate.OneOf(GOALS), allow_none=True)
    schedule_type = ma.fields.String(validate=ma.validate.OneOf(("immediate", "scheduled")))
    scheduled_at = ma.fields.AwareDateTime(default_timezone=UTC, allow_none=True, validate=_in_our_time)
    deadline_field = ma.fields.String(validate=ma.validate.OneOf(DEADLINES), allow_none=True)
    paced_by_callbacks = ma.fields.Boolean()


class CampaignSchema(CampaignInputSchema):
    id = ma.fields.Integer()
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))
    campaign_type = ma.fields.String()
    target_count = ma.fields.Integer()
    hold_reason = ma.fields.String(allow_none=True)
    started_at = ma.fields.DateTime(allow_none=True)
    paused_at = ma.fields.DateTime(allow_none=True)
    completed_at = ma.fields.DateTime(allow_none=True)
    created_at = ma.fields.DateTime()
    updated_at = ma.fields.DateTime()


class SendSchema(ma.Schema):
    id = ma.fields.Integer()
    lead_id = ma.fields.Integer(allow_none=True)
    channel = ma.fields.String()
    recipient_address = ma.fields.String()
    status = ma.fields.String()
    planned_on = ma.fields.Date(allow_none=True)
    not_before = ma.fields.DateTime()
    wait_reason = ma.fields.String(allow_none=True)
    attempts = ma.fields.Integer()
    skip_reason = ma.fields.String(allow_none=True)
    error_message = ma.fields.String(allow_none=True)
    open_count = ma.fields.Integer()
    click_count = ma.fields.Integer()
    sent_at = ma.fields.DateTime(allow_none=True)
    opened_at = ma.fields.DateTime(allow_none=True)
    clicked_at = ma.fields.DateTime(allow_none=True)


class CampaignQuery(PageArgs):
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))


class SendQuery(PageArgs):
    status = ma.fields.String(validate=ma.validate.OneOf(SEND_STATUSES))
    channel = ma.fields.String(validate=ma.validate.OneOf(CHANNELS))


@campaign_api.route("")
class Campaigns(MethodView):
    @needs("campaigns.view")
    @campaign_api.arguments(CampaignQuery, location="query")
    @campaign_api.response(200, envelope(CampaignSchema, many=True))
    def get(self, args: dict[str, Any]) -> Any:
        """Lists campaigns, newest first."""
        query = select(Campaign)
        if "status" in args:
            query = query.where(Campaign.status == args["status"])
        return paged(query, Campaign.id, args, lambda campaign: campaign)

    @needs("campaigns.edit")
    @campaign_api.arguments(CampaignInputSchema)
    @campaign_api.response(201, envelope(CampaignSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Makes a draft."""
        return answer(campaigns.save(None, {"name": None} | body, g.user.id), "Campaign created")


@campaign_api.route("/<int:campaign_id>")
class OneCampaign(MethodView):
    @needs("campaigns.view")
    @campaign_api.response(200, envelope(CampaignSchema))
    def get(self, campaign_id: int) -> Any:
        """Returns a campaign."""
        return answer(campaigns.get(campaign_id))

    @needs("campaigns.edit")
    @campaign_api.arguments(CampaignInputSchema)
    @campaign_api.response(200, envelope(CampaignSchema))
    def put(self, body: dict[str, Any], campaign_id: int) -> Any:
        """Changes a draft."""
        return answer(campaigns.save(campaigns.get(campaign_id), body), "Campaign updated")

    @needs("campaigns.edit")
    @campaign_api.response(200, envelope(None))
    def delete(self, campaign_id: int) -> Any:
        """Deletes a campaign that is not sending, with its sends and figures."""
        campaigns.remove(campaign_id)
        return answer(message="Campaign deleted")


@campaign_api.route("/<int:campaign_id>/preview")
class Preview(MethodView):
    @needs("campaigns.view")
    @campaign_api.response(200, envelope(None))
    def get(self, campaign_id: int) -> Any:
        """Says how many would get it now and how many would be skipped for which reason."""
        judged = plan.preview(campaigns.get(campaign_id))
        return answer({"recipients": judged.pop(None, 0), "skipped": judged})


def _verb(path: str, verb: Any, summary: str) -> None:
    @campaign_api.route(f"/<int:campaign_id>/{path}")
    class Verb(MethodView):
        @needs("campaigns.send")
        @campaign_api.doc(summary=summary)
        @campaign_api.response(200, envelope(CampaignSchema))
        def post(self, campaign_id: int) -> Any:
            return answer(verb(campaign_id), f"Campaign {path}: done")


_verb("launch", campaigns.launch, "Launches a draft, now or for its time")
_verb("pause", campaigns.pause, "Stops sending within the batches in flight")
_verb("resume", campaigns.resume, "Goes on where a pause stopped")
_verb("cancel", campaigns.cancel, "Ends a campaign; what has not gone out is skipped")


@campaign_api.route("/<int:campaign_id>/adjust")
class Adjust(MethodView):
    @needs("campaigns.send")
    @campaign_api.arguments(LimitsSchema)
    @campaign_api.response(200, envelope(CampaignSchema))
    def post(self, body: dict[str, Any], campaign_id: int) -> Any:
        """Changes the limits of a campaign that is under way; what has not gone out is planned again."""
        return answer(adjusting.adjust(campaign_id, body), "Limits changed")


@campaign_api.route("/<int:campaign_id>/forecast")
class Forecast(MethodView):
    @needs("campaigns.view")
    @campaign_api.response(200, envelope(None))
    def get(self, campaign_id: int) -> Any:
        """Draws the calendar before anything is written: people a day, who is skipped for which reason, the last day if
        the limits of WhatsApp stay (slow), grow as a rule (likely) or at best (fast), and who goes first."""
        made = forecast.forecast(campaigns.get(campaign_id))
        return answer({
            "days": [{"date": day.on.isoformat(), "people": day.n} for day in made.days],
            "sending_days": made.sending_days,
            "recipients": made.recipients,
            "skipped": made.skipped,
            "ends": {growth: on.isoformat() if on else None for growth, on in made.ends.items()},
            "notes": made.notes,
        })  # fmt: skip


@campaign_api.route("/<int:campaign_id>/analytics")
class Analytics(MethodView):
    @needs("campaigns.view")
    @campaign_api.response(200, envelope(None))
    def get(self, campaign_id: int) -> Any:
        """Returns counts and rates (fractions; null where there is nothing to divide by), links and skip reasons."""
        campaign = campaigns.get(campaign_id)
        totals = campaign_report.totals(campaign_id).values
        plain = {
            name: float(v) if name in ("total_revenue", "campaign_cost") and v is not None else v
            for name, v in totals.items()
        }
        plain["last_updated"] = totals["last_updated"].isoformat() if totals["last_updated"] else None
        links = [
            {"url": row.url, "clicks": row.clicks, "people": row.people} for row in campaign_report.links(campaign_id)
        ]
        return answer(plain | {"links": links, "skipped": plan.skipped(campaign)})


@campaign_api.route("/<int:campaign_id>/sends")
class Sends(MethodView):
    @needs("campaigns.view")
    @campaign_api.arguments(SendQuery, location="query")
    @campaign_api.response(200, envelope(SendSchema, many=True))
    def get(self, args: dict[str, Any], campaign_id: int) -> Any:
        """Lists what was sent to whom, and how it went. The total is counted up to 10,000; follow next_cursor beyond."""
        campaigns.get(campaign_id)
        query = select(Send).where(Send.org_id == tenancy.current_org(), Send.campaign_id == campaign_id)
        for name in {"status", "channel"} & args.keys():
            query = query.where(getattr(Send, name) == args[name])
        return paged(query, Send.id, args, lambda send: send, at_most=SENDS_COUNTED)
