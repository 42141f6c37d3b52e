"""Media may play, have a title and a cover; attempts keep what was said of their files.

The kind follows from the type, so it has no column. Release 0.1.0 names the columns that it writes,
and writes none of these.
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # each table by itself, as in revision 0008
        op.execute(
            "ALTER TABLE media ADD COLUMN IF NOT EXISTS duration_ms bigint,"
            " ADD COLUMN IF NOT EXISTS title varchar NOT NULL DEFAULT '',"
            " ADD COLUMN IF NOT EXISTS cover_id uuid"
        )
        op.execute("ALTER TABLE upload ADD COLUMN IF NOT EXISTS duration_ms bigint")
        op.execute("ALTER TABLE attempt ADD COLUMN IF NOT EXISTS result_items jsonb")
