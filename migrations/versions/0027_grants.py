"""Grants, so that a retry of one which found nothing to take takes nothing either.

It only expands: earlier releases find a grant by its transfer, and so do later ones where one of
them made it.
"""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS credit_grant (
            id uuid CONSTRAINT credit_grant_pkey PRIMARY KEY,
            owner varchar NOT NULL,
            credits bigint NOT NULL CONSTRAINT credit_grant_is_something CHECK (credits <> 0),
            actor varchar NOT NULL,
            reason varchar NOT NULL,
            time timestamptz NOT NULL
        )
        """
    )
