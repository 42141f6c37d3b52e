"""Since when sales are closed, and payments that a bot is to return once more.

It only expands. An earlier release that closes sales tells no time of it, and makes none of these
returns: it leaves them to replicas of this one.
"""

from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.execute("ALTER TABLE money_state ADD COLUMN IF NOT EXISTS sales_close_time timestamptz")
    op.execute(
        "ALTER TABLE top_up ADD COLUMN IF NOT EXISTS is_due_again boolean NOT NULL DEFAULT false"
    )
    op.execute("CREATE INDEX IF NOT EXISTS top_up_due_again ON top_up (bot_id) WHERE is_due_again")
