"""Marketing campaigns: a template by its name to people by their numbers. Another spelling of /campaigns: the same rows,
the same verbs."""

from datetime import date, datetime, time
from typing import Any

from flask import g
from flask.views import MethodView
from sqlalchemy import select

from webapp.analytics import marketing_report
from webapp.api.face import answer, envelope, needs, paged, room
from webapp.api.marketing_shapes import (
    ActivateQuery,
    ActivationSchema,
    DailySchema,
    MarketingCampaignSchema,
    MarketingHealthSchema,
    MarketingInputSchema,
    MarketingQuery,
    MarketingStatsSchema,
    RecipientsAddedSchema,
    RecipientsInputSchema,
    RecipientsQuery,
)
from webapp.campaigns import briefs, campaigns, forecast, recipients
from webapp.campaigns.campaigns import Campaign
from webapp.messaging.templates import Template
from webapp.platform import work
from webapp.platform.clock import from_local, local, now
from webapp.platform.db import db
from webapp.platform.errors import Invalid
from webapp.platform.organizations import current as current_organization

marketing_api = room("marketing", "/marketing", "Campaigns by template name and phone numbers")
LAST_YEAR = 2199


def _shown(campaign: Campaign, names: dict[int, str]) -> dict[str, Any]:
    plain = ("id", "status", "name", "campaign_type", "daily_send_limit", "priority", "created_at")
    return {field: getattr(campaign, field) for field in plain} | {
        "template_name": names.get(campaign.template_id or 0),
        "target_audience": briefs.audience_of(campaign),
    }


def _names(listed: list[Campaign]) -> dict[int, str]:
    wanted = {campaign.template_id for campaign in listed} - {None}
    return dict(db.session.execute(select(Template.id, Template.name).where(Template.id.in_(wanted))).all())


def _zone() -> str:
    return current_organization().timezone


@marketing_api.route("/campaigns")
class MarketingCampaigns(MethodView):
    @needs("campaigns.view")
    @marketing_api.arguments(MarketingQuery, location="query")
    @marketing_api.response(200, envelope(MarketingCampaignSchema, many=True))
    def get(self, args: dict[str, Any]) -> Any:
        """Lists campaigns, newest first."""
        query = select(Campaign)
        if "status" in args:
            query = query.where(Campaign.status == args["status"])
        listed = paged(query, Campaign.id, args, lambda campaign: campaign)
        names = _names(listed["data"])
        return listed | {"data": [_shown(campaign, names) for campaign in listed["data"]]}

    @needs("campaigns.edit")
    @marketing_api.arguments(MarketingInputSchema)
    @marketing_api.response(201, envelope(MarketingCampaignSchema))
    def post(self, body: dict[str, Any]) -> Any:
        """Makes a draft from a template. On WhatsApp it sends 250 a day unless told otherwise."""
        campaign = briefs.create(body, g.user.id)
        return answer(_shown(campaign, _names([campaign])), "Campaign created")


@marketing_api.route("/campaigns/<int:campaign_id>/stats")
class MarketingStats(MethodView):
    @needs("campaigns.view")
    @marketing_api.response(200, envelope(MarketingStatsSchema))
    def get(self, campaign_id: int) -> Any:
        """Says how far a campaign is."""
        return answer(marketing_report.stats(campaigns.get(campaign_id), _zone()))


@marketing_api.route("/campaigns/<int:campaign_id>/activate")
class Activate(MethodView):
    @needs("campaigns.send")
    @marketing_api.arguments(ActivateQuery, location="query")
    @marketing_api.response(200, envelope(ActivationSchema))
    def post(self, args: dict[str, Any], campaign_id: int) -> Any:
        """Launches a draft, now or on a day, and says which batch goes out on which day."""
        campaign, start = campaigns.get(campaign_id, lock=True), args.get("start_date")
        if start is not None:
            _begin_on(campaign, start)
        campaign = campaigns.launch(campaign_id)
        seen = forecast.forecast(campaign, start)
        schedule = [{"date": day.on, "batch_number": n, "batch_size": day.n} for n, day in enumerate(seen.days, 1)]
        shown = {
            "id": campaign.id,
            "status": campaign.status,
            "estimated_days": len(schedule),
            "estimated_completion_date": seen.ends.get("likely"),
            "schedule": schedule,
        }
        return answer(shown, "Campaign activated")


