"""Where a portfolio is full, those who take no place of it are found by their address."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade():
    op.create_index(
        "ix_sends_pending_people", "sends", ["org_id", "campaign_id", "recipient_address"], unique=False,
        postgresql_where=sa.text("status = 'pending' AND channel = 'whatsapp'"),
    )  # fmt: skip


def downgrade():
    op.drop_index("ix_sends_pending_people", table_name="sends")
