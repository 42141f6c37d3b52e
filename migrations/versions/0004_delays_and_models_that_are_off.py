"""Delays that have a time, successes without a result, and models that the provider switched off.

It only expands: the release before this one reads a delay that it does not know as none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # What was begun and killed before its revision was written is begun again.
    op.execute("ALTER TABLE job ADD COLUMN IF NOT EXISTS further_delay_reason varchar")
    op.execute("ALTER TABLE job ADD COLUMN IF NOT EXISTS delay_until_time timestamptz")
    op.execute("ALTER TABLE job DROP CONSTRAINT IF EXISTS job_further_delay_reason_is_known")
    op.execute(
        "ALTER TABLE job ADD CONSTRAINT job_further_delay_reason_is_known"
        " CHECK (further_delay_reason IS NULL OR further_delay_reason IN ('result_delayed'))"
        " NOT VALID"
    )
    op.execute(
        "ALTER TABLE attempt ADD COLUMN IF NOT EXISTS empty_reads integer NOT NULL DEFAULT 0"
    )
    op.create_table(
        "model_outage",
        sa.Column("model_id", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("begin_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rest_until_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("probe_job_id", sa.Uuid(), nullable=True),
        sa.Column("probe_until_time", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(probe_job_id IS NULL) = (probe_until_time IS NULL)",
            name="model_outage_probe_has_an_end",
        ),
        sa.PrimaryKeyConstraint("model_id"),
        if_not_exists=True,
    )
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE job VALIDATE CONSTRAINT job_further_delay_reason_is_known")
