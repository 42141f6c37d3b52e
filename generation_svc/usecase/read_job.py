"""Reads jobs that a caller sees."""

from collections.abc import Sequence
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import JobNotFound
from generation_svc.domain.job import Job
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import with_forecast


async def get(deps: Dependencies, caller: Caller, *, job_id: UUID) -> Job:
    """Read a job that this caller sees. Raises JobNotFound."""
    async with deps.database.transaction() as tx:
        job = await tx.jobs.get(job_id, caller=caller.sees)
    if job is None:
        raise JobNotFound(str(job_id))
    return await with_forecast(deps, job)


async def page(
    deps: Dependencies, caller: Caller, *, owner: str | None, before: UUID | None, limit: int
) -> Sequence[Job]:
    """Read the jobs that a caller sees, newest first, older than `before`."""
    async with deps.database.transaction() as tx:
        jobs = await tx.jobs.page(caller=caller.sees, owner=owner, before=before, limit=limit)
    return [await with_forecast(deps, job) for job in jobs]
