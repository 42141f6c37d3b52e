"""Looks up the addresses of hosts that others named.

The loop's own look-ups share a few threads, and one for a name whose server hangs takes half a
minute: a few such names would keep this process from finding anybody. These have threads of their
own, and no name has two. The threads are daemons, so that none of them delays the process's end.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from runtime.thread import in_thread

MOST_LOOK_UPS = 32
"""How many names are looked up at once; more of them wait."""

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Gives the IP addresses of a host and port, in the order to try them; raises OSError."""


class NameResolver:
    """The `Resolver` of the operating system."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MOST_LOOK_UPS)
        self._running: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """Look a host up; who gives up waiting leaves the look-up to those who come after."""
        name = (host, port)
        if name not in self._running:
            task = self._running[name] = asyncio.create_task(self._look_up(host, port))
            task.add_done_callback(lambda _: self._running.pop(name))
        # Shielded, for others may wait for the same look-up.
        return await asyncio.shield(self._running[name])

    async def _look_up(self, host: str, port: int) -> list[str]:
        async with self._places:
            look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            found = await in_thread(look_up, name="look-up")
        return [str(address[0]) for *_, address in found]
