"""Starts and stops all loops of the service together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import structlog

from generation_svc.engine.dispatch import dispatch
from generation_svc.engine.fetch_result import fetch_result
from generation_svc.engine.loop import Loop, Step, WorkerQueue, run, wake
from generation_svc.engine.maintenance import steps
from generation_svc.engine.maintenance.accounts import WATCH_SECONDS, watch_accounts
from generation_svc.engine.maintenance.retention import forget_expired
from generation_svc.engine.maintenance.usage import measure_usage
from generation_svc.engine.poll import poll
from generation_svc.engine.send_webhook import send_webhook
from generation_svc.lifecycle import topic
from generation_svc.lifecycle.dependencies import Dependencies

_logger = structlog.get_logger(__name__)


def _sweeping(step: Callable[[Dependencies], Awaitable[None]]) -> Step:
    async def sweep_once(deps: Dependencies) -> bool:
        await step(deps)
        return False

    return sweep_once


def loops(time_scale: float) -> tuple[Loop, ...]:
    """Return every kind of work; what waits for the provider looks as often as the timing asks."""
    idle, rare = (min(1.0, max(time_scale, least)) for least in (0.1, 0.2))
    return (
        Loop("dispatch", dispatch, topic.DISPATCH, idle_seconds=idle, concurrency=8),
        Loop("poll", poll, topic.READ, idle_seconds=idle / 2, concurrency=4),
        Loop("fetch", fetch_result, topic.FETCH, idle_seconds=idle, concurrency=8),
        Loop("post", send_webhook, topic.WEBHOOK, idle_seconds=rare, concurrency=16),
        Loop(
            "accounts",
            _sweeping(watch_accounts),
            "work:accounts",
            idle_seconds=max(WATCH_SECONDS * time_scale, WATCH_SECONDS / 6),
            concurrency=1,
        ),
        *(
            Loop(step.__name__, _sweeping(step), "work:sweep", idle_seconds=rare, concurrency=1)
            for step in steps.STEPS
        ),
        Loop("usage", measure_usage, "work:sweep", idle_seconds=5 * rare, concurrency=1),
        Loop("retention", forget_expired, "work:sweep", idle_seconds=60 * rare, concurrency=1),
    )


class Supervisor:
    """The loops at work."""

    def __init__(self, tasks: Sequence[asyncio.Task[None]], *, stop: asyncio.Event) -> None:
        self._tasks = tasks
        self._stop = stop

    async def finish(self, *, grace_seconds: float) -> None:
        """Start no further work, and give what is under way some time; then cancel it.

        Who is broken off gives its lease back, so that another replica goes on at once.
        """
        self._stop.set()
        _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
        # Cancelled and awaited, so that each gives its claim or lease back before the database
        # closes.
        for task in late:
            _logger.warning("work is cancelled and given back", task=task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _started(loop: Loop, deps: Dependencies) -> Iterator[asyncio.Task[None]]:
    idle = WorkerQueue()
    for number in range(loop.concurrency):
        yield asyncio.create_task(run(loop, deps, idle=idle), name=f"{loop.name}-{number}")
    yield asyncio.create_task(wake(loop, deps, idle=idle), name=f"{loop.name}-wake")


@asynccontextmanager
async def working(
    deps: Dependencies, *, time_scale: float, grace_seconds: float
) -> AsyncIterator[Supervisor]:
    """Work while the block runs, or until its supervisor is told to finish."""
    tasks = [task for loop in loops(time_scale) for task in _started(loop, deps)]
    supervisor = Supervisor(tasks, stop=deps.stopping)
    try:
        yield supervisor
    finally:
        await supervisor.finish(grace_seconds=grace_seconds)
