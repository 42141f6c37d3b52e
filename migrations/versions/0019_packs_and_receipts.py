"""Packs at every rate at which they were sold, and what a top-up needs to be refunded and numbered.

It only expands: no earlier release knows a top-up.
"""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    """
    CREATE TABLE IF NOT EXISTS pack (
        id varchar NOT NULL,
        credits bigint NOT NULL,
        stars bigint NOT NULL,
        time timestamptz NOT NULL,
        PRIMARY KEY (id, credits, stars),
        CONSTRAINT pack_is_positive CHECK (credits > 0 AND stars > 0)
    )
    """,
    "ALTER TABLE top_up ADD COLUMN IF NOT EXISTS refund_count integer DEFAULT '0' NOT NULL",
    "ALTER TABLE top_up ADD COLUMN IF NOT EXISTS receipt varchar",
    "ALTER TABLE top_up ADD COLUMN IF NOT EXISTS refund_receipt varchar",
    """
    CREATE INDEX IF NOT EXISTS top_up_without_receipt ON top_up (create_time, id)
        WHERE receipt IS NULL
    """,
    """
    CREATE INDEX IF NOT EXISTS top_up_without_refund_receipt ON top_up (refund_time, id)
        WHERE refund_receipt IS NULL AND state IN ('refunded', 'charged_back')
    """,
)
