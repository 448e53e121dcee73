"""Membership through time, scores, groups and personas, bulk actions, merges; a timeline that rules can read fast."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.security import grant, secure

revision = "0005"
down_revision = "0004"

TABLES = (
    "score_rules",
    "score_thresholds",
    "timeline_cursors",
    "bulk_actions",
    "whatsapp_groups",
    "lead_merges",
    "lead_scores",
    "personas",
    "segment_members",
    "segment_sizes",
    "whatsapp_group_members",
    "persona_attributes",
    "persona_scores",
    "import_policy_changes",
)
POLICY_KEYS = (
    ("number_key", sa.Text(collation="C"), "lower(number)"),
    ("renews_key", sa.Date(), "COALESCE(renews_on, '9999-12-31'::date)"),
    ("premium_key", sa.BigInteger(), "COALESCE((premium * 100)::bigint, '-1'::bigint)"),
)
STATISTICS = "'leads', 'consents', 'policies', 'lead_events', 'sends', 'campaign_recipients'"


def upgrade():
    op.create_table(
        "score_rules",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("condition", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("half_life_days", sa.Numeric(precision=12, scale=2), nullable=True),
        sa.Column("limit", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('event', 'attribute')", name=op.f("ck_score_rules_kind")),
        sa.CheckConstraint("model IN ('score', 'engagement_score')", name=op.f("ck_score_rules_model")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_score_rules_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_score_rules")),
    )
    op.create_index(
        op.f("ix_score_rules_org_id_model_position"), "score_rules", ["org_id", "model", "position"], unique=False
    )
    op.create_table(
        "score_thresholds",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("model IN ('score', 'engagement_score')", name=op.f("ck_score_thresholds_model")),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_score_thresholds_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_score_thresholds")),
    )
    op.create_index(
        op.f("ix_score_thresholds_org_id_model_value"), "score_thresholds", ["org_id", "model", "value"], unique=True
    )
    op.create_table(
        "timeline_cursors",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tx", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fact_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_timeline_cursors_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "name", name=op.f("pk_timeline_cursors")),
    )
    op.create_table(
        "bulk_actions",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("argument", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("selection", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("changed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_lead_id", sa.BigInteger(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("lease_until", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("finished_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "action IN ('add_tag', 'remove_tag', 'assign', 'status', 'priority', 'add_to_segment', 'remove_from_segment', 'delete')",
            name=op.f("ck_bulk_actions_action"),
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_bulk_actions_status")
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "created_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_bulk_actions_org_id_created_by"),
            ondelete="SET NULL (created_by)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_bulk_actions_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_bulk_actions")),
    )
    op.create_index(
        op.f("ix_bulk_actions_org_id_created_at_id"), "bulk_actions", ["org_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "whatsapp_groups",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("external_group_id", sa.Text(), nullable=True),
        sa.Column("sender_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("member_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("district", sa.Text(), nullable=True),
        sa.Column("segment_tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "discovered_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "sender_id"],
            ["senders.org_id", "senders.id"],
            name=op.f("fk_whatsapp_groups_org_id_sender_id"),
            ondelete="SET NULL (sender_id)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id"], ["organizations.id"], name=op.f("fk_whatsapp_groups_org_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_whatsapp_groups")),
    )
    op.create_index(
        op.f("ix_whatsapp_groups_org_id_created_at_id"), "whatsapp_groups", ["org_id", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_whatsapp_groups_org_id_external_group_id"),
        "whatsapp_groups",
        ["org_id", "external_group_id"],
        unique=True,
    )
    op.create_table(
        "lead_merges",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("kept_id", sa.BigInteger(), nullable=False),
        sa.Column("merged_id", sa.BigInteger(), nullable=False),
        sa.Column("before", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("merged_by", sa.BigInteger(), nullable=True),
        sa.Column("undone_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "kept_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_lead_merges_org_id_kept_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "merged_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_lead_merges_org_id_merged_by"),
            ondelete="SET NULL (merged_by)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "merged_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_lead_merges_org_id_merged_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_lead_merges")),
    )
    op.create_index(op.f("ix_lead_merges_org_id_kept_id"), "lead_merges", ["org_id", "kept_id"], unique=False)
    op.create_index(op.f("ix_lead_merges_org_id_merged_id"), "lead_merges", ["org_id", "merged_id"], unique=False)
    op.create_table(
        "lead_scores",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("model IN ('score', 'engagement_score')", name=op.f("ck_lead_scores_model")),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_lead_scores_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_lead_scores")),
    )
    op.create_index(op.f("ix_lead_scores_org_id_lead_id_at"), "lead_scores", ["org_id", "lead_id", "at"], unique=False)
    op.create_table(
        "personas",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("primary_segment_id", sa.BigInteger(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("persona_type", sa.Text(), nullable=False),
        sa.Column("segment_tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column(
            "attributes",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "primary_segment_id"],
            ["segments.org_id", "segments.id"],
            name=op.f("fk_personas_org_id_primary_segment_id"),
            ondelete="SET NULL (primary_segment_id)",
        ),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name=op.f("fk_personas_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_personas")),
    )
    op.create_index(op.f("ix_personas_org_id_persona_type"), "personas", ["org_id", "persona_type"], unique=True)
    op.create_table(
        "segment_members",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("exited_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("source", sa.Text(), server_default="rule", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("source IN ('rule', 'manual', 'import')", name=op.f("ck_segment_members_source")),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_segment_members_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "segment_id"],
            ["segments.org_id", "segments.id"],
            name=op.f("fk_segment_members_org_id_segment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_segment_members")),
    )
    op.create_index(
        "ix_segment_members_open",
        "segment_members",
        ["org_id", "segment_id", "lead_id"],
        unique=True,
        postgresql_where=sa.text("exited_at IS NULL"),
    )
    op.create_index(op.f("ix_segment_members_org_id_lead_id"), "segment_members", ["org_id", "lead_id"], unique=False)
    op.create_index(
        op.f("ix_segment_members_org_id_segment_id_entered_at"),
        "segment_members",
        ["org_id", "segment_id", "entered_at"],
        unique=False,
    )
    op.create_table(
        "segment_sizes",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("segment_id", sa.BigInteger(), nullable=False),
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("entered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("exited", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "segment_id"],
            ["segments.org_id", "segments.id"],
            name=op.f("fk_segment_sizes_org_id_segment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "segment_id", "on_date", name=op.f("pk_segment_sizes")),
    )
    op.create_table(
        "whatsapp_group_members",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), server_default="member", nullable=False),
        sa.Column("contributes_to_persona", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("persona_weight", sa.Numeric(precision=12, scale=2), server_default="1", nullable=False),
        sa.Column("joined_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("left_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'member', 'unknown')", name=op.f("ck_whatsapp_group_members_role")),
        sa.CheckConstraint("persona_weight BETWEEN 0 AND 1", name=op.f("ck_whatsapp_group_members_persona_weight")),
        sa.ForeignKeyConstraint(
            ["org_id", "group_id"],
            ["whatsapp_groups.org_id", "whatsapp_groups.id"],
            name=op.f("fk_whatsapp_group_members_org_id_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_whatsapp_group_members_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_whatsapp_group_members")),
    )
    op.create_index(
        "ix_whatsapp_group_members_open",
        "whatsapp_group_members",
        ["org_id", "group_id", "lead_id"],
        unique=True,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_index(
        op.f("ix_whatsapp_group_members_org_id_lead_id"), "whatsapp_group_members", ["org_id", "lead_id"], unique=False
    )
    op.create_table(
        "persona_attributes",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("persona_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Numeric(precision=12, scale=2), server_default="1", nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_persona_attributes_confidence")),
        sa.ForeignKeyConstraint(
            ["org_id", "persona_id"],
            ["personas.org_id", "personas.id"],
            name=op.f("fk_persona_attributes_org_id_persona_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_persona_attributes")),
    )
    op.create_index(
        op.f("ix_persona_attributes_org_id_persona_id_type_name"),
        "persona_attributes",
        ["org_id", "persona_id", "type", "name"],
        unique=False,
    )
    op.create_table(
        "persona_scores",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("lead_id", sa.BigInteger(), nullable=False),
        sa.Column("persona_id", sa.BigInteger(), nullable=False),
        sa.Column("confidence_score", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("confidence_level", sa.Text(), nullable=False),
        sa.Column("matching_groups_count", sa.BigInteger(), nullable=False),
        sa.Column("total_groups_count", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), server_default="groups", nullable=False),
        sa.Column(
            "metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default="{}", nullable=False
        ),
        sa.Column("is_approved", sa.Boolean(), nullable=True),
        sa.Column("approved_by", sa.BigInteger(), nullable=True),
        sa.Column("approved_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "confidence_level IN ('low', 'medium', 'high', 'very_high')",
            name=op.f("ck_persona_scores_confidence_level"),
        ),
        sa.CheckConstraint("confidence_score BETWEEN 0 AND 100", name=op.f("ck_persona_scores_confidence_score")),
        sa.ForeignKeyConstraint(
            ["org_id", "approved_by"],
            ["users.org_id", "users.id"],
            name=op.f("fk_persona_scores_org_id_approved_by"),
            ondelete="SET NULL (approved_by)",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "lead_id"],
            ["leads.org_id", "leads.id"],
            name=op.f("fk_persona_scores_org_id_lead_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "persona_id"],
            ["personas.org_id", "personas.id"],
            name=op.f("fk_persona_scores_org_id_persona_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_persona_scores")),
    )
    op.create_index(
        op.f("ix_persona_scores_org_id_lead_id_persona_id"),
        "persona_scores",
        ["org_id", "lead_id", "persona_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_persona_scores_org_id_persona_id_confidence_score"),
        "persona_scores",
        ["org_id", "persona_id", "confidence_score"],
        unique=False,
    )
    op.create_table(
        "import_policy_changes",
        sa.Column(
            "org_id",
            sa.BigInteger(),
            server_default=sa.text("NULLIF(current_setting('app.org_id', true), '')::bigint"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), autoincrement=True, nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("policy_id", sa.BigInteger(), nullable=False),
        sa.Column("before", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", postgresql.TIMESTAMP(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["org_id", "import_id"],
            ["imports.org_id", "imports.id"],
            name=op.f("fk_import_policy_changes_org_id_import_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["org_id", "policy_id"],
            ["policies.org_id", "policies.id"],
            name=op.f("fk_import_policy_changes_org_id_policy_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("org_id", "id", name=op.f("pk_import_policy_changes")),
    )
    op.create_index(
        op.f("ix_import_policy_changes_org_id_import_id_policy_id"),
        "import_policy_changes",
        ["org_id", "import_id", "policy_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_import_policy_changes_org_id_policy_id"),
        "import_policy_changes",
        ["org_id", "policy_id"],
        unique=False,
    )
    _kinds_of_imports("'leads', 'policies'")
    _key_policies()
    op.add_column(
        "lead_events",
        sa.Column(
            "campaign_id",
            sa.BigInteger(),
            sa.Computed(
                "CASE WHEN jsonb_typeof(payload -> 'campaign_id') = 'number' THEN CASE WHEN (payload -> 'campaign_id')::numeric BETWEEN 1 AND 9223372036854775806 THEN (payload -> 'campaign_id')::bigint END END",
                persisted=True,
            ),
            nullable=True,
        ),
    )
    op.create_index(
        "ix_lead_events_deeds",
        "lead_events",
        ["org_id", "type", "occurred_at"],
        unique=False,
        postgresql_include=["lead_id", "campaign_id"],
        postgresql_where=sa.text(
            "type NOT IN ('lead_created', 'lead_updated', 'lead_imported', 'lead_deleted', 'lead_restored', 'consent_changed', 'segment_entered', 'segment_exited')"
        ),
    )
    op.add_column("segments", sa.Column("version", sa.BigInteger(), server_default="1", nullable=False))
    op.add_column("segments", sa.Column("updated_by", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_segments_org_id_updated_by"), "segments", "users", ["org_id", "updated_by"], ["org_id", "id"],
        ondelete="SET NULL (updated_by)",
    )  # fmt: skip
    op.add_column("api_tokens", sa.Column("counted_from", postgresql.TIMESTAMP(timezone=True), nullable=True))
    op.add_column("api_tokens", sa.Column("calls", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("suppressions", sa.Column("note", sa.Text(), nullable=True))
    # As leads.email_key and phone are: look-ups and prefixes then use the index.
    op.alter_column("suppressions", "address", type_=sa.Text(collation="C"), existing_nullable=False)
    op.create_index(
        op.f("ix_suppressions_org_id_address_id"), "suppressions", ["org_id", "address", "id"], unique=False
    )
    op.create_index(
        op.f("ix_suppressions_org_id_created_at_id"), "suppressions", ["org_id", "created_at", "id"], unique=False
    )
    _kinds_of_sends("'campaign', 'drip', 'automation', 'test', 'followup', 'confirmation'")
    for table in TABLES:
        grant(table)
        secure(table)
    _let_refresh(STATISTICS + ", 'segment_members'")
    # Segments made before this have no stored members yet: each organisation has them counted soon.
    op.execute(
        "DO $$ DECLARE org bigint; BEGIN FOR org IN SELECT id FROM organizations LOOP"
        " PERFORM set_config('app.org_id', org::text, true);"
        " INSERT INTO work_due (org_id, kind, due_at) VALUES (org, 'segments', now()) ON CONFLICT DO NOTHING;"
        " END LOOP; PERFORM set_config('app.org_id', '', true); END $$"
    )


def _kinds_of_imports(kinds):
    op.drop_constraint(op.f("ck_imports_kind"), "imports", type_="check")
    op.create_check_constraint(op.f("ck_imports_kind"), "imports", f"kind IN ({kinds})")


def _key_policies():
    """What lists of policies are searched and sorted by: never NULL, and comparable under row-level security."""
    for name, kind, expression in POLICY_KEYS:
        op.add_column("policies", sa.Column(name, kind, sa.Computed(expression, persisted=True), nullable=False))
        op.create_index(op.f(f"ix_policies_org_id_{name}_id"), "policies", ["org_id", name, "id"], unique=False)
    op.create_index(
        op.f("ix_policies_org_id_status_payment_status_type"),
        "policies",
        ["org_id", "status", "payment_status", "type"],
        unique=False,
    )


def _kinds_of_sends(kinds):
    op.drop_constraint(op.f("ck_sends_kind"), "sends", type_="check")
    op.create_check_constraint(op.f("ck_sends_kind"), "sends", f"kind IN ({kinds})")


def _let_refresh(tables):
    op.execute(
        "CREATE OR REPLACE FUNCTION refresh_statistics(wanted text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = public AS $$ BEGIN"
        f" IF wanted NOT IN ({tables}) THEN"
        " RAISE EXCEPTION 'no statistics are kept by hand for %', wanted; END IF;"
        " EXECUTE format('ANALYZE %I', wanted); END $$"
    )


def downgrade():
    _let_refresh(STATISTICS)
    op.drop_index(op.f("ix_policies_org_id_status_payment_status_type"), table_name="policies")
    for name, _, _ in POLICY_KEYS:
        op.drop_column("policies", name)
    op.execute("DELETE FROM imports WHERE kind = 'policies'")
    _kinds_of_imports("'leads'")
    op.execute("DELETE FROM sends WHERE kind = 'confirmation'")
    _kinds_of_sends("'campaign', 'drip', 'automation', 'test', 'followup'")
    op.drop_index(op.f("ix_suppressions_org_id_created_at_id"), table_name="suppressions")
    op.drop_index(op.f("ix_suppressions_org_id_address_id"), table_name="suppressions")
    op.alter_column("suppressions", "address", type_=sa.Text(), existing_nullable=False)
    op.drop_column("suppressions", "note")
    op.drop_column("api_tokens", "calls")
    op.drop_column("api_tokens", "counted_from")
    op.drop_column("segments", "updated_by")
    op.drop_column("segments", "version")
    op.drop_index("ix_lead_events_deeds", table_name="lead_events")
    op.drop_column("lead_events", "campaign_id")
    for table in reversed(TABLES):
        op.drop_table(table)
