"""Lets a caller follow a job. Nobody who waits here holds a database connection."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import JobNotFound, RevisionOutOfRange
from generation_svc.domain.job import Job, JobState
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.context import Context, now

LOOK_INTERVAL = 5.0
"""Seconds between two looks of one who waits, should a hint be lost."""
PAGE = 100
"""How many revisions are read at a time."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """A sign of life: what is known of the wait."""

    queue_position: int
    estimated_remaining: timedelta | None


async def get(context: Context, caller: Caller, *, job_id: UUID) -> Job:
    """Read a job of this caller. Raises JobNotFound."""
    async with context.database.transaction() as tx:
        job = await tx.jobs.get(job_id, caller=caller.name)
    if job is None:
        raise JobNotFound(str(job_id))
    return job


async def wait(context: Context, caller: Caller, *, job_id: UUID, timeout: timedelta) -> Job:
    """Return the job once it is final or the timeout has passed. Raises JobNotFound."""
    deadline = asyncio.get_running_loop().time() + timeout.total_seconds()
    with context.database.watch(topic.of_job(job_id)) as news:
        while True:
            news.clear()
            job = await get(context, caller, job_id=job_id)
            remaining = deadline - asyncio.get_running_loop().time()
            if job.state.is_final or remaining <= 0:
                return job
            await _next(news, min(remaining, LOOK_INTERVAL))


async def follow(
    context: Context, caller: Caller, *, job_id: UUID, after: int, heartbeat: timedelta
) -> AsyncGenerator[Job | Pulse, None]:
    """Give the revisions after `after` in order, with a pulse after `heartbeat` of silence.

    With `after` 0 the current state comes first. Ends after the final revision. Raises
    JobNotFound, RevisionOutOfRange.
    """
    with context.database.watch(topic.of_job(job_id)) as news:
        job = await get(context, caller, job_id=job_id)
        if after > job.revision:
            raise RevisionOutOfRange(after, revision=job.revision)
        if after == 0:
            yield job
            after = job.revision
        is_behind = after < job.revision
        while not job.state.is_final or is_behind:
            if not is_behind and not await _next(news, heartbeat.total_seconds()):
                yield await pulse(context, job)
            news.clear()
            revisions = await _revisions(context, job_id, after=after)
            for job in revisions:
                after = job.revision
                yield job
            is_behind = len(revisions) == PAGE


async def pulse(context: Context, job: Job) -> Pulse:
    """Tell what is known of a job's wait: its place, and an estimate where one is honest."""
    async with context.database.transaction() as tx:
        position = await tx.jobs.queue_position(job)
        typical = await tx.attempts.typical_duration(job.model_id)
    usual, _ = context.durations(job.model_id)
    return Pulse(position, _remaining(context, job, position=position, usual=typical or usual))


def _remaining(context: Context, job: Job, *, position: int, usual: timedelta) -> timedelta | None:
    if job.delay_reason is not None:
        return None
    limits = context.limits
    if job.state is JobState.QUEUED:
        return usual + limits.create_window * (position / limits.creates_per_window)
    left = usual - (now() - job.update_time)
    return left if left > timedelta(0) else None


async def _revisions(context: Context, job_id: UUID, *, after: int) -> Sequence[Job]:
    async with context.database.transaction() as tx:
        return await tx.jobs.revisions(job_id, after=after, limit=PAGE)


async def _next(news: asyncio.Event, seconds: float) -> bool:
    """Wait for news; return whether there may be some."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    return True
