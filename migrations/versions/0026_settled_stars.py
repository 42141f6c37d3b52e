"""What an operator decided about a transaction in Stars.

It only expands: no earlier release knows of Stars.
"""

from alembic import op

revision = "0026"
down_revision = "0024"


def upgrade() -> None:
    for column in ("settled_as varchar", "settle_actor varchar", "settle_reason varchar"):
        op.execute(f"ALTER TABLE star_transaction ADD COLUMN IF NOT EXISTS {column}")
    op.execute("ALTER TABLE star_transaction ADD COLUMN IF NOT EXISTS settle_time timestamptz")
