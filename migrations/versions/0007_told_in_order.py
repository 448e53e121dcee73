"""What providers say of templates counts in the order in which they said it; replies are found by the send they answer."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade():
    op.add_column("templates", sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_inbound_messages_send", "inbound_messages", ["org_id", "send_id"], unique=False,
        postgresql_where=sa.text("send_id IS NOT NULL"),
    )  # fmt: skip


def downgrade():
    op.drop_index("ix_inbound_messages_send", table_name="inbound_messages")
    op.drop_column("templates", "told_at")
