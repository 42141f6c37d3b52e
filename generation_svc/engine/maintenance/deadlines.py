"""Ends jobs and attempts that are past their deadlines."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from generation_svc.domain.attempt import Attempt, AttemptState, is_overdue
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.failure import Failure, FailureReason
from generation_svc.domain.job import JobState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import fetch_result
from generation_svc.engine.batch import BATCH, one_by_one_found
from generation_svc.engine.poll import give_up
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.record import settle

_NOT_STARTED = Failure.of(FailureReason.START_DEADLINE)
_NOT_FINISHED = Failure.of(FailureReason.FINISH_DEADLINE)


async def end_unstarted(deps: Dependencies) -> bool:
    """Fail jobs that the provider did not take in time, unless an attempt may still succeed."""

    async def find(tx: Transaction, last: UUID | None) -> Sequence[UUID]:
        return await tx.queue.overdue_to_start(after=last, limit=BATCH)

    await one_by_one_found(deps, find, partial(_end_unstarted, deps))
    return False


async def _end_unstarted(deps: Dependencies, job_id: UUID) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        # Found without a lock: the provider may have taken it since.
        if job.state is not JobState.QUEUED:
            return
        live = await tx.attempts.live(job.id)
        usual, _ = deps.models.durations(job.model_id)
        grace = deps.timing.grace(usual)
        if any(attempt.submit_time + grace > tx.now() for attempt in live):
            return
        await _end_all(tx, live)
        await settle(tx, job, _NOT_STARTED, event=JobEventKind.GAVE_UP)


async def _end_all(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        await tx.attempts.end(attempt.id, AttemptState.LOST, error="start deadline")


async def end_overdue(deps: Dependencies) -> bool:
    """End attempts a day after acceptance; the files that are stored become the result."""

    async def find(tx: Transaction, last: Attempt | None) -> Sequence[Attempt]:
        after, deadline = last.id if last else None, deps.timing.hard_deadline
        return await tx.attempts.overdue(hard_deadline=deadline, after=after, limit=BATCH)

    await one_by_one_found(deps, find, partial(_end_overdue, deps))
    return False


async def _end_overdue(deps: Dependencies, attempt: Attempt) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)  # its answer may have come since it was found
        if is_overdue(current, job, now=tx.now(), hard_deadline=deps.timing.hard_deadline):
            if current.state is AttemptState.SUCCEEDED:
                await fetch_result.end(tx, job, attempt=current)
            else:
                await give_up(tx, job=job, attempt=current, failure=_NOT_FINISHED)
