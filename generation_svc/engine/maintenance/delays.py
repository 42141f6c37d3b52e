"""Keeps the delay reasons of queued jobs true while breakers open and close."""

from functools import partial
from uuid import UUID

from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import DelayReason, JobState
from generation_svc.engine import breaker
from generation_svc.engine.batch import BATCH, one_by_one
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.record import revise

_LABELS = frozenset(
    {
        None,
        DelayReason.PROVIDER_UNREACHABLE,
        DelayReason.PROVIDER_MAINTENANCE,
        DelayReason.PROVIDER_ACCOUNT,
    }
)
"""The delay reasons that breakers give and take."""


async def label_delays(deps: Dependencies) -> bool:
    """While the breakers of all accounts are open, every queued job says why it waits.

    It returns whether it has to go on: others may be accepted before one of them closes.
    """
    async with deps.database.transaction() as tx:
        reason = await breaker.reason_to_wait(deps, tx)
        mislabelled = await tx.queue.mislabelled(reason, limit=BATCH)
    await one_by_one(mislabelled, partial(_label, deps, reason=reason))
    return reason is not None or len(mislabelled) >= BATCH


async def _label(deps: Dependencies, job_id: UUID, *, reason: DelayReason | None) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        is_wrong = job.delay_reason in _LABELS and job.delay_reason is not reason
        if job.state is JobState.QUEUED and is_wrong:
            await revise(tx, job, event=JobEventKind.DELAYED, delay_reason=reason)
