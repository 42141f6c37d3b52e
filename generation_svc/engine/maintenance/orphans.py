"""Marks attempts whose dispatcher vanished as of unknown fate."""

from collections.abc import Sequence
from functools import partial

from generation_svc.domain.attempt import Attempt
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import JobState
from generation_svc.domain.port.transaction import Transaction
from generation_svc.engine.batch import BATCH, one_by_one_found
from generation_svc.engine.submission import in_doubt
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.record import revise


async def mark_orphans(deps: Dependencies) -> bool:
    """Mark attempts whose dispatcher vanished; once is enough."""

    async def find(tx: Transaction, last: Attempt | None) -> Sequence[Attempt]:
        after, lease = last.id if last else None, deps.timing.submit_lease
        return await tx.attempts.orphans(older_than=lease, after=after, limit=BATCH)

    await one_by_one_found(deps, find, partial(_mark_orphan, deps))
    return False


async def _mark_orphan(deps: Dependencies, attempt: Attempt) -> None:
    async with deps.database.transaction() as tx:
        job = await tx.jobs.lock(attempt.job_id)
        # Its dispatcher may only be slow: the statement changes nothing if an answer has come.
        is_news = await tx.attempts.mark_unknown(attempt.id, error="the dispatcher vanished")
        if is_news and job.state is JobState.QUEUED:
            others = await tx.attempts.count_unrefused(job.id) - 1
            waits = in_doubt(deps, job, attempt=attempt, others=others)
            await revise(tx, job, event=JobEventKind.UNKNOWN, **waits)
