"""Delivery: portfolios and meters of senders, batches, replies, the built-in phones, hours; and views of what is sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import grant, secure

revision = "0006"
down_revision = "0005"

TABLES = (
    "portfolios",
    "portfolio_people",
    "sender_meters",
    "sender_minutes",
    "campaign_batches",
    "inbound_messages",
    "intent_rules",
    "phone_messages",
    "phone_faults",
    "holidays",
)
VIEWS = {
    "v_active_campaigns": """
        SELECT c.org_id, c.id, c.name, c.status, c.priority, c.channels, c.daily_send_limit, c.started_at,
            COALESCE(a.total_planned, 0) AS total_recipients, COALESCE(a.total_sent, 0) AS sent,
            COALESCE(a.total_delivered, 0) AS delivered, COALESCE(a.total_failed, 0) AS failed,
            COALESCE(a.total_unknown, 0) AS unknown, COALESCE(a.total_skipped, 0) AS skipped,
            GREATEST(COALESCE(a.total_planned - a.total_sent - a.total_failed - a.total_unknown - a.total_skipped, 0), 0)
                AS pending,
            round(100.0 * (a.total_sent + a.total_failed + a.total_unknown + a.total_skipped)
                / NULLIF(a.total_planned, 0), 1) AS progress_percentage,
            (SELECT max(b.send_date) FROM campaign_batches b WHERE b.org_id = c.org_id AND b.campaign_id = c.id
                AND b.remaining > 0) AS estimated_completion_date
        FROM campaigns c LEFT JOIN campaign_analytics a ON a.org_id = c.org_id AND a.campaign_id = c.id
        WHERE c.status IN ('active', 'paused')""",
    "v_daily_campaign_schedule": """
        SELECT b.org_id, b.send_date, b.campaign_id, c.name AS campaign_name, c.priority, c.status AS campaign_status,
            b.batch_number, b.batch_size, b.sent, b.remaining, b.status
        FROM campaign_batches b JOIN campaigns c ON c.org_id = b.org_id AND c.id = b.campaign_id""",
    "v_recipient_status_summary": """
        SELECT s.org_id, s.campaign_id, s.channel, s.status, count(*) AS recipients
        FROM sends s WHERE s.campaign_id IS NOT NULL GROUP BY 1, 2, 3, 4""",
}


def upgrade():
    op.create_table(
        "holidays",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_holidays_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_holidays")),
    )
    op.create_index(
        op.f("ix_holidays_org_id_country_on_date"), "holidays", ["org_id", "country", "on_date"], unique=True
    )
    op.create_table(
        "intent_rules",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), server_default="any", nullable=False),
        sa.Column("language", sa.Text(), server_default="", nullable=False),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("match", sa.Text(), server_default="contains", nullable=False),
        sa.Column("words", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('any', 'email', 'sms', 'whatsapp')", name=op.f("ck_intent_rules_channel")),
        sa.CheckConstraint(
            "intent IN ('stop', 'start', 'help', 'interested', 'question', 'complaint', 'callback', 'other')",
            name=op.f("ck_intent_rules_intent"),
        ),
        sa.CheckConstraint("match IN ('is', 'begins', 'contains')", name=op.f("ck_intent_rules_match")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_intent_rules_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_intent_rules")),
    )
    op.create_index(
        op.f("ix_intent_rules_org_id_position_id"), "intent_rules", ["org_id", "position", "id"], unique=False
    )
    op.create_table(
        "phone_faults",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), server_default="", nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('sms', 'whatsapp')", name=op.f("ck_phone_faults_channel")),
        sa.CheckConstraint("remaining >= 0", name=op.f("ck_phone_faults_remaining")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_phone_faults_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_phone_faults")),
    )
    op.create_index(
        op.f("ix_phone_faults_org_id_channel_phone"), "phone_faults", ["org_id", "channel", "phone"], unique=True
    )
    op.create_table(
        "portfolios",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("daily_people", sa.BigInteger(), server_default="250", nullable=True),
        sa.Column("tier_source", sa.Text(), server_default="hand", nullable=False),
        sa.Column("tier_changed_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("tier_source IN ('hand', 'webhook')", name=op.f("ck_portfolios_tier_source")),
        sa.CheckConstraint("daily_people > 0", name=op.f("ck_portfolios_daily_people")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_portfolios_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_portfolios")),
    )
    op.create_index(op.f("ix_portfolios_org_id_external_id"), "portfolios", ["org_id", "external_id"], unique=True)
    op.create_table(
        "portfolio_people",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("last_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("before_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("claim_token", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "portfolio_id"],
            ["portfolios.org_id", "portfolios.id"],
            name=op.f("fk_portfolio_people_org_id_portfolio_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_portfolio_people")),
    )
    op.create_index(
        op.f("ix_portfolio_people_org_id_portfolio_id_address"),
        "portfolio_people",
        ["org_id", "portfolio_id", "address"],
        unique=True,
    )
    op.create_index(
        op.f("ix_portfolio_people_org_id_portfolio_id_last_at"),
        "portfolio_people",
        ["org_id", "portfolio_id", "last_at"],
        unique=False,
    )
    op.create_table(
        "phone_messages",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("sender_id", sa.BigInteger(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "payload", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("provider_message_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("read_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('sms', 'whatsapp')", name=op.f("ck_phone_messages_channel")),
        sa.CheckConstraint("direction IN ('to_phone', 'from_phone')", name=op.f("ck_phone_messages_direction")),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_phone_messages_org_id_sender_id"),
            ondelete="SET NULL (sender_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_phone_messages_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_phone_messages")),
    )
    op.create_index(
        op.f("ix_phone_messages_org_id_channel_phone_id"),
        "phone_messages",
        ["org_id", "channel", "phone", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_phone_messages_org_id_id"), "phone_messages", ["org_id", "id"], unique=False)
    op.create_index(
        op.f("ix_phone_messages_org_id_provider_message_id"),
        "phone_messages",
        ["org_id", "provider_message_id"],
        unique=True,
    )
    op.create_table(
        "sender_meters",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("sender_id", sa.BigInteger(), nullable=False),
        sa.Column("next_free_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_sender_meters_org_id_sender_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_sender_meters")),
    )
    op.create_index(op.f("ix_sender_meters_org_id_sender_id"), "sender_meters", ["org_id", "sender_id"], unique=True)
    op.create_table(
        "sender_minutes",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("sender_id", sa.BigInteger(), nullable=False),
        sa.Column("minute", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unknown", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bounced", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("complaints", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_sender_minutes_org_id_sender_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_sender_minutes")),
    )
    op.create_index(
        op.f("ix_sender_minutes_org_id_sender_id_minute"),
        "sender_minutes",
        ["org_id", "sender_id", "minute"],
        unique=True,
    )
    op.create_table(
        "campaign_batches",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("send_date", sa.Date(), nullable=False),
        sa.Column("batch_number", sa.BigInteger(), nullable=False),
        sa.Column("batch_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claimed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "remaining", sa.BigInteger(), sa.Computed("GREATEST(batch_size - done, 0)", persisted=True), nullable=False
        ),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("moved_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'failed')", name=op.f("ck_campaign_batches_status")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "campaign_id"],
            ["campaigns.org_id", "campaigns.id"],
            name=op.f("fk_campaign_batches_org_id_campaign_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_campaign_batches")),
    )
    op.create_index(
        op.f("ix_campaign_batches_org_id_campaign_id_send_date"),
        "campaign_batches",
        ["org_id", "campaign_id", "send_date"],
        unique=True,
    )
    op.create_index(
        op.f("ix_campaign_batches_org_id_send_date"), "campaign_batches", ["org_id", "send_date"], unique=False
    )
    op.create_table(
        "inbound_messages",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sender_id", sa.BigInteger(), nullable=True),
        sa.Column("from_address", sa.Text(), nullable=False),
        sa.Column("to_address", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=True),
        sa.Column("send_id", sa.BigInteger(), nullable=True),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("provider_message_id", sa.Text(), nullable=False),
        sa.Column("received_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("handled_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'sms', 'whatsapp')", name=op.f("ck_inbound_messages_channel")),
        sa.CheckConstraint(
            "intent IN ('stop', 'start', 'help', 'interested', 'question', 'complaint', 'callback', 'other')",
            name=op.f("ck_inbound_messages_intent"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_inbound_messages_org_id_lead_id"),
            ondelete="SET NULL (lead_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "send_id"],
            ["sends.org_id", "sends.id"],
            name=op.f("fk_inbound_messages_org_id_send_id"),
            ondelete="SET NULL (send_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_inbound_messages_org_id_sender_id"),
            ondelete="SET NULL (sender_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_inbound_messages_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_inbound_messages")),
    )
    op.create_index(
        op.f("ix_inbound_messages_org_id_channel_from_address_received_at"),
        "inbound_messages",
        ["org_id", "channel", "from_address", "received_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_inbound_messages_org_id_channel_provider_message_id"),
        "inbound_messages",
        ["org_id", "channel", "provider_message_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_inbound_messages_org_id_lead_id_id"), "inbound_messages", ["org_id", "lead_id", "id"], unique=False
    )
    op.create_index(
        op.f("ix_inbound_messages_org_id_received_at_id"),
        "inbound_messages",
        ["org_id", "received_at", "id"],
        unique=False,
    )
    op.add_column("campaign_recipients", sa.Column("channel", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("late_action", sa.Text(), server_default="skip", nullable=False))
    op.add_column("campaigns", sa.Column("deadline_field", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("paced_by_callbacks", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("campaigns", sa.Column("resumed_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column(
        "organizations",
        sa.Column(
            "sending_policy",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
    )
    op.add_column("senders", sa.Column("portfolio_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "senders", sa.Column("warming", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("senders", sa.Column("held_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("senders", sa.Column("hold_reason", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_senders_org_id_portfolio_id"),
        "senders",
        "portfolios",
        ["org_id", "portfolio_id"],
        ["org_id", "id"],
        ondelete="SET NULL (portfolio_id)",
    )
    op.add_column("sends", sa.Column("expires_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("sends", sa.Column("wait_reason", sa.Text(), nullable=True))
    op.add_column("sends", sa.Column("claimed_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("sends", sa.Column("bounced_at", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.drop_index(op.f("ix_sends_pending"), table_name="sends", postgresql_where="(status = 'pending'::text)")
    op.create_index(
        "ix_sends_pending",
        "sends",
        ["org_id", "campaign_id", "channel", "not_before", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_sends_provider_message",
        "sends",
        ["org_id", "provider_message_id"],
        unique=False,
        postgresql_where=sa.text("channel <> 'email' AND provider_message_id IS NOT NULL"),
    )
    op.create_index(
        "ix_sends_problems",
        "sends",
        ["org_id", "sender_id", "updated_at"],
        unique=False,
        postgresql_where=sa.text("error_code IS NOT NULL"),
    )
    op.create_index(
        "ix_sends_unknown", "sends", ["org_id", "id"], unique=False, postgresql_where=sa.text("status = 'unknown'")
    )
    op.create_index(
        "ix_sends_failed",
        "sends",
        ["org_id", "updated_at", "id"],
        unique=False,
        postgresql_include=["channel", "status", "error_code"],
        postgresql_where=sa.text("status IN ('failed', 'bounced')"),
    )
    op.add_column(
        "template_versions",
        sa.Column("whatsapp", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    )
    op.add_column("templates", sa.Column("hold_reason", sa.Text(), nullable=True))
    for table in TABLES:
        grant(table)
        secure(table)
    _states_of_recipients("'added', 'planned', 'skipped'")
    op.create_check_constraint(
        op.f("ck_campaigns_late_action"), "campaigns", "late_action IN ('send', 'skip', 'switch')"
    )
    op.create_check_constraint(
        op.f("ck_campaigns_deadline_field"), "campaigns", "deadline_field IN ('renews_on', 'next_due_on')"
    )
    op.create_check_constraint(op.f("ck_campaigns_daily_send_limit"), "campaigns", "daily_send_limit > 0")
    # Nobody is woken by an e-mail: hours for it are set by who wants them.
    op.execute("UPDATE organizations SET quiet_hours = quiet_hours - 'email'")
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} WITH (security_invoker = true) AS {query}")
        grant(name, "SELECT")


def _states_of_recipients(states):
    op.drop_constraint(op.f("ck_campaign_recipients_state"), "campaign_recipients", type_="check")
    op.create_check_constraint(op.f("ck_campaign_recipients_state"), "campaign_recipients", f"state IN ({states})")


def downgrade():
    for name in VIEWS:
        op.execute(f"DROP VIEW {name}")
    op.execute("DELETE FROM campaign_recipients WHERE state = 'added'")
    _states_of_recipients("'planned', 'skipped'")
    op.drop_constraint(op.f("ck_campaigns_daily_send_limit"), "campaigns", type_="check")
    op.drop_column("templates", "hold_reason")
    op.drop_column("template_versions", "whatsapp")
    op.drop_index("ix_sends_problems", table_name="sends", postgresql_where=sa.text("error_code IS NOT NULL"))
    op.drop_index("ix_sends_failed", table_name="sends")
    op.drop_index("ix_sends_unknown", table_name="sends", postgresql_where=sa.text("status = 'unknown'"))
    op.drop_index(
        "ix_sends_provider_message",
        table_name="sends",
        postgresql_where=sa.text("channel <> 'email' AND provider_message_id IS NOT NULL"),
    )
    op.drop_index("ix_sends_pending", table_name="sends", postgresql_where=sa.text("status = 'pending'"))
    op.create_index(
        op.f("ix_sends_pending"),
        "sends",
        ["org_id", "campaign_id", "not_before", "id"],
        unique=False,
        postgresql_where="(status = 'pending'::text)",
    )
    op.drop_column("sends", "bounced_at")
    op.drop_column("sends", "claimed_at")
    op.drop_column("sends", "wait_reason")
    op.drop_column("sends", "expires_at")
    op.drop_constraint(op.f("fk_senders_org_id_portfolio_id"), "senders", type_="foreignkey")
    op.drop_column("senders", "hold_reason")
    op.drop_column("senders", "held_at")
    op.drop_column("senders", "warming")
    op.drop_column("senders", "portfolio_id")
    op.drop_column("organizations", "sending_policy")
    op.drop_column("campaigns", "resumed_at")
    op.drop_column("campaigns", "paced_by_callbacks")
    op.drop_column("campaigns", "deadline_field")
    op.drop_column("campaigns", "late_action")
    op.drop_column("campaign_recipients", "channel")
    op.drop_index(op.f("ix_inbound_messages_org_id_received_at_id"), table_name="inbound_messages")
    op.drop_index(op.f("ix_inbound_messages_org_id_lead_id_id"), table_name="inbound_messages")
    op.drop_index(op.f("ix_inbound_messages_org_id_channel_provider_message_id"), table_name="inbound_messages")
    op.drop_index(op.f("ix_inbound_messages_org_id_channel_from_address_received_at"), table_name="inbound_messages")
    op.drop_table("inbound_messages")
    op.drop_index(op.f("ix_campaign_batches_org_id_send_date"), table_name="campaign_batches")
    op.drop_index(op.f("ix_campaign_batches_org_id_campaign_id_send_date"), table_name="campaign_batches")
    op.drop_table("campaign_batches")
    op.drop_index(op.f("ix_sender_minutes_org_id_sender_id_minute"), table_name="sender_minutes")
    op.drop_table("sender_minutes")
    op.drop_index(op.f("ix_sender_meters_org_id_sender_id"), table_name="sender_meters")
    op.drop_table("sender_meters")
    op.drop_index(op.f("ix_phone_messages_org_id_provider_message_id"), table_name="phone_messages")
    op.drop_index(op.f("ix_phone_messages_org_id_id"), table_name="phone_messages")
    op.drop_index(op.f("ix_phone_messages_org_id_channel_phone_id"), table_name="phone_messages")
    op.drop_table("phone_messages")
    op.drop_index(op.f("ix_portfolio_people_org_id_portfolio_id_last_at"), table_name="portfolio_people")
    op.drop_index(op.f("ix_portfolio_people_org_id_portfolio_id_address"), table_name="portfolio_people")
    op.drop_table("portfolio_people")
    op.drop_index(op.f("ix_portfolios_org_id_external_id"), table_name="portfolios")
    op.drop_table("portfolios")
    op.drop_index(op.f("ix_phone_faults_org_id_channel_phone"), table_name="phone_faults")
    op.drop_table("phone_faults")
    op.drop_index(op.f("ix_intent_rules_org_id_position_id"), table_name="intent_rules")
    op.drop_table("intent_rules")
    op.drop_index(op.f("ix_holidays_org_id_country_on_date"), table_name="holidays")
    op.drop_table("holidays")
