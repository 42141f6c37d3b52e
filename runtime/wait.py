"""Waiting that has an end: an event, a deadline, or the process that shall stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class Deadline:
    """The time by which something shall be over, on the clock of the event loop."""

    def __init__(self, seconds: float, *, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or asyncio.get_running_loop().time
        self.ends_at = self._clock() + seconds
        """The time, as `asyncio.timeout_at` wants it."""

    @property
    def left_s(self) -> float:
        """How long it is until then, in seconds; below zero after it."""
        return self.ends_at - self._clock()

    @property
    def is_over(self) -> bool:
        """Whether it has come."""
        return self.left_s <= 0


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but no longer than that; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Wait until one of the events is set, but no longer than that."""
    # A task that was not cancelled would stay among the waiters of its event for ever.
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


async def interruptible(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """Do the work and return its result, or cancel it and return None once `stop` is set."""
    stopped = asyncio.create_task(stop.wait())
    task = asyncio.create_task(work)
    try:
        await asyncio.wait((stopped, task), return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for each in (stopped, task):
            each.cancel()
        # Waited for as well, so that nothing of the work runs on behind our back.
        await asyncio.wait((stopped, task))


async def finished(
    stop: asyncio.Event, work: Coroutine[Any, Any, _T], *, within_s: float
) -> _T | None:
    """Do the work and return its result; once `stop` is set it has `within_s` left, else None."""
    task = asyncio.create_task(work)
    try:
        # What is interrupted is the waiting for the task, not the task.
        await interruptible(stop, _ended(task))
        await asyncio.wait({task}, timeout=within_s)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
