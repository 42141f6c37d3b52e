"""What is lent to a wallet within a month.

It only expands: no earlier release lends.
"""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    """
    ALTER TABLE hold ADD COLUMN IF NOT EXISTS lent bigint DEFAULT '0' NOT NULL
        CONSTRAINT hold_lends_at_most_paid CHECK (lent BETWEEN 0 AND paid)
    """,
    """
    ALTER TABLE wallet ADD COLUMN IF NOT EXISTS lent bigint DEFAULT '0' NOT NULL
        CONSTRAINT wallet_lends_nothing_negative CHECK (lent >= 0)
    """,
    "ALTER TABLE wallet ADD COLUMN IF NOT EXISTS lent_month timestamptz",
    "ALTER TABLE wallet ADD COLUMN IF NOT EXISTS written_off bigint DEFAULT '0' NOT NULL",
)
