"""What time alone makes due: deadlines, orphans, labels, leftovers; safe in every replica."""

from collections.abc import Sequence
from uuid import UUID

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.job import DelayReason, Failure, FailureReason, JobState
from generation_svc.domain.port import Transaction
from generation_svc.lifecycle.context import Context, now
from generation_svc.lifecycle.poll import give_up
from generation_svc.lifecycle.receive import apply_pending
from generation_svc.lifecycle.record import revise, settle

BATCH = 100
_NOT_STARTED = Failure(FailureReason.START_DEADLINE, "The generation could not be started in time.")
_NOT_FINISHED = Failure(FailureReason.FINISH_DEADLINE, "The generation took too long.")


async def sweep(context: Context) -> None:
    """Do everything once."""
    await mark_orphans(context)
    await end_unstarted(context)
    await end_overdue(context)
    await label_delays(context)
    await apply_pending(context)
    await forget_uploads(context)


async def mark_orphans(context: Context) -> None:
    """An attempt whose dispatcher vanished has an unknown fate."""
    async with context.database.transaction() as tx:
        orphans = await tx.attempts.orphans(older_than=context.pace.submit_lease, limit=BATCH)
    for attempt in orphans:
        async with context.database.transaction() as tx:
            await _mark_orphan(tx, attempt)


async def _mark_orphan(tx: Transaction, attempt: Attempt) -> None:
    job = await tx.jobs.lock(attempt.job_id)
    await tx.attempts.mark_unknown(attempt.id, error="the dispatcher vanished")
    if job.state is JobState.QUEUED:
        reason = DelayReason.PROVIDER_UNCONFIRMED
        await revise(tx, job, event="unknown", delay_reason=reason)


async def end_unstarted(context: Context) -> None:
    """A job that the provider did not take in time fails, unless an attempt may still come home."""
    async with context.database.transaction() as tx:
        overdue = await tx.jobs.overdue_to_start(limit=BATCH)
    for job_id in overdue:
        await _end_unstarted(context, job_id)


async def _end_unstarted(context: Context, job_id: UUID) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        if job.state is not JobState.QUEUED:
            return
        live = await tx.attempts.live(job.id)
        grace = context.pace.grace(context.catalog.get(job.model_id).usual_duration)
        if any(attempt.submit_time + grace > now() for attempt in live):
            return
        await _end_all(tx, live)
        await settle(tx, job, _NOT_STARTED, event="gave_up")


async def end_overdue(context: Context) -> None:
    """The hard stop, a day after acceptance, ends everything."""
    async with context.database.transaction() as tx:
        overdue = await tx.attempts.overdue(hard_deadline=context.pace.hard_deadline, limit=BATCH)
    for attempt in overdue:
        async with context.database.transaction() as tx:
            job = await tx.jobs.lock(attempt.job_id)
            await give_up(tx, job=job, attempt=attempt, failure=_NOT_FINISHED)


async def label_delays(context: Context) -> None:
    """While the breaker is open, every queued job says why it waits; then none does."""
    async with context.database.transaction() as tx:
        breaker = await tx.budget.breaker()
        mislabelled = await tx.jobs.mislabelled(breaker.reason, limit=BATCH)
    for job_id in mislabelled:
        async with context.database.transaction() as tx:
            job = await tx.jobs.lock(job_id)
            if job.state is JobState.QUEUED and job.delay_reason != breaker.reason:
                await revise(tx, job, event="delayed", delay_reason=breaker.reason)


async def forget_uploads(context: Context) -> None:
    """Uploads past their time lose their row, then their bytes."""
    async with context.database.transaction() as tx:
        expired = await tx.media.expired_uploads(limit=BATCH)
    for stored in expired:
        await context.store.delete(stored.key)


async def _end_all(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        await tx.attempts.end(attempt.id, AttemptState.LOST, error="start deadline")
