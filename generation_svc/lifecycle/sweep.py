"""What time alone makes due: deadlines, orphans, labels, leftovers; safe in every replica."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from generation_svc.domain.attempt import Attempt, AttemptState, is_overdue
from generation_svc.domain.job import DelayReason, Failure, FailureReason, JobState
from generation_svc.domain.port import StoredMedia, Transaction
from generation_svc.lifecycle import fetch
from generation_svc.lifecycle.answer import in_doubt
from generation_svc.lifecycle.batch import one_by_one
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.orphan import remove_orphans
from generation_svc.lifecycle.poll import give_up
from generation_svc.lifecycle.receive import apply_pending
from generation_svc.lifecycle.record import revise, settle

BATCH = 100
REQUEST_LIFETIME = timedelta(days=400)
"""How long a request_id means the same job."""
WEBHOOK_LIFETIME = timedelta(days=35)
"""How long an enabled address that nothing is posted to stays in the list."""
_NOT_STARTED = Failure(FailureReason.START_DEADLINE, "The generation could not be started in time.")
_NOT_FINISHED = Failure(FailureReason.FINISH_DEADLINE, "The generation took too long.")
_LABELS = frozenset(
    {
        None,
        DelayReason.PROVIDER_UNREACHABLE,
        DelayReason.PROVIDER_MAINTENANCE,
        DelayReason.PROVIDER_ACCOUNT,
    }
)
"""The delay reasons that the breaker gives and takes."""


async def mark_orphans(context: Context) -> None:
    """An attempt whose dispatcher vanished has an unknown fate."""
    async with context.database.transaction() as tx:
        orphans = await tx.attempts.orphans(older_than=context.pace.submit_lease, limit=BATCH)
    await one_by_one(orphans, partial(_mark_orphan, context))


async def _mark_orphan(context: Context, attempt: Attempt) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        is_news = await tx.attempts.mark_unknown(attempt.id, error="the dispatcher vanished")
        if is_news and job.state is JobState.QUEUED:
            others = await tx.attempts.count_unrefused(job.id) - 1
            waits = in_doubt(context, job, attempt=attempt, others=others)
            await revise(tx, job, event="unknown", **waits)


async def end_unstarted(context: Context) -> None:
    """A job that the provider did not take in time fails, unless an attempt may still come home."""
    async with context.database.transaction() as tx:
        overdue = await tx.jobs.overdue_to_start(limit=BATCH)
    await one_by_one(overdue, partial(_end_unstarted, context))


async def _end_unstarted(context: Context, job_id: UUID) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        if job.state is not JobState.QUEUED:
            return
        live = await tx.attempts.live(job.id)
        usual, _ = context.durations(job.model_id)
        grace = context.pace.grace(usual)
        if any(attempt.submit_time + grace > tx.now() for attempt in live):
            return
        await _end_all(tx, live)
        await settle(tx, job, _NOT_STARTED, event="gave_up")


async def _end_all(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    for attempt in attempts:
        await tx.attempts.end(attempt.id, AttemptState.LOST, error="start deadline")


async def end_overdue(context: Context) -> None:
    """The hard stop, a day after acceptance, ends everything; what is ours is the result."""
    async with context.database.transaction() as tx:
        overdue = await tx.attempts.overdue(hard_deadline=context.pace.hard_deadline, limit=BATCH)
    await one_by_one(overdue, partial(_end_overdue, context))


async def _end_overdue(context: Context, attempt: Attempt) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        current = await tx.attempts.lock(attempt.id)  # its answer may have come since it was found
        if is_overdue(current, job, now=tx.now(), hard_deadline=context.pace.hard_deadline):
            if current.state is AttemptState.SUCCEEDED:
                await fetch.end(tx, job, attempt=current)
            else:
                await give_up(tx, job=job, attempt=current, failure=_NOT_FINISHED)


async def label_delays(context: Context) -> None:
    """While the breaker is open, every queued job says why it waits; then none does."""
    async with context.database.transaction() as tx:
        reason = (await tx.budget.breaker()).reason
        mislabelled = await tx.jobs.mislabelled(reason, limit=BATCH)
    await one_by_one(mislabelled, partial(_label, context, reason=reason))


async def _label(context: Context, job_id: UUID, *, reason: DelayReason | None) -> None:
    async with context.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        is_wrong = job.delay_reason in _LABELS and job.delay_reason is not reason
        if job.state is JobState.QUEUED and is_wrong:
            await revise(tx, job, event="delayed", delay_reason=reason)


async def forget_uploads(context: Context) -> None:
    """Uploads past their time lose their bytes, then their row, so that none is left behind."""
    async with context.database.transaction() as tx:
        expired = await tx.media.expired_uploads(limit=BATCH)
    await one_by_one(expired, partial(_forget_upload, context))


async def _forget_upload(context: Context, stored: StoredMedia) -> None:
    await context.store.delete(stored.key)
    async with context.database.transaction() as tx:
        await tx.media.remove_upload(stored.media.id)


async def forget_requests(context: Context) -> None:
    """What a request_id stood for is remembered for so long, and no longer."""
    async with context.database.transaction() as tx:
        await tx.jobs.forget_requests(older_than=REQUEST_LIFETIME, limit=BATCH)


async def forget_webhooks(context: Context) -> None:
    """Addresses that take outcomes are shown for as long as somebody may look for them."""
    async with context.database.transaction() as tx:
        await tx.webhooks.forget_idle(older_than=WEBHOOK_LIFETIME, limit=BATCH)


STEPS = (
    mark_orphans,
    end_unstarted,
    end_overdue,
    label_delays,
    apply_pending,
    forget_uploads,
    forget_requests,
    remove_orphans,
    forget_webhooks,
)
"""All of it; each is independent of the others, and a fault in one stops none of them."""
