"""The end of a job with an open hold is refused as what it is: a broken rule of the table.

Revision 0018 refused it with the error of a lock that was not had, which means "not now" to every
release. So an earlier one tried each such end for twenty seconds, with all that fetches results at
once, and its sweeps stopped at the first of them: free jobs stood behind paid ones. A broken rule
ends the one attempt, and the work goes on. What a callback told and what was fetched stays as it
is, and a replica that knows holds ends the job.

It only replaces a function: no table is locked.
"""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.execute(_REFUSE)


_REFUSE = """
CREATE OR REPLACE FUNCTION refuse_end_with_open_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM hold WHERE job_id = NEW.id AND state = 'open') THEN
        RAISE EXCEPTION 'job % ends with an open hold', NEW.id
            USING ERRCODE = 'check_violation', TABLE = 'job', CONSTRAINT = 'job_ends_with_its_hold';
    END IF;
    RETURN NEW;
END $$
"""
