"""All the loops of a service, started and stopped together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from generation_svc.lifecycle import sweep, topic
from generation_svc.lifecycle.context import Context
from generation_svc.lifecycle.dispatch import dispatch
from generation_svc.lifecycle.fetch import fetch
from generation_svc.lifecycle.poll import poll
from generation_svc.lifecycle.post import post
from generation_svc.worker.loop import Loop, Step, run

_logger = structlog.get_logger(__name__)


def _sweeping(step: Callable[[Context], Awaitable[None]]) -> Step:
    async def sweep_once(context: Context) -> bool:
        await step(context)
        return False

    return sweep_once


def loops(time_scale: float) -> tuple[Loop, ...]:
    """Return every kind of work; what waits for the provider looks as often as its pace asks."""
    idle, rare = (min(1.0, max(time_scale, least)) for least in (0.1, 0.2))
    return (
        Loop("dispatch", dispatch, topic.DISPATCH, idle_seconds=idle, lanes=8),
        Loop("poll", poll, topic.READ, idle_seconds=idle / 2, lanes=4),
        Loop("fetch", fetch, topic.FETCH, idle_seconds=idle, lanes=4),
        Loop("post", post, topic.WEBHOOK, idle_seconds=rare, lanes=16),
        *(
            Loop(step.__name__, _sweeping(step), "work:sweep", idle_seconds=rare, lanes=1)
            for step in sweep.STEPS
        ),
    )


class Crew:
    """The loops at work."""

    def __init__(self, tasks: Sequence[asyncio.Task[None]], *, stop: asyncio.Event) -> None:
        self._tasks = tasks
        self._stop = stop

    async def finish(self, *, grace_seconds: float) -> None:
        """Begin nothing more, and give what is under way some time; what is late is broken off.

        Who is broken off gives its lease back, so that another replica goes on at once.
        """
        self._stop.set()
        _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in late:
            _logger.warning("work is broken off and given back", task=task.get_name())
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def working(
    context: Context, *, time_scale: float, grace_seconds: float
) -> AsyncIterator[Crew]:
    """Work while the block runs, or until its crew is told to finish."""
    tasks = [
        asyncio.create_task(run(loop, context), name=f"{loop.name}-{lane}")
        for loop in loops(time_scale)
        for lane in range(loop.lanes)
    ]
    crew = Crew(tasks, stop=context.stopping)
    try:
        yield crew
    finally:
        await crew.finish(grace_seconds=grace_seconds)
