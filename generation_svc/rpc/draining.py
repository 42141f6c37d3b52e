"""Ends open calls when the server is about to stop.

`server.stop` tells open streams nothing, so they are ended first: each of them that waits for its
next message is told.
"""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from generation_svc.rpc.interrupt import Interrupt

_T = TypeVar("_T")


class ServerDraining(Exception):
    """The server is shutting down; repeat the call on another replica."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Draining:
    """Whether the server is about to stop."""

    def __init__(self) -> None:
        self._has_begun = False
        self._waiting: set[Interrupt] = set()

    def start(self) -> None:
        """End what is open."""
        self._has_begun = True
        for interrupt in self._waiting:
            interrupt.now(ServerDraining)

    async def unless(self, work: Awaitable[_T]) -> _T:
        """Return what the work returns; raises ServerDraining if the server stops before."""
        interrupt = Interrupt()
        self._waiting.add(interrupt)
        try:
            async with interrupt:
                if self._has_begun:
                    interrupt.now(ServerDraining)
                # Also of work that ends while it is told to stop: a lease is taken.
                return await work
        finally:
            self._waiting.discard(interrupt)

    async def each(self, items: AsyncGenerator[_T, None]) -> AsyncGenerator[_T, None]:
        """Give the items; raises ServerDraining if the server stops between two of them."""
        # A generator that is merely dropped is closed by the garbage collector, some time later,
        # and would be woken by the job's news until then.
        async with aclosing(items):
            while True:
                try:
                    item = await self.unless(anext(items))
                except StopAsyncIteration:
                    return
                yield item
