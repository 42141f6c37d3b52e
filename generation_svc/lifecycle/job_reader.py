"""Reads single jobs for many callers: those that are asked for at one time share a statement.

Each would take a connection and three round trips otherwise, and when thousands ask at once, the
connections are what they wait for.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from generation_svc.domain.error import Unavailable
from generation_svc.domain.job import Job
from generation_svc.domain.port.transaction import Database, Transaction
from runtime.clock import loop_time

MOST_JOBS = 100
"""How many jobs are read in one statement: what makes them of rows holds up all other work."""
READS_AT_ONCE = 2
"""How many statements may be under way; one that hangs does not hold up the others."""

_AWAY = "The database is temporarily unavailable."
_T = TypeVar("_T")


@dataclass(eq=False, slots=True)
class _Batch:
    job_ids: set[UUID] = field(default_factory=set)
    reading: asyncio.Task[Mapping[UUID, Job]] | None = None


class JobReader:
    """Reads jobs as they are now: each read begins after all who share it have asked."""

    def __init__(self) -> None:
        self._next = _Batch()
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._failed_at = float("-inf")

    async def get(self, job_id: UUID, *, database: Database) -> Job | None:
        """Read a job; None if there is none of this id. Raises Unavailable."""
        batch = self._next
        if len(batch.job_ids) >= MOST_JOBS:
            batch = self._next = _Batch()
        batch.job_ids.add(job_id)
        if batch.reading is None:
            # Its log lines are those of no single call.
            batch.reading = asyncio.create_task(self._read(batch, database), context=Context())
        # Shielded: a caller that is cancelled must not cancel the reading of all.
        return (await asyncio.shield(batch.reading)).get(job_id)

    async def _read(self, batch: _Batch, database: Database) -> Mapping[UUID, Job]:
        async def query(tx: Transaction) -> Mapping[UUID, Job]:
            # Whoever asks from here on comes too late: what it knows of may not be read.
            self._close(batch)
            return await tx.jobs.get_all(list(batch.job_ids))

        since = loop_time()
        try:
            async with self._turns:
                # Nobody waits twice for a database that turned out to be away meanwhile.
                if self._failed_at > since:
                    raise Unavailable(_AWAY)
                return await self._noting_failure(database.read(query))
        finally:
            self._close(batch)

    async def _noting_failure(self, reading: Awaitable[_T]) -> _T:
        try:
            return await reading
        except Unavailable:
            self._failed_at = loop_time()
            raise

    def _close(self, batch: _Batch) -> None:
        if self._next is batch:
            self._next = _Batch()
