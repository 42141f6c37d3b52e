"""Indexes whose first entries tell what is due next.

They are built while the service goes on writing, so not in a transaction; one that was killed
half-way is never used and built anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _index(
            "attempt_under_way",
            "attempt",
            ["state", "submit_time"],
            where="state IN ('accepted', 'submitting', 'succeeded', 'unknown')",
        )
        _index("job_start_due", "job", ["start_deadline_time"], where="state = 'queued'")
        _index(
            "job_delayed",
            "job",
            ["id"],
            where="state = 'queued' AND delay_reason IN"
            " ('provider_unreachable', 'provider_maintenance', 'provider_account')",
        )


def _index(name: str, table: str, columns: list[str], *, where: str) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    op.create_index(
        name, table, columns, postgresql_where=sa.text(where), postgresql_concurrently=True
    )
