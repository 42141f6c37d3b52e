"""Keeps a result that came after its job had ended, if it is the first one that is kept of it.

A job may have two tasks, where createTask gave no answer and the second try did. Only one attempt
of a job is settled: its result is what the job shows and what is paid for, so the cost of the
other one, which may be told hours later, must not decide what was charged.
"""

from decimal import Decimal

from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.job import Job, Result
from generation_svc.domain.port.transaction import Transaction
from generation_svc.lifecycle import charge

_OTHER = "another attempt brought the result"


async def keep_late(
    tx: Transaction, job: Job, attempt: Attempt, *, result: Result, cost: Decimal | None
) -> None:
    """End an attempt of a locked job that has ended; charge for it if the job was cancelled."""
    if await tx.attempts.settled(job.id):
        await tx.attempts.end(attempt.id, AttemptState.LOST, error=_OTHER)
        if cost is not None:  # there is nothing more to ask for: it was no loss of the provider's
            await tx.attempts.give_up_cost(attempt.id)
        return
    await tx.attempts.end(attempt.id, AttemptState.SETTLED)
    await charge.capture_late(tx, job, result, cost=cost)
