"""Keeps the delay reasons of queued jobs true while breakers open and close."""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias
from uuid import UUID

from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import DelayReason, JobState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine import breaker
from generation_svc.engine.batch import BATCH, one_by_one_found
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
_Label: TypeAlias = tuple[UUID, DelayReason | None]
"""A job, and the delay reason that it is to have."""


async def label_delays(deps: Dependencies) -> bool:
    """While the breakers of all accounts are open, every queued job says why it waits.

    It returns whether it has to go on: others may be accepted before one of them closes.
    """
    reason: DelayReason | None = None

    async def find(tx: Transaction, last: _Label | None) -> Sequence[_Label]:
        nonlocal reason  # as it is by then: a long queue takes a while
        reason = await breaker.reason_to_wait(deps, tx)
        found = await tx.queue.mislabelled(reason, after=last[0] if last else None, limit=BATCH)
        return [(job_id, reason) for job_id in found]

    await one_by_one_found(deps, find, partial(_label, deps))
    return reason is not None


async def _label(deps: Dependencies, label: _Label) -> None:
    job_id, reason = label
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(job_id)
        is_wrong = job.delay_reason in _LABELS and job.delay_reason is not reason
        if job.state is JobState.QUEUED and is_wrong:
            await revise(tx, job, event=JobEventKind.DELAYED, delay_reason=reason)
