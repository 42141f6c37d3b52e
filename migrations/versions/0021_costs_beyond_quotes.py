"""Tasks that cost more than was quoted, and when a balance was told.

It only expands: an earlier release books no costs, and notes balances without a time.
"""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS cost_excess (
        attempt_id uuid PRIMARY KEY,
        model_id varchar NOT NULL,
        quoted numeric NOT NULL,
        taken numeric NOT NULL,
        time timestamptz NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_cost_excess_model_id ON cost_excess (model_id)",
    "ALTER TABLE account_balance ADD COLUMN IF NOT EXISTS balance_time timestamptz",
)
