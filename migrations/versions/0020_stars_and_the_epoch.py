"""What differs from Telegram's list of Stars, and how a restored backup is told.

It only expands: no earlier release knows of Stars.
"""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    "ALTER TABLE star_transaction ADD COLUMN IF NOT EXISTS problem varchar DEFAULT '' NOT NULL",
    "ALTER TABLE star_transaction ADD COLUMN IF NOT EXISTS position bigint",
    """
    CREATE INDEX IF NOT EXISTS star_with_problem ON star_transaction (bot_id, time)
        WHERE problem <> ''
    """,
    "ALTER TABLE money_state ADD COLUMN IF NOT EXISTS next_epoch uuid",
    "ALTER TABLE money_state ADD COLUMN IF NOT EXISTS epoch_transfer bigint",
    "ALTER TABLE money_state ADD COLUMN IF NOT EXISTS restored jsonb",
)
