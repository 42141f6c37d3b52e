"""Ends open calls when the server is about to stop.

`server.stop` tells open streams nothing, so they are ended first: each waits for its next message
and for this event, whichever comes first.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

_T = TypeVar("_T")


class ServerDraining(Exception):
    """The server is shutting down; repeat the call on another replica."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Draining:
    """Whether the server is about to stop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def start(self) -> None:
        """End what is open."""
        self._event.set()

    async def unless(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Return what the work returns; raises ServerDraining if the server stops before."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pending in (task, stop):
                pending.cancel()
            # Waited for, so that nothing of the work runs on behind the answer.
            await asyncio.gather(task, stop, return_exceptions=True)
        if task.cancelled():
            raise ServerDraining
        return task.result()  # also of work that ended while it was told to stop: a lease is taken

    async def each(self, items: AsyncGenerator[_T, None]) -> AsyncGenerator[_T, None]:
        """Give the items; raises ServerDraining if the server stops between two of them."""
        # A generator that is merely dropped is closed by the garbage collector, some time later,
        # and would be woken by the job's news until then.
        async with aclosing(items):
            while True:
                try:
                    item = await self.unless(_next(items))
                except StopAsyncIteration:
                    return
                yield item


async def _next(items: AsyncGenerator[_T, None]) -> _T:
    return await anext(items)
