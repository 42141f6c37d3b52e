"""Lets a caller follow a job. Nobody who waits here holds a database connection."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import JobNotFound, RevisionOutOfRange
from generation_svc.domain.job import Forecast, Job
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.forecast import forecast, with_forecast
from generation_svc.lifecycle.lookout import LOOK_SECONDS

PAGE = 100
"""How many revisions are read at a time."""


async def get(context: Context, caller: Caller, *, job_id: UUID) -> Job:
    """Read a job that this caller sees. Raises JobNotFound."""
    async with context.database.transaction() as tx:
        job = await tx.jobs.get(job_id, caller=caller.sees)
    if job is None:
        raise JobNotFound(str(job_id))
    return await with_forecast(context, job)


async def page(
    context: Context, caller: Caller, *, owner: str | None, before: UUID | None, limit: int
) -> Sequence[Job]:
    """Read the jobs that a caller sees, newest first, older than `before`."""
    async with context.database.transaction() as tx:
        jobs = await tx.jobs.page(caller=caller.sees, owner=owner, before=before, limit=limit)
    return [await with_forecast(context, job) for job in jobs]


async def wait(context: Context, caller: Caller, *, job_id: UUID, timeout: timedelta) -> Job:
    """Return the job once it is final or the timeout has passed. Raises JobNotFound."""
    deadline = asyncio.get_running_loop().time() + timeout.total_seconds()
    with _watching(context, job_id) as news:
        job = await get(context, caller, job_id=job_id)
        while not job.state.is_final:
            remaining = deadline - asyncio.get_running_loop().time()
            if await _has_news(context, job, news, seconds=min(remaining, LOOK_SECONDS)):
                job = await get(context, caller, job_id=job_id)
            elif remaining <= LOOK_SECONDS:
                return await get(context, caller, job_id=job_id)
        return job


async def follow(
    context: Context, caller: Caller, *, job_id: UUID, after: int, heartbeat: timedelta
) -> AsyncGenerator[Job | Forecast, None]:
    """Give the revisions after `after` in order, with a forecast after `heartbeat` of silence.

    With `after` 0 the current state comes first. Ends after the final revision. Raises
    JobNotFound, RevisionOutOfRange.
    """
    with _watching(context, job_id) as news:
        job = await get(context, caller, job_id=job_id)
        if after > job.revision:
            raise RevisionOutOfRange(after, revision=job.revision)
        if after == 0:
            yield job
            after = job.revision
        is_behind = after < job.revision
        while not job.state.is_final or is_behind:
            if not is_behind and not await _has_news(
                context, job, news, seconds=heartbeat.total_seconds()
            ):
                yield await forecast(context, job)
                continue
            revisions = await _revisions(context, job_id, after=after)
            is_behind = len(revisions) == PAGE
            for job in revisions:
                after = job.revision
                is_latest = job is revisions[-1] and not is_behind
                yield await with_forecast(context, job) if is_latest else job


async def _revisions(context: Context, job_id: UUID, *, after: int) -> Sequence[Job]:
    async with context.database.transaction() as tx:
        return await tx.jobs.revisions(job_id, after=after, limit=PAGE)


@contextmanager
def _watching(context: Context, job_id: UUID) -> Iterator[asyncio.Event]:
    with context.database.watch(topic.of_job(job_id)) as news, context.lookout.watching(job_id):
        yield news


async def _has_news(context: Context, job: Job, news: asyncio.Event, *, seconds: float) -> bool:
    """Wait for news of a job; return whether there may be some."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return await context.lookout.has_news(job.id, after=job.revision, database=context.database)
    news.clear()
    return True
