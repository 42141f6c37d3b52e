"""Webhooks: where a delivery may go, and the addresses that are gone. Turns of queued jobs.

It only expands: the release before this one writes and reads what it always did. Nothing here reads
a table, so its locks are short; what takes long is in 0003.
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
    op.add_column("job", sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
