"""The job in memory, with the same guards as the SQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.delivery import Destination
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.transition import sources
from tests.model.memory_store import Store, answered


class MemoryJobStore(Store):
    def _set(self, **changes: Any) -> None:
        self._write(row=replace(self._tables.row, **changes))

    @answered
    def get(self, job_id: UUID, *, caller: str | None = None) -> Job | None:
        return self._tables.row.job

    @answered
    def lock(self, job_id: UUID) -> Job:
        return self._tables.row.job

    @answered
    def lock_with_attempt(self, attempt_id: UUID) -> tuple[Job, Attempt]:
        row = self._tables.attempts[self._run.number(attempt_id) - 1]
        return self._tables.row.job, row.attempt

    @answered
    def save(self, job: Job, *, event: JobEventKind, detail: object = None) -> None:
        row = self._tables.row
        if row.job.revision != job.revision - 1 or row.job.state not in sources(job.state):
            raise RuntimeError(f"the job is not at the revision before {job.revision}")
        is_queued = job.state is JobState.QUEUED
        self._set(
            job=job,
            dispatch_time=row.dispatch_time if is_queued else None,
            claim=row.claim if is_queued else 0,
            snapshots=row.snapshots + 1,
        )

    async def note(self, job_id: UUID, *, event: JobEventKind, detail: object = None) -> None:
        """Events are for people: nothing reads them."""

    async def destination(self, job_id: UUID) -> Destination | None:
        return self._tables.row.destination
