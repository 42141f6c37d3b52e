"""Ends holds of jobs that are over, which a replica of an earlier release left open.

Whoever ends a job ends its hold in the same transaction. A release that knows no holds cannot end a
paid job with a result or a failure; but it may cancel one, or end the last attempt of one that was
cancelled.
"""

from collections.abc import Sequence
from functools import partial

import structlog

from generation_svc.domain.job import Job, JobState
from generation_svc.domain.port.ledger import EndedHold
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine.batch import BATCH, one_by_one_found
from generation_svc.lifecycle import charge
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


async def end_holds(deps: Dependencies) -> bool:
    """End the holds of jobs that are over; those that cannot be ended are left to later."""
    if deps.money.mode is None:
        return False

    async def find(tx: Transaction, last: EndedHold | None) -> Sequence[EndedHold]:
        return await tx.ledger.over(after=last, limit=BATCH)

    await one_by_one_found(deps, find, partial(_end_hold, deps))
    return False


async def _end_hold(deps: Dependencies, hold: EndedHold) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(hold.job_id)
        if job.state is not JobState.CANCELLED:
            return
        _logger.warning("a hold was left open", job_id=str(job.id))
        if hold.is_stored:
            await _capture(tx, job)
        else:
            await charge.release_unused(tx, job)


async def _capture(tx: Transaction, job: Job) -> None:
    """Charge a cancelled job for what is stored of it."""
    attempt = await tx.attempts.settled(job.id)
    if attempt is None:
        return
    result = await charge.stored_result(tx, attempt)
    await charge.capture(tx, job, result, cost=charge.cost_of(attempt))
