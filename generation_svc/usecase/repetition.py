"""A request that is made again, under the same request_id: it gets the job that it made."""

from uuid import UUID

from generation_svc.domain.error import JobExpired, RequestIdReused
from generation_svc.domain.job import Job
from generation_svc.domain.port.request import RequestKey
from generation_svc.domain.port.transaction import Database, Transaction


async def find(database: Database, key: RequestKey) -> Job | None:
    """Find the job of an earlier request. Raises RequestIdReused, JobExpired."""
    async with database.transaction() as tx:
        bound = await tx.requests.find(key.request_id, caller=key.caller)
        return await _job_of(tx, key, bound=bound) if bound else None


async def job_of(database: Database, key: RequestKey, *, bound: tuple[UUID, bytes]) -> Job:
    """Read the job that a request was bound to. Raises RequestIdReused, JobExpired."""
    async with database.transaction() as tx:
        return await _job_of(tx, key, bound=bound)


async def _job_of(tx: Transaction, key: RequestKey, *, bound: tuple[UUID, bytes]) -> Job:
    earlier_id, earlier_hash = bound
    job = await tx.jobs.get(earlier_id)
    if job is None:  # its binding outlives it, so that it is never made a second time
        raise JobExpired(key.request_id, job_id=str(earlier_id))
    if earlier_hash != key.content_hash:
        raise RequestIdReused(key.request_id, job_id=str(earlier_id))
    return job
