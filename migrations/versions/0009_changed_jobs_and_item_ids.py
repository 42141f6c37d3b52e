"""Jobs of a caller by the time of their last change, and the provider's ids of what it made.

Release 0.1.0 names the columns that it writes. The index is built while the service goes on writing,
so not in a transaction; one that was killed half-way is never used and built anew.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("ALTER TABLE attempt ADD COLUMN IF NOT EXISTS item_ids jsonb")
    with op.get_context().autocommit_block():
        op.drop_index("job_changed", "job", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "job_changed", "job", ["caller", "update_time"], postgresql_concurrently=True
        )
