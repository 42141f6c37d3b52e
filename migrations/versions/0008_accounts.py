"""Attempts name the account that they were made on, and every account has a breaker and a balance.

What a release writes that names no account belongs to the first one, whose budgets and breaker keep
their names: release 0.1.0 and this one share them. Those of other accounts it never looks at.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # Each by itself: a transaction that has one table and waits for another would hold up, or end
    # by a deadlock, what the older release does to both.
    with op.get_context().autocommit_block():
        # A constant default is no rewrite of the table: the rows that are there read it.
        op.execute(
            "ALTER TABLE attempt ADD COLUMN IF NOT EXISTS provider varchar NOT NULL DEFAULT 'kie',"
            " ADD COLUMN IF NOT EXISTS account varchar NOT NULL DEFAULT 'default',"
            " ADD COLUMN IF NOT EXISTS cost numeric"
        )
        op.execute(
            "ALTER TABLE job ADD COLUMN IF NOT EXISTS account varchar,"
            " ADD COLUMN IF NOT EXISTS claim_account varchar"
        )
        op.create_table(
            "account_breaker",
            sa.Column("name", sa.String(), nullable=False),
            sa.Column("failures", sa.Integer(), nullable=False),
            sa.Column("reason", sa.String(), nullable=True),
            sa.Column("probe_time", sa.DateTime(timezone=True), nullable=True),
            sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
            sa.CheckConstraint(
                "(reason IS NULL) = (probe_time IS NULL)", name="account_breaker_probes_iff_open"
            ),
            sa.PrimaryKeyConstraint("name"),
            if_not_exists=True,
        )
        op.create_table(
            "account_balance",
            sa.Column("provider", sa.String(), nullable=False),
            sa.Column("account", sa.String(), nullable=False),
            sa.Column("balance", sa.Numeric(), nullable=True),
            sa.Column("read_time", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("provider", "account"),
            if_not_exists=True,
        )
