"""How models have been doing, on PostgreSQL."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from generation_svc.domain.failure import FailureReason
from generation_svc.domain.model_health import FEWEST_USUAL, ModelHealth
from generation_svc.storage.connection import Connection, Row

SAMPLE = 200
"""How many of a model's latest jobs are looked at."""
_PROVIDERS_FAULT = (
    FailureReason.GENERATION_FAILED,
    FailureReason.FINISH_DEADLINE,
    FailureReason.PROVIDER_LOST_JOB,
    FailureReason.RESULT_UNAVAILABLE,
)


class PostgresHealthStore:
    """The `HealthStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of_models(
        self, model_ids: Collection[str], *, recent: timedelta, believed_for: timedelta
    ) -> Mapping[str, ModelHealth]:
        values = {
            "models": list(model_ids),
            "recent": recent,
            "believed": believed_for,
            "sample": SAMPLE,
            "faults": [str(reason) for reason in _PROVIDERS_FAULT],
        }
        cursor = await self._connection.execute(_OF_MODELS, values)
        return {row["model_id"]: _health(row) for row in await cursor.fetchall()}

    async def claim_read(
        self, model_ids: Collection[str], *, used_within: timedelta, every: timedelta
    ) -> str | None:
        values = {"models": list(model_ids), "used": used_within, "every": every}
        cursor = await self._connection.execute(_CLAIM_READ, values)
        row = await cursor.fetchone()
        return row["model_id"] if row else None

    async def keep(self, model_id: str, *, normal_share: float | None) -> None:
        await self._connection.execute(
            "UPDATE model_health SET normal_share = %s WHERE model_id = %s",
            (normal_share, model_id),
        )


def _health(row: Row) -> ModelHealth:
    is_usual = row["earlier"] >= FEWEST_USUAL
    return ModelHealth(
        succeeded=row["succeeded"],
        failed=row["failed"],
        recent=row["took_recently"],
        usual=row["took_earlier"] if is_usual else None,
        normal_share=row["normal_share"],
    )


# Of each model the latest jobs, from an index: however many jobs there are, it reads so many.
_OF_MODELS = """
SELECT asked.model_id, counted.*, health.normal_share
FROM unnest(%(models)s::text[]) AS asked (model_id)
LEFT JOIN model_health AS health ON health.model_id = asked.model_id
    AND health.read_time > now() - %(believed)s::interval
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE is_recent AND state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE is_recent AND state = 'failed'
               AND failure->>'reason' = ANY(%(faults)s::text[])) AS failed,
           count(took) FILTER (WHERE NOT is_recent) AS earlier,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE is_recent)
               AS took_recently,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE NOT is_recent)
               AS took_earlier
    FROM (
        SELECT job.state, job.failure, job.update_time > now() - %(recent)s::interval AS is_recent,
               (SELECT max(end_time - accept_time) FROM attempt
                WHERE attempt.job_id = job.id AND job.state = 'succeeded') AS took
        FROM (SELECT * FROM job WHERE job.model_id = asked.model_id
              ORDER BY id DESC LIMIT %(sample)s) AS job
        WHERE job.state IN ('succeeded', 'failed')
    ) AS ended
) AS counted
WHERE counted.succeeded + counted.failed + counted.earlier > 0
   OR health.normal_share IS NOT NULL
"""
# The provider allows one such request a second, for all of an account's programs together.
_CLAIM_READ = """
INSERT INTO model_health AS known (model_id, read_time)
SELECT asked.model_id, now() FROM unnest(%(models)s::text[]) AS asked (model_id)
LEFT JOIN model_health AS earlier ON earlier.model_id = asked.model_id
WHERE (earlier.read_time <= now() - %(every)s::interval) IS NOT FALSE
  AND (SELECT create_time FROM job WHERE job.model_id = asked.model_id
       ORDER BY id DESC LIMIT 1) > now() - %(used)s::interval
  AND NOT EXISTS (SELECT FROM model_health WHERE read_time > now() - interval '1 second')
ORDER BY earlier.read_time NULLS FIRST LIMIT 1
ON CONFLICT (model_id) DO UPDATE SET read_time = excluded.read_time
WHERE known.read_time <= now() - %(every)s::interval
RETURNING model_id
"""
