"""Reads jobs that a caller sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import JobNotFound
from generation_svc.domain.job import Job
from generation_svc.domain.job_filter import EVERY_JOB, JobFilter
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import with_forecast


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs are asked for."""

    owner: str | None = None
    """None means those of every owner."""
    job_filter: JobFilter = EVERY_JOB


async def get(deps: Dependencies, caller: Caller, *, job_id: UUID) -> Job:
    """Read a job that this caller sees. Raises JobNotFound."""
    job = await deps.views.job_reader.get(job_id, database=deps.database)
    if job is None or caller.sees not in (None, job.caller):
        raise JobNotFound(str(job_id))
    return await with_forecast(deps, job)


async def page(
    deps: Dependencies, caller: Caller, query: JobQuery, *, before: UUID | None, limit: int
) -> Sequence[Job]:
    """Read the jobs that a caller sees, newest first, older than `before`."""
    async with deps.database.transaction() as tx:
        jobs = await tx.jobs.page(
            caller=caller.sees,
            owner=query.owner,
            job_filter=query.job_filter,
            before=before,
            limit=limit,
        )
    return [await with_forecast(deps, job) for job in jobs]
