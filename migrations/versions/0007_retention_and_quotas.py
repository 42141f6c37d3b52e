"""What expires has indexes by its age; bytes that are gone leave a mark, and are counted.

Release 0.1.0 names the columns that it writes, and writes none of these. It goes on removing whole
rows of uploads that expired, which is what this release does to them later.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_VIDEO = "starts_with(mime_type, 'video/')"
_INDEXES = (
    ("job_ended", "job", ["update_time"], "state IN ('succeeded', 'failed', 'cancelled')"),
    ("media_kept_video", "media", ["create_time"], f"remove_time IS NULL AND {_VIDEO}"),
    ("media_kept", "media", ["create_time"], f"remove_time IS NULL AND NOT {_VIDEO}"),
    ("media_uncounted", "media", ["id"], "NOT is_counted AND remove_time IS NULL"),
    ("upload_kept", "upload", ["expire_time"], "remove_time IS NULL"),
    ("callback_by_time", "callback_receipt", ["receive_time"], None),
)


def upgrade() -> None:
    # Each by itself: a transaction that has one table and waits for another would hold up, or end
    # by a deadlock, what the older release does to both. What was begun and killed before its
    # revision was written is gone on with.
    with op.get_context().autocommit_block():
        op.execute(
            "ALTER TABLE media ADD COLUMN IF NOT EXISTS remove_time timestamptz,"
            " ADD COLUMN IF NOT EXISTS is_counted boolean NOT NULL DEFAULT false"
        )
        op.execute("ALTER TABLE upload ADD COLUMN IF NOT EXISTS remove_time timestamptz")
        op.create_table(
            "storage_usage",
            sa.Column("caller", sa.String(), nullable=False),
            sa.Column("owner", sa.String(), nullable=False),
            sa.Column("size_bytes", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("caller", "owner"),
            if_not_exists=True,
        )
        for name, table, columns, where in _INDEXES:
            _index(name, table, columns, where=where)
        _index(
            "upload_of_owner",
            "upload",
            ["caller", "owner"],
            where="remove_time IS NULL",
            include=["size_bytes"],
        )


def _index(
    name: str,
    table: str,
    columns: list[str],
    *,
    where: str | None,
    include: list[str] | None = None,
) -> None:
    if _is_whole(name):
        return
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    op.create_index(
        name,
        table,
        columns,
        postgresql_where=sa.text(where) if where else None,
        postgresql_include=include,
        postgresql_concurrently=True,
    )


def _is_whole(name: str) -> bool:
    """Return whether an index was built to its end before the migration was killed."""
    query = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
    return bool(op.get_bind().execute(query, {"name": name}).scalar())
