"""Lets callers follow a job, without holding a database connection while they wait."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import RevisionOutOfRange
from generation_svc.domain.job import Forecast, Job
from generation_svc.domain.port.notifier import Follower
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.lifecycle.forecast import forecast, with_forecast
from generation_svc.usecase.read_job import get
from runtime.wait import Deadline

PAGE = 100
"""How many revisions are read at a time."""


async def wait(deps: Dependencies, caller: Caller, *, job_id: UUID, timeout: timedelta) -> Job:
    """Return the job once it is final or the timeout has passed. Raises JobNotFound."""
    deadline = Deadline(timeout.total_seconds())
    with _following(deps, job_id) as follower:
        # Read after the follower is there, so that a change between the two is not missed.
        job = await get(deps, caller, job_id=job_id)
        while not job.state.is_final:
            if not await follower.has_news(after=job.revision, seconds=deadline.left_s):
                return await get(deps, caller, job_id=job_id)
            job = await _latest(deps, caller, job, follower=follower)
        return job


async def follow(
    deps: Dependencies,
    caller: Caller,
    *,
    job_id: UUID,
    after: int,
    silence: Callable[[], timedelta],
) -> AsyncGenerator[Job | Forecast, None]:
    """Give the revisions after `after` in order, with a forecast after each `silence`.

    With `after` 0 the current state comes first. Ends after the final revision. Raises
    JobNotFound, RevisionOutOfRange.
    """
    with _following(deps, job_id) as follower:
        job = await get(deps, caller, job_id=job_id)
        if after > job.revision:
            raise RevisionOutOfRange(after, revision=job.revision)
        if after == 0:
            yield job
            after = job.revision
        is_behind = after < job.revision
        while not job.state.is_final or is_behind:
            if not is_behind and not await follower.has_news(
                after=after, seconds=silence().total_seconds()
            ):
                yield await forecast(deps, job)
                continue
            revisions = None if is_behind else follower.take(after=after)
            if revisions is None:
                revisions = await _read(deps, job, after=after)
                # A full page: there may be more, so the next one is read without waiting for news.
                is_behind = len(revisions) == PAGE
            for job in revisions:
                after = job.revision
                is_latest = job is revisions[-1] and not is_behind
                yield await with_forecast(deps, job) if is_latest else job


async def _read(deps: Dependencies, job: Job, *, after: int) -> Sequence[Job]:
    return await deps.database.read(lambda tx: tx.jobs.revisions(job, after=after, limit=PAGE))


async def _latest(deps: Dependencies, caller: Caller, job: Job, *, follower: Follower) -> Job:
    """Return a job as it is after news, read only if the news did not bring it."""
    revisions = follower.take(after=job.revision)
    if revisions is None:
        return await get(deps, caller, job_id=job.id)
    return await with_forecast(deps, revisions[-1] if revisions else job)


@contextmanager
def _following(deps: Dependencies, job_id: UUID) -> Iterator[Follower]:
    with (
        deps.database.follow(topic.of_job(job_id)) as follower,
        deps.views.revision_poller.watching(job_id, follower, database=deps.database),
    ):
        yield follower
