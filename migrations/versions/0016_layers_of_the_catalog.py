"""The catalog in the database: imports, overrides, and the documents that jobs were made with.

It only expands. A release that knows no catalog but its own file would fail a job of a model that
is not in it, or send it as its file says. So such a job says that its dispatcher must know the
database's catalog, and the claim of one that does not is turned into a short wait: it gets no
token, and a claim without a token holds nothing in any release.
"""

from alembic import op

revision = "0016"
down_revision = "0014"


def upgrade() -> None:
    # What was begun and killed before its revision was written is begun again.
    op.execute(
        "CREATE TABLE IF NOT EXISTS catalog_state (name varchar PRIMARY KEY,"
        " revision bigint NOT NULL, update_time timestamptz NOT NULL,"
        " CONSTRAINT catalog_state_is_single CHECK (name = 'catalog'))"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS catalog_import (model_id varchar PRIMARY KEY,"
        " entry json NOT NULL, source varchar NOT NULL, import_time timestamptz NOT NULL)"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS catalog_override (model_id varchar PRIMARY KEY,"
        " patch json NOT NULL, is_off boolean NOT NULL, reason varchar NOT NULL,"
        " update_time timestamptz NOT NULL)"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS catalog_document (digest varchar PRIMARY KEY,"
        " document json NOT NULL, use_time timestamptz NOT NULL)"
    )
    op.execute(
        "CREATE TABLE IF NOT EXISTS model_health (model_id varchar PRIMARY KEY,"
        " read_time timestamptz NOT NULL, normal_share double precision)"
    )
    with op.get_context().autocommit_block():  # by itself, as in revision 0008
        op.execute(
            "ALTER TABLE job ADD COLUMN IF NOT EXISTS model_digest varchar,"
            " ADD COLUMN IF NOT EXISTS needs_catalog boolean NOT NULL DEFAULT false,"
            " ADD COLUMN IF NOT EXISTS catalog_claim uuid"
        )
        op.execute(_REFUSE)
        op.execute(_TRIGGER)


# Without a token nothing is held, so the wait is what an announcement that was missed would cost.
_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_claim_without_catalog() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.claim_token := NULL;
    NEW.dispatch_time := clock_timestamp() + interval '1 second';
    RETURN NEW;
END $$
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER job_claim_knows_the_catalog BEFORE UPDATE OF claim_token ON job
FOR EACH ROW WHEN (NEW.needs_catalog AND NEW.claim_token IS NOT NULL
    AND NEW.claim_token IS DISTINCT FROM OLD.claim_token
    AND NEW.catalog_claim IS DISTINCT FROM NEW.claim_token)
EXECUTE FUNCTION refuse_claim_without_catalog()
"""
