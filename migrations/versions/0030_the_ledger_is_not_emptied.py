"""Transfers and margins cannot be removed with TRUNCATE either.

Revision 0018 refuses to change and to delete a row of them; a trigger of rows is not asked when a
table is emptied as a whole. Nothing in a release does that, so that no other replica is concerned.
"""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # each by itself, as in revision 0008
        for table in ("transfer", "margin_rule"):
            op.execute(
                f"CREATE OR REPLACE TRIGGER {table}_is_not_emptied BEFORE TRUNCATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_what_was_written()"
            )
