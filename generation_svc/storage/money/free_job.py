"""Which jobs of free models count for an owner's allowance of a day, in SQL."""

from generation_svc.domain.attempt import LIVE_STATES, AttemptState
from generation_svc.domain.job import JobState

_USED = ", ".join(f"'{state}'" for state in sorted({*LIVE_STATES, AttemptState.SETTLED}))
_FIRST_ID = "(lpad(to_hex((extract(epoch FROM {day}) * 1000)::bigint), 12, '0') || repeat('0', 20))"

# An id begins with the time of its job, so the index of an owner's jobs, which is there for lists,
# gives those of a day and reads no others.
FREE_JOBS = f"""SELECT job.id FROM job
    WHERE job.caller = {{caller}} AND job.owner = {{owner}} AND job.id >= {_FIRST_ID}::uuid
    AND job.create_time >= {{day}} AND job.create_time < {{day}} + interval '24 hours'
    AND job.is_free AND job.state <> '{JobState.FAILED}'
    AND (job.state <> '{JobState.CANCELLED}' OR EXISTS (SELECT FROM attempt
        WHERE attempt.job_id = job.id AND attempt.state IN ({_USED})))"""
"""The free jobs of an owner that count for a day (UTC), by an expression for its beginning.

A cancelled job counts as long as a result may come of it, or if one did: as with credits.
"""
