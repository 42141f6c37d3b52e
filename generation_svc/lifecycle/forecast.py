"""Forecasts a job's wait: its place in the queue, and an estimate where one can be made."""

from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from generation_svc.domain.job import Forecast, Job, JobState
from generation_svc.domain.model_health import ModelState
from generation_svc.lifecycle.dependencies import Dependencies

NOTHING = timedelta(0)


async def with_forecast(deps: Dependencies, job: Job) -> Job:
    """Return the job with its forecast; a final job has none."""
    if job.state.is_final:
        return job
    return replace(job, forecast=await forecast(deps, job))


async def forecast(deps: Dependencies, job: Job) -> Forecast:
    """Return what is known of an unfinished job's wait."""
    typical = await deps.views.queue.typical(job.model_id, database=deps.database)
    usual = _usual_of(deps, job.model_id, typical=typical)
    position = 0
    if job.state is JobState.QUEUED:
        position = await deps.views.queue.place(job, database=deps.database)
    if job.delay_reason is not None or usual is None:
        return Forecast(position, None)
    time = deps.database.now()
    timing = _time_for_each(deps, usual)
    left = _left_in_line(job, position=position, timing=timing, usual=usual, time=time)
    remaining = left if job.state is JobState.QUEUED else usual - (time - job.update_time)
    return Forecast(position, _honest(remaining))


def _usual_of(deps: Dependencies, model_id: str, *, typical: timedelta | None) -> timedelta | None:
    """Return what a model takes these days; None where nothing has shown it."""
    model = deps.models.catalog.models.get(model_id)
    health = deps.models.health.known.get(model_id)
    usual = typical or (model.usual_duration if model else None)
    if usual and health and health.recent and health.state is ModelState.SLOW:
        return max(usual, health.recent)
    return usual


def _time_for_each(deps: Dependencies, usual: timedelta) -> timedelta:
    """Return the time in which the queue moves on by one.

    It goes as fast as the slower of two lets it, on all accounts together: the calls that may be
    made, and the tasks that may be at the provider at once.
    """
    limits, accounts = deps.limits, len(deps.provider.accounts)
    calls = limits.create_window / limits.creates_per_window
    return max(calls, usual / limits.active_tasks) / accounts


def _left_in_line(
    job: Job, *, position: int, timing: timedelta, usual: timedelta, time: datetime
) -> timedelta:
    """Return the time for those before it and for itself; nothing if that is past its deadline."""
    wait = timing * position
    return wait + usual if time + wait < job.start_deadline_time else NOTHING


def _honest(remaining: timedelta) -> timedelta | None:
    """Return whole seconds, rounded up; nothing of a job that takes longer than it should."""
    return timedelta(seconds=ceil(remaining.total_seconds())) if remaining > NOTHING else None
