"""Attempts know what the last try to fetch had trouble with, and since when.

Release 0.1.0 names the columns that it writes, and writes neither of these.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE attempt ADD COLUMN IF NOT EXISTS trouble varchar,"
        " ADD COLUMN IF NOT EXISTS trouble_time timestamptz"
    )
