"""Since when sales are closed, and payments that a bot is to return once more.

It only expands. An earlier release that closes sales tells no time of it, and makes none of these
returns: it leaves them to replicas of this one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # each by itself, as in revision 0008
        op.execute("ALTER TABLE money_state ADD COLUMN IF NOT EXISTS sales_close_time timestamptz")
        op.execute(
            "ALTER TABLE top_up"
            " ADD COLUMN IF NOT EXISTS is_due_again boolean NOT NULL DEFAULT false"
        )
        op.drop_index("top_up_due_again", "top_up", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "top_up_due_again",
            "top_up",
            ["bot_id"],
            postgresql_where=sa.text("is_due_again"),
            postgresql_concurrently=True,
        )
