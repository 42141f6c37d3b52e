"""The queue on PostgreSQL: its fair order, and what becomes of claims."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from generation_svc.domain.fair_queue import FairQueue
from generation_svc.domain.job import DelayReason, Job
from generation_svc.domain.port.queue import Claim
from generation_svc.storage.connection import Connection
from generation_svc.storage.job_row import job_from_row

SOON = timedelta(seconds=5)
"""How long a claim usually takes, at most, to become an attempt; who is due within it is next."""


class PostgresQueueStore:
    """The `QueueStore` of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def release(self, claim: Claim, *, due: timedelta) -> None:
        await self._connection.execute(
            "UPDATE job SET dispatch_time = now() + %s, claim_token = NULL, claim_account = NULL"
            # Whoever lost the claim meanwhile puts nothing off for the one who has it.
            " WHERE id = %s AND state = 'queued' AND claim_token = %s",
            (due, claim.job.id, claim.token),
        )

    async def extend(self, claim: Claim, *, lease: timedelta) -> bool:
        extended = await self._connection.execute(
            "UPDATE job SET dispatch_time = now() + %s"
            " WHERE id = %s AND state = 'queued' AND claim_token = %s AND dispatch_time > now()",
            (lease, claim.job.id, claim.token),
        )
        return bool(extended.rowcount)

    async def hasten_postponed(self) -> None:
        """Locked rows are skipped, so this waits for no lock."""
        await self._connection.execute(
            "UPDATE job SET dispatch_time = now() WHERE id IN (SELECT id FROM job"
            " WHERE state = 'queued' AND claim_token IS NULL AND dispatch_time > now()"
            " AND NOT EXISTS (SELECT FROM attempt WHERE attempt.job_id = job.id"
            " AND attempt.state IN ('submitting', 'unknown'))"
            # What was queued in a database that was restored may have been sent before.
            " AND NOT EXISTS (SELECT FROM money_state"
            " WHERE job.create_time < (restored ->> 'time')::timestamptz) FOR UPDATE SKIP LOCKED)"
        )

    async def hold_claim(self, claim: Claim) -> Job | None:
        cursor = await self._connection.execute(
            "SELECT * FROM job WHERE id = %s AND state = 'queued' AND claim_token = %s"
            # Past its lease a claim is lost, even if nobody has taken the job yet: somebody may
            # right now.
            " AND dispatch_time > now() FOR NO KEY UPDATE",
            (claim.job.id, claim.token),
        )
        row = await cursor.fetchone()
        return job_from_row(row) if row else None

    async def read(self) -> FairQueue:
        """Read the queue in its fair order; jobs that are postponed for long are left out."""
        # In binary: as text each of up to 2.4 million bytes would come as two hexadecimal digits.
        cursor = await self._connection.execute(_LINE, {"soon": SOON}, binary=True)
        entries = await cursor.fetchone()
        cursor = await self._connection.execute(
            "SELECT caller, count(*) AS jobs FROM job WHERE state = 'queued' GROUP BY caller"
        )
        lengths = {row["caller"]: row["jobs"] for row in await cursor.fetchall()}
        return FairQueue((entries and entries["line"]) or b"", lengths)

    async def overdue_to_start(self, *, after: UUID | None = None, limit: int) -> Sequence[UUID]:
        return await self._ids(_OVERDUE, after=after, limit=limit)

    async def mislabelled(
        self, reason: DelayReason | None, *, after: UUID | None = None, limit: int
    ) -> Sequence[UUID]:
        return await self._ids(_MISLABELLED, reason=reason, after=after, limit=limit)

    async def _ids(self, statement: str, **values: Any) -> Sequence[UUID]:
        cursor = await self._connection.execute(statement, values)
        return [row["id"] for row in await cursor.fetchall()]


# In the order of the queue, which is that of an index: none is sorted, however long it is.
_BATCH = """
SELECT id FROM job WHERE state = 'queued' AND {which}
    AND (turn, id) > (coalesce((SELECT turn FROM job WHERE id = %(after)s::uuid), -1),
        coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY turn, id LIMIT %(limit)s
"""
_OVERDUE = _BATCH.format(which="start_deadline_time <= now()")
_MISLABELLED = _BATCH.format(
    which="delay_reason IS DISTINCT FROM %(reason)s::text AND (delay_reason IS NULL"
    " OR delay_reason IN ('provider_unreachable', 'provider_maintenance', 'provider_account'))"
)
_LINE = """
SELECT string_agg(int8send(turn) || uuid_send(id), '') AS line
FROM (SELECT turn, id FROM job WHERE state = 'queued'
        AND (claim_token IS NOT NULL OR dispatch_time <= now() + %(soon)s::interval)
      ORDER BY turn, id) AS queued
"""
