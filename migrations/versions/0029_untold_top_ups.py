"""Top-ups of which their owners are to be told: no update did, and Telegram's list alone has them.

It only expands: an earlier release credits and charges back by the list as ever, and tells nobody.
"""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.execute("ALTER TABLE top_up ADD COLUMN IF NOT EXISTS tell_time timestamptz")
    op.execute(
        "CREATE INDEX IF NOT EXISTS top_up_untold ON top_up (bot_id, tell_time)"
        " WHERE tell_time IS NOT NULL"
    )
