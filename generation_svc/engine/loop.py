"""Runs a step again and again: at once while there is work, else when it is announced.

A step that fails has changed nothing, since its transaction was rolled back; it is logged,
counted, and done again after a rest. So no fault in one job stops the work on the others.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from generation_svc.domain.error import Unavailable
from generation_svc.lifecycle.dependencies import Dependencies
from runtime.wait import first_of

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
    """How long it waits without one."""
    concurrency: int
    """How many run side by side."""


async def run(loop: Loop, deps: Dependencies) -> None:
    """Do the work until the service stops; a step under way is finished."""
    stop = deps.stopping
    with deps.database.watch(loop.topic) as news:
        while not stop.is_set():
            # Cleared before the step: what is announced while it runs wakes the next one.
            news.clear()
            if not await _do(loop, deps):
                await first_of(news, stop, seconds=loop.idle_seconds)


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
