"""Messaging: senders, templates, the mailbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import grant, secure

revision = "0003"
down_revision = "0002"

TABLES = ("senders", "templates", "template_versions", "mailbox_messages")
HOUSE = ()


def upgrade():

    op.create_table(
        "senders",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reply_to", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("secrets", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("health_score", sa.BigInteger(), server_default="100", nullable=False),
        sa.Column("daily_limit", sa.BigInteger(), nullable=True),
        sa.Column("used_last_24h", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("rate_per_second", sa.BigInteger(), nullable=True),
        sa.Column("rate_limited_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("is_default", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("last_connected_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'sms', 'whatsapp')", name=op.f("ck_senders_channel")),
        sa.CheckConstraint(
            "provider IN ('smtp', 'twilio', 'whatsapp_cloud', 'local')", name=op.f("ck_senders_provider")
        ),
        sa.CheckConstraint(
            "status IN ('active', 'standby', 'warming', 'banned', 'inactive')", name=op.f("ck_senders_status")
        ),
        sa.CheckConstraint("health_score BETWEEN 0 AND 100", name=op.f("ck_senders_health_score")),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_senders_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_senders")),
    )
    op.create_index(
        op.f("ix_senders_org_id_channel"), "senders", ["org_id", "channel"], unique=True, postgresql_where="is_default"
    )
    op.create_table(
        "templates",
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
        sa.Column("category", sa.Text(), server_default="acquisition", nullable=False),
        sa.Column("template_type", sa.Text(), server_default="email", nullable=False),
        sa.Column("subject_line", sa.Text(), nullable=True),
        sa.Column("preview_text", sa.Text(), nullable=True),
        sa.Column("html_content", sa.Text(), nullable=True),
        sa.Column("text_content", sa.Text(), nullable=True),
        sa.Column("text_is_derived", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("available_tokens", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("suggested_channels", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("thumbnail_url", sa.Text(), nullable=True),
        sa.Column("whatsapp", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("usage_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("average_roi", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("is_system", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "category IN ('acquisition', 'retention', 'upselling', 'behavioral', 'transactional', 'notification')",
            name=op.f("ck_templates_category"),
        ),
        sa.CheckConstraint(
            "template_type IN ('email', 'sms', 'whatsapp', 'multi_channel', 'drip')",
            name=op.f("ck_templates_template_type"),
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "created_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_templates_org_id_created_by"),
            ondelete="SET NULL (created_by)",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_templates_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_templates")),
    )
    op.create_index(
        op.f("ix_templates_org_id_created_at_id"), "templates", ["org_id", "created_at", "id"], unique=False
    )
    op.create_index(op.f("ix_templates_org_id_slug"), "templates", ["org_id", "slug"], unique=True)
    op.create_table(
        "template_versions",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("template_id", sa.BigInteger(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("subject_line", sa.Text(), nullable=True),
        sa.Column("preview_text", sa.Text(), nullable=True),
        sa.Column("html_content", sa.Text(), nullable=True),
        sa.Column("text_content", sa.Text(), nullable=True),
        sa.Column("author_id", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "author_id"],
            ["users.org_id", "users.id"],
            name=op.f("fk_template_versions_org_id_author_id"),
            ondelete="SET NULL (author_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "template_id"],
            ["templates.org_id", "templates.id"],
            name=op.f("fk_template_versions_org_id_template_id"),
            ondelete="SET NULL (template_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_template_versions_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_template_versions")),
    )
    op.create_index(
        op.f("ix_template_versions_org_id_template_id_number"),
        "template_versions",
        ["org_id", "template_id", "number"],
        unique=True,
    )
    op.create_table(
        "mailbox_messages",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("read_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("send_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_mailbox_messages_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_mailbox_messages")),
    )
    op.create_index(
        op.f("ix_mailbox_messages_org_id_created_at_id"),
        "mailbox_messages",
        ["org_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_mailbox_messages_org_id_recipient"), "mailbox_messages", ["org_id", "recipient"], unique=False
    )
    for table in TABLES:
        grant(table)
        if table not in HOUSE:
            secure(table)


def downgrade():
    for table in reversed(TABLES):
        op.drop_table(table)
