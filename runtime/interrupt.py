"""Waiting that ends early when the process shall stop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


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


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until `stop` is set."""
    await interruptible(stop, asyncio.sleep(seconds))
