"""Campaigns, their recipients, sends, links, receipts and counters."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import grant, secure

revision = "0004"
down_revision = "0003"

TABLES = (
    "campaigns",
    "campaign_recipients",
    "campaign_analytics",
    "campaign_daily",
    "links",
    "sends",
    "engagement_events",
)
HOUSE = ()


def upgrade():

    op.create_table(
        "campaigns",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("campaign_type", sa.Text(), server_default="email", nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("goal", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("priority", sa.BigInteger(), server_default="5", nullable=False),
        sa.Column("audience", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=True),
        sa.Column("target_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=True),
        sa.Column("template_version_id", sa.BigInteger(), nullable=True),
        sa.Column("subject_line", sa.Text(), nullable=True),
        sa.Column("preview_text", sa.Text(), nullable=True),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), server_default="{email}", nullable=False),
        sa.Column("sender_id", sa.BigInteger(), nullable=True),
        sa.Column("schedule_type", sa.Text(), server_default="immediate", nullable=False),
        sa.Column("scheduled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("end_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("send_window", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("daily_send_limit", sa.BigInteger(), nullable=True),
        sa.Column("is_ab_test", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("ab_test_config", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("is_automated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("budget", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("cost_per_recipient", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("estimated_cost", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("target_metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("paused_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("completed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "campaign_type IN ('email', 'sms', 'whatsapp', 'multi_channel', 'drip')",
            name=op.f("ck_campaigns_campaign_type"),
        ),
        sa.CheckConstraint(
            "category IN ('acquisition', 'retention', 'upselling', 'behavioral')", name=op.f("ck_campaigns_category")
        ),
        sa.CheckConstraint(
            "goal IN ('lead_generation', 'policy_sales', 'renewal_rate', 'engagement')", name=op.f("ck_campaigns_goal")
        ),
        sa.CheckConstraint(
            "schedule_type IN ('immediate', 'scheduled', 'automated')", name=op.f("ck_campaigns_schedule_type")
        ),
        sa.CheckConstraint(
            "status IN ('draft', 'scheduled', 'active', 'paused', 'completed', 'cancelled', 'archived')",
            name=op.f("ck_campaigns_status"),
        ),
        sa.CheckConstraint("priority BETWEEN 1 AND 10", name=op.f("ck_campaigns_priority")),
        sa.ForeignKeyConstraint(
            ["org_id", "created_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_campaigns_org_id_created_by"),
            ondelete="SET NULL (created_by)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "segment_id"],
            ["segments.org_id", "segments.id"],
            name=op.f("fk_campaigns_org_id_segment_id"),
            ondelete="SET NULL (segment_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_campaigns_org_id_sender_id"),
            ondelete="SET NULL (sender_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "template_id"],
            ["templates.org_id", "templates.id"],
            name=op.f("fk_campaigns_org_id_template_id"),
            ondelete="SET NULL (template_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "template_version_id"],
            ["template_versions.org_id", "template_versions.id"],
            name=op.f("fk_campaigns_org_id_template_version_id"),
            ondelete="NO ACTION",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_campaigns_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaigns")),
    )
    op.create_index(
        op.f("ix_campaigns_org_id_created_at_id"), "campaigns", ["org_id", "created_at", "id"], unique=False
    )
    op.create_index(op.f("ix_campaigns_org_id_slug"), "campaigns", ["org_id", "slug"], unique=True)
    op.create_index(op.f("ix_campaigns_org_id_status"), "campaigns", ["org_id", "status"], unique=False)
    op.create_table(
        "campaign_recipients",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("variant", sa.Text(), server_default="", nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('planned', 'skipped')", name=op.f("ck_campaign_recipients_state")),
        sa.ForeignKeyConstraint(
            ["org_id", "campaign_id"],
            ["campaigns.org_id", "campaigns.id"],
            name=op.f("fk_campaign_recipients_org_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_campaign_recipients_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaign_recipients")),
    )
    op.create_index(
        op.f("ix_campaign_recipients_org_id_campaign_id_lead_id"),
        "campaign_recipients",
        ["org_id", "campaign_id", "lead_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_campaign_recipients_org_id_lead_id"), "campaign_recipients", ["org_id", "lead_id"], unique=False
    )
    op.create_table(
        "campaign_analytics",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("total_planned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_sent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_delivered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_bounced", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_unknown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_opened", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unique_opened", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("machine_opened", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_clicked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unique_clicked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_unsubscribed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_spam_reports", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_conversions", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_revenue", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("campaign_cost", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column(
            "delivery_rate",
            sa.Double(),
            sa.Computed("total_delivered::double precision / NULLIF(total_sent, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "open_rate",
            sa.Double(),
            sa.Computed("unique_opened::double precision / NULLIF(total_delivered, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "click_rate",
            sa.Double(),
            sa.Computed("unique_clicked::double precision / NULLIF(total_delivered, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "click_to_open_rate",
            sa.Double(),
            sa.Computed("unique_clicked::double precision / NULLIF(unique_opened, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "conversion_rate",
            sa.Double(),
            sa.Computed("total_conversions::double precision / NULLIF(total_delivered, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "unsubscribe_rate",
            sa.Double(),
            sa.Computed("total_unsubscribed::double precision / NULLIF(total_delivered, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "roi",
            sa.Double(),
            sa.Computed("(total_revenue - campaign_cost)::double precision / NULLIF(campaign_cost, 0)", persisted=True),
            nullable=True,
        ),
        sa.Column("last_updated", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "campaign_id"],
            ["campaigns.org_id", "campaigns.id"],
            name=op.f("fk_campaign_analytics_org_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaign_analytics")),
    )
    op.create_index(
        op.f("ix_campaign_analytics_org_id_campaign_id"), "campaign_analytics", ["org_id", "campaign_id"], unique=True
    )
    op.create_table(
        "campaign_daily",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), server_default="", nullable=False),
        sa.Column("planned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("delivered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bounced", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unknown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("opens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("opened", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("machine_opened", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("clicks", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("clicked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unsubscribed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("complaints", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("conversions", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "campaign_id"],
            ["campaigns.org_id", "campaigns.id"],
            name=op.f("fk_campaign_daily_org_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaign_daily")),
    )
    op.create_index(
        op.f("ix_campaign_daily_org_id_campaign_id_on_date_hour_channel_variant"),
        "campaign_daily",
        ["org_id", "campaign_id", "on_date", "hour", "channel", "variant"],
        unique=True,
    )
    op.create_table(
        "links",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "campaign_id"],
            ["campaigns.org_id", "campaigns.id"],
            name=op.f("fk_links_org_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_org_id_campaign_id_url"), "links", ["org_id", "campaign_id", "url"], unique=True)
    op.create_table(
        "sends",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True),
        sa.Column("step_id", sa.BigInteger(), nullable=True),
        sa.Column("automation_run_id", sa.BigInteger(), nullable=True),
        sa.Column("callback_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sender_id", sa.BigInteger(), nullable=True),
        sa.Column("recipient_address", sa.Text(), nullable=False),
        sa.Column("recipient_name", sa.Text(), nullable=True),
        sa.Column("template_version_id", sa.BigInteger(), nullable=True),
        sa.Column("variant", sa.Text(), server_default="", nullable=False),
        sa.Column("rendered", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=True),
        sa.Column("priority", sa.BigInteger(), server_default="5", nullable=False),
        sa.Column("not_before", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claim_token", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("provider_message_id", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("bounce_type", sa.Text(), nullable=True),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.Column("sent_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("delivered_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("opened_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("clicked_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("read_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("converted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("unsubscribed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("open_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("machine_open_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("click_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("links_clicked", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("cost", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("bounce_type IN ('hard', 'soft', 'complaint')", name=op.f("ck_sends_bounce_type")),
        sa.CheckConstraint("channel IN ('email', 'sms', 'whatsapp')", name=op.f("ck_sends_channel")),
        sa.CheckConstraint(
            "kind IN ('campaign', 'drip', 'automation', 'test', 'followup')", name=op.f("ck_sends_kind")
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'sent', 'delivered', 'opened', 'clicked', 'replied', 'converted', 'bounced', 'failed', 'skipped', 'unknown')",
            name=op.f("ck_sends_status"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "campaign_id"],
            ["campaigns.org_id", "campaigns.id"],
            name=op.f("fk_sends_org_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_sends_org_id_lead_id"),
            ondelete="SET NULL (lead_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_sends_org_id_sender_id"),
            ondelete="SET NULL (sender_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "template_version_id"],
            ["template_versions.org_id", "template_versions.id"],
            name=op.f("fk_sends_org_id_template_version_id"),
            ondelete="NO ACTION",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_sends_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_sends")),
    )
    op.create_index(op.f("ix_sends_org_id_campaign_id_id"), "sends", ["org_id", "campaign_id", "id"], unique=False)
    op.create_index(op.f("ix_sends_org_id_dedup_key"), "sends", ["org_id", "dedup_key"], unique=True)
    op.create_index(op.f("ix_sends_org_id_lead_id_id"), "sends", ["org_id", "lead_id", "id"], unique=False)
    op.create_index(
        "ix_sends_pending",
        "sends",
        ["org_id", "campaign_id", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_sends_sending",
        "sends",
        ["org_id", "lease_until"],
        unique=False,
        postgresql_where=sa.text("status = 'sending'"),
    )
    op.create_table(
        "engagement_events",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("send_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("link_id", sa.BigInteger(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("provider_event_id", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('delivered', 'opened', 'machine_open', 'clicked', 'machine_click', 'bounced', 'complaint', 'unsubscribed', 'resubscribed', 'replied', 'read', 'failed')",
            name=op.f("ck_engagement_events_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "send_id"],
            ["sends.org_id", "sends.id"],
            name=op.f("fk_engagement_events_org_id_send_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_engagement_events")),
    )
    op.create_index(
        "ix_engagement_events_link",
        "engagement_events",
        ["org_id", "link_id"],
        unique=False,
        postgresql_where=sa.text("link_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_engagement_events_org_id_provider_event_id"),
        "engagement_events",
        ["org_id", "provider_event_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_engagement_events_org_id_send_id"), "engagement_events", ["org_id", "send_id"], unique=False
    )
    # ### end Alembic commands ###
    for table in TABLES:
        grant(table)
        if table not in HOUSE:
            secure(table)
    # Row-level security lets only a table's owner analyse it, and a plan made without statistics reads whole tables.
    op.execute(
        "CREATE FUNCTION refresh_statistics(wanted text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = public AS $$ BEGIN"
        " IF wanted NOT IN ('leads', 'consents', 'policies', 'lead_events', 'sends', 'campaign_recipients') THEN"
        " RAISE EXCEPTION 'no statistics are kept by hand for %', wanted; END IF;"
        " EXECUTE format('ANALYZE %I', wanted); END $$"
    )
    op.execute("REVOKE ALL ON FUNCTION refresh_statistics(text) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION refresh_statistics(text) TO canvass_app")


def downgrade():
    op.execute("DROP FUNCTION refresh_statistics(text)")
    for table in reversed(TABLES):
        op.drop_table(table)
