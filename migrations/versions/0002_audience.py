"""The audience: leads, policies, timeline, consent, segments, imports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import grant, secure

revision = "0002"
down_revision = "0001"

TABLES = (
    "leads",
    "policies",
    "lead_events",
    "consents",
    "suppressions",
    "segments",
    "imports",
    "import_files",
    "import_errors",
    "import_changes",
)
HOUSE = ()


def upgrade():

    op.create_table(
        "leads",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(collation="C"), nullable=True),
        sa.Column("status", sa.Text(), server_default="new", nullable=False),
        sa.Column("priority", sa.Text(), server_default="medium", nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("insurance_type", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("district", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("value_estimate", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("score", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("engagement_score", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("customer_tier", sa.Text(), nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("persona_type", sa.Text(), nullable=True),
        sa.Column("last_activity_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("anonymized_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("deleted_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("email_key", sa.Text(collation="C"), sa.Computed("lower(email)", persisted=True), nullable=True),
        sa.Column(
            "name_key",
            sa.Text(collation="C"),
            sa.Computed("lower(coalesce(first_name || ' ', '') || coalesce(last_name, ''))", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "last_name_key", sa.Text(collation="C"), sa.Computed("lower(last_name)", persisted=True), nullable=True
        ),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "customer_tier IN ('bronze', 'silver', 'gold', 'platinum')", name=op.f("ck_leads_customer_tier")
        ),
        sa.CheckConstraint(
            "insurance_type IN ('auto', 'home', 'life', 'health', 'travel', 'business', 'other')",
            name=op.f("ck_leads_insurance_type"),
        ),
        sa.CheckConstraint("priority IN ('low', 'medium', 'high', 'urgent')", name=op.f("ck_leads_priority")),
        sa.CheckConstraint(
            "status IN ('new', 'contacted', 'qualified', 'proposal', 'converted', 'lost')", name=op.f("ck_leads_status")
        ),
        sa.CheckConstraint("engagement_score BETWEEN 0 AND 100", name=op.f("ck_leads_engagement_score")),
        sa.CheckConstraint("score BETWEEN 0 AND 100", name=op.f("ck_leads_score")),
        sa.ForeignKeyConstraint(
            ["org_id", "owner_id"],
            ["users.org_id", "users.id"],
            name=op.f("fk_leads_org_id_owner_id"),
            ondelete="SET NULL (owner_id)",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_leads_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_leads")),
    )
    op.create_index(op.f("ix_leads_org_id_created_at_id"), "leads", ["org_id", "created_at", "id"], unique=False)
    op.create_index(
        op.f("ix_leads_org_id_email_key"),
        "leads",
        ["org_id", "email_key"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        op.f("ix_leads_org_id_external_id"),
        "leads",
        ["org_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(op.f("ix_leads_org_id_last_name_key"), "leads", ["org_id", "last_name_key"], unique=False)
    op.create_index(op.f("ix_leads_org_id_name_key_id"), "leads", ["org_id", "name_key", "id"], unique=False)
    op.create_index(
        op.f("ix_leads_org_id_phone"),
        "leads",
        ["org_id", "phone"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "policies",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("premium", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("coverage", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("started_on", sa.Date(), nullable=True),
        sa.Column("renews_on", sa.Date(), nullable=True),
        sa.Column("lapsed_on", sa.Date(), nullable=True),
        sa.Column("next_due_on", sa.Date(), nullable=True),
        sa.Column("payment_status", sa.Text(), server_default="paid", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("payment_status IN ('paid', 'due', 'overdue')", name=op.f("ck_policies_payment_status")),
        sa.CheckConstraint("status IN ('active', 'lapsed', 'cancelled', 'expired')", name=op.f("ck_policies_status")),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_policies_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_policies")),
    )
    op.create_index(op.f("ix_policies_org_id_lead_id"), "policies", ["org_id", "lead_id"], unique=False)
    op.create_index(op.f("ix_policies_org_id_number"), "policies", ["org_id", "number"], unique=True)
    op.create_index(op.f("ix_policies_org_id_renews_on"), "policies", ["org_id", "renews_on"], unique=False)
    op.create_table(
        "lead_events",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("occurred_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("tx", sa.BigInteger(), server_default=sa.text("pg_current_xact_id()::text::bigint"), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_lead_events_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_lead_events")),
    )
    op.create_index(
        op.f("ix_lead_events_org_id_lead_id_occurred_at_id"),
        "lead_events",
        ["org_id", "lead_id", "occurred_at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_lead_events_org_id_tx_id"), "lead_events", ["org_id", "tx", "id"], unique=False)
    op.create_table(
        "consents",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("changed_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'sms', 'whatsapp')", name=op.f("ck_consents_channel")),
        sa.CheckConstraint("status IN ('subscribed', 'unsubscribed', 'pending')", name=op.f("ck_consents_status")),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_consents_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_consents")),
    )
    op.create_index(
        op.f("ix_consents_org_id_lead_id_channel"), "consents", ["org_id", "lead_id", "channel"], unique=True
    )
    op.create_table(
        "suppressions",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'sms', 'whatsapp')", name=op.f("ck_suppressions_channel")),
        sa.CheckConstraint(
            "reason IN ('hard_bounce', 'complaint', 'unsubscribe', 'stop', 'manual', 'invalid')",
            name=op.f("ck_suppressions_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_suppressions_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_suppressions")),
    )
    op.create_index(
        op.f("ix_suppressions_org_id_channel_address"), "suppressions", ["org_id", "channel", "address"], unique=True
    )
    op.create_table(
        "segments",
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
        sa.Column("is_dynamic", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("match_all_rules", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("operator", sa.Text(), server_default="and", nullable=False),
        sa.Column("criteria", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("estimated_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_calculated_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("segment_type", sa.Text(), nullable=True),
        sa.Column("pain_points", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("goals", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("preferred_channels", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("estimated_market_size", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("current_reach", sa.BigInteger(), nullable=True),
        sa.Column("target_reach", sa.BigInteger(), nullable=True),
        sa.Column("priority_score", sa.BigInteger(), nullable=True),
        sa.Column("icon", sa.Text(), nullable=True),
        sa.Column("color", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("operator IN ('and', 'or')", name=op.f("ck_segments_operator")),
        sa.CheckConstraint("segment_type IN ('primary', 'secondary', 'niche')", name=op.f("ck_segments_segment_type")),
        sa.CheckConstraint("priority_score BETWEEN 1 AND 10", name=op.f("ck_segments_priority_score")),
        sa.ForeignKeyConstraint(
            ["org_id", "created_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_segments_org_id_created_by"),
            ondelete="SET NULL (created_by)",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_segments_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_segments")),
    )
    op.create_index(op.f("ix_segments_org_id_created_at_id"), "segments", ["org_id", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_segments_org_id_slug"), "segments", ["org_id", "slug"], unique=True)
    op.create_table(
        "imports",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="leads", nullable=False),
        sa.Column("status", sa.Text(), server_default="uploaded", nullable=False),
        sa.Column("dialect", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("header", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("header_key", sa.Text(), server_default="", nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("total", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("progress", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_ids", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("claim_token", sa.Text(), nullable=True),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('leads')", name=op.f("ck_imports_kind")),
        sa.CheckConstraint(
            "status IN ('uploaded', 'queued', 'running', 'done', 'failed', 'cancelled', 'undone')",
            name=op.f("ck_imports_status"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "created_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_imports_org_id_created_by"),
            ondelete="SET NULL (created_by)",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_imports_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_imports")),
    )
    op.create_index(op.f("ix_imports_org_id_created_at_id"), "imports", ["org_id", "created_at", "id"], unique=False)
    op.create_index(op.f("ix_imports_org_id_status"), "imports", ["org_id", "status"], unique=False)
    op.create_table(
        "import_files",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "import_id"],
            ["imports.org_id", "imports.id"],
            name=op.f("fk_import_files_org_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_import_files")),
    )
    op.create_index(op.f("ix_import_files_org_id_import_id"), "import_files", ["org_id", "import_id"], unique=True)
    op.create_table(
        "import_errors",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("column", sa.Text(), nullable=True),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("refused", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "import_id"],
            ["imports.org_id", "imports.id"],
            name=op.f("fk_import_errors_org_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_import_errors")),
    )
    op.create_index(
        op.f("ix_import_errors_org_id_import_id_row"), "import_errors", ["org_id", "import_id", "row"], unique=False
    )
    op.create_table(
        "import_changes",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("consent_added", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "import_id"],
            ["imports.org_id", "imports.id"],
            name=op.f("fk_import_changes_org_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_import_changes_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_import_changes")),
    )
    op.create_index(
        op.f("ix_import_changes_org_id_import_id_lead_id"),
        "import_changes",
        ["org_id", "import_id", "lead_id"],
        unique=True,
    )
    for table in TABLES:
        grant(table)
        if table not in HOUSE:
            secure(table)


def downgrade():
    for table in reversed(TABLES):
        op.drop_table(table)