def _begin_on(campaign: Campaign, start: date) -> None:
    """Lets a draft begin on a day; today means now. Raises Invalid at `start_date`."""
    today = local(now(), _zone()).date()
    if not today <= start or start.year > LAST_YEAR:
        raise Invalid({"start_date": f"Give a day from today ({today}) to the end of {LAST_YEAR}."})
    at_its_day = {"schedule_type": "scheduled", "scheduled_at": from_local(datetime.combine(start, time.min), _zone())}
    campaigns.save(campaign, at_its_day if start > today else {"schedule_type": "immediate"})


DONE = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def _verb(path: str, verb: Any, summary: str) -> None:
    @marketing_api.route(f"/campaigns/<int:campaign_id>/{path}")
    class Verb(MethodView):
        @needs("campaigns.send")
        @marketing_api.doc(summary=summary)
        @marketing_api.response(200, envelope(MarketingCampaignSchema))
        def post(self, campaign_id: int) -> Any:
            campaign = verb(campaign_id)
            return answer(_shown(campaign, _names([campaign])), f"Campaign {DONE[path]}")


_verb("pause", campaigns.pause, "Stops sending within the batches in flight")
_verb("resume", campaigns.resume, "Goes on where a pause stopped")
_verb("cancel", campaigns.cancel, "Ends a campaign; what has not gone out is skipped")


@marketing_api.route("/campaigns/<int:campaign_id>/recipients")
class Recipients(MethodView):
    @needs("campaigns.edit")
    @marketing_api.arguments(RecipientsQuery, location="query")
    @marketing_api.arguments(RecipientsInputSchema)
    @marketing_api.response(200, envelope(RecipientsAddedSchema))
    def post(self, query: dict[str, Any], body: dict[str, Any], campaign_id: int) -> Any:
        """Names people for a campaign that has not begun. The same people named twice are added once."""
        campaign = campaigns.get(campaign_id)
        if not query["use_target_audience"] and "phone_numbers" not in body:
            raise Invalid({"phone_numbers": "Give phone numbers, or ask with ?use_target_audience=true."})
        outcomes = []
        if "phone_numbers" in body:
            evidence = body.get("consent_evidence", "")
            outcomes.append(recipients.add_numbers(campaign, body["phone_numbers"], evidence))
        if query["use_target_audience"]:
            outcomes.append(recipients.add_audience(campaign))
        added = {
            "recipients_added": sum(outcome.added for outcome in outcomes),
            "duplicates": sum(outcome.duplicates for outcome in outcomes),
            "invalid": [number for outcome in outcomes for number in outcome.invalid],
        }
        return answer(added, f"{added['recipients_added']:,} recipients added")


@marketing_api.route("/process-daily")
class ProcessDaily(MethodView):
    @needs("campaigns.send")
    @marketing_api.response(200, envelope(DailySchema))
    def post(self) -> Any:
        """Has the timers look at once at what is due; they do so by themselves too. Says what today holds."""
        for kind in (campaigns.WORK, "plans"):
            work.announce(kind)
        day = marketing_report.today(local(now(), _zone()).date())
        return answer({"campaigns": day.campaigns, "due_today": day.remaining, "sent_today": day.sent})


@marketing_api.route("/health")
class MarketingHealth(MethodView):
    @needs("delivery.view")
    @marketing_api.response(200, envelope(MarketingHealthSchema))
    def get(self) -> Any:
        """Says whether anything waits for a person, and what is going out."""
        return answer(marketing_report.health(_zone()))
