"""The indexes of webhooks and of turns, and the check of what 0002 left unchecked.

All of it reads whole tables while the service goes on writing to them, so none of it is in a
transaction. One that was killed half-way leaves an index that is never used: it is built anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE delivery VALIDATE CONSTRAINT delivery_goes_to_one_place")
        _index(
            "delivery_due_webhook",
            "delivery",
            ["due_time"],
            where="url IS NOT NULL AND state IN ('pending', 'leased', 'begun')",
        )
        _index("job_turn", "job", ["turn", "id"], where="state = 'queued'")
        _index("job_round", "job", ["turn"], where="finish_deadline_time IS NOT NULL")


def _index(name: str, table: str, columns: list[str], *, where: str) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    op.create_index(
        name, table, columns, postgresql_where=sa.text(where), postgresql_concurrently=True
    )
