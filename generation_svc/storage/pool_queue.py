"""Admits as many callers as there are connections; the others wait in order while it moves.

The pool's own queue tells whoever has waited for five seconds that the database is away. Of four
thousand who come at once the last wait for longer though nothing is wrong; so they wait here, and
are turned away only when nobody has got a connection for as long as that.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg_pool import PoolTimeout


class PoolQueue:
    """A queue before the pool."""

    def __init__(self, places: int, *, max_wait_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._max_wait_seconds = max_wait_seconds
        self._moved_at = 0.0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and keep it for the block. Raises PoolTimeout when nothing moves."""
        await self._wait()
        try:
            yield
        finally:
            self._places.release()

    def move(self) -> None:
        """Note that a connection was handed out."""
        self._moved_at = asyncio.get_running_loop().time()

    async def _wait(self) -> None:
        # Without a task for the usual case, where nobody waits.
        if not self._places.locked():
            await self._places.acquire()
            return
        place = asyncio.ensure_future(self._places.acquire())
        try:
            while not (await asyncio.wait({place}, timeout=self._max_wait_seconds))[0]:
                self._check_that_it_moves()
        except BaseException:
            # A task that is done cannot be cancelled: then the place is ours, and is given back.
            if not place.cancel():
                self._places.release()
            raise

    def _check_that_it_moves(self) -> None:
        if asyncio.get_running_loop().time() - self._moved_at > self._max_wait_seconds:
            raise PoolTimeout(f"no connection for anybody within {self._max_wait_seconds:g} s")
