"""What a task cost is read afterwards, where nothing that told of its end said it.

An earlier release ends attempts without saying when their cost is to be read; so it stays unknown.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    # What was begun and killed before its revision was written is begun again.
    with op.get_context().autocommit_block():  # by itself, as in revision 0008
        op.execute(
            "ALTER TABLE attempt ADD COLUMN IF NOT EXISTS cost_time timestamptz,"
            " ADD COLUMN IF NOT EXISTS cost_reads integer NOT NULL DEFAULT 0"
        )
        op.drop_index("attempt_cost_due", "attempt", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "attempt_cost_due",
            "attempt",
            ["cost_time"],
            postgresql_where=sa.text("cost_time IS NOT NULL"),
            postgresql_concurrently=True,
        )
