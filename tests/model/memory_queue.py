"""The queue in memory, with the same guards as the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from generation_svc.domain.fair_queue import FairQueue
from generation_svc.domain.job import Job, JobState
from generation_svc.domain.port.queue import Claim
from tests.model.clock import NOW, after
from tests.model.memory_store import Store, answered


class MemoryQueueStore(Store):
    def _set(self, **changes: Any) -> None:
        self._write(row=replace(self._tables.row, **changes))

    def _is_claimed(self, claim: Claim) -> bool:
        row = self._tables.row
        return row.job.state is JobState.QUEUED and row.claim == claim.token.int

    async def read(self) -> FairQueue:
        return FairQueue()

    @answered
    def release(self, claim: Claim, *, due: timedelta) -> None:
        if self._is_claimed(claim):
            self._set(dispatch_time=after(due), claim=0)

    @answered
    def hold_claim(self, claim: Claim) -> Job | None:
        row = self._tables.row
        is_held = row.dispatch_time is not None and row.dispatch_time > NOW
        return row.job if self._is_claimed(claim) and is_held else None

    @answered
    def extend(self, claim: Claim, *, lease: timedelta) -> bool:
        row = self._tables.row
        is_held = row.dispatch_time is not None and row.dispatch_time > NOW
        if self._is_claimed(claim) and is_held:
            self._set(dispatch_time=after(lease))
            return True
        return False

    @answered
    def overdue_to_start(self, *, after: UUID | None = None, limit: int) -> Sequence[UUID]:
        job = self._tables.row.job
        is_late = job.state is JobState.QUEUED and job.start_deadline_time <= NOW
        return (job.id,) if is_late else ()
