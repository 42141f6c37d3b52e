"""Indexes with which a bot's withdrawals, its charged back top-ups and their Stars are found.

It only expands: no earlier release knows of Stars.
"""

from alembic import op

revision = "0024"
down_revision = "0022"


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.execute(statement)


_STATEMENTS = (
    """
    CREATE INDEX IF NOT EXISTS top_up_of_bot ON top_up (bot_id, state, amount, refund_time)
        WHERE provider = 'telegram_stars'
    """,
    """
    CREATE INDEX IF NOT EXISTS star_withdrawn ON star_transaction (bot_id, amount, nano)
        WHERE partner = 'fragment'
    """,
    """
    CREATE INDEX IF NOT EXISTS star_out_for ON star_transaction (bot_id, payload)
        WHERE direction = 'out'
    """,
)
