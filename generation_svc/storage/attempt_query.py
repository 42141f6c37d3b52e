"""The longer statements about attempts, in SQL."""

from generation_svc.storage.attempt_state import is_live
from generation_svc.storage.batch import batch_of

IS_AMONG = (
    "(attempt.provider, attempt.account)"
    " IN (SELECT * FROM unnest(%(providers)s::text[], %(accounts)s::text[]))"
)
"""Holds of the attempts of these accounts."""
LOCK_ANSWERED = """
SELECT attempt.*, EXISTS (
    SELECT FROM (SELECT name, failures, reason FROM breaker
                 UNION ALL SELECT name, failures, reason FROM account_breaker) AS known
    WHERE name = %(breaker)s AND (failures > 0 OR reason IS NOT NULL)) AS has_faults
FROM attempt WHERE id = %(id)s FOR NO KEY UPDATE OF attempt
"""


def _claim(clock: str, *, counter: str, due: str, lease: str = "%(lease)s") -> str:
    """Write a claim of what is due by a clock, which its lease moves on, in SQL."""
    # The subquery is an array, and runs once: joined, the planner might run it more than once and
    # lock more rows than are claimed.
    return f"""
WITH chosen AS (
    SELECT id FROM attempt WHERE {due} AND {clock} <= now()
    ORDER BY {clock} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE attempt SET {clock} = now() + {lease}, {counter} = {counter} + 1
    WHERE id = ANY(ARRAY(SELECT id FROM chosen)) RETURNING *
)
SELECT claimed.*, next_due,
    (SELECT model_id FROM job WHERE job.id = claimed.job_id) AS model_id,
    (SELECT model_digest FROM job WHERE job.id = claimed.job_id) AS model_digest FROM (
    SELECT min({clock}) - now() AS next_due FROM attempt
    WHERE {due} AND id <> ALL(ARRAY(SELECT id FROM chosen))
) AS coming LEFT JOIN claimed ON true
"""


CLAIM_READS = _claim("read_time", counter="read_tries", due=f"state = 'accepted' AND {IS_AMONG}")
CLAIM_FETCHES = _claim("fetch_time", counter="fetch_tries", due="state = 'succeeded'")
# All that ended before a backup is due at once where that is restored: first comes the recovery,
# which reads what was under way.
CLAIM_COSTS = _claim(
    "cost_time",
    counter="cost_reads",
    due=f"cost_time IS NOT NULL AND {IS_AMONG}"
    " AND NOT EXISTS (SELECT FROM money_state WHERE restored IS NOT NULL)",
    lease="%(lease)s::interval * power(3, cost_reads)",
)
UNREADABLE = batch_of(
    "attempt",
    f"""
SELECT attempt.id FROM attempt JOIN job ON job.id = attempt.job_id
WHERE attempt.state = 'accepted' AND job.finish_deadline_time <= now()
  AND attempt.read_time <= now() - %(grace)s::interval AND NOT {IS_AMONG}
""",
)
ORPHANS = batch_of(
    "attempt",
    "SELECT id FROM attempt WHERE state = 'submitting'"
    " AND submit_time <= now() - %(span)s::interval",
)
_START = "coalesce(attempt.accept_time, attempt.submit_time)"
# The states are literals: with a parameter the partial index of live attempts is not used. A
# success that came after the hard stop has as long again, as `hard_stop_time` says.
OVERDUE = batch_of(
    "attempt",
    f"""
SELECT attempt.id FROM attempt JOIN job ON job.id = attempt.job_id
WHERE {is_live("attempt.state")}
  AND ({_START} <= now() - %(span)s::interval AND (attempt.state <> 'succeeded'
           OR coalesce(attempt.end_time, attempt.submit_time)
               <= greatest({_START} + %(span)s::interval, now() - %(span)s::interval))
       OR attempt.state = 'unknown' AND coalesce(job.finish_deadline_time,
           CASE WHEN job.state = 'cancelled' THEN job.start_deadline_time END) <= now())
""",
)
