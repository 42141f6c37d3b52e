"""Webhooks: where a delivery may go, and the addresses that are gone. Turns of queued jobs.

It only expands: the release before this one writes and reads what it always did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("disable_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "url"),
    )
    op.add_column("delivery", sa.Column("url", sa.String(), nullable=True))
    op.execute(
        "ALTER TABLE delivery ADD CONSTRAINT delivery_goes_to_one_place"
        " CHECK (num_nonnulls(bot_id, queue, url) = 1) NOT VALID"
    )
    op.execute("ALTER TABLE delivery DROP CONSTRAINT delivery_has_one_destination")
    op.execute("ALTER TABLE delivery VALIDATE CONSTRAINT delivery_goes_to_one_place")
    op.create_index(
        "delivery_due_webhook",
        "delivery",
        ["due_time"],
        unique=False,
        postgresql_where=sa.text("url IS NOT NULL AND state IN ('pending', 'leased', 'begun')"),
    )
    op.add_column("job", sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "job_turn",
        "job",
        ["turn", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
