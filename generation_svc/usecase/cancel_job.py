"""Cancels a job."""

from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import JobNotFound
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import Job, JobState
from generation_svc.lifecycle import charge
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.record import revise


async def cancel_job(deps: Dependencies, caller: Caller, *, job_id: UUID) -> Job:
    """End a job that is not final; return it as it then is. Raises JobNotFound.

    The provider cannot cancel: a task that runs there runs on, and what it brings is kept as
    media and as events of the job. What is held for the job is kept as long, and taken for what is
    stored; a job that the provider does not work on gets it back at once.
    """
    async with deps.database.transaction() as tx:
        # Looked at before it is locked, so that nobody can hold up a job of somebody else.
        if await tx.jobs.get(job_id, caller=caller.sees) is None:
            raise JobNotFound(str(job_id))
        job = await tx.jobs.lock(job_id)
        if job.state.is_final:
            return job
        return await revise(
            tx,
            job,
            event=JobEventKind.CANCELLED,
            state=JobState.CANCELLED,
            delay_reason=None,
            charged_credits=await charge.release_cancelled(tx, job),
        )
