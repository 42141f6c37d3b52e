"""Runs a step again and again: at once while there is work, else when it is announced.

Work is announced, or due by the clock, which nobody announces. Either way one worker of a loop
looks, however many there are, so that a service with little work hardly asks the database. Whoever
finds work has another one look at once, before doing it: so all are at work after a few looks.

A step that fails has changed nothing, since its transaction was rolled back; it is logged,
counted, and done again after a rest. So no fault in one job stops the work on the others.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.wait import first_of

LONGEST_WAIT_SECONDS = 600.0
"""After how long every idle worker looks for itself."""
REST_SECONDS = 1.0
"""The rest after a step that failed."""
_logger = structlog.get_logger(__name__)
_found: ContextVar[Callable[[], None]] = ContextVar("found", default=lambda: None)
"""Wakes another worker of the loop whose step this is; outside of a loop there is none."""

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
        self._is_wanted = False

    def wake_one(self) -> None:
        """Have the first one look, or where all are at work the first that is done with it."""
        if self._waiting:
            self._waiting.popleft().set()
        else:
            # One of them may have looked in vain a moment before, and is about to wait.
            self._is_wanted = True

    async def wait(self, *events: asyncio.Event) -> None:
        """Wait until it is this one's time to look, or one of the events is set."""
        if self._is_wanted:
            self._is_wanted = False
            return
        woken = asyncio.Event()
        self._waiting.append(woken)
        try:
            await first_of(woken, *events, seconds=LONGEST_WAIT_SECONDS)
        finally:
            if woken in self._waiting:
                self._waiting.remove(woken)


def found() -> None:
    """Say from within a step that it found work: another worker looks whether there is more."""
    _found.get()()


async def run(loop: Loop, deps: Dependencies, *, idle: WorkerQueue) -> None:
    """Do the work until the service stops; a step under way is finished."""
    _found.set(idle.wake_one)
    while not deps.stopping.is_set():
        if not await _do(loop, deps):
            await idle.wait(deps.stopping)


async def wake(loop: Loop, deps: Dependencies, *, idle: WorkerQueue) -> None:
    """Have a worker look at every announcement and now and then, until the service stops."""
    with deps.database.watch(loop.topic) as news:
        while not deps.stopping.is_set():
            await first_of(news, deps.stopping, seconds=loop.idle_seconds)
            # Cleared before the look: what is announced while it runs has another one look.
            news.clear()
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
