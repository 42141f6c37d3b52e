"""Models that the provider switched off, on PostgreSQL, so that all replicas know."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from generation_svc.storage.connection import Connection


class PostgresModelStore:
    """The `ModelStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def outages(self) -> Mapping[str, datetime]:
        cursor = await self._connection.execute(
            "SELECT model_id, rest_until_time FROM model_outage"
        )
        return {row["model_id"]: row["rest_until_time"] for row in await cursor.fetchall()}

    async def rest_left(self, model_id: str) -> timedelta | None:
        cursor = await self._connection.execute(
            "SELECT greatest(rest_until_time - now(), interval '0') AS rest_left"
            " FROM model_outage WHERE model_id = %s",
            (model_id,),
        )
        row = await cursor.fetchone()
        return row["rest_left"] if row else None

    async def begin_outage(self, model_id: str, *, rest: timedelta, text: str) -> bool:
        cursor = await self._connection.execute(
            _BEGIN_OUTAGE, {"model_id": model_id, "rest": rest, "text": text}
        )
        row = await cursor.fetchone()
        return row is not None and row["is_news"]

    async def claim_probe(self, model_id: str, *, job_id: UUID, span: timedelta) -> bool:
        cursor = await self._connection.execute(
            _CLAIM_PROBE, {"model_id": model_id, "job_id": job_id, "span": span}
        )
        return cursor.rowcount == 1

    async def end_outage(self, model_id: str) -> bool:
        ended = await self._connection.execute(
            "DELETE FROM model_outage WHERE model_id = %s", (model_id,)
        )
        return ended.rowcount == 1


# now() is the beginning of this transaction, so that `is_news` holds only for a row that this very
# statement inserted.
_BEGIN_OUTAGE = """
INSERT INTO model_outage AS o (model_id, text, begin_time, rest_until_time)
VALUES (%(model_id)s, %(text)s, now(), now() + %(rest)s::interval)
ON CONFLICT (model_id) DO UPDATE SET text = excluded.text,
    rest_until_time = excluded.rest_until_time, probe_job_id = NULL, probe_until_time = NULL
RETURNING begin_time = now() AS is_news
"""
# One UPDATE decides, so that of the jobs of all replicas one tries. Its right ends by itself, for
# its dispatcher may be killed.
_CLAIM_PROBE = """
UPDATE model_outage SET probe_job_id = %(job_id)s, probe_until_time = now() + %(span)s::interval
WHERE model_id = %(model_id)s AND rest_until_time <= now()
  AND (probe_job_id IS NULL OR probe_job_id = %(job_id)s OR probe_until_time <= now())
"""
