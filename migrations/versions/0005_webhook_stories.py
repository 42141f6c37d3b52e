"""Webhooks have a story: their posts are counted, and one that is enabled has a row, too.

A row without disable_time is an address that is enabled. Release 0.1.0 knows no webhooks. Deliveries
that a sender parked for years, which was possible until now, are due again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_DUE_AGAIN = """
UPDATE delivery SET due_time = now() WHERE id IN (SELECT id FROM delivery
    WHERE state = 'pending' AND due_time > now() + interval '24 hours' FOR UPDATE SKIP LOCKED)
"""


def upgrade() -> None:
    op.execute(_DUE_AGAIN)  # it reads a whole table, so it comes before what locks one
    op.alter_column("webhook_endpoint", "disable_time", nullable=True)
    for column in (
        sa.Column("disable_reason", sa.String(), server_default="", nullable=False),
        _time("create_time", server_default=sa.text("now()"), nullable=False),
        _time("attempt_time", nullable=True),
        sa.Column("attempt_status", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt_problem", sa.String(), server_default="", nullable=False),
        sa.Column("taken_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failures_in_a_row", sa.Integer(), server_default="0", nullable=False),
    ):
        op.add_column("webhook_endpoint", column)
    op.execute(
        "UPDATE webhook_endpoint SET create_time = disable_time, attempt_time = disable_time,"
        " disable_reason = 'HTTP 410', attempt_status = 410, failure_count = 1,"
        " failures_in_a_row = 1"
    )
    op.create_index(
        "webhook_idle",
        "webhook_endpoint",
        ["attempt_time"],
        postgresql_where=sa.text("disable_time IS NULL"),
    )


def _time(name: str, **options: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)
