"""What must hold in the database whatever came in: each query finds the rows that break it."""

from __future__ import annotations

from generation_svc.domain.transition import ALLOWED
from tests.e2e.history import History

_STEPS = ", ".join(f"('{old}', '{new}')" for old, after in ALLOWED.items() for new in after)

BROKEN: dict[str, str] = {
    "a step that the table of transitions does not have": f"""
        SELECT job_id, before, state FROM (
          SELECT job_id, state, lag(state) OVER (PARTITION BY job_id ORDER BY revision) AS before
          FROM job_event WHERE revision IS NOT NULL) AS step
        WHERE before IS NOT NULL AND (before, state) NOT IN ({_STEPS})""",
    "a revision that is missing": """
        SELECT job.id, job.revision, count(*) FROM job
        JOIN job_event ON job_event.job_id = job.id AND job_event.revision IS NOT NULL
        GROUP BY job.id
        HAVING count(*) <> job.revision OR max(job_event.revision) <> job.revision""",
    "a job that is not as its last event says": """
        SELECT job.id, job.state, job_event.state FROM job JOIN job_event
          ON job_event.job_id = job.id AND job_event.revision = job.revision
        WHERE job.state <> job_event.state""",
    "a running job without a living attempt": """
        SELECT id FROM job WHERE state = 'running' AND NOT EXISTS (SELECT FROM attempt
          WHERE job_id = job.id AND state IN ('accepted', 'succeeded'))""",
    "more than two attempts that may have made a task": """
        SELECT job_id FROM attempt WHERE state <> 'refused' GROUP BY job_id HAVING count(*) > 2""",
    "a success without its media": """
        SELECT id FROM job WHERE state = 'succeeded' AND jsonb_array_length(result->'media') <>
          (SELECT count(*) FROM media WHERE media.job_id = job.id AND EXISTS (
            SELECT FROM jsonb_array_elements(job.result->'media') AS shown
            WHERE shown->>'id' = media.id::text))""",
    "two deliveries of a kind": """
        SELECT job_id, kind FROM delivery GROUP BY job_id, kind HAVING count(*) > 1""",
    "an outcome that is sent before there is one": """
        SELECT delivery.job_id FROM delivery JOIN job ON job.id = delivery.job_id
        WHERE delivery.kind = 'outcome' AND job.state IN ('queued', 'running')""",
    "a believed callback without its attempt": """
        SELECT id FROM callback_receipt WHERE is_trusted AND attempt_id IS NULL""",
    "a request key without its job": """
        SELECT request_id FROM request_key WHERE NOT EXISTS (
          SELECT FROM job WHERE job.id = request_key.job_id)""",
    "a price of a free model": "SELECT id FROM job WHERE is_free AND credits <> 0",
    "a time that runs backwards": "SELECT id FROM job WHERE update_time < create_time",
}
"""A name for each rule, and the rows that break it."""


async def broken(history: History) -> list[str]:
    """Return the rules that do not hold, with a row of each."""
    found = [(name, await history.rows(query)) for name, query in BROKEN.items()]
    return [f"{name}: {len(rows)} rows, such as {rows[0]}" for name, rows in found if rows]
