"""Runs a step again and again: at once while there is work, else when it is announced.

What is due by the clock is announced by nobody, so somebody looks now and then: one worker of a
loop, however many there are, so that a service without work hardly asks the database. Whoever finds
work has another one look at once.

A step that fails has changed nothing, since its transaction was rolled back; it is logged,
counted, and done again after a rest. So no fault in one job stops the work on the others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.wait import first_of, is_set_within

LONGEST_WAIT_SECONDS = 600.0
"""After how long every idle worker looks for itself."""
REST_SECONDS = 1.0
"""The rest after a step that failed."""
_logger = structlog.get_logger(__name__)

Step = Callable[[Dependencies], Awaitable[bool]]
"""A use case without arguments; True means that there may be more to do at once."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One kind of work."""

    name: str
    step: Step
    topic: str
    """The announcement that wakes it."""
    idle_seconds: float
    """How often one looks without one."""
    concurrency: int
    """How many run side by side."""


class WorkerQueue:
    """The workers of a loop that wait for work, the one that has waited longest first."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Event] = deque()

    def wake_one(self) -> None:
        """Have the first one look; nobody does where all are at work."""
        if self._waiting:
            self._waiting.popleft().set()

    async def wait(self, *events: asyncio.Event) -> None:
        """Wait until it is this one's time to look, or one of the events is set."""
        woken = asyncio.Event()
        self._waiting.append(woken)
        try:
            await first_of(woken, *events, seconds=LONGEST_WAIT_SECONDS)
        finally:
            if woken in self._waiting:
                self._waiting.remove(woken)


async def run(loop: Loop, deps: Dependencies, *, idle: WorkerQueue) -> None:
    """Do the work until the service stops; a step under way is finished."""
    stop = deps.stopping
    with deps.database.watch(loop.topic) as news:
        while not stop.is_set():
            # Cleared before the step: what is announced while it runs wakes the next one.
            news.clear()
            if await _do(loop, deps):
                idle.wake_one()
            else:
                await idle.wait(news, stop)


async def look_now_and_then(loop: Loop, deps: Dependencies, *, idle: WorkerQueue) -> None:
    """Have an idle worker look for what is due by the clock, until the service stops."""
    while not await is_set_within(deps.stopping, loop.idle_seconds):
        idle.wake_one()


async def _do(loop: Loop, deps: Dependencies) -> bool:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(worker=loop.name)
    try:
        return await loop.step(deps)
    except Unavailable as error:
        _logger.warning("a dependency is unavailable", error=str(error))
    # A loop must not end: one job that cannot be worked on would stop all others.
    except Exception:
        _logger.exception("a step failed")
    deps.meter.faults.labels(loop.name).inc()
    await first_of(deps.stopping, seconds=REST_SECONDS)
    return False
