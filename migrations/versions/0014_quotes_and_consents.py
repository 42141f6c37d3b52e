"""Jobs keep the quote that they were accepted with; owners' consents are recorded.

A replica of an earlier release names the columns that it writes, and writes none of these.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # the large table by itself, as in revision 0008
        op.execute(
            "ALTER TABLE job ADD COLUMN IF NOT EXISTS is_ceiling boolean NOT NULL DEFAULT false,"
            " ADD COLUMN IF NOT EXISTS quoted_cost numeric(14, 4)"
        )
    op.create_table(
        "consent",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("wording_version", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("agree_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('voice', 'face')", name="consent_kind_is_known"),
        if_not_exists=True,
    )
