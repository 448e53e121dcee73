"""What the marketing endpoints take and answer."""

import marshmallow as ma

from webapp.api.face import PageArgs
from webapp.campaigns import briefs, recipients
from webapp.campaigns.words import STATUSES


class MarketingInputSchema(ma.Schema):
    name = ma.fields.String(required=True, validate=ma.validate.Length(1, 120))
    template_name = ma.fields.String(required=True, validate=ma.validate.Length(1, 120))
    daily_send_limit = ma.fields.Integer(validate=ma.validate.Range(1, briefs.DAILY_LIMIT))
    priority = ma.fields.Integer(validate=ma.validate.Range(1, 10))
    target_audience = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Raw(allow_none=True),
        allow_none=True,
        metadata={"description": 'field -> value, or a list of any of them: {"customer_tier": "gold"}'},
    )


class MarketingCampaignSchema(ma.Schema):
    id = ma.fields.Integer()
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))
    name = ma.fields.String()
    template_name = ma.fields.String(allow_none=True)
    campaign_type = ma.fields.String()
    daily_send_limit = ma.fields.Integer(allow_none=True)
    priority = ma.fields.Integer()
    target_audience = ma.fields.Dict(keys=ma.fields.String(), values=ma.fields.Raw(allow_none=True))
    created_at = ma.fields.DateTime()


class MarketingStatsSchema(ma.Schema):
    sent = ma.fields.Integer()
    delivered = ma.fields.Integer()
    read = ma.fields.Integer()
    failed = ma.fields.Integer()
    pending = ma.fields.Integer()
    skipped = ma.fields.Integer()
    unknown = ma.fields.Integer()
    progress_percentage = ma.fields.Float()
    estimated_completion_date = ma.fields.Date(allow_none=True)


class ScheduledBatchSchema(ma.Schema):
    date = ma.fields.Date()
    batch_number = ma.fields.Integer()
    batch_size = ma.fields.Integer()


class ActivationSchema(ma.Schema):
    id = ma.fields.Integer()
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))
    estimated_days = ma.fields.Integer()
    estimated_completion_date = ma.fields.Date(allow_none=True)
    schedule = ma.fields.List(ma.fields.Nested(ScheduledBatchSchema))


class RecipientsInputSchema(ma.Schema):
    phone_numbers = ma.fields.List(ma.fields.String(), validate=ma.validate.Length(max=recipients.LIMIT))
    consent_evidence = ma.fields.String(
        validate=ma.validate.Length(1, 500),
        metadata={"description": "How you know that those new to Canvass agreed. Without it they are skipped."},
    )


class RecipientsAddedSchema(ma.Schema):
    recipients_added = ma.fields.Integer()
    duplicates = ma.fields.Integer()
    invalid = ma.fields.List(ma.fields.String())


class DailySchema(ma.Schema):
    campaigns = ma.fields.Integer()
    due_today = ma.fields.Integer()
    sent_today = ma.fields.Integer()


class MarketingHealthSchema(ma.Schema):
    status = ma.fields.String(validate=ma.validate.OneOf(("ok", "attention")))
    active_campaigns = ma.fields.Integer()
    paused_campaigns = ma.fields.Integer()
    held_campaigns = ma.fields.Integer()
    held_senders = ma.fields.Integer()
    pending = ma.fields.Integer()
    sending = ma.fields.Integer()
    unknown = ma.fields.Integer()
    oldest_pending_seconds = ma.fields.Integer()
    sent_today = ma.fields.Integer()


class MarketingQuery(PageArgs):
    status = ma.fields.String(validate=ma.validate.OneOf(STATUSES))


class ActivateQuery(ma.Schema):
    start_date = ma.fields.Date(metadata={"description": "The first day, in the organisation's zone; now if not given"})


class RecipientsQuery(ma.Schema):
    use_target_audience = ma.fields.Boolean(load_default=False)
